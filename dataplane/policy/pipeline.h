// Runs the policies of one exchange in their order: connection, cors, waf, then the authentication list, authorization, the
// subscription check, the Plan's rate and quota and policies, then rate, validation, transform, cache. It pauses and goes on,
// remembers which policies ran, and counts what they said.
//
// Owner: the exchange, of which it is a part. Worker's thread. A route without policies costs a few branches. Nothing is
// allocated but in the exchange's arena.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "dataplane/policy/policy.h"
#include "dataplane/snapshot/snapshot.h"
#include "dataplane/snapshot/tables.h"

namespace gw {

enum class PolicyCount : uint8_t { kNext, kRespond, kObserved, kFailOpen };

// Implemented over the worker's stats.
class PolicyCounters {
 public:
  virtual ~PolicyCounters() = default;
  virtual void count(const Policy& policy, PolicyCount what) = 0;
  // A Plan's rate or quota refused, or passed because it could not be checked (kFailOpen).
  virtual void count_plan(const PlanConfig& plan, PolicyCount what) = 0;
};

class Pipeline {
 public:
  // Makes ready for a new exchange. `counters` may be null.
  void reset(PolicyCounters* counters = nullptr);

  // From the request's head on. ctx.route, tables and gateway are set. kNext: go on to the upstream (or to the route's own
  // answer); kRespond: answer so; kPause: resume() will be called.
  Decision run(PolicyContext& ctx);
  // What the paused policy was waiting for has come: `d` is kNext or kRespond. REQUIRES: paused().
  Decision resume(PolicyContext& ctx, Decision d);
  bool paused() const { return paused_; }

  // Upstream's answer (and the route's own: respond, redirect): policies that ran, in reverse.
  bool wants_response(const PolicyContext& ctx) const {
    return plan_ran_ > 0 || (ran_ > 0 && ctx.route->has_response);
  }
  void on_response(PolicyContext& ctx, ResponseHead& response);
  // An answer that the gateway makes by itself (refusals, errors), also without a route: the Gateway's `headers` policies
  // and the cors policy in force.
  void on_local_response(PolicyContext& ctx, ResponseHead& response);

  // The exchange is over: on_done of what ran, once. Also when the client hung up in a pause. Further calls do nothing.
  void done(PolicyContext& ctx);

  // After kRespond: who refused, as owner/name: a policy, a plan or a subscription; empty: none of them (no subscription, no
  // credential, a preflight's answer).
  std::string_view refused_by() const { return refused_by_; }
  // The first policy that would have refused but only observes; null: none. For the log.
  const Policy* observed() const { return observed_; }
  Reason observed_reason() const { return observed_reason_; }

  // For body_pipe.h: calls fn(policy, observe, slot) for each policy that ran, in the order of the request.
  template <class Fn>
  void for_each_ran(PolicyContext& ctx, Fn&& fn) {
    auto some = [&](uint32_t from, uint32_t to) {
      for (uint32_t i = from; i < to; ++i) fn(*ctx.route->chain[i].policy, ctx.route->chain[i].observe, slots_ + i);
    };
    uint32_t before_plan = ran_ < ctx.route->rate_at ? ran_ : ctx.route->rate_at;
    some(0, before_plan);
    for (uint32_t i = 0; i < plan_ran_; ++i) {
      const ChainEntry& e = ctx.identity.plan->policies[i];
      if (!runs_already(ctx, e)) fn(*e.policy, e.observe, plan_slots_ + i);
    }
    some(before_plan, ran_);
  }

 private:
  enum class Stage : uint8_t { kBeforeAuth, kAuth, kAdmit, kAfterAuth, kPlan, kPlanPolicies, kRest, kEnd };

  Decision go_on(PolicyContext& ctx);
  // One chain from `ran` up to `end`; kNext when through.
  Decision run_chain(PolicyContext& ctx, const ChainEntry* chain, uint32_t end, uint32_t& ran, void** slots);
  Decision run_plan_policies(PolicyContext& ctx);
  // What a policy's decision means for the request: counts, notes, observe mode.
  Decision settle(PolicyContext& ctx, const ChainEntry& entry, Decision d);
  Decision authenticate(PolicyContext& ctx);
  Decision not_authenticated(PolicyContext& ctx);
  Decision admit(PolicyContext& ctx);
  Decision check_plan(PolicyContext& ctx);
  Decision check_rate(PolicyContext& ctx, const PlanConfig& plan);
  Decision check_quota(PolicyContext& ctx, const PlanConfig& plan);
  // A refusal by what is no policy. `by`: plan or subscription, or empty.
  Decision refuse(PolicyContext& ctx, Reason reason, std::string_view phase, std::string_view by, std::string_view detail);
  // The same policy object twice runs once: a Plan's that stands in the route's chain runs there.
  bool runs_already(const PolicyContext& ctx, const ChainEntry& plan_entry) const;
  void count(const Policy& policy, PolicyCount what) {
    if (counters_) counters_->count(policy, what);
  }
  void count_plan(const PlanConfig& plan, PolicyCount what) {
    if (counters_) counters_->count_plan(plan, what);
  }

  PolicyCounters* counters_ = nullptr;
  void** slots_ = nullptr;       // chain, then auth
  void** plan_slots_ = nullptr;
  uint32_t ran_ = 0;             // of chain: on_request was called
  uint32_t auth_ran_ = 0;        // of auth
  uint32_t plan_ran_ = 0;        // of the plan's policies
  Stage stage_ = Stage::kBeforeAuth;
  bool paused_ = false;
  bool done_ = false;
  const ChainEntry* passed_by_ = nullptr;  // the authenticator that admitted the caller
  const ChainEntry* failed_by_ = nullptr;  // the first that found a wrong credential
  std::string_view auth_detail_;
  LocalResponse* auth_response_ = nullptr;
  std::string_view refused_by_;
  const Policy* observed_ = nullptr;
  Reason observed_reason_ = Reason::kNone;
};

// `Gateway/edge, required`, `Api/attendee-api`, `Plan/pro`, with `; observe`: the place of a policy in force for this exchange.
std::string place_text(const PolicyContext& ctx, const ChainEntry& entry);

}  // namespace gw
