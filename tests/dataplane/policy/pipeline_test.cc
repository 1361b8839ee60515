#include "dataplane/policy/pipeline.h"

#include "tests/dataplane/policy/scripted.h"

using namespace gw;
using namespace gw::testing;

namespace {
struct Counts final : PolicyCounters {
  void count(const Policy& policy, PolicyCount what) override {
    static const char* kWhat[] = {"next", "respond", "observed", "failopen"};
    said.push_back(policy.info().name + " " + kWhat[static_cast<int>(what)]);
  }
  void count_plan(const PlanConfig&, PolicyCount) override {}
  std::vector<std::string> said;
};
}  // namespace

TEST_CASE("policies run by phase, answer in reverse, and are done once in reverse") {
  ScriptedWorld w({{"a", {.phase = Phase::kTransform}}, {"b", {.phase = Phase::kConnection}}, {"c", {.phase = Phase::kRate}}});
  Exchange x(w, "GET", "/");
  REQUIRE(x.run() == "ok");
  ResponseHead head;
  REQUIRE(x.pipeline.wants_response(x.ctx));
  x.pipeline.on_response(x.ctx, head);
  x.pipeline.done(x.ctx);
  x.pipeline.done(x.ctx);
  CHECK(w.journal == Journal{"request b", "request c", "request a", "response a", "response c", "response b", "done a", "done c", "done b"});
}

TEST_CASE("after a refusal only what ran hears of the end") {
  ScriptedWorld w({{"a", {.phase = Phase::kConnection}},
                   {"b", {.phase = Phase::kWaf, .on_request = [](PolicyContext& c) { return refuse_with(c, Reason::kWaf); }}},
                   {"c", {.phase = Phase::kRate}}});
  Exchange x(w, "GET", "/");
  Counts counts;
  CHECK(x.run(&counts) == "WAF");
  CHECK(x.pipeline.refused_by() == "p/b");
  x.pipeline.done(x.ctx);
  CHECK(w.journal == Journal{"request a", "request b", "done b", "done a"});
  CHECK(counts.said == std::vector<std::string>{"a next", "b respond"});
}

TEST_CASE("an observed refusal is counted, remembered, and the request goes on") {
  ScriptedWorld w({{"a", {.phase = Phase::kConnection, .on_request = [](PolicyContext& c) { return refuse_with(c, Reason::kIpDenied); }}},
                   {"b", {.phase = Phase::kWaf, .on_request = [](PolicyContext& c) { return refuse_with(c, Reason::kWaf); }}}},
                  "mode: POLICY_MODE_OBSERVE");
  Exchange x(w, "GET", "/");
  Counts counts;
  CHECK(x.run(&counts) == "ok");
  CHECK(counts.said == std::vector<std::string>{"a observed", "b observed"});
  CHECK(x.pipeline.observed()->info().name == "a");
  CHECK(x.pipeline.observed_reason() == Reason::kIpDenied);
  CHECK_FALSE(x.ctx.route->has_response);
}

TEST_CASE("an open route without policies asks nothing of anybody") {
  World w;
  w.basics();
  w.build();
  Exchange x(w, "GET", "/");
  CHECK(x.run() == "ok");
  CHECK_FALSE(x.pipeline.wants_response(x.ctx));
  x.pipeline.done(x.ctx);
  CHECK(x.arena.extra_bytes() == 0);
}

TEST_CASE("answers that the gateway makes pass the Gateway's headers policies, and no others") {
  World w;
  w.policy(20, "p/gw", "config { headers { response { set { name: 'x-gateway' value: '1' } } } }");
  w.policy(21, "p/route", "config { headers { response { set { name: 'x-route' value: '1' } } } }");
  w.policy(22, "p/seen", "mode: POLICY_MODE_OBSERVE config { headers { response { set { name: 'x-seen' value: '1' } } } }");
  w.policy(23, "p/deny", "config { ip_list { deny: '10.0.0.0/8' } }");
  w.basics("policies: 20 policies: 22 policies: 23", "", "policies: 21");
  w.build();
  auto fields = [](const HeaderList& h) {
    std::string out;
    for (const auto& f : h.fields()) out += std::string(f.name) + " ";
    return out;
  };
  Exchange refused(w, "GET", "/", {}, "a.test", "10.0.0.1");
  REQUIRE(refused.run() == "IP_DENIED");
  ResponseHead head;
  refused.pipeline.on_local_response(refused.ctx, head);
  CHECK(fields(head.headers) == "x-gateway ");
  Exchange lost(w, "GET", "/");
  lost.ctx.route = nullptr;
  lost.pipeline.reset();
  ResponseHead none;
  lost.pipeline.on_local_response(lost.ctx, none);
  CHECK(fields(none.headers) == "x-gateway ");
  lost.pipeline.done(lost.ctx);
}

TEST_CASE("authentication stands between connection and rate") {
  World w;
  w.policy(20, "p/deny", "config { ip_list { deny: '10.0.0.0/8' } }");
  w.policy(21, "p/key", "config { api_key { in: IN_HEADER name: 'k' } }");
  w.policy(22, "p/rate", "config { rate_limit { by { word: WORD_ADDRESS } requests: 1 per_ms: 1000 } }");
  w.gateway(1, "platform/edge", "policies: 20 policies: 22");
  w.upstream(10, "platform/up");
  w.api(2, "platform/all", "gateways: 1 hosts: '*' base_path: '/' auth: 21");
  w.route(3, "platform/all", "api: 2 match { path { prefix: '/' } } upstream: 10");
  w.build();
  Exchange denied(w, "GET", "/", {}, "a.test", "10.0.0.1");
  CHECK(denied.run() == "IP_DENIED");
  for (int i = 0; i < 3; ++i) {  // never reaches the rate
    Exchange x(w, "GET", "/");
    CHECK(x.run() == "AUTH_MISSING");
  }
}
