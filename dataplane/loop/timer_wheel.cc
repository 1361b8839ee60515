#include "dataplane/loop/timer_wheel.h"

namespace gw {

void Timer::cancel() {
  if (prev_ == nullptr) return;
  prev_->next_ = next_;
  next_->prev_ = prev_;
  prev_ = next_ = nullptr;
}

TimerWheel::TimerWheel(int64_t now_ms) : now_(static_cast<uint64_t>(now_ms / kTickMs)) {}

TimerWheel::Slot& TimerWheel::slot(int level, uint64_t index) {
  return level == 0 ? near_[index & (kSlots0 - 1)] : far_[(level - 1) * kSlots + (index & (kSlots - 1))];
}

const TimerWheel::Slot& TimerWheel::slot(int level, uint64_t index) const {
  return const_cast<TimerWheel*>(this)->slot(level, index);
}

void TimerWheel::arm(Timer& timer, int64_t now_ms, int64_t delay_ms) {
  timer.cancel();
  if (delay_ms < 0) delay_ms = 0;
  // Rounded up, and one tick more because `now_ms` may be late within its tick.
  uint64_t deadline = static_cast<uint64_t>((now_ms + delay_ms + kTickMs - 1) / kTickMs);
  if (deadline <= now_) deadline = now_ + 1;
  constexpr uint64_t kLongest = (uint64_t{1} << (kBits0 + kBits * (kLevels - 1))) - kSlots0;
  if (deadline - now_ > kLongest) deadline = now_ + kLongest;
  timer.deadline_ = deadline;
  link(timer);
}

void TimerWheel::link(Timer& timer) {
  uint64_t distance = timer.deadline_ - now_;
  int level = 0, shift = 0;
  if (distance >= kSlots0) {
    level = 1;
    shift = kBits0;
    while (level < kLevels - 1 && distance >= (uint64_t{1} << (shift + kBits))) {
      ++level;
      shift += kBits;
    }
  }
  Timer& head = slot(level, timer.deadline_ >> shift).head;
  timer.prev_ = head.prev_;
  timer.next_ = &head;
  head.prev_->next_ = &timer;
  head.prev_ = &timer;
}

// Moves the timers of the slot that begins now one level down.
void TimerWheel::cascade(int level) {
  int shift = kBits0 + kBits * (level - 1);
  uint64_t index = now_ >> shift;
  if (level + 1 < kLevels && (index & (kSlots - 1)) == 0) cascade(level + 1);
  Timer& head = slot(level, index).head;
  while (head.next_ != &head) {
    Timer& timer = *head.next_;
    timer.cancel();
    if (timer.deadline_ < now_) timer.deadline_ = now_;
    link(timer);
  }
}

void TimerWheel::advance(int64_t now_ms) {
  uint64_t target = static_cast<uint64_t>(now_ms / kTickMs);
  while (now_ < target) {
    ++now_;
    if ((now_ & (kSlots0 - 1)) == 0) cascade(1);
    Timer& head = slot(0, now_).head;
    if (head.next_ == &head) continue;
    // Taken off as a whole first: a callback that arms for "at once" gets the next tick, not this list.
    Timer due;
    due.prev_ = head.prev_;
    due.next_ = head.next_;
    due.prev_->next_ = &due;
    due.next_->prev_ = &due;
    head.prev_ = head.next_ = &head;
    while (due.next_ != &due) {
      Timer& timer = *due.next_;
      timer.cancel();
      timer.fn_(timer.arg_);
    }
    due.prev_ = due.next_ = nullptr;
  }
}

int64_t TimerWheel::next_wake_ms() const {
  for (uint64_t tick = now_ + 1; (tick & (kSlots0 - 1)) != 0; ++tick) {
    if (!slot(0, tick).empty()) return static_cast<int64_t>(tick) * kTickMs;
  }
  bool any = false;
  for (const Slot& s : near_) any = any || !s.empty();
  for (const Slot& s : far_) any = any || !s.empty();
  if (!any) return -1;
  return static_cast<int64_t>((now_ | (kSlots0 - 1)) + 1) * kTickMs;  // next cascade
}

}  // namespace gw
