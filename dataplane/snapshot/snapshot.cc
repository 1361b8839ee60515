#include "dataplane/snapshot/snapshot.h"

#include <algorithm>

#include "common/http/uri.h"

namespace gw {
namespace {

template <class List>
auto find_uid(const List& list, uint64_t uid) -> decltype(list.front().get()) {
  auto at = std::lower_bound(list.begin(), list.end(), uid, [](const auto& item, uint64_t u) { return item->uid < u; });
  return at != list.end() && (*at)->uid == uid ? at->get() : nullptr;
}

}  // namespace

RouteResult GatewayConfig::match(const RequestHead& request, Arena& arena) const {
  RouteResult out;
  MatchMethod method = match_method(request);
  out.preflight = method.preflight;
  if (request.path.empty() || request.path[0] != '/') return out;
  std::string_view path = matched_path(request, arena);
  ClaimTable::Hit hit;
  if (!claims->find(request.host, path, hit)) return out;
  const ApiOnGateway& api = *apis[hit.api];
  out.api = api.api.get();
  ApiRouter::Result found = api.router->match(request, method, path, arena);
  if (found.route != ApiRouter::Result::kNone) {
    out.kind = RouteResult::Kind::kFound;
    out.route = api.routes[found.route].get();
  } else if (found.method_missed) {
    out.allow = api.router->allow_text(request, path, arena);
    if (!out.allow.empty()) out.kind = RouteResult::Kind::kMethodNotAllowed;
  }
  return out;
}

const ListenerConfig* GatewayConfig::find_listener(std::string_view name) const {
  for (const ListenerConfig& l : listeners) {
    if (l.name == name) return &l;
  }
  return listeners.empty() ? nullptr : &listeners.front();
}

const GatewayConfig* Snapshot::find_gateway(std::string_view name) const {
  for (const auto& g : gateways_) {
    if (g->name == name) return g.get();
  }
  return nullptr;
}

const PlanConfig* Snapshot::plan(uint64_t uid) const { return find_uid(plans_, uid); }

const Policy* Snapshot::policy(uint64_t uid) const {
  auto at = std::lower_bound(policies_.begin(), policies_.end(), uid,
                             [](const auto& p, uint64_t u) { return p->info().uid < u; });
  return at != policies_.end() && (*at)->info().uid == uid ? at->get() : nullptr;
}

}  // namespace gw
