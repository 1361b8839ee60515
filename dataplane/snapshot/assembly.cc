#include "dataplane/snapshot/assembly.h"

#include <algorithm>

#include "dataplane/policy/registry.h"

namespace gw {
namespace {

bool contains(const std::vector<uint64_t>& list, uint64_t uid) { return std::find(list.begin(), list.end(), uid) != list.end(); }

template <class Source>
const Source* find(const ByUid<Source>& map, uint64_t uid) {
  auto at = map->find(uid);
  return at == map->end() ? nullptr : at->second.get();
}

size_t memory_of(const RouteSource& r) {
  size_t bytes = sizeof(RouteSource) + sizeof(RouteConfig) + 2 * 32 + r.config->name.capacity() + r.config->match->memory_bytes();
  bytes += (r.policies.capacity() + r.upstreams.capacity()) * sizeof(uint64_t);
  if (r.config->websocket) bytes += sizeof(WebSocketRule) + r.config->websocket->origins.capacity() * 64;
  if (r.config->mirror) bytes += sizeof(MirrorRule);
  if (const auto* respond = std::get_if<RespondWith>(&r.config->to)) bytes += respond->body.capacity();
  return bytes;
}

size_t memory_of(const ApiOnGateway& served) {
  size_t bytes = sizeof(ServedApi) + 64 + served.routes.capacity() * 32;
  for (const auto& route : served.routes) {
    bytes += sizeof(Route) + 16 + (route->chain.capacity() + route->auth.capacity()) * sizeof(ChainEntry);
  }
  return bytes;
}

// The group with the changes put in; `changes` by uid, null for those that are no longer the Api's.
std::shared_ptr<const RouteGroup> merge(const RouteGroup* before, const RouteChanges& changes) {
  auto out = std::make_shared<RouteGroup>();
  auto change = changes.begin();
  auto take = [&] {
    if (change->second) out->routes.push_back(change->second);
    ++change;
  };
  if (before != nullptr) {
    out->routes.reserve(before->routes.size() + changes.size());
    for (const auto& route : before->routes) {
      while (change != changes.end() && change->first < route->config->uid) take();
      if (change != changes.end() && change->first == route->config->uid) {
        take();
      } else {
        out->routes.push_back(route);
      }
    }
  }
  while (change != changes.end()) take();
  out->routes.shrink_to_fit();
  for (const auto& route : out->routes) out->bytes += memory_of(*route);
  return out;
}

uint16_t first_at(const std::vector<ChainEntry>& chain, Phase phase) {
  auto at = std::find_if(chain.begin(), chain.end(), [&](const ChainEntry& e) { return e.policy->phase() >= phase; });
  return static_cast<uint16_t>(at - chain.begin());
}

}  // namespace

SnapshotAssembly::SnapshotAssembly(const Objects& before, const Snapshot* last, Objects& next, RouteChanges routes,
                                   BuildStats& stats, DiagnosticList& diagnostics)
    : before_(before), last_(last), next_(next), stats_(stats), diagnostics_(diagnostics), changed_routes_(std::move(routes)) {
  if (before_.policies.shares(next_.policies)) return;
  for (const auto& [uid, policy] : *next_.policies) {
    if (find(before_.policies, uid) != policy.get()) changed_policies_.insert(uid);
  }
}

template <class Source>
bool SnapshotAssembly::changed(uint64_t uid, ByUid<Source> Objects::*map) const {
  return find(before_.*map, uid) != find(next_.*map, uid);
}

bool SnapshotAssembly::policies_changed(const std::vector<uint64_t>& uids) const {
  if (changed_policies_.empty()) return false;
  return std::any_of(uids.begin(), uids.end(), [&](uint64_t uid) { return changed_policies_.count(uid) > 0; });
}

bool SnapshotAssembly::check_policies(const std::vector<uint64_t>& uids, Use use, const ObjectLabel& label, std::string_view path) {
  for (uint64_t uid : uids) {
    const Policy* policy = find(next_.policies, uid);
    if (!policy) {
      diagnostics_.error("GW3005", label, path, "there is no policy with uid " + std::to_string(uid));
      return false;
    }
    bool authenticates = policy->phase() == Phase::kAuthentication;
    if (authenticates != (use == Use::kAuth)) {
      diagnostics_.error(authenticates ? "GW1402" : "GW1401", label, path,
                         policy->full_name() + (authenticates ? " authenticates: it belongs into `auth`" : " does not authenticate"));
      return false;
    }
    if (use == Use::kPlan && policy->phase() < Phase::kAuthentication) {
      diagnostics_.error("GW1413", label, path, policy->full_name() + " runs before the caller is known");
      return false;
    }
  }
  return true;
}

bool SnapshotAssembly::check_route(const RouteSource& route) {
  ObjectLabel label{"Route", route.config->name};
  const ApiSource* api = find(next_.apis, route.api);
  if (!api) {
    diagnostics_.error("GW3005", label, "spec.api", "there is no Api with uid " + std::to_string(route.api));
    return false;
  }
  for (uint64_t uid : route.upstreams) {
    if (find(next_.upstreams, uid)) continue;
    diagnostics_.error("GW3005", label, "spec.to", "there is no Upstream with uid " + std::to_string(uid));
    return false;
  }
  if (!route.config->match->lies_below(api->base)) {
    diagnostics_.error("GW3007", label, "spec.match.path", "does not lie below " + api->config->base_path + ", the basePath of Api " + api->config->name);
    return false;
  }
  if (route.auth && route.auth->policies.empty() && !route.auth->allow_anonymous) {
    diagnostics_.error("GW3007", label, "spec.auth", "nobody could pass");
    return false;
  }
  return check_policies(route.policies, Use::kChain, label, "spec.policies") &&
         (!route.auth || check_policies(route.auth->policies, Use::kAuth, label, "spec.auth"));
}

// Whether an object that did not change itself may refer to what is no longer there, or no longer fits.
bool SnapshotAssembly::references_may_break() const {
  if (!before_.gateways.shares(next_.gateways) || !before_.apis.shares(next_.apis) || !before_.policies.shares(next_.policies) ||
      !before_.plans.shares(next_.plans)) {
    return true;
  }
  if (before_.upstreams.shares(next_.upstreams)) return false;
  return std::any_of(before_.upstreams->begin(), before_.upstreams->end(),
                     [&](const auto& entry) { return next_.upstreams->count(entry.first) == 0; });
}

bool SnapshotAssembly::check_references() {
  bool ok = true;
  if (!references_may_break()) {
    for (const auto& [uid, r] : changed_routes_) ok = (!r || check_route(*r)) && ok;
    return ok;
  }
  for (const auto& [uid, g] : *next_.gateways) {
    ok = check_policies(g->policies, Use::kChain, {"Gateway", g->config.name}, "spec.policies") && ok;
  }
  for (const auto& [uid, a] : *next_.apis) {
    ObjectLabel label{"Api", a->config->name};
    if (a->auth.policies.empty() && !a->auth.allow_anonymous) {
      diagnostics_.error("GW3007", label, "spec.auth", "nobody could pass");
      ok = false;
    }
    ok = check_policies(a->policies, Use::kChain, label, "spec.policies") &&
         check_policies(a->auth.policies, Use::kAuth, label, "spec.auth") && ok;
  }
  for (const auto& [uid, p] : *next_.plans) {
    ok = check_policies(p->policies, Use::kPlan, {"Plan", p->config.name}, "spec.policies") && ok;
  }
  for (const auto& [api, group] : *next_.groups) {
    for (const auto& r : group->routes) ok = check_route(*r) && ok;
  }
  return ok;
}

void SnapshotAssembly::make_plans() {
  if (before_.plans.shares(next_.plans) && changed_policies_.empty()) return;
  std::map<uint64_t, std::shared_ptr<const PlanConfig>> made;
  for (const auto& [uid, source] : *next_.plans) {
    if (!changed(uid, &Objects::plans) && !policies_changed(source->policies)) {
      made[uid] = next_.plan_configs->at(uid);
      continue;
    }
    auto plan = std::make_shared<PlanConfig>(source->config);
    for (uint64_t p : source->policies) {
      const Policy* policy = find(next_.policies, p);
      plan->policies.push_back({policy, Place::kPlan, false, policy->info().observe});
    }
    std::stable_sort(plan->policies.begin(), plan->policies.end(),
                     [](const ChainEntry& a, const ChainEntry& b) { return a.policy->phase() < b.policy->phase(); });
    made[uid] = std::move(plan);
  }
  next_.plan_configs.set(std::move(made));
}

void SnapshotAssembly::change_routes() {
  std::map<uint64_t, RouteChanges> by_api;
  for (const auto& [uid, route] : changed_routes_) {
    auto same = [uid = uid](const RouteSource& r) { return r.config->uid == uid; };
    const auto* before = next_.routes.find(uid, same);
    if (before != nullptr) by_api[(*before)->api][uid] = nullptr;
    if (route) {
      by_api[route->api][uid] = route;
      next_.routes.put(uid, route, same);
    } else {
      next_.routes.erase(uid, same);
    }
  }
  for (const auto& [api, changes] : by_api) {
    auto group = merge(find(next_.groups, api), changes);
    if (group->routes.empty()) {
      next_.groups.edit().erase(api);
    } else {
      next_.groups.edit()[api] = std::move(group);
    }
  }
}

void SnapshotAssembly::make_routers() {
  std::map<uint64_t, std::shared_ptr<const ApiRouter>> made;
  static const RouteGroup kNone;
  for (const auto& [uid, api] : *next_.apis) {
    const RouteGroup* group = find(next_.groups, uid);
    const auto& routes = group != nullptr ? group->routes : kNone.routes;
    auto at = next_.routers->find(uid);
    if (at != next_.routers->end() && at->second->base() == api->base &&
        (group == find(before_.groups, uid) ||
         std::equal(routes.begin(), routes.end(), at->second->routes().begin(), at->second->routes().end(),
                    [](const auto& source, const auto& match) { return source->config->match == match; }))) {
      made[uid] = at->second;
      continue;
    }
    std::vector<std::shared_ptr<const RouteMatch>> matches;
    matches.reserve(routes.size());
    for (const auto& r : routes) matches.push_back(r->config->match);
    made[uid] = std::make_shared<ApiRouter>(api->config->base_path, std::move(matches));
    ++stats_.apis_built;
  }
  next_.routers.set(std::move(made));
}

void SnapshotAssembly::add_level(const std::vector<uint64_t>& uids, Place place, const GatewaySource& gateway,
                                 std::vector<ChainEntry>& chain) const {
  for (uint64_t uid : uids) {
    const Policy* policy = find(next_.policies, uid);
    auto same = std::find_if(chain.begin(), chain.end(), [&](const ChainEntry& e) { return e.policy == policy; });
    if (same != chain.end()) continue;
    bool required = place == Place::kGateway && contains(gateway.required, uid);
    if (policy->combine() == Combine::kNearest) {
      auto farther = std::find_if(chain.begin(), chain.end(),
                                  [&](const ChainEntry& e) { return e.policy->info().type == policy->info().type; });
      if (farther != chain.end()) {
        if (farther->required || farther->place == place) continue;
        chain.erase(farther);
      }
    }
    chain.push_back({policy, place, required, policy->info().observe});
  }
}

void SnapshotAssembly::make_chain(const GatewaySource& gateway, const ApiSource& api, const RouteSource& route, Route& out) const {
  add_level(gateway.policies, Place::kGateway, gateway, out.chain);
  add_level(api.policies, Place::kApi, gateway, out.chain);
  add_level(route.policies, Place::kRoute, gateway, out.chain);
  std::stable_sort(out.chain.begin(), out.chain.end(),
                   [](const ChainEntry& a, const ChainEntry& b) { return a.policy->phase() < b.policy->phase(); });
  out.chain.shrink_to_fit();
  out.auth_at = first_at(out.chain, Phase::kAuthentication);
  out.rate_at = first_at(out.chain, Phase::kRate);
  const AuthSource& auth = route.auth ? *route.auth : api.auth;
  out.allow_anonymous = auth.allow_anonymous;
  out.auth.reserve(auth.policies.size());
  for (uint64_t uid : auth.policies) {
    const Policy* policy = find(next_.policies, uid);
    out.auth.push_back({policy, route.auth ? Place::kRoute : Place::kApi, false, policy->info().observe});
  }
}

void SnapshotAssembly::set_flags(Route& route) {
  for (const ChainEntry& e : route.chain) {
    route.has_response = route.has_response || (!e.observe && e.policy->has_response());
    route.has_done = route.has_done || e.policy->has_done();
    route.has_local_response = route.has_local_response || e.on_local_response();
    route.request_body = route.request_body || e.policy->request_body_mode() != BodyMode::kNone;
    route.response_body = route.response_body || e.policy->response_body_mode() != BodyMode::kNone;
  }
  for (const ChainEntry& e : route.auth) route.has_done = route.has_done || e.policy->has_done();
}

std::shared_ptr<const Route> SnapshotAssembly::make_route(const GatewaySource& gateway, const ApiSource& api,
                                                          const RouteSource& route) const {
  auto out = std::make_shared<Route>();
  out->config = route.config;
  out->api = api.config;
  const GatewayConfig& g = gateway.config;
  out->body_bytes = std::min(route.body_bytes.value_or(api.body_bytes.value_or(g.body_bytes)), g.body_bytes_max);
  out->request_ms = route.request_ms.value_or(api.request_ms.value_or(0));
  out->body_idle_given = route.body_idle_ms || api.body_idle_ms;
  out->body_idle_ms = route.body_idle_ms.value_or(api.body_idle_ms.value_or(kDefaultBodyIdleMs));
  out->first_byte_ms = route.first_byte_ms.value_or(api.first_byte_ms.value_or(0));
  out->idle_ms = route.idle_ms.value_or(api.idle_ms.value_or(0));
  make_chain(gateway, api, route, *out);
  set_flags(*out);
  return out;
}

std::shared_ptr<const ApiOnGateway> SnapshotAssembly::serve(const GatewaySource& gateway, const ApiSource& api) {
  uint64_t gateway_uid = gateway.config.uid, api_uid = api.config->uid;
  static const auto kNone = std::make_shared<const RouteGroup>();
  auto grouped = next_.groups->find(api_uid);
  const auto& group = grouped != next_.groups->end() ? grouped->second : kNone;
  auto held = before_.served->find({gateway_uid, api_uid});
  const ServedApi* last = held == before_.served->end() ? nullptr : &held->second;
  // Whether a Route of before may be taken over at all.
  bool above = !last || changed(gateway_uid, &Objects::gateways) || changed(api_uid, &Objects::apis) ||
               policies_changed(gateway.policies) || policies_changed(api.policies) || policies_changed(api.auth.policies);
  ServedApi& out = made_[{gateway_uid, api_uid}];
  if (!above && changed_policies_.empty() && last->group == group) {
    out = *last;
    stats_.routes_shared += group->routes.size();
    return last->served;
  }
  auto served = std::make_shared<ApiOnGateway>();
  served->api = api.config;
  served->router = next_.routers->at(api_uid);
  served->routes.reserve(group->routes.size());
  size_t shared = 0, at = 0;  // both lists are in order of uid
  for (const auto& source : group->routes) {
    std::shared_ptr<const Route> route;
    if (!above) {
      const auto& sources = last->group->routes;
      while (at < sources.size() && sources[at]->config->uid < source->config->uid) ++at;
      bool same = at < sources.size() && sources[at] == source && !policies_changed(source->policies) &&
                  !(source->auth && policies_changed(source->auth->policies));
      if (same) route = last->served->routes[at];
    }
    if (route) {
      ++shared;
    } else {
      route = make_route(gateway, api, *source);
      ++stats_.routes_resolved;
    }
    served->websockets = served->websockets || route->websocket() != nullptr;
    served->routes.push_back(std::move(route));
  }
  stats_.routes_shared += shared;
  if (last && shared == group->routes.size() && last->group->routes.size() == shared && last->served->router == served->router &&
      last->served->api == served->api) {
    out = *last;
    return last->served;
  }
  out = {served, group, memory_of(*served)};
  return served;
}

std::shared_ptr<const GatewayConfig> SnapshotAssembly::make_gateway(const GatewaySource& gateway) {
  auto out = std::make_shared<GatewayConfig>(gateway.config);
  for (const auto& [uid, api] : *next_.apis) {
    if (!contains(api->gateways, gateway.config.uid)) continue;
    out->apis.push_back(serve(gateway, *api));
    out->websockets = out->websockets || out->apis.back()->websockets;
  }
  const GatewayConfig* last = nullptr;
  std::shared_ptr<const GatewayConfig> held;
  if (last_) {
    for (const auto& g : last_->gateways()) {
      if (g->uid == gateway.config.uid) held = g;
    }
    last = held.get();
  }
  bool same_claims = last && std::equal(out->apis.begin(), out->apis.end(), last->apis.begin(), last->apis.end(),
                                        [](const auto& a, const auto& b) { return a->api == b->api; });
  if (same_claims && out->apis == last->apis && !changed(gateway.config.uid, &Objects::gateways) &&
      !policies_changed(gateway.policies)) {
    return held;
  }
  if (same_claims) {
    out->claims = last->claims;
  } else {
    std::vector<Claim> claims;
    for (uint32_t i = 0; i < out->apis.size(); ++i) {
      for (const std::string& host : out->apis[i]->api->hosts) claims.push_back({host, out->apis[i]->api->base_path, i});
    }
    out->claims = std::make_shared<ClaimTable>(claims);
  }
  std::vector<ChainEntry> chain;
  add_level(gateway.policies, Place::kGateway, gateway, chain);
  std::stable_sort(chain.begin(), chain.end(),
                   [](const ChainEntry& a, const ChainEntry& b) { return a.policy->phase() < b.policy->phase(); });
  for (const ChainEntry& e : chain) {
    if (e.on_local_response()) out->local_response.push_back(e);
  }
  return out;
}

// By dense index. Where none changed, the snapshot before has the list.
void SnapshotAssembly::take_upstreams(Snapshot& out) const {
  if (last_ != nullptr && before_.upstreams.shares(next_.upstreams)) {
    out.upstreams_ = last_->upstreams_;
    return;
  }
  auto list = std::make_shared<std::vector<std::shared_ptr<const UpstreamConfig>>>();
  next_.upstream_bytes = 0;
  for (const auto& [uid, upstream] : *next_.upstreams) {
    if (upstream->index >= list->size()) list->resize(upstream->index + 1);
    (*list)[upstream->index] = upstream;
    next_.upstream_bytes += sizeof(UpstreamConfig) + upstream->targets.capacity() * (sizeof(UpstreamTarget) + 64);
  }
  out.upstreams_ = std::move(list);
}

size_t SnapshotAssembly::memory() const {
  size_t bytes = sizeof(Snapshot) + next_.upstream_bytes;
  for (const auto& [api, group] : *next_.groups) bytes += group->bytes + group->routes.capacity() * 16;
  for (const auto& [uid, router] : *next_.routers) bytes += router->memory_bytes();
  for (const auto& [key, s] : *next_.served) bytes += s.bytes;
  return bytes + next_.policies->size() * 1024 + next_.plans->size() * 512 + next_.apis->size() * 1024 + next_.gateways->size() * 2048;
}

std::shared_ptr<const Snapshot> SnapshotAssembly::assemble(const StreamState& state, uint64_t needs_directory) {
  change_routes();
  if (!check_references()) return nullptr;
  make_plans();
  make_routers();
  auto out = std::make_shared<Snapshot>();
  out->state_ = state;
  out->needs_directory_ = needs_directory;
  for (const auto& [uid, gateway] : *next_.gateways) out->gateways_.push_back(make_gateway(*gateway));
  next_.served.set(std::move(made_));
  take_upstreams(*out);
  for (const auto& [uid, plan] : *next_.plan_configs) out->plans_.push_back(plan);
  for (const auto& [uid, policy] : *next_.policies) out->policies_.push_back(policy);
  out->memory_bytes_ = memory();
  return out;
}

}  // namespace gw
