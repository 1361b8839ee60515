// upstream target add, remove, set, list.
#include <algorithm>

#include "cli/commands.h"
#include "cli/commands/stream_verdict.h"
#include "cli/errors.h"
#include "cli/views.h"
#include "common/base/status.h"

namespace gw::cli {
namespace {

std::string endpoint_counts(const v1::SetEndpointsResponse& r) {
  std::string out;
  auto add = [&](int count, const char* what) {
    if (count > 0) out += (out.empty() ? "" : ", ") + std::to_string(count) + what;
  };
  add(r.added(), " added");
  add(r.changed(), " changed");
  add(r.removed(), " removed");
  return "Upstream " + r.upstream() + ": " + (out.empty() ? "no change" : out) + "; " + std::to_string(r.endpoints_size()) +
         (r.endpoints_size() == 1 ? " endpoint now" : " endpoints now");
}

Table endpoint_table(const google::protobuf::RepeatedPtrField<v1::EndpointInfo>& endpoints) {
  Table table({{"UPSTREAM"}, {"TARGET"}, {"WEIGHT", true}, {"PRIORITY", true}, {"ZONE"}, {"SINCE"}, {"BY"}, {"UNTIL"}});
  for (const v1::EndpointInfo& e : endpoints) {
    table.add({e.upstream(), e.address(), std::to_string(e.weight()), std::to_string(e.priority()), or_dash(e.zone()), time_text(e.since()),
               e.actor(), or_dash(time_text(e.expires_at()))});
  }
  return table;
}

absl::StatusOr<v1::SetEndpointsRequest> endpoint_request(v1::EndpointChange change, const EndpointOptions& options) {
  v1::SetEndpointsRequest request;
  request.set_upstream(options.upstream);
  request.set_change(change);
  request.set_message(options.message);
  for (const std::string& target : options.targets) {
    v1::Target& out = *request.add_targets();
    out.set_url("http://" + target);
    if (options.weight != 1) out.set_weight(options.weight);
    out.set_zone(options.zone);
    if (options.priority != 0) out.set_priority(options.priority);
  }
  if (!options.expires.empty()) {
    GW_ASSIGN_OR_RETURN(int64_t ms, duration_flag_ms("--expires", options.expires));
    request.set_for_seconds(std::max<int64_t>(1, ms / 1000));
  }
  return request;
}

// Also where nothing changed: a pipeline wants to know that it is so everywhere.
absl::StatusOr<int> change_endpoints(Session& session, v1::EndpointChange change, const EndpointOptions& options) {
  GW_RETURN_IF_ERROR(check_wait_options(options.wait));
  GW_ASSIGN_OR_RETURN(v1::SetEndpointsRequest request, endpoint_request(change, options));
  GW_ASSIGN_OR_RETURN(AdminClient * client, session.client());
  GW_ASSIGN_OR_RETURN(v1::SetEndpointsResponse response, client->set_endpoints(request));
  Json json = {{"upstream", response.upstream()},          {"endpoints", to_json_array(response.endpoints())},
               {"added", response.added()},                {"changed", response.changed()},
               {"removed", response.removed()},            {"endpointsVersion", response.endpoints_version()},
               {"nodesConnected", response.nodes_connected()}};
  std::string text = endpoint_counts(response) + "\n";
  int code = 0;
  if (!options.wait.no_wait) {
    GW_ASSIGN_OR_RETURN(Verdict verdict, wait_for_rollout(session, {.endpoints = response.endpoints_version()}, options.wait));
    Json rollout = verdict_json(verdict);
    rollout.erase("version");  // it is not one of the configuration
    json["rollout"] = std::move(rollout);
    text += stream_verdict_text(verdict, session.paint());
    code = verdict.exit_code;
  }
  std::vector<std::string> names;
  for (const v1::EndpointInfo& e : response.endpoints()) names.push_back(e.address());
  session.emit(json, names, [&](bool) { return text; });
  return code;
}

}  // namespace

absl::StatusOr<int> run_endpoint_add(Session& session, const EndpointOptions& options) {
  return change_endpoints(session, v1::ENDPOINT_ADD, options);
}
absl::StatusOr<int> run_endpoint_remove(Session& session, const EndpointOptions& options) {
  return change_endpoints(session, v1::ENDPOINT_REMOVE, options);
}
absl::StatusOr<int> run_endpoint_set(Session& session, const EndpointOptions& options) {
  return change_endpoints(session, v1::ENDPOINT_SET, options);
}

absl::StatusOr<int> run_endpoint_list(Session& session, const EndpointOptions& options) {
  v1::ListEndpointsRequest request;
  request.set_upstream(options.upstream);
  GW_ASSIGN_OR_RETURN(AdminClient * client, session.client());
  GW_ASSIGN_OR_RETURN(v1::ListEndpointsResponse found, client->list_endpoints(request));
  std::vector<std::string> names;
  for (const v1::EndpointInfo& e : found.endpoints()) names.push_back(e.upstream() + " " + e.address());
  Json json = {{"endpointsVersion", found.endpoints_version()}, {"endpoints", to_json_array(found.endpoints())}};
  session.emit(json, names, [&](bool) {
    Table table = endpoint_table(found.endpoints());
    return table.empty() ? std::string("no target was added at run time\n") : table.render(session.paint());
  });
  return 0;
}

}  // namespace gw::cli
