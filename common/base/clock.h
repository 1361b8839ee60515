// Time as an interface, so that decisions can be tested with time moved by hand.
#pragma once

#include <cstdint>

namespace gw {

class Clock {
 public:
  virtual ~Clock() = default;
  // Nanoseconds that never go back; the origin means nothing.
  virtual int64_t mono_ns() const = 0;
  // Nanoseconds since the Unix epoch.
  virtual int64_t wall_ns() const = 0;
};

// The machine's clocks. Thread-safe.
class SystemClock final : public Clock {
 public:
  int64_t mono_ns() const override;
  int64_t wall_ns() const override;
  static const SystemClock& instance();
};

class ManualClock final : public Clock {
 public:
  int64_t mono_ns() const override { return mono_ns_; }
  int64_t wall_ns() const override { return wall_ns_; }
  void advance_ms(int64_t ms) {
    mono_ns_ += ms * 1'000'000;
    wall_ns_ += ms * 1'000'000;
  }
  void set_wall_ns(int64_t ns) { wall_ns_ = ns; }

 private:
  int64_t mono_ns_ = 1'000'000'000;
  int64_t wall_ns_ = 1'800'000'000'000'000'000;
};

}  // namespace gw
