// Retries in proportion to requests, so that failing upstreams are not asked twice as often as well ones. Some are always
// allowed: kReserve at once, and one a second. Worker's thread.
#pragma once

#include <algorithm>
#include <cstdint>

namespace gw {

class RetryBudget {
 public:
  static constexpr int64_t kReserve = 10;
  static constexpr int64_t kMost = 100;  // saved up by requests

  // A request that is not a retry.
  void deposit(int64_t budget_ppm) { saved_ppm_ = std::min(saved_ppm_ + budget_ppm, kMost * kOne); }
  // True: a retry may be made, and has been taken off.
  bool take(int64_t now_ns) {
    if (saved_ppm_ >= kOne) {
      saved_ppm_ -= kOne;
      return true;
    }
    int64_t earned = (now_ns - refilled_ns_) / 1'000'000'000;
    if (earned > 0) {
      reserve_ = std::min(reserve_ + earned, kReserve);
      refilled_ns_ = now_ns;
    }
    if (reserve_ == 0) return false;
    --reserve_;
    return true;
  }

 private:
  static constexpr int64_t kOne = 1'000'000;
  int64_t saved_ppm_ = 0;
  int64_t reserve_ = kReserve;
  int64_t refilled_ns_ = 0;
};

}  // namespace gw
