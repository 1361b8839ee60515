#include "cli/rollout_wait.h"

#include <algorithm>
#include <charconv>
#include <map>
#include <optional>

#include "cli/errors.h"
#include "cli/views.h"
#include "common/base/status.h"

namespace gw::cli {
namespace {

using Until = v1::WatchRolloutRequest::Until;

constexpr int64_t kRetryMs = 200;

absl::StatusOr<Until> parse_until(const std::string& word) {
  if (word == "active") return v1::WatchRolloutRequest::UNTIL_ACTIVE;
  if (word == "persisted") return v1::WatchRolloutRequest::UNTIL_PERSISTED;
  if (word == "drained") return v1::WatchRolloutRequest::UNTIL_DRAINED;
  return usage_error("--until \"" + word + "\": active, persisted or drained");
}

v1::NodeState state_of(Until until) {
  if (until == v1::WatchRolloutRequest::UNTIL_PERSISTED) return v1::PERSISTED;
  return until == v1::WatchRolloutRequest::UNTIL_DRAINED ? v1::DRAINED : v1::ACTIVE;
}

bool is_there(const v1::NodeRollout& node, v1::NodeState state) {
  return node.state() >= state && node.state() <= v1::DRAINED && node.state() != v1::REFUSED;
}

bool is_lost(const v1::NodeRollout& node) { return !node.connected() && node.state() != v1::REFUSED; }

int64_t count_there(const v1::RolloutStatus& status, v1::NodeState state) {
  return std::count_if(status.nodes().begin(), status.nodes().end(),
                       [&](const v1::NodeRollout& n) { return is_there(n, state); });
}

int64_t needed(const Quorum& quorum, int64_t nodes) {
  return quorum.percent ? (quorum.number * nodes + 99) / 100 : quorum.number;
}

std::string fraction(int64_t part, int64_t whole) { return std::to_string(part) + "/" + std::to_string(whole); }

std::string progress_text(const v1::RolloutStatus& status) {
  int64_t nodes = status.nodes_size();
  if (status.version() == 0) return "in force on " + fraction(count_there(status, v1::ACTIVE), nodes);
  return "version " + std::to_string(status.version()) + " " + status.phase() + "   built " +
         fraction(count_there(status, v1::BUILT), nodes) + "   active " + fraction(count_there(status, v1::ACTIVE), nodes);
}

// az-a 2/2  az-b 1/2
std::string zones_text(const v1::RolloutStatus& status, v1::NodeState state) {
  std::map<std::string, std::pair<int64_t, int64_t>> zones;
  for (const v1::NodeRollout& n : status.nodes()) {
    auto& [there, all] = zones[n.zone().empty() ? "nodes" : n.zone()];
    ++all;
    there += is_there(n, state);
  }
  std::string out;
  for (const auto& [zone, count] : zones) {
    out += (out.empty() ? "" : "  ") + zone + " " + fraction(count.first, count.second);
  }
  return out;
}

std::string node_label(const v1::NodeRollout& n) { return n.node() + (n.zone().empty() ? "" : " (" + n.zone() + ")"); }

// A control plane that has restarted since follows only the newest versions: the store knows how the others ended.
void look_up(AdminClient& client, v1::RolloutStatus& status) {
  v1::HistoryRequest request;
  request.set_version(status.version());
  auto history = client.history(request);
  if (!history.ok() || history->versions_size() != 1) return;
  status.set_phase(history->versions(0).phase());
  *status.mutable_nodes() = history->versions(0).nodes();
}

std::string outcome_text(const Verdict& verdict, const Paint& paint) {
  const v1::RolloutStatus& s = verdict.status;
  // Records make no version: what was waited for is that every connected node has them.
  if (s.version() == 0) return verdict.exit_code == 0 ? "in force on every connected node" : "stored; not yet on every node";
  if (s.phase() == "no-nodes" || s.nodes_size() == 0) {
    return painted("stored; no node is connected", Style::kBad, paint);
  }
  if (s.phase() == "refused") return painted("refused", Style::kBad, paint);
  std::string reached = s.phase();
  for (auto [state, word] : {std::pair{v1::DRAINED, "drained"}, {v1::PERSISTED, "persisted"}, {v1::ACTIVE, "active"}}) {
    if (count_there(s, state) == s.nodes_size()) {
      reached = word;
      break;
    }
  }
  return painted(reached, phase_style(s.phase()), paint) + " in " + seconds_text(s.seconds());
}

}  // namespace

absl::StatusOr<Quorum> parse_quorum(std::string_view text) {
  Quorum out;
  const char* end = text.data() + text.size();
  auto [at, error] = std::from_chars(text.data(), end, out.number);
  out.percent = at + 1 == end && *at == '%';
  if (error != std::errc() || (at != end && !out.percent) || out.number < 1 || (out.percent && out.number > 100)) {
    return usage_error("--quorum \"" + std::string(text) + "\": a number of nodes, or 1% to 100%");
  }
  return out;
}

int exit_code_for(const v1::RolloutStatus& status, Until until, const Quorum* quorum) {
  if (status.phase() == "refused" || status.phase() == "no-nodes") return static_cast<int>(ExitCode::kNo);
  int64_t there = count_there(status, state_of(until));
  int64_t nodes = status.nodes_size();
  if (nodes == 0 && status.version() > 0) return static_cast<int>(ExitCode::kNo);
  int64_t wanted = quorum != nullptr ? needed(*quorum, nodes) : nodes;
  return static_cast<int>(there >= wanted ? ExitCode::kDone : ExitCode::kTimeout);
}

absl::Status check_wait_options(const WaitOptions& options) {
  GW_RETURN_IF_ERROR(parse_until(options.until).status());
  return options.quorum.empty() ? absl::OkStatus() : parse_quorum(options.quorum).status();
}

absl::StatusOr<Verdict> wait_for_rollout(Session& session, const RolloutVersions& versions, const WaitOptions& options) {
  GW_ASSIGN_OR_RETURN(Until until, parse_until(options.until));
  std::optional<Quorum> quorum;
  if (!options.quorum.empty()) {
    GW_ASSIGN_OR_RETURN(quorum, parse_quorum(options.quorum));
  }
  const Quorum* wanted = quorum ? &*quorum : nullptr;
  GW_ASSIGN_OR_RETURN(Settings settings, session.settings());
  GW_ASSIGN_OR_RETURN(AdminClient * client, session.client());
  const Clock& clock = *session.env().clock;
  const int64_t deadline_ns = clock.mono_ns() + settings.timeout_ms * 1'000'000;

  Verdict verdict;
  verdict.asked = versions.config;
  verdict.status.set_version(versions.config);
  verdict.status.set_phase("offered");
  v1::WatchRolloutRequest request;
  request.set_version(versions.config);
  request.set_directory_version(versions.directory);
  request.set_switches_version(versions.switches);
  request.set_endpoints_version(versions.endpoints);
  request.set_certificates_version(versions.certificates);
  request.set_until(until);
  for (;;) {
    int64_t left_ms = (deadline_ns - clock.mono_ns()) / 1'000'000;
    if (left_ms <= 0) {
      verdict.timed_out = !verdict.lost_server;
      break;
    }
    absl::Status ended = client->watch_rollout(request, left_ms, [&](const v1::RolloutStatus& s) {
      verdict.status = s;
      verdict.lost_server = false;
      if (s.final() && s.version() > 0 && s.nodes_size() == 0 && (s.phase().empty() || s.phase() == "active")) {
        look_up(*client, verdict.status);
      }
      session.progress(progress_text(s));
      if (s.final()) return false;
      // A quorum does not wait for the rest.
      return wanted == nullptr || s.nodes_size() == 0 || count_there(s, state_of(until)) < needed(*wanted, s.nodes_size());
    });
    if (ended.ok() && verdict.status.phase() == "superseded" && verdict.status.superseded_by() > request.version()) {
      session.talk("version " + std::to_string(request.version()) + " superseded by " +
                   std::to_string(verdict.status.superseded_by()) + ", which contains it; following that");
      request.set_version(verdict.status.superseded_by());
      continue;
    }
    bool quorum_there = wanted != nullptr && exit_code_for(verdict.status, until, wanted) == 0;
    if (ended.ok() && (verdict.status.final() || quorum_there)) break;
    if (!ended.ok() && ended.code() != absl::StatusCode::kUnavailable &&
        ended.code() != absl::StatusCode::kDeadlineExceeded) {
      return ended;
    }
    if (ended.code() == absl::StatusCode::kDeadlineExceeded) {
      verdict.timed_out = true;
      break;
    }
    // The stream ended early: the control plane restarts. What was stored stays stored.
    verdict.lost_server = true;
    session.env().sleep(kRetryMs);
  }
  session.progress("");
  verdict.exit_code = exit_code_for(verdict.status, until, wanted);
  if (verdict.lost_server) verdict.exit_code = static_cast<int>(ExitCode::kUnreachable);
  if (verdict.timed_out && verdict.exit_code == 0 && wanted == nullptr && !verdict.status.final()) {
    verdict.exit_code = static_cast<int>(ExitCode::kTimeout);
  }
  return verdict;
}

std::string verdict_text(const Verdict& verdict, const Paint& paint) {
  const v1::RolloutStatus& s = verdict.status;
  const int64_t nodes = s.nodes_size();
  std::string out;
  if (s.version() > 0) out += "version " + std::to_string(s.version()) + " offered   ";
  if (nodes > 0 && s.version() > 0) out += "built " + fraction(count_there(s, v1::BUILT), nodes) + "   ";
  if (nodes > 0 && s.phase() == "active") out += "activated   " + zones_text(s, v1::ACTIVE) + "   ";
  out += outcome_text(verdict, paint) + "\n";
  for (const v1::NodeRollout& n : s.nodes()) {
    if (n.state() == v1::REFUSED) {
      for (v1::Diagnostic d : n.diagnostics()) {
        d.clear_node();
        out += "  node " + node_label(n) + " " + painted("refused", Style::kBad, paint) + ": " + to_text(d) + "\n";
      }
      if (n.diagnostics_size() == 0) out += "  node " + node_label(n) + " " + painted("refused", Style::kBad, paint) + "\n";
    } else if (is_lost(n)) {
      out += "  node " + node_label(n) + " " + painted("lost", Style::kBad, paint) + ": it holds no lease; last state " +
             state_word(n.state()) + "\n";
    } else if (verdict.timed_out && !is_there(n, v1::ACTIVE)) {
      out += "  node " + node_label(n) + " " + painted("behind", Style::kWarn, paint) + ": " + state_word(n.state()) + "\n";
    }
  }
  if (verdict.lost_server) out += "the control plane went away while waiting; `gwctl rollout status` tells the rest\n";
  return out;
}

Json verdict_json(const Verdict& verdict) {
  Json out = to_json(verdict.status);
  if (verdict.asked != verdict.status.version()) out["asked"] = verdict.asked;
  out["timedOut"] = verdict.timed_out;
  return out;
}

}  // namespace gw::cli
