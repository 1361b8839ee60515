#include "common/base/clock.h"

#include <ctime>

namespace gw {
namespace {
int64_t read(clockid_t id) {
  timespec t;
  clock_gettime(id, &t);
  return int64_t{t.tv_sec} * 1'000'000'000 + t.tv_nsec;
}
}  // namespace

int64_t SystemClock::mono_ns() const { return read(CLOCK_MONOTONIC); }
int64_t SystemClock::wall_ns() const { return read(CLOCK_REALTIME); }

const SystemClock& SystemClock::instance() {
  static const SystemClock clock;
  return clock;
}

}  // namespace gw
