// A policy that pauses: resumed late, with an answer, asked again, or never because the client left.
#include "tests/dataplane/policy/scripted.h"

using namespace gw;
using namespace gw::testing;

namespace {
Script pausing(Phase phase) {
  return {.phase = phase, .on_request = [](PolicyContext&) { return Decision::pause(); }};
}
}  // namespace

TEST_CASE("after a resume with next the rest runs") {
  ScriptedWorld w({{"a", pausing(Phase::kConnection)}, {"b", {.phase = Phase::kRate}}, {"c", pausing(Phase::kValidation)}});
  Exchange x(w, "GET", "/");
  REQUIRE(x.run() == "pause");
  CHECK(x.pipeline.paused());
  CHECK(w.journal == Journal{"request a"});
  REQUIRE(x.resume(Decision::next()) == "pause");
  CHECK(x.resume(Decision::next()) == "ok");
  CHECK_FALSE(x.pipeline.paused());
  x.pipeline.done(x.ctx);
  CHECK(w.journal == Journal{"request a", "request b", "request c", "done c", "done b", "done a"});
}

TEST_CASE("a resume with an answer refuses, under the name of the policy that paused") {
  ScriptedWorld w({{"a", pausing(Phase::kConnection)}, {"b", {.phase = Phase::kRate}}});
  Exchange x(w, "GET", "/");
  REQUIRE(x.run() == "pause");
  CHECK(x.resume(refuse_with(x.ctx, Reason::kPolicyUnavailable)) == "POLICY_UNAVAILABLE");
  CHECK(x.pipeline.refused_by() == "p/a");
  x.pipeline.done(x.ctx);
  CHECK(w.journal == Journal{"request a", "done a"});
}

TEST_CASE("an observed policy may pause and answer, and the request goes on") {
  ScriptedWorld w({{"a", pausing(Phase::kConnection)}}, "mode: POLICY_MODE_OBSERVE");
  Exchange x(w, "GET", "/");
  REQUIRE(x.run() == "pause");
  CHECK(x.resume(refuse_with(x.ctx, Reason::kWaf)) == "ok");
  CHECK(x.pipeline.observed_reason() == Reason::kWaf);
}

TEST_CASE("when the client leaves in a pause, what ran is done once") {
  ScriptedWorld w({{"a", {.phase = Phase::kConnection}}, {"b", pausing(Phase::kWaf)}, {"c", {.phase = Phase::kRate}}});
  Exchange x(w, "GET", "/");
  REQUIRE(x.run() == "pause");
  x.pipeline.done(x.ctx);
  x.pipeline.done(x.ctx);
  CHECK_FALSE(x.pipeline.paused());
  CHECK(w.journal == Journal{"request a", "request b", "done b", "done a"});
}

namespace {
// Pauses at first, then answers from what its slot says.
class Slow final : public Authenticator {
 public:
  using Authenticator::Authenticator;
  Outcome authenticate(PolicyContext& ctx, std::string_view& detail) const override {
    if (*ctx.slot == nullptr) {
      *ctx.slot = ctx.arena->make<int>(0);
      return Outcome::kPaused;
    }
    if (*static_cast<int*>(*ctx.slot) == 0) {
      detail = "not known there";
      return Outcome::kFailed;
    }
    ctx.identity.app = ctx.tables->directory->app(51);
    return Outcome::kPassed;
  }
  bool has_done() const override { return true; }
  void on_done(PolicyContext& ctx) const override { ctx.identity.key_id = "done"; }
};

struct SlowWorld : World {
  SlowWorld()
      : World(BuilderOptions{.make_policy = [](const Policy::Info& info, const v1::PolicyEntry&) -> std::unique_ptr<Policy> {
          if (info.name != "slow") return nullptr;
          return std::make_unique<Slow>(info);
        }}) {
    policy(20, "p/slow", "config { api_key { in: IN_HEADER name: 'x' } }");
    gateway(1, "platform/edge");
    upstream(10, "platform/up");
    api(2, "platform/all", "gateways: 1 hosts: '*' base_path: '/' auth: 20");
    route(3, "platform/all", "api: 2 match { path { prefix: '/' } } upstream: 10");
    consumer(50, "p/c");
    app(51, "p/a", 50);
    build();
  }
};
int& answer_of(Exchange& x) { return *static_cast<int*>(*x.ctx.slot); }
}  // namespace

TEST_CASE("an authenticator that paused is asked again and finds its answer in its slot") {
  SlowWorld w;
  Exchange good(w, "GET", "/");
  REQUIRE(good.run() == "pause");
  answer_of(good) = 1;
  CHECK(good.resume(Decision::next()) == "ok");
  CHECK(good.ctx.identity.app->name == "p/a");
  good.pipeline.done(good.ctx);
  CHECK(good.ctx.identity.key_id == "done");
  Exchange bad(w, "GET", "/");
  REQUIRE(bad.run() == "pause");
  CHECK(bad.resume(Decision::next()) == "AUTH_INVALID");
  CHECK(bad.response->detail == "not known there");
  CHECK(bad.pipeline.refused_by() == "p/slow");
}

TEST_CASE("an authenticator that timed out refuses with the answer that it was resumed with") {
  SlowWorld w;
  Exchange x(w, "GET", "/");
  REQUIRE(x.run() == "pause");
  CHECK(x.resume(refuse_with(x.ctx, Reason::kPolicyUnavailable)) == "POLICY_UNAVAILABLE");
  CHECK(x.pipeline.refused_by() == "p/slow");
}
