// Timers of one worker: hierarchical wheel, O(1) arm and cancel, no allocation. One thread.
//
// A timer never fires early and at most one tick (4 ms) plus the loop's own lag late. Arming again moves it.
#pragma once

#include <array>
#include <cstdint>

namespace gw {

class TimerWheel;

// Belongs to whoever waits; unlinks itself when destroyed.
class Timer {
 public:
  using Fn = void (*)(void* arg);

  Timer(Fn fn, void* arg) : fn_(fn), arg_(arg) {}
  ~Timer() { cancel(); }
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;

  void cancel();
  bool armed() const { return prev_ != nullptr; }

 private:
  friend class TimerWheel;
  Timer() : fn_(nullptr), arg_(nullptr) {}

  Timer* prev_ = nullptr;  // circular list with a head per slot
  Timer* next_ = nullptr;
  uint64_t deadline_ = 0;  // in ticks
  Fn fn_;
  void* arg_;
};

class TimerWheel {
 public:
  static constexpr int64_t kTickMs = 4;

  explicit TimerWheel(int64_t now_ms);

  // Fires after `delay_ms` (at least one tick) from `now_ms`. Longest: about three days; longer is cut.
  void arm(Timer& timer, int64_t now_ms, int64_t delay_ms);
  // Runs what is due. Timers may arm and cancel any timer from their callback.
  void advance(int64_t now_ms);
  // Sets the time of an empty wheel without running through what lies between.
  void skip_to(int64_t now_ms) { now_ = static_cast<uint64_t>(now_ms / kTickMs); }
  // When advance() is next needed, or -1 when no timer is armed. May be early (cascade), never late.
  int64_t next_wake_ms() const;

 private:
  static constexpr int kBits0 = 8, kBits = 6, kLevels = 4;
  static constexpr uint64_t kSlots0 = 1u << kBits0, kSlots = 1u << kBits;

  struct Slot {
    Timer head;
    Slot() { head.prev_ = head.next_ = &head; }
    bool empty() const { return head.next_ == &head; }
  };

  void link(Timer& timer);
  void cascade(int level);
  Slot& slot(int level, uint64_t index);
  const Slot& slot(int level, uint64_t index) const;

  uint64_t now_ = 0;  // tick that has been run
  std::array<Slot, kSlots0> near_;
  std::array<Slot, kSlots * (kLevels - 1)> far_;
};

}  // namespace gw
