// Tells from a target's own answers that it is not well. Worker's thread.
#pragma once

#include <algorithm>
#include <cstdint>

#include "dataplane/snapshot/config.h"

namespace gw {

class OutlierDetector {
 public:
  // One attempt has ended. True: the target should be left out now.
  bool ended(const PassiveHealthConfig& config, bool ok, int64_t now_ns) {
    in_row_ = ok ? 0 : in_row_ + 1;
    if (config.consecutive_5xx > 0 && in_row_ >= config.consecutive_5xx) return true;
    if (config.below_ppm == 0) return false;
    if (now_ns >= window_end_ns_) {
      window_end_ns_ = now_ns + config.window_ms * 1'000'000;
      all_ = good_ = 0;
    }
    ++all_;
    good_ += ok ? 1 : 0;
    return all_ >= config.min_requests && good_ * 1'000'000 < config.below_ppm * all_;
  }
  // Leaves it out: the n-th time in a row n times as long. In a row: it had not been back for as long as it was out before.
  // Returns when it comes back.
  int64_t eject(const PassiveHealthConfig& config, int64_t now_ns) {
    if (back_ns_ != 0 && now_ns - back_ns_ > last_ns_) times_ = 0;
    ++times_;
    last_ns_ = std::min(config.eject_for_ms * times_, config.max_eject_for_ms) * 1'000'000;
    set_out_until(now_ns + last_ns_);
    return out_until_ns_;
  }
  // As another worker found it.
  void set_out_until(int64_t until_ns) {
    out_until_ns_ = until_ns;
    in_row_ = 0;
    all_ = good_ = 0;
  }
  // Back in rotation.
  void come_back(int64_t now_ns) {
    out_until_ns_ = 0;
    back_ns_ = now_ns;
  }
  int64_t ejected_until_ns() const { return out_until_ns_; }

 private:
  int in_row_ = 0;
  int64_t window_end_ns_ = 0;
  int64_t all_ = 0, good_ = 0;  // in the window
  int64_t times_ = 0, last_ns_ = 0, back_ns_ = 0;
  int64_t out_until_ns_ = 0;    // 0: it is in
};

}  // namespace gw
