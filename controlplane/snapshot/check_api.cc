#include <algorithm>
#include <optional>
#include <set>

#include "common/base/status.h"
#include "controlplane/snapshot/check.h"
#include "dataplane/routing/api_router.h"
#include "dataplane/routing/claim.h"

namespace gw {
namespace {

// Policies of `names` that would stand in for a required one: of a type where the nearest is in force.
void check_replacing(const CheckContext& c, const v1::Object& user, const NameList& names, const v1::Object& gateway) {
  for (const std::string& name : gateway.gateway().required()) {
    const v1::Object* required = c.catalog.referenced(gateway, v1::Object::kPolicy, name);
    if (!required || !is_nearest(required->policy())) continue;
    for (int i = 0; i < names.size(); ++i) {
      const v1::Object* policy = c.catalog.referenced(user, v1::Object::kPolicy, names[i]);
      if (!policy || policy == required || type_name(policy->policy()) != type_name(required->policy())) continue;
      Diagnostic& d = c.out.error("GW1410", key_of(user).label(), "spec.policies[" + std::to_string(i) + "]",
                                  "it would replace " + key_of(*required).full_name() + ", which " + key_of(gateway).text() +
                                      " requires");
      d.set_cure("leave it out, or serve it by another Gateway");
      d.add_related(key_of(*required).full_name());
    }
  }
}

void check_limits_max(const CheckContext& c, const v1::Object& user, const v1::Limits& limits, const v1::Object& gateway) {
  const v1::GatewaySpec& spec = gateway.gateway();
  if (!limits.has_body_bytes() || !spec.limits_max().has_body_bytes()) return;
  if (limits.body_bytes() <= spec.limits_max().body_bytes()) return;
  c.out.warning("GW2006", key_of(user).label(), "spec.limits.bodyBytes",
                "it is more than " + key_of(gateway).text() + " allows: " + std::to_string(spec.limits_max().body_bytes()) +
                    " bytes are in force there");
}

bool fails_closed_only(const v1::Object& gateway) {
  return gateway.gateway().has_allow_fail_open() && !gateway.gateway().allow_fail_open();
}

void check_plans_fail_open(const CheckContext& c, const v1::Object& api, const v1::Object& gateway) {
  for (const v1::Object* product : products_of(c.catalog, api)) {
    for (int i = 0; i < product->product().plans_size(); ++i) {
      const v1::Object* plan = c.catalog.referenced(*product, v1::Object::kPlan, product->product().plans(i));
      if (!plan || plan->plan().on_failure() != v1::ON_FAILURE_OPEN) continue;
      Diagnostic& d = c.out.error("GW1404", key_of(*product).label(), "spec.plans[" + std::to_string(i) + "]",
                                  key_of(*plan).text() + " has `onFailure: open`, which " + key_of(gateway).text() +
                                      " (it serves " + key_of(api).full_name() + ") does not allow");
      d.set_cure("set `onFailure: closed`, or serve the Api by another Gateway");
      d.add_related(key_of(*plan).full_name());
    }
  }
}

// What `match` says of the path, in the form that lies below a base path; nothing for a regex.
std::optional<std::string> match_path(const v1::PathMatch& path, std::string& field) {
  if (!path.exact().empty()) return field = "exact", path.exact();
  if (!path.prefix().empty()) return field = "prefix", path.prefix();
  if (!path.template_().empty()) return field = "template", path.template_();
  if (path.has_grpc()) return field = "grpc", grpc_path(path.grpc());
  return std::nullopt;
}

void check_split(const CheckContext& c, const v1::Object& route) {
  const auto& split = route.route().to().split();
  ObjectLabel label = key_of(route).label();
  std::set<const v1::Object*> seen;
  bool some_weight = false;
  for (int i = 0; i < split.size(); ++i) {
    some_weight = some_weight || split[i].weight() > 0;
    const v1::Object* upstream = c.catalog.referenced(route, v1::Object::kUpstream, split[i].upstream());
    if (upstream && !seen.insert(upstream).second) {
      c.out.error("GW1308", label, "spec.to.split[" + std::to_string(i) + "].upstream",
                  split[i].upstream() + " is in the split already")
          .set_cure("give it one weight");
    }
  }
  if (!split.empty() && !some_weight) {
    c.out.warning("GW2003", label, "spec.to.split", "every weight is 0: requests are answered with NO_HEALTHY_ENDPOINT");
  }
}

// What only a Route that forwards can have.
void check_forwards(const CheckContext& c, const v1::Object& route) {
  const v1::RouteTarget& to = route.route().to();
  if (!to.has_redirect() && !to.has_respond()) return;
  auto refuse = [&](const char* path, const char* what) {
    c.out.error("GW1320", key_of(route).label(), path, what).set_cure("forward with `upstream` or `split`, or leave it out");
  };
  if (to.has_mirror()) refuse("spec.to.mirror", "the route answers by itself: there is no request to copy");
  if (route.route().grpc_web()) refuse("spec.grpcWeb", "the route answers by itself: there is no upstream to translate for");
  if (route.route().has_websocket()) refuse("spec.websocket", "the route answers by itself: no upstream could agree to a WebSocket");
}

// gRPC needs HTTP/2 on the upstream's side: without it no call through the Route could succeed.
void check_grpc(const CheckContext& c, const v1::Object& route) {
  const v1::RouteSpec& spec = route.route();
  if (!spec.grpc_web() && !spec.match().path().has_grpc()) return;
  auto look = [&](const std::string& name, const std::string& path) {
    const v1::Object* upstream = c.catalog.referenced(route, v1::Object::kUpstream, name);
    if (!upstream) return;
    v1::UpstreamSpec::Protocol protocol = upstream->upstream().protocol();
    if (protocol == v1::UpstreamSpec::PROTOCOL_HTTP2 || protocol == v1::UpstreamSpec::PROTOCOL_AUTO) return;
    std::string what = key_of(*upstream).text() + " speaks HTTP/1.1, and gRPC needs HTTP/2";
    Diagnostic& d = spec.grpc_web() ? c.out.error("GW1321", key_of(route).label(), path, "grpcWeb: " + what)
                                    : c.out.warning("GW2023", key_of(route).label(), path, "match.path.grpc: " + what);
    d.set_cure("set `protocol: http2` in the Upstream, or `auto` with https:// targets");
    d.add_related(key_of(*upstream).full_name());
  };
  const v1::RouteTarget& to = spec.to();
  if (!to.upstream().empty()) look(to.upstream(), "spec.to.upstream");
  for (int i = 0; i < to.split_size(); ++i) look(to.split(i).upstream(), "spec.to.split[" + std::to_string(i) + "].upstream");
}

}  // namespace

void check_api(const CheckContext& c, const v1::Object& api) {
  const v1::ApiSpec& spec = api.api();
  check_policy_list(c, api, "spec.policies", spec.policies(), false);
  check_policy_list(c, api, "spec.auth", spec.auth(), true);
  std::vector<const v1::Object*> gateways = gateways_of(c.catalog, api);
  if (gateways.empty() && !c.options.partial) {
    c.out.warning("GW2005", key_of(api).label(), "spec.gateways", "no Gateway serves this Api: no Gateway is shared with " +
                                                                      api.metadata().owner());
  }
  for (const v1::Object* gateway : gateways) {
    check_replacing(c, api, spec.policies(), *gateway);
    check_limits_max(c, api, spec.limits(), *gateway);
    if (!fails_closed_only(*gateway)) continue;
    check_fail_open(c, api, "spec.policies", spec.policies(), *gateway);
    check_fail_open(c, api, "spec.auth", spec.auth(), *gateway);
    check_plans_fail_open(c, api, *gateway);
  }
}

absl::StatusOr<std::shared_ptr<const RouteMatch>> MatchCache::get(const v1::Object& route) {
  Item& item = matches_[route.uid()];
  if (item.match && item.object == &route && item.generation == route.generation()) return item.match;
  GW_ASSIGN_OR_RETURN(item.match, RouteMatch::compile(route.route().match(), route.route().priority(), key_of(route).full_name()));
  item.object = &route;
  item.generation = route.generation();
  return item.match;
}

void check_overlaps(const CheckContext& c, const v1::Object& api) {
  std::vector<const v1::Object*> routes = routes_of(c.catalog, api);
  std::vector<std::shared_ptr<const RouteMatch>> matches;
  for (const v1::Object* route : routes) {
    auto match = c.matches.get(*route);
    if (!match.ok()) return;  // it has been said of the route
    matches.push_back(*match);
  }
  std::vector<std::string> hosts(api.api().hosts().begin(), api.api().hosts().end());
  RouteFindings found = find_overlaps(api.api().base_path(), hosts, matches);
  for (const RoutePair& pair : found.unreachable) {
    Diagnostic& d = c.out.error("GW1306", key_of(*routes[pair.route]).label(), "spec.match",
                                "no request can reach it: " + key_of(*routes[pair.other]).text() + " takes all that it matches");
    d.set_cure("narrow that one, give this one more to match, or delete it");
    d.add_related(key_of(*routes[pair.other]).full_name());
  }
  for (const RoutePair& pair : found.overlaps) {
    // Said once, where the change is.
    bool swap = c.changed.contains(key_of(*routes[pair.other])) && !c.changed.contains(key_of(*routes[pair.route]));
    const v1::Object &at = *routes[swap ? pair.other : pair.route], &other = *routes[swap ? pair.route : pair.other];
    if (!c.changed.contains(key_of(at))) continue;
    Diagnostic& d = c.out.warning("GW2002", key_of(at).label(), "spec.match",
                                  "some requests match " + key_of(other).text() + " as well, and only the names decide: " +
                                      key_of(*routes[pair.route]).full_name() + " takes them");
    d.set_cure("set `priority` on one of them");
    d.add_related(key_of(other).full_name());
  }
}

void check_route(const CheckContext& c, const v1::Object& route) {
  const v1::RouteSpec& spec = route.route();
  ObjectLabel label = key_of(route).label();
  check_policy_list(c, route, "spec.policies", spec.policies(), false);
  check_policy_list(c, route, "spec.auth", spec.auth(), true);
  check_split(c, route);
  check_forwards(c, route);
  check_grpc(c, route);
  if (auto match = c.matches.get(route); !match.ok()) c.out.error("GW1307", label, "spec", message_of(match.status()));
  const v1::Object* api = c.catalog.referenced(route, v1::Object::kApi, spec.api());
  if (!api) return;
  const auto& hosts = api->api().hosts();
  if (!spec.match().host().empty() && std::find(hosts.begin(), hosts.end(), spec.match().host()) == hosts.end()) {
    c.out.error("GW1305", label, "spec.match.host", spec.match().host() + " is not one of the hosts of " + key_of(*api).text())
        .set_cure("use one of the Api's hosts, or leave it out for all of them");
  }
  std::string field;
  const std::optional<std::string> path = match_path(spec.match().path(), field);
  if (path && !path_covers(normal_base(api->api().base_path()), normal_base(*path))) {
    Diagnostic& d = c.out.error("GW1304", label, "spec.match.path." + field,
                                *path + " is not below " + api->api().base_path() + ", the basePath of " + key_of(*api).text());
    d.set_cure("begin it with " + api->api().base_path());
    d.add_related(key_of(*api).full_name());
  }
  for (const v1::Object* gateway : gateways_of(c.catalog, *api)) {
    check_replacing(c, route, spec.policies(), *gateway);
    check_limits_max(c, route, spec.limits(), *gateway);
    if (!fails_closed_only(*gateway)) continue;
    check_fail_open(c, route, "spec.policies", spec.policies(), *gateway);
    check_fail_open(c, route, "spec.auth", spec.auth(), *gateway);
  }
}

}  // namespace gw
