#include "dataplane/worker/overload.h"

#include <algorithm>

namespace gw {
namespace {

constexpr uint64_t kStageOnePercent = 80;
constexpr uint64_t kStageTwoPercent = 100;
constexpr uint64_t kHysteresisPercent = 10;

// `value` has reached `percent` of `limit`. A limit that is not set is never reached.
bool reached(uint64_t value, uint64_t limit, uint64_t percent) {
  return limit < UINT64_MAX / 128 && value >= (limit * percent + 99) / 100;
}

}  // namespace

bool OverloadManager::full(const OverloadReading& r, uint64_t percent_off) const {
  uint64_t percent = kStageTwoPercent - percent_off;
  return reached(r.buffer_bytes, limits_.buffer_bytes, percent) || reached(r.requests, limits_.requests, percent);
}

int OverloadManager::stage_for(const OverloadReading& r, uint64_t percent_off) const {
  uint64_t lag = static_cast<uint64_t>(lag_ns_), lag_limit = static_cast<uint64_t>(limits_.lag_ns);
  uint64_t two = kStageTwoPercent - percent_off, one = kStageOnePercent - percent_off;
  if (full(r, percent_off) || reached(lag, lag_limit, two)) return 2;
  if (reached(r.buffer_bytes, limits_.buffer_bytes, one) || reached(r.requests, limits_.requests, one) ||
      reached(r.connections, limits_.connections, one) || reached(lag, lag_limit, one)) {
    return 1;
  }
  return 0;
}

int OverloadManager::turn(int64_t busy_ns, int64_t now_ns, const OverloadReading& reading) {
  // A single long turn after a silence is no overload: it counts for an eighth, like any other.
  if (now_ns - busy_ns - last_ns_ > kForgetNs) lag_ns_ = 0;
  lag_ns_ += (busy_ns - lag_ns_) / 8;
  last_ns_ = now_ns;
  int up = stage_for(reading, 0);
  if (up >= stage_) {
    stage_ = up;
  } else {
    stage_ = std::max(up, std::min(stage_, stage_for(reading, kHysteresisPercent)));
  }
  admit_ns_ = stage_ < 2 ? INT64_MAX : full(reading, kHysteresisPercent) ? 0 : limits_.lag_ns / 2;
  return stage_;
}

}  // namespace gw
