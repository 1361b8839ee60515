// Subscriptions, plans' rates and quotas.
#include "tests/dataplane/snapshot/world.h"

using namespace gw;
using namespace gw::testing;

namespace {
struct Plans : World {
  explicit Plans(const std::string& plan_rest = "rate { requests: 2 per_ms: 1000 }", const std::string& route_rest = {}) {
    policy(20, "p/key", "config { api_key { in: IN_HEADER name: 'k' accept_imported: true } }");
    policy(21, "p/planned", "config { headers { request { set { name: 'x-plan' value: 'yes' } } response { set { name: 'x-p' value: 'y' } } } }");
    gateway(1, "platform/edge");
    upstream(10, "platform/up");
    api(2, "platform/all", "gateways: 1 hosts: '*' base_path: '/' auth: 20 allow_anonymous: true products: 41 products: 40");
    route(3, "platform/all", "api: 2 match { path { prefix: '/' } } upstream: 10 " + route_rest);
    plan(30, "platform/pro", plan_rest);
    consumer(50, "p/acme");
    app(51, "p/a", 50);
    app(52, "p/b", 50);
    subscription(53, "p/sub", 51, 40, 30);
    imported_key(61, 51, "a");
    imported_key(62, 52, "b");
    build();
  }
  std::string ask(const std::string& key) {
    Exchange x(*this, "GET", "/", {{"k", key}});
    std::string out = x.run();
    refused_by = std::string(x.pipeline.refused_by());
    retry_after = x.response ? x.field("retry-after") : "-";
    return out;
  }
  std::string refused_by, retry_after;
};
}  // namespace

TEST_CASE("an Api in a Product needs a subscription of whoever is identified, and none of the anonymous") {
  Plans w;
  CHECK(w.ask("a") == "ok");
  CHECK(w.ask("b") == "SUBSCRIPTION_MISSING");
  Exchange x(w, "GET", "/");
  CHECK(x.run() == "ok");
  CHECK(x.ctx.identity.plan == nullptr);
  Exchange y(w, "GET", "/", {{"k", "a"}});
  w.clock.advance_ms(5000);
  Exchange z(w, "GET", "/", {{"k", "a"}});
  REQUIRE(z.run() == "ok");
  CHECK(z.ctx.identity.subscription->name == "p/sub");
  CHECK(z.ctx.identity.plan->name == "platform/pro");
}

TEST_CASE("a suspended app or consumer is refused") {
  Plans w;
  w.app(51, "p/a", 50, true);
  w.build();
  CHECK(w.ask("a") == "SUSPENDED");
  w.app(51, "p/a", 50);
  w.consumer(50, "p/acme", true);
  w.build();
  CHECK(w.ask("a") == "SUSPENDED");
  CHECK(w.ask("b") == "SUSPENDED");
  w.consumer(50, "p/acme");
  w.build();
  CHECK(w.ask("a") == "ok");
}

TEST_CASE("a plan that has not reached the node refuses rather than serves without one") {
  Plans w;
  w.subscription(53, "p/sub", 51, 40, 99);
  w.build();
  CHECK(w.ask("a") == "POLICY_UNAVAILABLE");
}

TEST_CASE("the plan's rate counts per subscription, shared by the active nodes") {
  Plans w("rate { requests: 4 per_ms: 1000 }");
  w.quotas.put(v1::ENTRY_SHARE, 1, text<v1::ShareEntry>("active_nodes: 2"));
  w.build();
  CHECK(w.ask("a") == "ok");
  CHECK(w.ask("a") == "ok");
  CHECK(w.ask("a") == "RATE_LIMITED");
  CHECK(w.refused_by == "platform/pro");
  CHECK(w.retry_after == "1");
  w.clock.advance_ms(500);
  CHECK(w.ask("a") == "ok");
  CHECK(w.ask("a") == "RATE_LIMITED");
  w.subscription(54, "p/sub2", 52, 41, 30);
  w.build();
  CHECK(w.ask("b") == "ok");
}

TEST_CASE("a used-up quota refuses until its period ends, and only what is metered") {
  Plans w("quota { requests: 10 per: PER_DAY }");
  int64_t now = w.clock.wall_ns() / 1'000'000'000;
  v1::QuotaStateEntry e;
  e.set_exhausted(true);
  e.set_resets_at(now + 60);
  e.set_limit(10);
  w.quotas.put(v1::ENTRY_QUOTA_STATE, 53, e);
  w.build();
  CHECK(w.ask("a") == "QUOTA_EXHAUSTED");
  CHECK(w.retry_after == "60");
  CHECK(w.refused_by == "platform/pro");
  w.route(4, "platform/free", "api: 2 match { path { exact: '/free' } } upstream: 10 unmetered: true");
  w.build();
  Exchange free(w, "GET", "/free", {{"k", "a"}});
  CHECK(free.run() == "ok");
  w.clock.advance_ms(60000);
  CHECK(w.ask("a") == "ok");
}

TEST_CASE("without the control plane a plan serves on or refuses, as its onFailure says") {
  Plans w;
  w.tables.quota = w.quota.with_stale(true);
  CHECK(w.ask("a") == "ok");
  w.config.put(v1::ENTRY_PLAN, 30, text<v1::PlanEntry>(named("platform/pro") + "on_failure: ON_FAILURE_CLOSED rate { requests: 100 per_ms: 1000 }"));
  w.build();
  CHECK(w.ask("a") == "POLICY_UNAVAILABLE");
  w.tables.quota = w.quota.with_stale(false);
  CHECK(w.ask("a") == "ok");
}

TEST_CASE("the plan's policies run for its subscribers alone, and a policy named twice runs once") {
  Plans w("policies: 21");
  Exchange a(w, "GET", "/", {{"k", "a"}});
  REQUIRE(a.run() == "ok");
  CHECK(a.head.headers.count("x-plan") == 1);
  REQUIRE(a.pipeline.wants_response(a.ctx));
  ResponseHead head;
  a.pipeline.on_response(a.ctx, head);
  CHECK(head.headers.count("x-p") == 1);
  Exchange anonymous(w, "GET", "/");
  REQUIRE(anonymous.run() == "ok");
  CHECK(anonymous.head.headers.count("x-plan") == 0);
  w.route(3, "platform/all", "api: 2 match { path { prefix: '/' } } upstream: 10 policies: 21");
  w.build();
  Exchange both(w, "GET", "/", {{"k", "a"}});
  REQUIRE(both.run() == "ok");
  ResponseHead second;
  both.pipeline.on_response(both.ctx, second);
  CHECK(second.headers.count("x-p") == 1);
}

TEST_CASE("who is authenticated by an observed policy is not refused for the subscription either") {
  Plans w;
  w.policy(20, "p/key", "mode: POLICY_MODE_OBSERVE config { api_key { in: IN_HEADER name: 'k' accept_imported: true } }");
  w.build();
  Exchange x(w, "GET", "/", {{"k", "b"}});
  CHECK(x.run() == "ok");
  CHECK(x.pipeline.observed_reason() == Reason::kSubscriptionMissing);
}
