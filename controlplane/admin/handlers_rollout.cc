#include <algorithm>
#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>

#include "common/base/status.h"
#include "common/crypto/hex.h"
#include "controlplane/admin/admin_handlers.h"
#include "controlplane/admin/apply.h"

namespace gw {
namespace {

constexpr int64_t kHistoryDefault = 20, kHistoryMax = 1000;
// How often a waiting call looks whether its caller has left.
constexpr auto kLookAfter = std::chrono::milliseconds(200);
// States waiting for a caller that reads slowly; older ones are dropped, since each tells the whole.
constexpr size_t kWaitingMax = 16;

// Hands states from the push's thread to the call's.
struct Channel {
  std::mutex mutex;
  std::condition_variable ready;
  std::deque<v1::RolloutStatus> states;

  void put(const v1::RolloutStatus& state) {
    {
      std::lock_guard lock(mutex);
      if (states.size() >= kWaitingMax) states.pop_front();
      states.push_back(state);
    }
    ready.notify_all();
  }
};

bool settled(const std::string& phase) { return phase == "active" || phase == "refused" || phase == "superseded" || phase == "no-nodes"; }

}  // namespace

absl::StatusOr<v1::RolloutStatus> AdminHandlers::rollout_of(uint64_t version) const {
  if (std::optional<v1::RolloutStatus> live = parts_.rollouts->status(version)) return *live;
  v1::RolloutStatus out;
  out.set_version(version);
  std::map<std::string, v1::NodeInfo> known;
  for (v1::NodeInfo& node : parts_.nodes->nodes()) known[node.node()] = node;
  GW_RETURN_IF_ERROR(parts_.engine->db().read([&](Connection& db) -> absl::Status {
    GW_ASSIGN_OR_RETURN(std::optional<VersionRow> row, find_version(db, version));
    if (!row) return not_found("there is no version " + std::to_string(version));
    out.set_phase(row->phase);
    GW_ASSIGN_OR_RETURN(std::vector<NodeStateRecord> states, node_states(db, version));
    for (const NodeStateRecord& s : states) {
      v1::NodeRollout& node = *out.add_nodes();
      node.set_node(s.node);
      node.set_state(s.state);
      node.set_build_micros(s.build_micros);
      for (const v1::Diagnostic& d : s.diagnostics) *node.add_diagnostics() = d;
      if (auto info = known.find(s.node); info != known.end()) {
        node.set_zone(info->second.zone());
        node.set_connected(info->second.connected());
      }
    }
    return absl::OkStatus();
  }));
  out.set_final(settled(out.phase()));
  return out;
}

absl::Status AdminHandlers::watch_rollout(const v1::WatchRolloutRequest& request,
                                          const std::function<bool(const v1::RolloutStatus&)>& send,
                                          const std::function<bool()>& cancelled) {
  if (request.version() != 0) {
    GW_ASSIGN_OR_RETURN(v1::RolloutStatus now, rollout_of(request.version()));
    // Of an earlier life of this process: nothing more will come.
    if (!parts_.rollouts->status(request.version())) {
      now.set_final(true);
      send(now);
      return absl::OkStatus();
    }
  }
  RolloutWatch what;
  what.version = request.version();
  what.directory_version = request.directory_version();
  what.switches_version = request.switches_version();
  what.endpoints_version = request.endpoints_version();
  what.certificates_version = request.certificates_version();
  if (request.until() != v1::WatchRolloutRequest::UNTIL_UNSPECIFIED) what.until = request.until();
  Channel channel;
  uint64_t id = parts_.rollouts->watch(what, [&](const v1::RolloutStatus& state) { channel.put(state); });
  bool more = true;
  while (more) {
    std::unique_lock lock(channel.mutex);
    channel.ready.wait_for(lock, kLookAfter, [&] { return !channel.states.empty(); });
    if (channel.states.empty()) {
      lock.unlock();
      more = !cancelled();
      continue;
    }
    v1::RolloutStatus state = std::move(channel.states.front());
    channel.states.pop_front();
    lock.unlock();
    more = send(state) && !state.final();
  }
  parts_.rollouts->unwatch(id);
  return absl::OkStatus();
}

absl::StatusOr<v1::VersionInfo> AdminHandlers::version_info(const VersionRow& row, bool with_changes) const {
  v1::VersionInfo out;
  out.set_version(row.number);
  out.set_created_at_ms(row.created_at_ms);
  out.set_actor(row.actor);
  out.set_message(row.message);
  out.set_set(row.set);
  out.set_undoes(row.undoes);
  out.set_digest(to_hex(std::string(row.digest.begin(), row.digest.end())));
  GW_ASSIGN_OR_RETURN(v1::RolloutStatus rollout, rollout_of(row.number));
  out.set_phase(rollout.phase().empty() ? row.phase : rollout.phase());
  *out.mutable_nodes() = rollout.nodes();
  if (!with_changes) return out;
  GW_RETURN_IF_ERROR(parts_.engine->db().read([&](Connection& db) -> absl::Status {
    GW_ASSIGN_OR_RETURN(std::vector<ObjectStep> steps, steps_of(db, row.number));
    for (const ObjectStep& step : steps) *out.add_changes() = describe_change(step.before.get(), step.after.get());
    return absl::OkStatus();
  }));
  return out;
}

absl::StatusOr<v1::HistoryResponse> AdminHandlers::history(const v1::HistoryRequest& request) {
  std::vector<VersionRow> rows;
  GW_RETURN_IF_ERROR(parts_.engine->db().read([&](Connection& db) -> absl::Status {
    if (request.version() == 0) {
      int64_t limit = request.limit() > 0 ? std::min<int64_t>(request.limit(), kHistoryMax) : kHistoryDefault;
      GW_ASSIGN_OR_RETURN(rows, last_versions(db, limit));
      return absl::OkStatus();
    }
    GW_ASSIGN_OR_RETURN(std::optional<VersionRow> row, find_version(db, request.version()));
    if (!row) return not_found("there is no version " + std::to_string(request.version()));
    rows.push_back(*row);
    return absl::OkStatus();
  }));
  v1::HistoryResponse out;
  for (const VersionRow& row : rows) {
    GW_ASSIGN_OR_RETURN(*out.add_versions(), version_info(row, request.version() != 0));
  }
  return out;
}

absl::StatusOr<v1::ReleaseSetResponse> AdminHandlers::release_set(const Caller& caller, const v1::ReleaseSetRequest& request) {
  GW_RETURN_IF_ERROR(must_write_something(caller, "releasing a set"));
  GW_RETURN_IF_ERROR(parts_.engine->db().write([&](Connection& db) -> absl::Status {
    GW_ASSIGN_OR_RETURN(std::vector<Hold> all, holds(db));
    auto held = std::find_if(all.begin(), all.end(), [&](const Hold& h) { return h.set == request.set(); });
    if (held == all.end()) return not_found("set " + request.set() + " is not held");
    // Whoever may write what the undo reversed may say that its source is mended.
    GW_ASSIGN_OR_RETURN(std::vector<ObjectStep> steps, steps_of(db, held->version));
    for (const ObjectStep& step : steps) GW_RETURN_IF_ERROR(may_write(caller, key_of(step.after ? *step.after : *step.before)));
    GW_RETURN_IF_ERROR(delete_hold(db, request.set()).status());
    return put_audit(db, parts_.engine->now_ms(), caller.actor(), "release set", request.set(), "");
  }));
  return v1::ReleaseSetResponse();
}

void AdminHandlers::add_totals(v1::StatusResponse& out) const {
  std::map<uint64_t, v1::ApiTotals> routes;
  std::map<uint64_t, uint64_t> api_of;
  std::map<uint64_t, v1::UpstreamStatus> upstreams;
  for (const auto& [node, report] : parts_.metrics->last_metrics()) {
    for (const v1::RouteTotals& r : report.routes()) {
      v1::ApiTotals& total = routes[r.route()];
      api_of[r.route()] = r.api();
      total.set_requests(total.requests() + r.requests());
      total.set_client_errors(total.client_errors() + r.client_errors());
      total.set_server_errors(total.server_errors() + r.server_errors());
      total.set_p50_ms(std::max(total.p50_ms(), r.p50_ms()));
      total.set_p99_ms(std::max(total.p99_ms(), r.p99_ms()));
    }
    for (const v1::UpstreamTotals& u : report.upstreams()) {
      v1::UpstreamStatus& total = upstreams[u.upstream()];
      total.set_attempts(total.attempts() + u.attempts());
      total.set_failures(total.failures() + u.failures());
    }
  }
  parts_.engine->read([&](const Catalog& now) {
    auto name = [&](uint64_t uid) {
      const v1::Object* object = now.find_uid(uid);
      return object ? key_of(*object).full_name() : std::string("(gone)");
    };
    for (auto& [uid, total] : routes) {
      total.set_route(name(uid));
      total.set_api(name(api_of[uid]));
      *out.add_apis() = total;
    }
    for (auto& [uid, total] : upstreams) {
      total.set_upstream(name(uid));
      *out.add_upstreams() = total;
    }
  });
}

absl::StatusOr<v1::StatusResponse> AdminHandlers::status() {
  v1::StatusResponse out;
  RolloutHeads heads = parts_.rollouts->heads();
  out.set_latest(parts_.engine->version());
  out.set_target(heads.target);
  out.set_active(heads.active);
  out.set_directory_version(parts_.engine->directory_version());
  out.set_server_build(parts_.build);
  GW_ASSIGN_OR_RETURN(v1::ListNodesResponse nodes, list_nodes());
  for (v1::NodeInfo& node : *nodes.mutable_nodes()) {
    if (!node.revoked()) *out.add_nodes() = std::move(node);  // nobody misses one that was shut out
  }
  v1::HistoryRequest recent;
  recent.set_limit(5);
  GW_ASSIGN_OR_RETURN(v1::HistoryResponse history, this->history(recent));
  *out.mutable_recent() = std::move(*history.mutable_versions());
  out.set_latest_phase(out.recent().empty() ? "" : out.recent(0).phase());
  GW_RETURN_IF_ERROR(parts_.engine->db().read([&](Connection& db) -> absl::Status {
    GW_ASSIGN_OR_RETURN(std::vector<Hold> all, holds(db));
    for (const Hold& hold : all) out.add_holds(hold.set);
    return absl::OkStatus();
  }));
  out.set_certificates_version(parts_.engine->certificates_version());
  add_ending(out);
  out.set_switches_version(parts_.switches->version());
  for (const SwitchRow& row : switches_in_force()) *out.add_switches() = to_info(row);
  out.set_endpoints_version(parts_.endpoints->version());
  out.set_endpoints(static_cast<uint32_t>(endpoints_in_force().size()));
  add_totals(out);
  return out;
}

}  // namespace gw
