// Whether an upstream is asked at all: closed, open for a time after failures in a row, then half open: one request is let
// through and decides. Worker's thread.
#pragma once

#include <cstdint>

#include "dataplane/snapshot/config.h"

namespace gw {

class CircuitBreaker {
 public:
  enum class Answer : uint8_t { kYes, kProbe, kNo };

  // kProbe: the caller's outcome decides; it must call ended() with `probe`.
  Answer ask(int64_t now_ns) {
    if (open_until_ns_ == 0) return Answer::kYes;
    if (probing_ || now_ns < open_until_ns_) return Answer::kNo;
    probing_ = true;
    return Answer::kProbe;
  }
  // True: it has just opened.
  bool ended(const BreakerConfig& config, bool ok, bool counts, bool probe, int64_t now_ns) {
    if (probe) {
      probing_ = false;
      if (!counts) return false;  // the client left: the next one decides
      failures_ = 0;
      open_until_ns_ = ok ? 0 : now_ns + config.open_for_ms * 1'000'000;
      return !ok;
    }
    if (!counts || open_until_ns_ != 0 || config.open_after_failures == 0) return false;
    failures_ = ok ? 0 : failures_ + 1;
    if (failures_ < config.open_after_failures) return false;
    failures_ = 0;
    open_until_ns_ = now_ns + config.open_for_ms * 1'000'000;
    return true;
  }
  bool open() const { return open_until_ns_ != 0; }
  void reset() { *this = CircuitBreaker(); }

 private:
  int64_t open_until_ns_ = 0;  // 0: closed
  int failures_ = 0;           // in a row
  bool probing_ = false;
};

}  // namespace gw
