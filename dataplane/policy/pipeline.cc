#include "dataplane/policy/pipeline.h"

#include <algorithm>
#include <cstring>

#include "dataplane/policy/answers.h"
#include "dataplane/policy/rate_table.h"

namespace gw {
namespace {

void** zeroed_slots(Arena& arena, size_t count) {
  auto** out = reinterpret_cast<void**>(arena.allocate(sizeof(void*) * count));
  std::memset(out, 0, sizeof(void*) * count);
  return out;
}

const Authenticator& authenticator(const ChainEntry& entry) { return static_cast<const Authenticator&>(*entry.policy); }

}  // namespace

void Pipeline::reset(PolicyCounters* counters) {
  *this = Pipeline();
  counters_ = counters;
}

Decision Pipeline::run(PolicyContext& ctx) {
  const Route& route = *ctx.route;
  size_t slots = route.chain.size() + route.auth.size();
  if (slots == 0 && !(ctx.explain && route.allow_anonymous)) {
    stage_ = Stage::kEnd;
    if (route.allow_anonymous) return Decision::next();
  }
  if (slots > 0) slots_ = zeroed_slots(*ctx.arena, slots);
  stage_ = Stage::kBeforeAuth;
  return go_on(ctx);
}

Decision Pipeline::go_on(PolicyContext& ctx) {
  const Route& route = *ctx.route;
  for (;;) {
    Decision d = Decision::next();
    switch (stage_) {
      case Stage::kBeforeAuth: d = run_chain(ctx, route.chain.data(), route.auth_at, ran_, slots_); break;
      case Stage::kAuth: d = authenticate(ctx); break;
      case Stage::kAdmit: d = admit(ctx); break;
      case Stage::kAfterAuth: d = run_chain(ctx, route.chain.data(), route.rate_at, ran_, slots_); break;
      case Stage::kPlan: d = check_plan(ctx); break;
      case Stage::kPlanPolicies: d = run_plan_policies(ctx); break;
      case Stage::kRest:
        d = run_chain(ctx, route.chain.data(), static_cast<uint32_t>(route.chain.size()), ran_, slots_);
        break;
      case Stage::kEnd: return d;
    }
    if (d.kind != Decision::Kind::kNext) {
      paused_ = d.kind == Decision::Kind::kPause;
      return d;
    }
    stage_ = static_cast<Stage>(static_cast<int>(stage_) + 1);
  }
}

Decision Pipeline::run_chain(PolicyContext& ctx, const ChainEntry* chain, uint32_t end, uint32_t& ran, void** slots) {
  while (ran < end) {
    const ChainEntry& entry = chain[ran];
    ctx.slot = slots + ran;
    ++ran;
    if (chain != ctx.route->chain.data() && runs_already(ctx, entry)) continue;
    if (entry.observe && entry.policy->phase() >= Phase::kTransform) {
      // What only changes the request has nothing to refuse: observed, it does nothing.
      if (ctx.explain) ctx.explain->note(*entry.policy, "skipped", "observe: changes nothing", Reason::kNone);
      continue;
    }
    Decision d = entry.policy->on_request(ctx);
    if (d.kind == Decision::Kind::kPause) return d;
    d = settle(ctx, entry, d);
    if (d.kind != Decision::Kind::kNext) return d;
  }
  return Decision::next();
}

Decision Pipeline::settle(PolicyContext& ctx, const ChainEntry& entry, Decision d) {
  const Policy& policy = *entry.policy;
  if (d.kind == Decision::Kind::kNext) {
    count(policy, PolicyCount::kNext);
    if (ctx.explain) ctx.explain->note(policy, "pass", {}, Reason::kNone);
    return d;
  }
  Reason reason = d.response->reason;
  if (entry.observe) {
    count(policy, PolicyCount::kObserved);
    if (ctx.explain) ctx.explain->note(policy, "observe", d.response->detail, reason);
    if (!observed_) {
      observed_ = &policy;
      observed_reason_ = reason;
    }
    return Decision::next();
  }
  count(policy, PolicyCount::kRespond);
  if (reason != Reason::kNone) refused_by_ = policy.full_name();
  if (ctx.explain) ctx.explain->note(policy, reason == Reason::kNone ? "answers" : "refused", d.response->detail, reason);
  return d;
}

Decision Pipeline::run_plan_policies(PolicyContext& ctx) {
  const PlanConfig* plan = ctx.identity.plan;
  if (!plan || plan->policies.empty()) return Decision::next();
  if (!plan_slots_) plan_slots_ = zeroed_slots(*ctx.arena, plan->policies.size());
  return run_chain(ctx, plan->policies.data(), static_cast<uint32_t>(plan->policies.size()), plan_ran_, plan_slots_);
}

bool Pipeline::runs_already(const PolicyContext& ctx, const ChainEntry& plan_entry) const {
  const auto& chain = ctx.route->chain;
  return std::any_of(chain.begin(), chain.end(), [&](const ChainEntry& e) { return e.policy == plan_entry.policy; });
}

Decision Pipeline::resume(PolicyContext& ctx, Decision d) {
  paused_ = false;
  const Route& route = *ctx.route;
  if (stage_ == Stage::kAuth) {
    if (d.kind == Decision::Kind::kRespond) {
      auth_response_ = d.response;
      failed_by_ = failed_by_ ? failed_by_ : &route.auth[auth_ran_ - 1];
    } else {
      --auth_ran_;  // asked again; its answer is in its slot
    }
    return go_on(ctx);
  }
  const ChainEntry& entry = stage_ == Stage::kPlanPolicies ? ctx.identity.plan->policies[plan_ran_ - 1] : route.chain[ran_ - 1];
  d = settle(ctx, entry, d);
  return d.kind == Decision::Kind::kNext ? go_on(ctx) : d;
}

Decision Pipeline::authenticate(PolicyContext& ctx) {
  const auto& auth = ctx.route->auth;
  if (ctx.explain && ctx.explain->as_app()) {
    ctx.identity.app = ctx.explain->as_app();
    if (auth.empty()) return Decision::next();
    passed_by_ = &auth[0];
    ctx.explain->note(*auth[0].policy, "ok", {}, Reason::kNone);
    return Decision::next();
  }
  while (auth_ran_ < auth.size()) {
    const ChainEntry& entry = auth[auth_ran_];
    ctx.slot = slots_ + ctx.route->chain.size() + auth_ran_;
    ++auth_ran_;
    std::string_view detail;
    switch (authenticator(entry).authenticate(ctx, detail)) {
      case Authenticator::Outcome::kAbsent: break;
      case Authenticator::Outcome::kPaused: return Decision::pause();
      case Authenticator::Outcome::kFailed:
        if (!failed_by_) {
          failed_by_ = &entry;
          auth_detail_ = detail;
        }
        break;
      case Authenticator::Outcome::kPassed:
        passed_by_ = &entry;
        authenticator(entry).hide(ctx);
        count(*entry.policy, PolicyCount::kNext);
        if (ctx.explain) ctx.explain->note(*entry.policy, "ok", {}, Reason::kNone);
        return Decision::next();
    }
  }
  return not_authenticated(ctx);
}

Decision Pipeline::not_authenticated(PolicyContext& ctx) {
  const Route& route = *ctx.route;
  if (!failed_by_ && route.allow_anonymous) {
    for (const ChainEntry& e : route.auth) count(*e.policy, PolicyCount::kNext);
    if (ctx.explain) ctx.explain->step("auth", {}, "ok", "anonymous", Reason::kNone);
    return Decision::next();
  }
  LocalResponse* response = auth_response_;
  if (!response) {
    Reason reason = failed_by_ ? Reason::kAuthInvalid : Reason::kAuthMissing;
    response = refusal(*ctx.arena, reason, failed_by_ ? auth_detail_ : "a credential is needed");
    auto* fields = reinterpret_cast<HeaderField*>(ctx.arena->allocate(sizeof(HeaderField) * (route.auth.size() + 1)));
    for (const ChainEntry& e : route.auth) {
      std::string_view challenge = authenticator(e).challenge();
      if (!challenge.empty()) new (fields + response->header_count++) HeaderField{"www-authenticate", challenge, HeaderId::kOther};
    }
    response->headers = fields;
  }
  // A missing credential is refused by the list; it is counted for its first policy, and observed only if all observe.
  const ChainEntry* by = failed_by_;
  if (!by) {
    for (const ChainEntry& e : route.auth) {
      if (!by || !e.observe) by = &e;
      if (!e.observe) break;
    }
  }
  if (!by) return Decision::respond(response);
  Decision d = settle(ctx, *by, Decision::respond(response));
  if (!failed_by_) refused_by_ = {};
  return d;
}

Decision Pipeline::refuse(PolicyContext& ctx, Reason reason, std::string_view phase, std::string_view by,
                          std::string_view detail) {
  bool observe = passed_by_ && passed_by_->observe;  // who is only seen is not refused for what is seen
  if (ctx.explain) ctx.explain->step(phase, by, observe ? "observe" : "refused", detail, reason);
  if (observe) {
    count(*passed_by_->policy, PolicyCount::kObserved);
    if (!observed_) {
      observed_ = passed_by_->policy;
      observed_reason_ = reason;
    }
    return Decision::next();
  }
  refused_by_ = by;
  return Decision::respond(refusal(*ctx.arena, reason, detail));
}

Decision Pipeline::admit(PolicyContext& ctx) {
  const AppRecord* app = ctx.identity.app;
  if (!app) return Decision::next();
  if (app->suspended()) {
    return refuse(ctx, Reason::kSuspended, "subscription", {}, app->app_suspended ? "the app is suspended" : "the consumer is suspended");
  }
  const auto& products = ctx.route->api->products;
  if (products.empty()) return Decision::next();
  const SubscriptionRecord* subscription = app->covering(products);
  if (!subscription) {
    return refuse(ctx, Reason::kSubscriptionMissing, "subscription", {}, "the app has no subscription that covers this API");
  }
  const PlanConfig* plan = ctx.tables->snapshot->plan(subscription->plan);
  if (!plan) {
    return refuse(ctx, Reason::kPolicyUnavailable, "subscription", subscription->name,
                  "the subscription's plan has not reached this node");
  }
  ctx.identity.subscription = subscription;
  ctx.identity.plan = plan;
  if (ctx.explain) ctx.explain->step("subscription", subscription->name, "ok", {}, Reason::kNone);
  return Decision::next();
}

Decision Pipeline::check_plan(PolicyContext& ctx) {
  const PlanConfig* plan = ctx.identity.plan;
  if (!plan || (!plan->has_rate && !plan->has_quota)) return Decision::next();
  if (ctx.tables->quota->stale()) {
    if (!plan->fail_open) {
      count_plan(*plan, PolicyCount::kRespond);
      return refuse(ctx, Reason::kPolicyUnavailable, "plan", plan->name, "the plan's use cannot be checked now");
    }
    count_plan(*plan, PolicyCount::kFailOpen);
  }
  if (plan->has_quota && ctx.route->metered()) {
    Decision d = check_quota(ctx, *plan);
    if (d.kind != Decision::Kind::kNext) return d;
  }
  if (plan->has_rate) return check_rate(ctx, *plan);
  if (ctx.explain) ctx.explain->step("plan", plan->name, "pass", {}, Reason::kNone);
  return Decision::next();
}

Decision Pipeline::check_quota(PolicyContext& ctx, const PlanConfig& plan) {
  const auto* used_up = ctx.tables->quota->exhausted(ctx.identity.subscription->uid, ctx.wall_ns);
  if (!used_up) return Decision::next();
  count_plan(plan, PolicyCount::kRespond);
  Decision d = refuse(ctx, Reason::kQuotaExhausted, "plan", plan.name, "the plan's quota for this period is used up");
  if (d.kind == Decision::Kind::kRespond) {
    int64_t wait = std::max<int64_t>(1, used_up->resets_at - ctx.wall_ns / 1'000'000'000);
    std::string_view seconds = number_text(*ctx.arena, wait);
    set_headers(*ctx.arena, *d.response,
                {{"retry-after", seconds, HeaderId::kRetryAfter},
                 {"ratelimit-limit", number_text(*ctx.arena, used_up->limit), HeaderId::kOther},
                 {"ratelimit-remaining", "0", HeaderId::kOther},
                 {"ratelimit-reset", seconds, HeaderId::kOther}});
  }
  return d;
}

Decision Pipeline::check_rate(PolicyContext& ctx, const PlanConfig& plan) {
  if (ctx.explain && !ctx.rates) {
    ctx.explain->step("plan", plan.name, "unknown", "the state of rates is a node's: ask --live NODE", Reason::kNone);
    return Decision::next();
  }
  auto limit = GcraLimit::share(plan.rate_requests, plan.rate_per_ns, plan.rate_burst, ctx.tables->quota->active_nodes());
  uint64_t key = ctx.rates->key(plan.uid, ctx.identity.subscription->uid);
  RateVerdict v = ctx.explain ? ctx.rates->look(key, limit, ctx.now_ns) : ctx.rates->take(key, limit, ctx.now_ns);
  if (v.allowed) {
    count_plan(plan, PolicyCount::kNext);
    if (ctx.explain) ctx.explain->step("plan", plan.name, "pass", {}, Reason::kNone);
    return Decision::next();
  }
  count_plan(plan, PolicyCount::kRespond);
  Decision d = refuse(ctx, Reason::kRateLimited, "plan", plan.name, "the plan's rate is reached; Retry-After says when to come back");
  if (d.kind == Decision::Kind::kRespond) d.response = rate_limited(*ctx.arena, plan.rate_requests, v, d.response->detail);
  return d;
}

void Pipeline::on_response(PolicyContext& ctx, ResponseHead& response) {
  auto call = [&](const ChainEntry& e, void** slot) {
    if (e.observe || !e.policy->has_response()) return;
    ctx.slot = slot;
    e.policy->on_response(ctx, response);
  };
  const auto& chain = ctx.route->chain;
  uint32_t i = ran_;
  for (; i > ctx.route->rate_at; --i) call(chain[i - 1], slots_ + i - 1);
  for (uint32_t p = plan_ran_; p > 0; --p) {
    const ChainEntry& e = ctx.identity.plan->policies[p - 1];
    if (!runs_already(ctx, e)) call(e, plan_slots_ + p - 1);
  }
  for (; i > 0; --i) call(chain[i - 1], slots_ + i - 1);
}

void Pipeline::on_local_response(PolicyContext& ctx, ResponseHead& response) {
  if (!ctx.route) {
    if (!ctx.gateway) return;
    const auto& entries = ctx.gateway->local_response;
    for (auto e = entries.rbegin(); e != entries.rend(); ++e) e->policy->on_response(ctx, response);
    return;
  }
  if (!ctx.route->has_local_response) return;
  const auto& chain = ctx.route->chain;
  for (auto e = chain.rbegin(); e != chain.rend(); ++e) {
    if (e->on_local_response()) e->policy->on_response(ctx, response);
  }
}

void Pipeline::done(PolicyContext& ctx) {
  if (done_) return;
  done_ = true;
  paused_ = false;
  auto call = [&](const ChainEntry& e, void** slot) {
    if (!e.policy->has_done()) return;
    ctx.slot = slot;
    e.policy->on_done(ctx);
  };
  if (plan_ran_ > 0) {
    for (uint32_t p = plan_ran_; p > 0; --p) {
      const ChainEntry& e = ctx.identity.plan->policies[p - 1];
      if (!runs_already(ctx, e)) call(e, plan_slots_ + p - 1);
    }
  }
  if (!ctx.route || !ctx.route->has_done) return;
  for (uint32_t i = auth_ran_; i > 0; --i) call(ctx.route->auth[i - 1], slots_ + ctx.route->chain.size() + i - 1);
  for (uint32_t i = ran_; i > 0; --i) call(ctx.route->chain[i - 1], slots_ + i - 1);
}

std::string place_text(const PolicyContext& ctx, const ChainEntry& entry) {
  std::string out;
  switch (entry.place) {
    case Place::kGateway: out = "Gateway/" + std::string(ctx.gateway->short_name()); break;
    case Place::kApi: out = "Api/" + std::string(ctx.route->api->short_name()); break;
    case Place::kRoute: out = "Route/" + std::string(ctx.route->config->short_name()); break;
    case Place::kPlan: out = "Plan/" + std::string(ctx.identity.plan->short_name()); break;
  }
  if (entry.required) out += ", required";
  if (entry.observe) out += "; observe";
  return out;
}

}  // namespace gw
