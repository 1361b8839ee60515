#include "cli/views.h"

#include "cli/kinds.h"

namespace gw::cli {
namespace {

void put(Json& out, const char* name, const std::string& value) {
  if (!value.empty()) out[name] = value;
}

void put_time(Json& out, const char* name, int64_t unix_seconds) { put(out, name, time_text(unix_seconds)); }

Json labels_json(const google::protobuf::RepeatedPtrField<v1::Pair>& labels) {
  Json out = Json::object();
  for (const v1::Pair& pair : labels) out[pair.name()] = pair.value();
  return out;
}

std::string severity_word(v1::Diagnostic::Severity severity) {
  if (severity == v1::Diagnostic::WARNING) return "warning";
  return severity == v1::Diagnostic::INFO ? "info" : "error";
}

}  // namespace

Json to_json(const v1::Diagnostic& d) {
  Json out = {{"code", d.code()}, {"severity", severity_word(d.severity())}};
  put(out, "kind", d.kind());
  put(out, "object", d.object());
  put(out, "path", d.path());
  out["message"] = d.message();
  put(out, "cure", d.cure());
  if (d.related_size() > 0) out["related"] = std::vector<std::string>(d.related().begin(), d.related().end());
  put(out, "file", d.file());
  if (d.line() > 0) {
    out["line"] = d.line();
    out["column"] = d.column();
  }
  put(out, "node", d.node());
  return out;
}

Json to_json(const v1::Change& change) {
  Json out = {{"action", action_word(change.action())},
              {"kind", change.kind()},
              {"name", object_name(change.owner(), change.name())},
              {"generation", change.generation()}};
  Json fields = Json::array();
  for (const v1::FieldChange& f : change.fields()) {
    Json field = {{"path", f.path()}};
    put(field, "before", f.before());
    put(field, "after", f.after());
    fields.push_back(std::move(field));
  }
  out["fields"] = std::move(fields);
  out["notes"] = std::vector<std::string>(change.notes().begin(), change.notes().end());
  return out;
}

Json to_json(const v1::NodeRollout& node) {
  Json out = {{"node", node.node()}};
  put(out, "zone", node.zone());
  out["state"] = state_word(node.state());
  out["connected"] = node.connected();
  if (node.build_micros() > 0) out["buildMicros"] = node.build_micros();
  if (node.diagnostics_size() > 0) out["diagnostics"] = to_json_array(node.diagnostics());
  return out;
}

Json to_json(const v1::RolloutStatus& status) {
  Json out = {{"version", status.version()}, {"phase", status.phase()}};
  if (status.superseded_by() > 0) out["supersededBy"] = status.superseded_by();
  out["final"] = status.final();
  out["seconds"] = status.seconds();
  out["nodes"] = to_json_array(status.nodes());
  return out;
}

Json to_json(const v1::VersionInfo& version) {
  Json out = {{"version", version.version()}, {"phase", version.phase()}};
  put_time(out, "createdAt", version.created_at_ms() / 1000);
  put(out, "actor", version.actor());
  put(out, "message", version.message());
  put(out, "set", version.set());
  if (version.undoes() > 0) out["undoes"] = version.undoes();
  put(out, "digest", version.digest());
  if (version.changes_size() > 0) out["changes"] = to_json_array(version.changes());
  if (version.nodes_size() > 0) out["nodes"] = to_json_array(version.nodes());
  return out;
}

Json to_json(const v1::NodeInfo& node) {
  Json listeners = Json::array();
  for (const v1::BoundListener& l : node.listeners()) {
    listeners.push_back({{"gateway", l.gateway()}, {"name", l.name()}, {"address", l.address()}, {"port", l.port()}});
  }
  Json out = {{"node", node.node()}};
  put(out, "zone", node.zone());
  out["labels"] = labels_json(node.labels());
  out["build"] = node.build();
  out["connected"] = node.connected();
  out["leaseLeftMs"] = node.lease_left_ms();
  put_time(out, "lastSeen", node.last_seen_ms() / 1000);
  out["configVersion"] = node.config_version();
  out["directoryVersion"] = node.directory_version();
  out["switchesVersion"] = node.switches_version();
  out["endpointsVersion"] = node.endpoints_version();
  out["certificatesVersion"] = node.certificates_version();
  put(out, "certificateSerial", node.certificate_serial());
  put_time(out, "certificateExpires", node.certificate_expires_at());
  if (node.revoked()) out["revoked"] = true;
  out["listeners"] = std::move(listeners);
  put(out, "admin", node.admin());
  out["connections"] = node.connections();
  out["usageUnacknowledged"] = node.usage_unacknowledged();
  out["configBytesPushed"] = node.config_bytes_pushed();
  out["offersWhole"] = node.offers_whole();
  out["offersDelta"] = node.offers_delta();
  return out;
}

Json to_json(const v1::TokenInfo& token) {
  Json out = {{"id", token.id()}, {"name", token.name()}, {"role", token.role()}};
  put(out, "team", token.team());
  put_time(out, "createdAt", token.created_at());
  put_time(out, "expiresAt", token.expires_at());
  out["revoked"] = token.revoked();
  return out;
}

Json to_json(const v1::KeyInfo& key) {
  Json out = {{"id", key.id()}, {"app", key.app()}, {"type", key.live() ? "live" : "test"}, {"imported", key.imported()}};
  put_time(out, "createdAt", key.created_at());
  put_time(out, "expiresAt", key.expires_at());
  out["revoked"] = key.revoked();
  return out;
}

Json to_json(const v1::UsageRow& row) {
  Json out = Json::object();
  put(out, "period", row.period());
  put(out, "app", row.app());
  put(out, "api", row.api());
  put(out, "plan", row.plan());
  put(out, "route", row.route());
  put(out, "status", row.status());
  out["requests"] = row.requests();
  out["units"] = row.units();
  out["requestBytes"] = row.request_bytes();
  out["responseBytes"] = row.response_bytes();
  return out;
}

std::string_view source_word(v1::TargetSource source) {
  switch (source) {
    case v1::TARGET_DNS: return "dns";
    case v1::TARGET_SRV: return "srv";
    case v1::TARGET_ENDPOINT: return "endpoint";
    case v1::TARGET_AWAITED: return "awaited";
    default: return "static";
  }
}

Json to_json(const v1::NodeTargets& node) {
  Json targets = Json::array();
  for (const v1::TargetState& t : node.targets()) {
    targets.push_back({{"address", t.address()},
                       {"requests", t.requests()},
                       {"failures", t.failures()},
                       {"connectionsIdle", t.connections_idle()},
                       {"connectionsBusy", t.connections_busy()},
                       {"drained", t.drained()},
                       {"probeFailed", t.probe_failed()},
                       {"ejected", t.ejected()},
                       {"source", std::string(source_word(t.source()))},
                       {"weight", t.weight()},
                       {"priority", t.priority()}});
    put(targets.back(), "foundBy", t.name());
  }
  Json out = {{"node", node.node()}, {"targets", std::move(targets)}};
  Json names = Json::array();
  for (const v1::NameState& n : node.names()) {
    Json name = {{"name", n.name()}, {"type", n.srv() ? "srv" : "address"}, {"addresses", Json::array()}, {"total", n.total()}};
    for (const std::string& address : n.addresses()) name["addresses"].push_back(address);
    name["refreshInMs"] = n.refresh_in_ms();
    put_time(name, "staleSince", n.stale_since());
    put(name, "problem", n.problem());
    if (n.refused() > 0) name["refused"] = n.refused();
    if (n.excess() > 0) name["excess"] = n.excess();
    names.push_back(std::move(name));
  }
  if (!names.empty()) out["names"] = std::move(names);
  return out;
}

Json to_json(const v1::SwitchInfo& info) {
  Json out = {{"kind", info.kind() == v1::SWITCH_API ? "api" : info.kind() == v1::SWITCH_TARGET ? "target" : "block"}, {"name", info.name()}};
  put(out, "target", info.target());
  put(out, "message", info.message());
  if (info.kind() == v1::SWITCH_API) out["status"] = info.status() == 0 ? 503 : info.status();
  if (info.retry_after() > 0) out["retryAfter"] = info.retry_after();
  put(out, "by", info.actor());
  put_time(out, "since", info.since());
  put_time(out, "expiresAt", info.expires_at());
  return out;
}

Json to_json(const v1::EndpointInfo& info) {
  Json out = {{"upstream", info.upstream()}, {"address", info.address()}, {"weight", info.weight()}, {"priority", info.priority()}};
  put(out, "zone", info.zone());
  put(out, "by", info.actor());
  put_time(out, "since", info.since());
  put_time(out, "expiresAt", info.expires_at());
  return out;
}

Json to_json(const v1::ExplainResponse& answer) {
  Json steps = Json::array();
  for (const v1::ExplainStep& s : answer.steps()) {
    Json step = {{"phase", s.phase()}};
    put(step, "object", s.object());
    put(step, "place", s.place());
    put(step, "verdict", s.verdict());
    put(step, "detail", s.detail());
    put(step, "reason", s.reason());
    steps.push_back(std::move(step));
  }
  Json out = {{"version", answer.version()}, {"steps", std::move(steps)}};
  if (answer.status() > 0) out["status"] = answer.status();
  put(out, "reason", answer.reason());
  put(out, "route", answer.route());
  put(out, "upstream", answer.upstream());
  out["answer"] = answer.answer();
  return out;
}

Json to_json(const v1::CertificateInfo& info) {
  auto list = [](const auto& names) { return std::vector<std::string>(names.begin(), names.end()); };
  Json out = Json::object();
  put(out, "certificate", info.certificate());
  put(out, "secret", info.secret());
  out["hosts"] = list(info.hosts());
  out["names"] = list(info.names());
  out["serial"] = info.serial();
  out["key"] = info.key();
  out["issuer"] = info.issuer();
  put_time(out, "notBefore", info.not_before());
  put_time(out, "notAfter", info.not_after());
  out["sha256"] = info.sha256();
  out["chain"] = info.chain();
  out["serving"] = list(info.serving());
  out["waiting"] = list(info.waiting());
  out["diagnostics"] = to_json_array(info.diagnostics());
  return out;
}

Json to_json(const v1::StatusResponse& status) {
  Json apis = Json::array();
  for (const v1::ApiTotals& a : status.apis()) {
    apis.push_back({{"api", a.api()},
                    {"route", a.route()},
                    {"requests", a.requests()},
                    {"clientErrors", a.client_errors()},
                    {"serverErrors", a.server_errors()},
                    {"p50Ms", a.p50_ms()},
                    {"p99Ms", a.p99_ms()}});
  }
  Json upstreams = Json::array();
  for (const v1::UpstreamStatus& u : status.upstreams()) {
    upstreams.push_back({{"upstream", u.upstream()}, {"attempts", u.attempts()}, {"failures", u.failures()}});
  }
  return {{"latest", status.latest()},
          {"target", status.target()},
          {"active", status.active()},
          {"latestPhase", status.latest_phase()},
          {"directoryVersion", status.directory_version()},
          {"serverBuild", status.server_build()},
          {"nodes", to_json_array(status.nodes())},
          {"holds", std::vector<std::string>(status.holds().begin(), status.holds().end())},
          {"recent", to_json_array(status.recent())},
          {"apis", std::move(apis)},
          {"upstreams", std::move(upstreams)},
          {"switchesVersion", status.switches_version()},
          {"switches", to_json_array(status.switches())},
          {"endpointsVersion", status.endpoints_version()},
          {"endpoints", status.endpoints()},
          {"certificatesVersion", status.certificates_version()},
          {"ending", to_json_array(status.ending())}};
}

std::string switch_text(const v1::SwitchInfo& info) {
  if (info.kind() == v1::SWITCH_API) return "Api " + info.name() + " disabled";
  return info.kind() == v1::SWITCH_TARGET ? "Upstream " + info.name() + " " + info.target() + " drained" : info.name() + " blocked";
}

std::string action_word(v1::Change::Action action) {
  switch (action) {
    case v1::Change::CREATED: return "created";
    case v1::Change::CHANGED: return "changed";
    case v1::Change::DELETED: return "deleted";
    case v1::Change::UNCHANGED: return "unchanged";
    default: return "unknown";
  }
}

Style action_style(v1::Change::Action action) {
  switch (action) {
    case v1::Change::CREATED: return Style::kGood;
    case v1::Change::CHANGED: return Style::kWarn;
    case v1::Change::DELETED: return Style::kBad;
    default: return Style::kDim;
  }
}

std::string state_word(v1::NodeState state) {
  switch (state) {
    case v1::RECEIVED: return "received";
    case v1::BUILT: return "built";
    case v1::REFUSED: return "refused";
    case v1::ACTIVE: return "active";
    case v1::PERSISTED: return "persisted";
    case v1::DRAINED: return "drained";
    case v1::MISMATCH: return "mismatch";
    default: return "waiting";
  }
}

Style phase_style(const std::string& phase) {
  if (phase == "active") return Style::kGood;
  if (phase == "refused" || phase == "no-nodes") return Style::kBad;
  return phase == "superseded" ? Style::kDim : Style::kWarn;
}

std::string or_dash(const std::string& text) { return text.empty() ? "-" : text; }

}  // namespace gw::cli
