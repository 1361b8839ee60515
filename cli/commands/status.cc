// status, version, whoami, node list.
#include <map>

#include "cli/commands.h"
#include "cli/errors.h"
#include "cli/kinds.h"
#include "cli/views.h"
#include "common/base/build_info.h"
#include "common/base/status.h"

namespace gw::cli {
namespace {

constexpr int64_t kWatchMs = 1000;
constexpr int kRecentShown = 3;
constexpr int kStoppedShown = 10;

struct NodeCounts {
  int64_t connected = 0, on_active = 0, stale = 0;
  std::map<std::string, int64_t> zones;  // of those on the active version
  std::string lost, overloaded;
};

NodeCounts count_nodes(const v1::StatusResponse& s) {
  NodeCounts out;
  for (const v1::NodeInfo& n : s.nodes()) {
    if (!n.connected()) {
      out.lost += (out.lost.empty() ? "" : ", ") + n.node();
      continue;
    }
    ++out.connected;
    if (n.overload_stage() > 0) {
      out.overloaded += (out.overloaded.empty() ? "" : ", ") + n.node() + (n.overload_stage() > 1 ? " (refuses requests)" : " (ends connections)");
    }
    if (n.config_version() == s.active()) {
      ++out.on_active;
      ++out.zones[n.zone().empty() ? "no zone" : n.zone()];
    } else {
      ++out.stale;
    }
  }
  return out;
}

std::string nodes_line(const v1::StatusResponse& s, const NodeCounts& n, const Paint& paint) {
  std::string out = "version " + std::to_string(s.active());
  if (s.active() == 0) {
    out = "no version is active yet; " + std::to_string(n.connected) + (n.connected == 1 ? " node is" : " nodes are") + " connected";
  } else {
    bool all = n.stale == 0 && n.lost.empty() && n.connected > 0;
    std::string zones;
    for (const auto& [zone, count] : n.zones) zones += (zones.empty() ? "" : ", ") + zone + " " + std::to_string(count);
    out += " " + painted("active", all ? Style::kGood : Style::kWarn, paint) + " on " + std::to_string(n.on_active) + "/" +
           std::to_string(s.nodes_size()) + " nodes" + (zones.empty() ? "" : " (" + zones + ")");
  }
  if (s.latest() != s.active()) {
    out += "    version " + std::to_string(s.latest()) + " " + painted(s.latest_phase(), phase_style(s.latest_phase()), paint);
  }
  out += "    " + std::to_string(n.stale) + " stale";
  if (!n.lost.empty()) out += "    " + painted("lost: " + n.lost, Style::kBad, paint);
  if (!n.overloaded.empty()) out += "    " + painted("overloaded: " + n.overloaded, Style::kBad, paint);
  return out + "    control plane ok\n";
}

std::string facts_line(const v1::StatusResponse& s) {
  uint64_t waiting = 0;
  int64_t connections = 0;
  for (const v1::NodeInfo& n : s.nodes()) {
    waiting += n.usage_unacknowledged();
    connections += n.connections();
  }
  std::string holds;
  for (const std::string& set : s.holds()) holds += (holds.empty() ? " (" : ", ") + set;
  return "holds " + std::to_string(s.holds_size()) + (holds.empty() ? "" : holds + ")") + "    connections " +
         std::to_string(connections) + "    usage not yet acknowledged " + std::to_string(waiting) + "    directory " +
         std::to_string(s.directory_version()) + "    stopped " +
         (s.switches().empty() ? "nothing" : std::to_string(s.switches_size())) +
         (s.endpoints() > 0 ? "    endpoints " + std::to_string(s.endpoints()) : "") +
         (s.ending_size() > 0 ? "    certificates ending " + std::to_string(s.ending_size()) : "") + "\n";
}

// What operators have stopped, since when, by whom.
std::string stopped_lines(const v1::StatusResponse& s, int64_t now_s, const Paint& paint) {
  Paint bare = paint;
  bare.headers = false;
  Table table({{"LABEL"}, {"WHAT"}, {"SINCE", true}, {"WHO"}, {"MESSAGE", false, true}});
  for (const v1::SwitchInfo& i : s.switches()) {
    if (static_cast<int>(table.size()) == kStoppedShown) break;
    std::string until = i.expires_at() > 0 ? ", until " + time_text(i.expires_at()) : "";
    table.add({table.empty() ? "stopped" : "", {switch_text(i), Style::kBad}, age_text(now_s - i.since()), i.actor() + until,
               i.message().empty() ? "" : "\"" + i.message() + "\""});
  }
  if (s.switches_size() > kStoppedShown) table.add({"", "and " + std::to_string(s.switches_size() - kStoppedShown) + " more: gwctl switches", "", "", ""});
  return table.empty() ? "" : table.render(bare);
}

std::string ending_lines(const v1::StatusResponse& s, int64_t now_s, const Paint& paint) {
  Paint bare = paint;
  bare.headers = false;
  Table table({{"LABEL"}, {"CERTIFICATE"}, {"WHEN"}});
  for (const v1::CertificateInfo& c : s.ending()) {
    if (static_cast<int>(table.size()) == kStoppedShown) break;
    bool over = c.not_after() <= now_s;
    table.add({table.empty() ? "certificates" : "", c.certificate() + " (" + c.key() + ")",
               {(over ? "ended " : "ends ") + time_text(c.not_after()), over ? Style::kBad : Style::kWarn}});
  }
  if (s.ending_size() > kStoppedShown) table.add({"", "and " + std::to_string(s.ending_size() - kStoppedShown) + " more: gwctl cert check", ""});
  return table.empty() ? "" : table.render(bare);
}

std::string recent_lines(const v1::StatusResponse& s, int64_t now_ms, const Paint& paint) {
  Paint bare = paint;
  bare.headers = false;
  Table table({{"LABEL"}, {"VERSION", true}, {"AGE", true}, {"WHO"}, {"PHASE"}, {"MESSAGE", false, true}});
  int shown = 0;
  for (const v1::VersionInfo& v : s.recent()) {
    if (shown == kRecentShown) break;
    table.add({shown == 0 ? "last changes" : "", std::to_string(v.version()), age_text((now_ms - v.created_at_ms()) / 1000),
               or_dash(v.actor()), {v.phase(), phase_style(v.phase())}, v.message().empty() ? "" : "\"" + v.message() + "\""});
    ++shown;
  }
  return table.render(bare);
}

std::string ms_text(double ms) {
  char text[32];
  std::snprintf(text, sizeof text, ms < 10 ? "%.1f" : "%.0f", ms);
  return text;
}

std::string traffic_tables(const v1::StatusResponse& s, bool wide, const Paint& paint) {
  std::string out;
  Table apis({{"API"}, {"ROUTE"}, {"REQUESTS", true}, {"4XX", true}, {"5XX", true}, {"P50 MS", true}, {"P99 MS", true}});
  for (const v1::ApiTotals& a : s.apis()) {
    if (a.requests() == 0 && !wide) continue;
    apis.add({a.api(), or_dash(a.route()), with_commas(a.requests()), with_commas(a.client_errors()),
              {with_commas(a.server_errors()), a.server_errors() > 0 ? Style::kBad : Style::kPlain}, ms_text(a.p50_ms()), ms_text(a.p99_ms())});
  }
  if (!apis.empty()) out += "\n" + apis.render(paint);
  Table upstreams({{"UPSTREAM"}, {"ATTEMPTS", true}, {"FAILURES", true}});
  for (const v1::UpstreamStatus& u : s.upstreams()) {
    if (u.attempts() == 0 && !wide) continue;
    upstreams.add({u.upstream(), with_commas(u.attempts()), {with_commas(u.failures()), u.failures() > 0 ? Style::kBad : Style::kPlain}});
  }
  if (!upstreams.empty()) out += "\n" + upstreams.render(paint);
  return out;
}

std::string listeners_text(const v1::NodeInfo& n) {
  std::string out;
  for (const v1::BoundListener& l : n.listeners()) {
    bool six = l.address().find(':') != std::string::npos;
    out += (out.empty() ? "" : ", ") + l.name() + " " + (six ? "[" + l.address() + "]" : l.address()) + ":" + std::to_string(l.port());
  }
  return out;
}

Cell node_state(const v1::NodeInfo& n) {
  if (n.connected()) return {"connected", Style::kGood};
  return {n.revoked() ? "revoked" : "lost", Style::kBad};
}

std::string nodes_table(const v1::ListNodesResponse& response, bool wide, const Paint& paint) {
  std::vector<Column> columns = {{"NODE"}, {"ZONE"}, {"STATE"}, {"VERSION", true}, {"DIRECTORY", true}, {"LISTENERS", false, true}};
  if (wide) {
    columns.insert(columns.end(), {{"ADMIN"}, {"BUILD"}, {"CONNECTIONS", true}, {"USAGE WAITING", true}, {"CERTIFICATES", true}, {"OWN CERTIFICATE"}, {"ENDS"}, {"PUSHED", true}, {"WHOLE", true}, {"DELTA", true}});
  }
  Table table(columns);
  for (const v1::NodeInfo& n : response.nodes()) {
    std::vector<Cell> row = {n.node(), or_dash(n.zone()), node_state(n),
                             std::to_string(n.config_version()), std::to_string(n.directory_version()), or_dash(listeners_text(n))};
    if (wide) {
      for (const std::string& text : {or_dash(n.admin()), or_dash(n.build())}) row.emplace_back(text);
      for (uint64_t number : {static_cast<uint64_t>(n.connections()), n.usage_unacknowledged(), n.certificates_version()}) row.emplace_back(with_commas(number));
      for (const std::string& text : {or_dash(n.certificate_serial()), or_dash(time_text(n.certificate_expires_at()))}) row.emplace_back(text);
      for (uint64_t number : {n.config_bytes_pushed(), n.offers_whole(), n.offers_delta()}) row.emplace_back(with_commas(number));
    }
    table.add(std::move(row));
  }
  return table.empty() ? "" : table.render(paint);
}

bool has_labels(const v1::NodeInfo& node, const std::vector<v1::Pair>& wanted) {
  for (const v1::Pair& want : wanted) {
    bool found = false;
    for (const v1::Pair& p : node.labels()) found = found || (p.name() == want.name() && p.value() == want.value());
    if (!found) return false;
  }
  return true;
}

// Runs `once` again and again under -w, printing only what differs from the last time.
template <class Once>
absl::StatusOr<int> maybe_watch(Session& session, Once once) {
  std::string last;
  for (;;) {
    GW_RETURN_IF_ERROR(once(last));
    if (!session.globals().watch) return 0;
    session.env().sleep(kWatchMs);
  }
}

}  // namespace

absl::StatusOr<int> run_status(Session& session) {
  GW_ASSIGN_OR_RETURN(AdminClient * client, session.client());
  return maybe_watch(session, [&](std::string& last) -> absl::Status {
    GW_ASSIGN_OR_RETURN(v1::StatusResponse s, client->status({}));
    std::string bytes = s.SerializeAsString();
    if (session.globals().watch && bytes == last) return absl::OkStatus();
    last = std::move(bytes);
    std::vector<std::string> names;
    for (const v1::NodeInfo& n : s.nodes()) names.push_back("node/" + n.node());
    session.emit(to_json(s), names, [&](bool wide) {
      const Paint& paint = session.paint();
      const int64_t now_ms = session.env().clock->wall_ns() / 1'000'000;
      return nodes_line(s, count_nodes(s), paint) + facts_line(s) + stopped_lines(s, now_ms / 1000, paint) + ending_lines(s, now_ms / 1000, paint) +
             recent_lines(s, now_ms, paint) + traffic_tables(s, wide, paint);
    });
    return absl::OkStatus();
  });
}

absl::StatusOr<int> run_node_list(Session& session) {
  GW_ASSIGN_OR_RETURN(AdminClient * client, session.client());
  GW_ASSIGN_OR_RETURN(auto labels, session.labels());
  return maybe_watch(session, [&](std::string& last) -> absl::Status {
    GW_ASSIGN_OR_RETURN(v1::ListNodesResponse all, client->list_nodes({}));
    v1::ListNodesResponse shown;
    std::vector<std::string> names;
    for (const v1::NodeInfo& n : all.nodes()) {
      if (!has_labels(n, labels)) continue;
      *shown.add_nodes() = n;
      names.push_back("node/" + n.node());
    }
    std::string bytes = shown.SerializeAsString();
    if (session.globals().watch && bytes == last) return absl::OkStatus();
    last = std::move(bytes);
    session.emit(to_json_array(shown.nodes()), names, [&](bool wide) { return nodes_table(shown, wide, session.paint()); });
    if (shown.nodes_size() == 0 && !session.machine_output()) session.talk("no node has joined; make a join token with `gwctl node join-token`");
    return absl::OkStatus();
  });
}

absl::StatusOr<int> run_version(Session& session, bool client_only) {
  Json json = {{"client", std::string(build_version())}};
  std::string text = "gwctl " + std::string(build_version()) + " (" + std::string(build_commit()) + ")\n";
  if (!client_only) {
    auto settings = session.settings();
    if (settings.ok()) {
      GW_ASSIGN_OR_RETURN(AdminClient * client, session.client());
      GW_ASSIGN_OR_RETURN(v1::WhoAmIResponse who, client->who_am_i({}));
      json["server"] = who.server_build();
      json["lineage"] = who.lineage();
      text += "control plane " + who.server_build() + " at " + settings->server + ", lineage " + who.lineage() + "\n";
    } else {
      session.talk("control plane not asked: " + message_of(settings.status()));
    }
  }
  session.emit(json, {std::string(build_version())}, [&](bool) { return text; });
  return 0;
}

absl::StatusOr<int> run_whoami(Session& session) {
  GW_ASSIGN_OR_RETURN(AdminClient * client, session.client());
  GW_ASSIGN_OR_RETURN(v1::WhoAmIResponse who, client->who_am_i({}));
  GW_ASSIGN_OR_RETURN(Settings settings, session.settings());
  Json json = {{"name", who.name()}, {"role", who.role()}};
  if (!who.team().empty()) json["team"] = who.team();
  json["server"] = settings.server;
  session.emit(json, {who.name()}, [&](bool) {
    return who.name() + ", " + who.role() + (who.team().empty() ? "" : " of team " + who.team()) + ", at " + settings.server + "\n";
  });
  return 0;
}

}  // namespace gw::cli
