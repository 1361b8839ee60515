// rateLimit: how often a caller may ask, by GCRA in the node's rate table. Each node counts for itself.
#include "dataplane/policy/answers.h"
#include "dataplane/policy/types.h"
#include "dataplane/snapshot/tables.h"

namespace gw {
namespace {

class RateLimit final : public Policy {
 public:
  RateLimit(Info info, const v1::RateLimitPolicy& c)
      : Policy(std::move(info)),
        by_(c.by().word()),
        header_(c.by().header()),
        requests_(c.requests()),
        limit_(GcraLimit::of(c.requests(), c.per_ms() * 1'000'000, c.has_burst() ? c.burst() : c.requests())) {}

  Phase phase() const override { return Phase::kRate; }
  Combine combine() const override { return Combine::kAll; }

  Decision on_request(PolicyContext& ctx) const override {
    if (ctx.explain) return explain(ctx);
    RateVerdict v = ctx.rates->take(key(ctx), limit_, ctx.now_ns);
    return v.allowed ? Decision::next() : Decision::respond(rate_limited(*ctx.arena, requests_, v, kDetail));
  }

 private:
  static constexpr std::string_view kDetail = "too many requests; Retry-After says when to come back";

  Decision explain(PolicyContext& ctx) const {
    if (!ctx.rates) {
      ctx.explain->note(*this, "unknown", "the state of rates is a node's: ask --live NODE", Reason::kNone);
      return Decision::next();
    }
    RateVerdict v = ctx.rates->look(key(ctx), limit_, ctx.now_ns);
    return v.allowed ? Decision::next() : Decision::respond(rate_limited(*ctx.arena, requests_, v, kDetail));
  }

  uint64_t key(const PolicyContext& ctx) const {
    const RateTable& t = *ctx.rates;
    uint64_t uid = info().uid;
    if (!header_.empty()) {
      const HeaderField* f = ctx.request->headers.find(std::string_view(header_));
      return t.key(uid, f ? f->value : std::string_view());
    }
    const AppRecord* app = ctx.identity.app;
    if (by_ == v1::RateKey::WORD_APP && app) return t.key(uid, app->uid);
    if (by_ == v1::RateKey::WORD_CONSUMER && app) return t.key(uid, app->consumer->uid);
    if (by_ == v1::RateKey::WORD_ROUTE) return t.key(uid, ctx.route->uid());
    return t.key(uid, ctx.client.hash());
  }

  const v1::RateKey::Word by_;
  const std::string header_;
  const int64_t requests_;
  const GcraLimit limit_;
};

}  // namespace

std::unique_ptr<Policy> build_rate_limit(Policy::Info info, const v1::PolicyConfig& config, const ObjectLabel& label,
                                         DiagnosticList& diagnostics) {
  const v1::RateLimitPolicy& c = config.rate_limit();
  const char* field = c.requests() < 1 ? "requests" : c.per_ms() < 1 ? "per" : c.has_burst() && c.burst() < 1 ? "burst" : nullptr;
  if (field) {
    diagnostics.error("GW1421", label, std::string("spec.config.") + field, "must be > 0");
    return nullptr;
  }
  if (c.by().header().empty() && c.by().word() == v1::RateKey::WORD_UNSPECIFIED) {
    diagnostics.error("GW1421", label, "spec.config.by", "must be set").set_cure("write `address`, `consumer`, `app`, `route` or {header: NAME}");
    return nullptr;
  }
  return std::make_unique<RateLimit>(std::move(info), c);
}

}  // namespace gw
