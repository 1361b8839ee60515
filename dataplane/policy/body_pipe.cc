#include "dataplane/policy/body_pipe.h"

#include <algorithm>

#include "dataplane/policy/answers.h"

namespace gw {
namespace {

BodyMode mode_of(const Policy& policy, BodyPipe::Direction direction) {
  return direction == BodyPipe::Direction::kRequest ? policy.request_body_mode() : policy.response_body_mode();
}

}  // namespace

bool BodyPipe::wants(PolicyContext& ctx, Pipeline& pipeline, Direction direction) {
  bool found = false;
  pipeline.for_each_ran(ctx, [&](const Policy& p, bool, void**) { found = found || mode_of(p, direction) != BodyMode::kNone; });
  return found;
}

BodyPipe::BodyPipe(PolicyContext& ctx, Pipeline& pipeline, Direction direction) : direction_(direction) {
  pipeline.for_each_ran(ctx, [&](const Policy& p, bool observe, void** slot) {
    BodyMode mode = mode_of(p, direction);
    // Observed, a policy may look and say what it would refuse; what it would write is not used.
    if (observe && mode == BodyMode::kTransform) return;
    if (mode != BodyMode::kNone) stages_.push_back({&p, observe, slot, mode, {}});
    transforms_ = transforms_ || mode == BodyMode::kTransform;
  });
  if (direction == Direction::kResponse) std::reverse(stages_.begin(), stages_.end());
}

Decision BodyPipe::write(PolicyContext& ctx, std::string_view piece, bool last, std::string& out) {
  data_.assign(piece);
  return go_on(ctx, 0, last, out);
}

Decision BodyPipe::resume(PolicyContext& ctx, Decision d, std::string& out) {
  paused_ = false;
  d = after(ctx, stages_[at_], d);
  return d.kind == Decision::Kind::kNext ? go_on(ctx, at_ + 1, last_, out) : d;
}

// Carries data_ from `stage` to the end.
Decision BodyPipe::go_on(PolicyContext& ctx, size_t stage, bool last, std::string& out) {
  for (; stage < stages_.size(); ++stage) {
    Stage& s = stages_[stage];
    if (s.mode == BodyMode::kCollect) {
      if (s.collected.size() + data_.size() > s.policy->body_limit()) return too_large(ctx, s);
      s.collected += data_;
      data_.clear();
      if (!last) return Decision::next();  // held back
      data_.swap(s.collected);
    } else if (data_.empty() && !last) {
      return Decision::next();
    }
    transformed_.clear();
    Decision d = call(ctx, s, data_, last, s.mode == BodyMode::kTransform ? &transformed_ : nullptr);
    if (s.mode == BodyMode::kTransform) data_.swap(transformed_);
    if (d.kind == Decision::Kind::kPause) {
      paused_ = true;
      at_ = stage;
      last_ = last;
      return d;
    }
    d = after(ctx, s, d);
    if (d.kind != Decision::Kind::kNext) return d;
  }
  out += data_;
  data_.clear();
  return Decision::next();
}

Decision BodyPipe::call(PolicyContext& ctx, Stage& stage, std::string_view piece, bool last, std::string* out) {
  ctx.slot = stage.slot;
  return direction_ == Direction::kRequest ? stage.policy->on_request_body(ctx, piece, last, out)
                                           : stage.policy->on_response_body(ctx, piece, last, out);
}

Decision BodyPipe::after(PolicyContext&, Stage& stage, Decision d) {
  if (d.kind != Decision::Kind::kRespond) return d;
  if (stage.observe) {
    observed_ = observed_ ? observed_ : stage.policy;
    return Decision::next();
  }
  refused_by_ = stage.policy;
  return d;
}

Decision BodyPipe::too_large(PolicyContext& ctx, const Stage& stage) {
  bool request = direction_ == Direction::kRequest;
  refused_by_ = stage.policy;
  return Decision::respond(refusal(*ctx.arena, request ? Reason::kTooLarge : Reason::kUpstreamInvalid,
                                   request ? "the body is larger than a policy can look at"
                                           : "the answer is larger than a policy can look at"));
}

size_t BodyPipe::held() const {
  size_t bytes = data_.size();
  for (const Stage& s : stages_) bytes += s.collected.size();
  return bytes;
}

}  // namespace gw
