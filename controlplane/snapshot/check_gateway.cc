#include <algorithm>
#include <map>

#include "controlplane/snapshot/check.h"

namespace gw {
namespace {

using v1::Listener;

bool any_address(const std::string& address) { return address == "::" || address == "0.0.0.0"; }

bool collide(const Listener& a, const Listener& b) {
  return a.port() != 0 && a.port() == b.port() &&
         (a.address() == b.address() || any_address(a.address()) || any_address(b.address()));
}

// Some node can have the labels of both.
bool selectors_meet(const v1::NodeSelector& a, const v1::NodeSelector& b) {
  for (const v1::Pair& x : a.labels()) {
    for (const v1::Pair& y : b.labels()) {
      if (x.name() == y.name() && x.value() != y.value()) return false;
    }
  }
  return true;
}

std::string place_of(const Listener& l) { return l.address() + " port " + std::to_string(l.port()); }

void check_own_listeners(const CheckContext& c, const v1::Object& gateway) {
  const auto& listeners = gateway.gateway().listeners();
  ObjectLabel label = key_of(gateway).label();
  for (int i = 0; i < listeners.size(); ++i) {
    std::string path = "spec.listeners[" + std::to_string(i) + "]";
    for (int j = 0; j < i; ++j) {
      if (listeners[i].name() == listeners[j].name()) {
        c.out.error("GW1409", label, path + ".name", "a listener above has this name already").set_cure("give it another name");
      }
      if (collide(listeners[i], listeners[j])) {
        c.out.error("GW1408", label, path + ".port", place_of(listeners[i]) + " is taken by listener " + listeners[j].name())
            .set_cure("use another port or address");
      }
    }
  }
}

void check_http2(const CheckContext& c, const v1::Object& gateway) {
  ObjectLabel label = key_of(gateway).label();
  const auto& listeners = gateway.gateway().listeners();
  for (int i = 0; i < listeners.size(); ++i) {
    const Listener& l = listeners[i];
    if (!l.has_http2_limits()) continue;
    std::string path = "spec.listeners[" + std::to_string(i) + "].http2Limits";
    bool http2 = l.has_http2() ? l.http2() : l.protocol() == Listener::PROTOCOL_HTTPS;
    if (!http2) {
      c.out.error("GW1439", label, path, "the listener speaks no HTTP/2").set_cure("set `http2: true`, or leave `http2Limits` out");
    }
    constexpr int64_t kStream = 65536, kConnection = 1 << 20;  // defaults
    int64_t stream = l.http2_limits().has_stream_window() ? l.http2_limits().stream_window() : kStream;
    int64_t connection = l.http2_limits().has_connection_window() ? l.http2_limits().connection_window() : kConnection;
    if (stream > connection) {
      c.out.warning("GW2024", label, path + ".streamWindow", "larger than connectionWindow, which is for all requests together")
          .set_cure("raise connectionWindow, or lower streamWindow");
    }
  }
}

// What a listener opens, said once at apply.
void warn_listeners(const CheckContext& c, const v1::Object& gateway) {
  const v1::GatewaySpec& spec = gateway.gateway();
  ObjectLabel label = key_of(gateway).label();
  for (int i = 0; i < spec.listeners_size(); ++i) {
    std::string path = "spec.listeners[" + std::to_string(i) + "]";
    if (spec.listeners(i).proxy_protocol() && spec.client_address().trusted_proxies().empty()) {
      c.out.warning("GW2020", label, path + ".proxyProtocol", "PROXY protocol headers are believed from everybody")
          .set_cure("list the proxies in spec.clientAddress.trustedProxies");
    }
    if (spec.listeners(i).path_rule() == Listener::PATH_RULE_RAW) {
      c.out.warning("GW2021", label, path + ".pathRule", "paths are matched as they are written")
          .set_cure("prefer `normalize`, or be sure that no upstream reads a path in another way");
    }
  }
}

void check_other_listeners(const CheckContext& c, const v1::Object& gateway) {
  ObjectKey key = key_of(gateway);
  const auto& own = gateway.gateway();
  c.catalog.for_each(v1::Object::kGateway, [&](const v1::Object& other) {
    if (&other == &gateway || !selectors_meet(own.nodes(), other.gateway().nodes())) return;
    for (int i = 0; i < own.listeners_size(); ++i) {
      for (const Listener& theirs : other.gateway().listeners()) {
        if (!collide(own.listeners(i), theirs)) continue;
        Diagnostic& d = c.out.error("GW1408", key.label(), "spec.listeners[" + std::to_string(i) + "].port",
                                    place_of(own.listeners(i)) + " is taken by listener " + theirs.name() + " of " +
                                        key_of(other).text() + ", and a node may run both");
        d.set_cure("use another port, or node labels that differ");
        d.add_related(key_of(other).full_name());
      }
    }
  });
}

void check_required(const CheckContext& c, const v1::Object& gateway) {
  const v1::GatewaySpec& spec = gateway.gateway();
  ObjectLabel label = key_of(gateway).label();
  for (int i = 0; i < spec.required_size(); ++i) {
    const v1::Object* required = c.catalog.referenced(gateway, v1::Object::kPolicy, spec.required(i));
    if (!required) continue;
    std::string path = "spec.required[" + std::to_string(i) + "]";
    bool stands = std::any_of(spec.policies().begin(), spec.policies().end(), [&](const std::string& name) {
      return c.catalog.referenced(gateway, v1::Object::kPolicy, name) == required;
    });
    if (!stands) {
      c.out.error("GW1403", label, path, spec.required(i) + " is not in the Gateway's policies")
          .set_cure("add it to spec.policies: what is required is also written where it runs");
    }
    const std::string& owner = required->metadata().owner();
    if (owner != gateway.metadata().owner() && owner != kPlatformTeam) {
      c.out.error("GW1417", label, path, spec.required(i) + " belongs to team " + owner + ", which could relax it")
          .set_cure("require a policy of the Gateway's own team or of the platform's");
    }
  }
}

}  // namespace

void check_gateway(const CheckContext& c, const v1::Object& gateway) {
  check_own_listeners(c, gateway);
  check_other_listeners(c, gateway);
  check_http2(c, gateway);
  warn_listeners(c, gateway);
  check_required(c, gateway);
  check_policy_list(c, gateway, "spec.policies", gateway.gateway().policies(), false);
  if (!gateway.gateway().has_allow_fail_open() || gateway.gateway().allow_fail_open()) return;
  check_fail_open(c, gateway, "spec.policies", gateway.gateway().policies(), gateway);
}

}  // namespace gw
