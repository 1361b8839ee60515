// Circuit breaker, ejection and the budget of retries: the rules by themselves.
#include <catch2/catch.hpp>

#include "dataplane/upstream/circuit_breaker.h"
#include "dataplane/upstream/outlier_detector.h"
#include "dataplane/upstream/retry_budget.h"

namespace gw {
namespace {

constexpr int64_t kMs = 1'000'000;

TEST_CASE("a circuit opens after failures in a row, lets one through after its time, and closes when that succeeds", "[limits]") {
  BreakerConfig config;
  config.open_after_failures = 3;
  config.open_for_ms = 100;
  CircuitBreaker b;
  using Answer = CircuitBreaker::Answer;
  auto fail = [&](int64_t now) { return b.ended(config, false, true, false, now); };
  CHECK_FALSE(fail(0));
  CHECK_FALSE(fail(0));
  b.ended(config, true, true, false, 0);  // not in a row
  CHECK_FALSE(fail(0));
  CHECK_FALSE(fail(0));
  CHECK_FALSE(b.ended(config, false, false, false, 0));  // cancelled: says nothing
  CHECK(b.ask(0) == Answer::kYes);
  CHECK(fail(0));
  CHECK(b.open());
  CHECK(b.ask(99 * kMs) == Answer::kNo);
  CHECK(b.ask(100 * kMs) == Answer::kProbe);
  CHECK(b.ask(100 * kMs) == Answer::kNo);  // only one
  SECTION("fails again: open for as long again") {
    CHECK(b.ended(config, false, true, true, 200 * kMs));
    CHECK(b.ask(299 * kMs) == Answer::kNo);
    CHECK(b.ask(300 * kMs) == Answer::kProbe);
  }
  SECTION("its client leaves: the next one decides") {
    CHECK_FALSE(b.ended(config, false, false, true, 200 * kMs));
    CHECK(b.ask(200 * kMs) == Answer::kProbe);
  }
  SECTION("succeeds: closed, and counting begins anew") {
    CHECK_FALSE(b.ended(config, true, true, true, 200 * kMs));
    CHECK(b.ask(200 * kMs) == Answer::kYes);
    CHECK_FALSE(fail(200 * kMs));
    CHECK_FALSE(b.open());
  }
  SECTION("what ends late, from before it opened, decides nothing") {
    CHECK_FALSE(b.ended(config, true, true, false, 150 * kMs));
    CHECK(b.open());
  }
}

TEST_CASE("failures in a row eject, for longer each time in a row, up to a cap", "[limits]") {
  PassiveHealthConfig config;
  config.consecutive_5xx = 3;
  config.eject_for_ms = 100;
  config.max_eject_for_ms = 250;
  OutlierDetector d;
  auto fail_out = [&](int64_t now) {
    CHECK_FALSE(d.ended(config, false, now));
    CHECK_FALSE(d.ended(config, false, now));
    CHECK(d.ended(config, false, now));
    int64_t until = d.eject(config, now);
    d.come_back(until);
    return (until - now) / kMs;
  };
  CHECK(fail_out(0) == 100);
  CHECK(fail_out(150 * kMs) == 200);   // back for 50 ms only
  CHECK(fail_out(400 * kMs) == 250);   // 300, capped
  CHECK(fail_out(1'000 * kMs) == 100); // it had been well for 350 ms
  d.ended(config, false, 0);
  d.ended(config, false, 0);
  d.ended(config, true, 0);
  CHECK_FALSE(d.ended(config, false, 0));
}

TEST_CASE("a low success rate ejects once there are enough requests in a window", "[limits]") {
  PassiveHealthConfig config;
  config.consecutive_5xx = 0;
  config.below_ppm = 900'000;
  config.min_requests = 10;
  config.window_ms = 1'000;
  OutlierDetector d;
  int64_t now = 1;
  for (int i = 0; i < 9; ++i) CHECK_FALSE(d.ended(config, i % 2 == 0, now));
  CHECK(d.ended(config, false, now));
  now += 1'000 * kMs;  // another window: counted anew
  for (int i = 0; i < 9; ++i) CHECK_FALSE(d.ended(config, i != 0, now));
  CHECK_FALSE(d.ended(config, true, now));  // 9 of 10 is not below 90 %
}

TEST_CASE("retries follow requests, with a reserve", "[limits]") {
  RetryBudget budget;
  for (int i = 0; i < 10; ++i) CHECK(budget.take(0));
  CHECK_FALSE(budget.take(0));
  for (int i = 0; i < 50; ++i) budget.deposit(200'000);
  for (int i = 0; i < 10; ++i) CHECK(budget.take(0));
  CHECK_FALSE(budget.take(0));
  CHECK(budget.take(1'000 * kMs));  // one a second
  CHECK_FALSE(budget.take(1'000 * kMs));
  for (int i = 0; i < 100'000; ++i) budget.deposit(200'000);
  int saved = 0;
  while (budget.take(1'000 * kMs)) ++saved;
  CHECK(saved == 100);
}

}  // namespace
}  // namespace gw
