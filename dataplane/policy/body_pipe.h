// A body on its way through the policies that look at it. The exchange makes one per direction only when a policy that ran
// asks for it (wants()); else bytes are passed on unseen.
//
// inspect: the piece is shown, then passed on. collect: the body is held back until its end (at most body_limit() bytes, else
// TOO_LARGE for a request and UPSTREAM_INVALID for a response) and shown once, whole. transform: what the policy writes goes
// on in its place. Policies see the body in the order of the request; for responses in reverse.
//
// Owner: the exchange. Worker's thread. While it pauses nothing may be written.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "dataplane/policy/pipeline.h"

namespace gw {

class BodyPipe {
 public:
  enum class Direction : uint8_t { kRequest, kResponse };

  // Some policy that ran looks at bodies in this direction.
  static bool wants(PolicyContext& ctx, Pipeline& pipeline, Direction direction);

  // Picks the policies. REQUIRES: the pipeline has run through (kNext).
  BodyPipe(PolicyContext& ctx, Pipeline& pipeline, Direction direction);

  // The next piece; `last` with the final one, which may be empty: call it also for a message without a body. What may go
  // on now is appended to `out`. kRespond: stop and answer; kPause: resume() will be called.
  Decision write(PolicyContext& ctx, std::string_view piece, bool last, std::string& out);
  Decision resume(PolicyContext& ctx, Decision d, std::string& out);
  bool paused() const { return paused_; }
  // The policy that answered.
  const Policy* refused_by() const { return refused_by_; }
  // The first policy that would have answered but only observes; null: none.
  const Policy* observed() const { return observed_; }
  // The length of the body may change: Content-Length cannot be kept.
  bool transforms() const { return transforms_; }
  // Bytes held back.
  size_t held() const;

 private:
  struct Stage {
    const Policy* policy;
    bool observe;
    void** slot;
    BodyMode mode;
    std::string collected;
  };
  Decision go_on(PolicyContext& ctx, size_t stage, bool last, std::string& out);
  Decision call(PolicyContext& ctx, Stage& stage, std::string_view piece, bool last, std::string* out);
  Decision after(PolicyContext& ctx, Stage& stage, Decision d);
  Decision too_large(PolicyContext& ctx, const Stage& stage);

  const Direction direction_;
  std::vector<Stage> stages_;
  std::string data_;       // on its way to the next stage
  std::string transformed_;
  size_t at_ = 0;          // the stage that paused
  bool last_ = false;
  bool paused_ = false;
  bool transforms_ = false;
  const Policy* refused_by_ = nullptr;
  const Policy* observed_ = nullptr;
};

}  // namespace gw
