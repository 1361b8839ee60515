// Stop switches: disable, drain, block, and their list.
#include <algorithm>
#include <ctime>

#include "common/base/status.h"
#include "common/http/address.h"
#include "controlplane/admin/admin_handlers.h"

namespace gw {
namespace {

constexpr int64_t kRetryAfterMax = 86'400;
constexpr int64_t kBlockForMax = 10 * 365 * int64_t{86'400};

absl::Status check_message(const std::string& message) {
  bool good = message.size() <= Switches::kMaxMessage &&
              std::all_of(message.begin(), message.end(), [](unsigned char c) { return c >= 0x20 && c != 0x7f; });
  if (good) return absl::OkStatus();
  return invalid_argument("the message goes into answers: at most " + std::to_string(Switches::kMaxMessage) +
                          " bytes, and no control characters");
}

// 10.0.0.1 -> 10.0.0.1/32; the network's own address.
std::string cidr_text(const Cidr& cidr) {
  bool v4 = cidr.network.is_v4() && cidr.bits >= 96;
  return cidr.network.to_string() + "/" + std::to_string(v4 ? cidr.bits - 96 : cidr.bits);
}

bool is_everybody(const Cidr& cidr) { return cidr.bits == 0 || (cidr.bits <= 96 && cidr.contains(*IpAddress::parse("0.0.0.0"))); }

std::string utc_text(int64_t unix_seconds) {
  std::time_t seconds = unix_seconds;
  std::tm utc{};
  gmtime_r(&seconds, &utc);
  char text[32];
  return std::string(text, std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &utc));
}

std::string by_whom(const SwitchRow& row) {
  return "since " + utc_text(row.since) + " by " + row.actor + (row.message.empty() ? "" : ": \"" + row.message + "\"");
}

}  // namespace

absl::StatusOr<ObjectKey> find_object(const Catalog& now, Kind kind, const std::string& name, uint64_t& uid) {
  std::vector<const v1::Object*> found;
  if (name.find('/') != std::string::npos) {
    if (const v1::Object* object = now.find(named_key(kind, "", name))) found.push_back(object);
  } else {
    now.for_each(kind, [&](const v1::Object& object) {
      if (object.metadata().name() == name) found.push_back(&object);
    });
  }
  std::string what = std::string(kind_name(kind)) + " " + name;
  if (found.empty()) return not_found(what + ": there is none");
  if (found.size() > 1) return invalid_argument(what + ": more than one team has it; write owner/name");
  uid = found[0]->uid();
  return key_of(*found[0]);
}

absl::StatusOr<v1::SetSwitchResponse> AdminHandlers::set_switch(const Caller& caller, const v1::SetSwitchRequest& request) {
  v1::SetSwitchResponse out;
  GW_RETURN_IF_ERROR(must_write_something(caller, "stopping"));
  GW_RETURN_IF_ERROR(check_message(request.message()));
  switch (request.kind()) {
    case v1::SWITCH_API: GW_RETURN_IF_ERROR(stop_api(caller, request, out)); break;
    case v1::SWITCH_TARGET: GW_RETURN_IF_ERROR(stop_target(caller, request, out)); break;
    case v1::SWITCH_BLOCK: GW_RETURN_IF_ERROR(stop_clients(caller, request, out)); break;
    default: return invalid_argument("this control plane knows no such switch; update it");
  }
  out.set_nodes_connected(parts_.nodes->connected());
  return out;
}

absl::Status AdminHandlers::change_switch(SwitchRow row, const v1::SetSwitchRequest& request, v1::SetSwitchResponse& out) {
  absl::StatusOr<SwitchBoard::Change> change =
      request.stop() ? parts_.switches->put(row) : parts_.switches->remove(row.kind, row.name, row.target, row.actor, row.message);
  if (!change.ok()) return change.status();
  *out.mutable_info() = to_info(change->row);
  out.set_changed(change->changed);
  out.set_switches_version(change->version);
  return absl::OkStatus();
}

absl::Status AdminHandlers::stop_api(const Caller& caller, const v1::SetSwitchRequest& request, v1::SetSwitchResponse& out) {
  SwitchRow row;
  absl::StatusOr<ObjectKey> key = ObjectKey{};
  parts_.engine->read([&](const Catalog& now) { key = find_object(now, v1::Object::kApi, request.name(), row.object); });
  if (!key.ok()) return key.status();
  GW_RETURN_IF_ERROR(may_write(caller, *key));
  if (request.status() != 0 && (request.status() < 400 || request.status() > 599)) {
    return invalid_argument("the status of a disabled Api is one of 400 to 599");
  }
  if (request.retry_after() < 0 || request.retry_after() > kRetryAfterMax) {
    return invalid_argument("Retry-After is at most a day");
  }
  row.kind = v1::SWITCH_API;
  row.name = key->full_name();
  row.message = request.message();
  row.status = request.status();
  row.retry_after = request.retry_after();
  row.actor = caller.actor();
  return change_switch(std::move(row), request, out);
}

absl::Status AdminHandlers::stop_target(const Caller& caller, const v1::SetSwitchRequest& request, v1::SetSwitchResponse& out) {
  SwitchRow row;
  absl::StatusOr<ObjectKey> key = ObjectKey{};
  parts_.engine->read([&](const Catalog& now) { key = find_object(now, v1::Object::kUpstream, request.name(), row.object); });
  if (!key.ok()) return key.status();
  GW_RETURN_IF_ERROR(may_write(caller, *key));
  row.kind = v1::SWITCH_TARGET;
  row.name = key->full_name();
  row.target = request.target();
  std::transform(row.target.begin(), row.target.end(), row.target.begin(), [](unsigned char c) { return std::tolower(c); });
  row.message = request.message();
  row.actor = caller.actor();
  GW_ASSIGN_OR_RETURN(Tables tables, parts_.engine->tables(parts_.engine->version()));
  const auto& upstreams = tables.snapshot->upstreams();
  auto at = std::find_if(upstreams.begin(), upstreams.end(), [&](const auto& u) { return u != nullptr && u->uid == row.object; });
  std::shared_ptr<const Switches> now = parts_.switches->view();
  // What nodes find by themselves is not known here: any host:port may be one.
  bool known = at != upstreams.end() && (*at)->discovery.searches(), left = known;
  for (const EndpointRow& e : parts_.endpoints->all(row.object)) {
    known = known || e.address == row.target;
    left = left || (e.weight > 0 && e.address != row.target && !now->drained(row.object, e.address));
  }
  std::string names;
  if (at != upstreams.end()) {
    for (const UpstreamTarget& t : (*at)->targets) {
      known = known || t.authority == row.target;
      left = left || (t.weight > 0 && t.authority != row.target && !now->drained(row.object, t.authority));
      names += (names.empty() ? "" : ", ") + t.authority;
    }
  }
  if (!known && (request.stop() || !now->drained(row.object, row.target))) {
    return not_found(key->text() + " has no target \"" + row.target + "\"" + (names.empty() ? "" : "; it has " + names));
  }
  GW_RETURN_IF_ERROR(change_switch(row, request, out));
  if (request.stop() && !left) {
    DiagnosticList found;
    found.warning("GW2022", key->label(), "", "no target takes requests any more: they are answered 503 NO_HEALTHY_ENDPOINT");
    for (const Diagnostic& d : found.items()) *out.add_diagnostics() = d;
  }
  return absl::OkStatus();
}

absl::Status AdminHandlers::stop_clients(const Caller& caller, const v1::SetSwitchRequest& request, v1::SetSwitchResponse& out) {
  GW_RETURN_IF_ERROR(must_be_admin(caller, "blocking clients"));
  auto cidr = Cidr::parse(request.name());
  if (!cidr) return invalid_argument("\"" + request.name() + "\" is no address or CIDR, such as 203.0.113.7 or 203.0.113.0/24");
  if (request.for_seconds() < 0 || request.for_seconds() > kBlockForMax) return invalid_argument("--for is at most ten years");
  if (request.stop() && is_everybody(*cidr)) {
    return invalid_argument(request.name() + " is every client; to stop an Api write `gwctl api disable NAME`");
  }
  SwitchRow row;
  row.kind = v1::SWITCH_BLOCK;
  row.name = cidr_text(*cidr);
  row.message = request.message();
  row.actor = caller.actor();
  if (request.for_seconds() > 0) row.expires_at = parts_.engine->now_s() + request.for_seconds();
  GW_RETURN_IF_ERROR(change_switch(row, request, out));
  if (request.stop() || out.changed()) return absl::OkStatus();
  // Who takes back a block that is not there may believe that the client gets in now.
  std::string wider;
  for (const SwitchRow& other : parts_.switches->all()) {
    auto network = other.kind == v1::SWITCH_BLOCK ? Cidr::parse(other.name) : std::nullopt;
    if (network && network->contains(cidr->network)) wider += (wider.empty() ? "; it lies in " : ", ") + other.name;
  }
  return not_found(row.name + " is not blocked" + wider);
}

std::vector<SwitchRow> AdminHandlers::switches_in_force() const {
  std::vector<SwitchRow> out = parts_.switches->all();
  parts_.engine->read([&](const Catalog& now) {
    std::erase_if(out, [&](const SwitchRow& row) { return row.object != 0 && now.find_uid(row.object) == nullptr; });
  });
  return out;
}

absl::StatusOr<v1::ListSwitchesResponse> AdminHandlers::list_switches() {
  v1::ListSwitchesResponse out;
  out.set_switches_version(parts_.switches->version());
  for (const SwitchRow& row : switches_in_force()) *out.add_switches() = to_info(row);
  return out;
}

void AdminHandlers::add_switch_facts(const std::vector<SwitchRow>& switches, v1::ObjectView& view) const {
  for (const SwitchRow& row : switches) {
    if (row.object == 0 || row.object != view.object().uid()) continue;
    v1::Pair& fact = *view.add_facts();
    fact.set_name(row.kind == v1::SWITCH_API ? "disabled" : "drained");
    fact.set_value((row.target.empty() ? "" : row.target + " ") + by_whom(row));
  }
}

}  // namespace gw
