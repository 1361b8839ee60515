#include "dataplane/loop/timer_wheel.h"

#include <catch2/catch.hpp>
#include <memory>
#include <vector>

#include "common/base/random.h"

namespace gw {
namespace {

struct Fired {
  explicit Fired(int64_t* clock) : now(clock), timer([](void* self) { static_cast<Fired*>(self)->note(); }, this) {}
  void note() {
    at = *now;
    ++count;
  }
  int64_t* now;
  int64_t at = -1;
  int count = 0;
  Timer timer;
};

TEST_CASE("Timers fire once, never early, and at most two ticks late, over all levels of the wheel", "[loop]") {
  int64_t now = 123'456'789;
  TimerWheel wheel(now);
  FastRandom random(7);
  std::vector<std::unique_ptr<Fired>> timers;
  std::vector<int64_t> due;
  for (int i = 0; i < 500; ++i) {
    int64_t delay = static_cast<int64_t>(random.below(i % 3 == 0 ? 200 : i % 3 == 1 ? 60'000 : 4'000'000));
    timers.push_back(std::make_unique<Fired>(&now));
    wheel.arm(timers.back()->timer, now, delay);
    due.push_back(now + delay);
  }
  while (wheel.next_wake_ms() >= 0) {
    int64_t wake = wheel.next_wake_ms();
    REQUIRE(wake > now - TimerWheel::kTickMs);
    now = wake;
    wheel.advance(now);
  }
  for (size_t i = 0; i < timers.size(); ++i) {
    INFO(i << " due " << due[i]);
    REQUIRE(timers[i]->count == 1);
    CHECK(timers[i]->at >= due[i]);
    CHECK(timers[i]->at <= due[i] + 2 * TimerWheel::kTickMs);
  }
}

TEST_CASE("A cancelled timer, or one that was destroyed, does not fire", "[loop]") {
  int64_t now = 1000;
  TimerWheel wheel(now);
  Fired cancelled(&now);
  wheel.arm(cancelled.timer, now, 10);
  cancelled.timer.cancel();
  {
    Fired gone(&now);
    wheel.arm(gone.timer, now, 10);
  }
  CHECK(wheel.next_wake_ms() == -1);
  wheel.advance(2000);
  CHECK(cancelled.count == 0);
}

TEST_CASE("Arming again moves a timer", "[loop]") {
  int64_t now = 1000;
  TimerWheel wheel(now);
  Fired moved(&now);
  wheel.arm(moved.timer, now, 20);
  wheel.arm(moved.timer, now, 400);
  now = 1100;
  wheel.advance(now);
  CHECK(moved.count == 0);
  now = 1408;
  wheel.advance(now);
  CHECK(moved.count == 1);
}

TEST_CASE("A timer may cancel and arm others, and itself, when it fires", "[loop]") {
  struct Pair {
    TimerWheel wheel{0};
    int64_t now = 0;
    int fired = 0;
    Timer other{[](void*) { FAIL("was cancelled"); }, nullptr};
    Timer self{[](void* p) {
                 auto* pair = static_cast<Pair*>(p);
                 pair->other.cancel();
                 if (++pair->fired < 3) pair->wheel.arm(pair->self, pair->now, 0);
               },
               this};
  } pair;
  pair.wheel.arm(pair.self, 0, 8);
  pair.wheel.arm(pair.other, 0, 8);
  for (pair.now = 0; pair.now < 100; pair.now += 4) pair.wheel.advance(pair.now);
  CHECK(pair.fired == 3);
}

}  // namespace
}  // namespace gw
