// Changes of a small configuration, valid and not: after each the snapshot that was built from the delta must be the one that is
// built from the whole, or both are refused with the same words.
#pragma once

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "dataplane/snapshot/snapshot_builder.h"
#include "tests/dataplane/snapshot/stream_maker.h"

namespace gw::fuzz {

template <class Choose>
class SnapshotChanges {
 public:
  explicit SnapshotChanges(Choose& choose) : choose_(choose) {
    change_gateway(1);
    for (uint64_t uid = kUpstream; uid < kUpstream + 3; ++uid) change_upstream(uid);
    for (uint64_t uid = kApi; uid < kApi + 3; ++uid) change_api(uid);
  }

  // A few changes at once. Empty, or what is wrong.
  std::string step() {
    testing::StreamMaker before = maker_;
    for (uint64_t n = 1 + choose_.below(4); n > 0; --n) change();
    testing::StreamMaker again = maker_;
    v1::Offer whole = again.whole();
    v1::Offer offer = builder_.state().version == 0 ? whole : maker_.delta();
    if (builder_.state().version == 0) maker_ = again;
    SnapshotBuilder fresh;
    auto anew = fresh.prepare(whole);
    auto made = builder_.prepare(offer);
    std::string a = told(made), b = told(anew);
    if (a != b) return "from the delta:\n" + a + "from the whole:\n" + b;
    if (made.outcome == PrepareOutcome::kReady) {
      ++built_;
      builder_.commit(std::move(made));
    } else {
      ++refused_;
      maker_ = std::move(before);
    }
    return {};
  }

  int built() const { return built_; }
  int refused() const { return refused_; }

 private:
  static constexpr uint64_t kApi = 10, kUpstream = 20, kPolicy = 30, kRoute = 100;

  static void name(v1::ObjectName& out, const char* kind, uint64_t uid) {
    out.set_owner("team");
    out.set_name(kind + std::to_string(uid));
  }

  void change() {
    switch (choose_.below(16)) {
      case 0: return change_gateway(1 + choose_.below(2));
      case 1:
      case 2: return change_api(kApi + choose_.below(4));
      case 3:
      case 4: return change_upstream(kUpstream + choose_.below(4));
      case 5:
      case 6: return change_policy(kPolicy + choose_.below(4));
      case 7: return maker_.remove(v1::ENTRY_API, kApi + choose_.below(4));
      case 8: return maker_.remove(v1::ENTRY_UPSTREAM, kUpstream + choose_.below(4));
      case 9: return maker_.remove(v1::ENTRY_POLICY, kPolicy + choose_.below(4));
      case 10:
      case 11: return maker_.remove(v1::ENTRY_ROUTE, kRoute + choose_.below(24));
      default: return change_route(kRoute + choose_.below(24));
    }
  }

  void change_gateway(uint64_t uid) {
    v1::GatewayEntry g;
    name(*g.mutable_name(), "gateway-", uid);
    auto* l = g.add_listeners();
    l->set_name("http");
    l->set_address("127.0.0.1");
    l->set_port(static_cast<int32_t>(8080 + uid));
    l->set_protocol(v1::Listener::PROTOCOL_HTTP);
    if (choose_.below(3) == 0) g.add_policies(kPolicy + choose_.below(4));
    maker_.put(v1::ENTRY_GATEWAY, uid, g);
  }
  void change_api(uint64_t uid) {
    v1::ApiEntry a;
    name(*a.mutable_name(), "api-", uid);
    a.add_gateways(1 + choose_.below(2));
    a.add_hosts(choose_.below(2) != 0 ? "a.test" : "*.test");
    a.set_base_path("/" + std::to_string(uid) + (choose_.below(4) == 0 ? "/deeper" : ""));
    a.set_allow_anonymous(choose_.below(8) != 0);
    if (choose_.below(3) == 0) a.add_policies(kPolicy + choose_.below(4));
    maker_.put(v1::ENTRY_API, uid, a);
  }
  void change_upstream(uint64_t uid) {
    v1::UpstreamEntry u;
    name(*u.mutable_name(), "upstream-", uid);
    u.add_targets()->set_url("http://127.0.0.1:" + std::to_string(9000 + choose_.below(100)));
    maker_.put(v1::ENTRY_UPSTREAM, uid, u);
  }
  void change_policy(uint64_t uid) {
    v1::PolicyEntry p;
    name(*p.mutable_name(), "policy-", uid);
    if (choose_.below(6) == 0) {
      p.mutable_config()->mutable_api_key()->set_name("x-api-key");
    } else {
      p.mutable_config()->mutable_ip_list()->add_deny("10.0.0." + std::to_string(choose_.below(200)));
    }
    maker_.put(v1::ENTRY_POLICY, uid, p);
  }
  void change_route(uint64_t uid) {
    v1::RouteEntry r;
    name(*r.mutable_name(), "route-", uid);
    uint64_t api = kApi + choose_.below(4);
    r.set_api(api);
    r.mutable_match()->mutable_path()->set_prefix("/" + std::to_string(api) + "/r" + std::to_string(choose_.below(50)));
    r.set_upstream(kUpstream + choose_.below(4));
    if (choose_.below(4) == 0) r.add_policies(kPolicy + choose_.below(4));
    maker_.put(v1::ENTRY_ROUTE, uid, r);
  }

  // All of a result that can be compared between builders.
  static std::string told(const SnapshotBuilder::Result& made) {
    std::string out = "outcome " + std::to_string(static_cast<int>(made.outcome)) + "\n";
    std::vector<std::string> sorted;  // the order of findings, and indexes, are each builder's own
    for (const Diagnostic& d : made.diagnostics.items()) sorted.push_back(to_text(d));
    add_sorted(sorted, out);
    if (made.snapshot == nullptr) return out;
    const Snapshot& s = *made.snapshot;
    out += std::to_string(s.policies().size()) + " policies, " + std::to_string(s.memory_bytes()) + " bytes\n";
    for (const auto& gateway : s.gateways()) {
      out += gateway->name + "\n";
      for (const auto& api : gateway->apis) {
        out += "  " + api->api->name + " " + api->api->base_path + "\n";
        for (size_t i = 0; i < api->routes.size(); ++i) out += told(s, *api, i);
      }
    }
    for (const auto& upstream : s.upstreams()) {
      if (upstream != nullptr) sorted.push_back(upstream->name + " " + upstream->targets[0].authority);
    }
    add_sorted(sorted, out);
    return out;
  }
  static void add_sorted(std::vector<std::string>& lines, std::string& out) {
    std::sort(lines.begin(), lines.end());
    for (const std::string& line : lines) out += line + "\n";
    lines.clear();
  }
  static std::string told(const Snapshot& s, const ApiOnGateway& api, size_t i) {
    const Route& route = *api.routes[i];
    std::string out = "    " + route.config->name + (api.router->routes()[i] == route.config->match ? "" : " MATCHED BY ANOTHER'S RULE");
    if (route.api != api.api) out += " OF ANOTHER API";
    const auto* to = std::get_if<UpstreamRef>(&route.to());
    if (to != nullptr && s.upstream(to->upstream) != nullptr) out += " to " + s.upstream(to->upstream)->name;
    for (const ChainEntry& e : route.chain) out += " " + e.policy->full_name() + (s.policy(e.policy->info().uid) == e.policy ? "" : " (OLD)");
    return out + "\n";
  }

  Choose& choose_;
  testing::StreamMaker maker_{v1::STREAM_CONFIG};
  SnapshotBuilder builder_;
  int built_ = 0, refused_ = 0;
};

}  // namespace gw::fuzz
