// Targets added to Upstreams at run time.
#include <algorithm>

#include "common/base/status.h"
#include "common/config/formats.h"
#include "controlplane/admin/admin_handlers.h"
#include "controlplane/snapshot/check.h"
#include "dataplane/snapshot/endpoints.h"

namespace gw {
namespace {

constexpr int64_t kEndpointForMax = 10 * 365 * int64_t{86'400};
constexpr int kWeightMax = 1000;
constexpr int kPriorityMax = 15;
constexpr size_t kDefaultMax = 100;

absl::Status check_form(const v1::Target& target) {
  std::string what = target.url().starts_with("http://") ? target.url().substr(7) : target.url();
  auto refuse = [&](const std::string& why) { return invalid_argument("endpoint " + what + ": " + why); };
  if (auto fault = check_format(v1::TARGET_URL, target.url())) return refuse(fault->what + (fault->cure.empty() ? "" : "; " + fault->cure));
  if (target.has_weight() && (target.weight() < 0 || target.weight() > kWeightMax)) return refuse("the weight is one of 0 to 1000");
  if (target.priority() < 0 || target.priority() > kPriorityMax) return refuse("the priority is one of 0 to 15");
  if (!target.zone().empty() && check_format(v1::NAME, target.zone())) return refuse("\"" + target.zone() + "\" is no zone's name");
  return absl::OkStatus();
}

// host:port, as nodes write it.
std::string address_of(const v1::Target& target) { return target.url().substr(std::string_view("http://").size()); }

}  // namespace

EndpointBoard::Exists AdminHandlers::upstream_exists() const {
  return [engine = parts_.engine](uint64_t uid) {
    bool out = false;
    engine->read([&](const Catalog& now) { out = now.find_uid(uid) != nullptr; });
    return out;
  };
}

absl::StatusOr<v1::SetEndpointsResponse> AdminHandlers::set_endpoints(const Caller& caller, const v1::SetEndpointsRequest& request) {
  GW_RETURN_IF_ERROR(must_write_something(caller, "changing endpoints"));
  EndpointBoard::Change change;
  absl::StatusOr<ObjectKey> key = ObjectKey{};
  v1::Discovery discovery;
  parts_.engine->read([&](const Catalog& now) {
    key = find_object(now, v1::Object::kUpstream, request.upstream(), change.upstream);
    if (key.ok()) discovery = now.find(*key)->upstream().discovery();
  });
  if (!key.ok()) return key.status();
  GW_RETURN_IF_ERROR(may_write(caller, *key));
  bool adds = request.change() == v1::ENDPOINT_ADD || request.change() == v1::ENDPOINT_SET;
  if (!adds && request.change() != v1::ENDPOINT_REMOVE) return invalid_argument("this control plane knows no such change of endpoints; update it");
  if (adds && !discovery.has_endpoints()) {
    return failed_precondition(key->text() + " takes no endpoints; write `discovery: {endpoints: {}}` into its spec");
  }
  if (request.targets().empty() && request.change() != v1::ENDPOINT_SET) return invalid_argument("which endpoints? write HOST:PORT");
  if (request.for_seconds() < 0 || request.for_seconds() > kEndpointForMax) return invalid_argument("endpoints expire within ten years");
  DiagnosticList found;
  CompileOptions options = parts_.engine->options_now();
  for (const v1::Target& target : request.targets()) {
    GW_RETURN_IF_ERROR(check_form(target));
    if (adds) check_endpoint(key->label(), target, options, found);
    EndpointRow row;
    row.address = address_of(target);
    row.weight = target.has_weight() ? target.weight() : 1;
    row.zone = target.zone();
    row.priority = target.priority();
    if (request.for_seconds() > 0) row.expires_at = parts_.engine->now_s() + request.for_seconds();
    change.targets.push_back(std::move(row));
  }
  if (found.has_errors()) return to_status(found, absl::StatusCode::kInvalidArgument);
  change.kind = request.change();
  change.name = key->full_name();
  change.max = discovery.endpoints().has_max() ? static_cast<size_t>(discovery.endpoints().max()) : kDefaultMax;
  if (!adds) change.max = Endpoints::kMax;
  change.actor = caller.actor();
  change.message = request.message();
  GW_RETURN_IF_ERROR(parts_.endpoints->forget_gone(upstream_exists()));
  GW_ASSIGN_OR_RETURN(EndpointBoard::Outcome outcome, parts_.endpoints->change(change));
  v1::SetEndpointsResponse out;
  out.set_upstream(change.name);
  for (const EndpointRow& row : parts_.endpoints->all(change.upstream)) *out.add_endpoints() = to_info(row);
  out.set_added(outcome.added);
  out.set_changed(outcome.changed);
  out.set_removed(outcome.removed);
  out.set_endpoints_version(outcome.version);
  out.set_nodes_connected(parts_.nodes->connected());
  return out;
}

std::vector<EndpointRow> AdminHandlers::endpoints_in_force() const {
  std::vector<EndpointRow> out = parts_.endpoints->all();
  parts_.engine->read([&](const Catalog& now) {
    std::erase_if(out, [&](const EndpointRow& row) { return now.find_uid(row.upstream) == nullptr; });
  });
  return out;
}

absl::StatusOr<v1::ListEndpointsResponse> AdminHandlers::list_endpoints(const v1::ListEndpointsRequest& request) {
  uint64_t uid = 0;
  if (!request.upstream().empty()) {
    absl::StatusOr<ObjectKey> key = ObjectKey{};
    parts_.engine->read([&](const Catalog& now) { key = find_object(now, v1::Object::kUpstream, request.upstream(), uid); });
    if (!key.ok()) return key.status();
  }
  v1::ListEndpointsResponse out;
  out.set_endpoints_version(parts_.endpoints->version());
  for (const EndpointRow& row : endpoints_in_force()) {
    if (uid == 0 || row.upstream == uid) *out.add_endpoints() = to_info(row);
  }
  return out;
}

}  // namespace gw
