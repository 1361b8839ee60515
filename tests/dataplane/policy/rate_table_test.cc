#include "dataplane/policy/rate_table.h"

#include <catch2/catch.hpp>
#include <thread>
#include <vector>

using gw::GcraLimit;
using gw::RateTable;

namespace {
constexpr int64_t kMs = 1'000'000;
constexpr int64_t kSecond = 1'000'000'000;
// How many of `tries` pass at `now`.
int pass(RateTable& t, uint64_t key, const GcraLimit& limit, int64_t now, int tries) {
  int n = 0;
  for (int i = 0; i < tries; ++i) n += t.take(key, limit, now).allowed;
  return n;
}
}  // namespace

TEST_CASE("a whole burst passes at once, then one each interval, exactly") {
  RateTable t(64);
  uint64_t key = t.key(1, 2);
  GcraLimit limit = GcraLimit::of(50, kSecond, 100);
  int64_t now = 5 * kSecond;
  CHECK(pass(t, key, limit, now, 1000) == 100);
  CHECK(pass(t, key, limit, now + 20 * kMs - 1, 10) == 0);
  CHECK(pass(t, key, limit, now + 20 * kMs, 10) == 1);
  CHECK(pass(t, key, limit, now + 1020 * kMs, 1000) == 50);
  CHECK(pass(t, key, limit, now + 10 * kSecond, 1000) == 100);
}

TEST_CASE("rates that do not divide their period still give all of it each period") {
  for (int64_t requests : {3, 7, 11, 13, 999, 999'983}) {
    RateTable t(64);
    uint64_t key = t.key(1, 2);
    GcraLimit limit = GcraLimit::of(requests, kSecond, requests);
    int tries = static_cast<int>(requests) + 10;
    for (int period = 1; period < 4; ++period) CHECK(pass(t, key, limit, period * kSecond, tries) == requests);
  }
}

TEST_CASE("verdicts say what is left and when to come back") {
  RateTable t(64);
  uint64_t key = t.key(1, 2);
  GcraLimit limit = GcraLimit::of(10, kSecond, 3);
  int64_t now = kSecond;
  CHECK(t.look(key, limit, now).remaining == 3);
  CHECK(t.take(key, limit, now).remaining == 2);
  CHECK(t.take(key, limit, now).remaining == 1);
  auto last = t.take(key, limit, now);
  CHECK(last.remaining == 0);
  CHECK(last.reset_ns == 300 * kMs);
  auto refused = t.take(key, limit, now + 30 * kMs);
  CHECK_FALSE(refused.allowed);
  CHECK(refused.remaining == 0);
  CHECK(refused.retry_after_ns == 70 * kMs);
  CHECK(t.take(key, limit, now + 30 * kMs + refused.retry_after_ns).allowed);
  CHECK_FALSE(t.look(key, limit, now + 100 * kMs).allowed);
}

TEST_CASE("a refused request costs nothing") {
  RateTable t(64);
  uint64_t key = t.key(1, 2);
  GcraLimit limit = GcraLimit::of(1, kSecond, 1);
  CHECK(pass(t, key, limit, kSecond, 1000) == 1);
  CHECK(pass(t, key, limit, 2 * kSecond, 1000) == 1);
}

TEST_CASE("nodes share a rate, but each admits at least one request per period") {
  GcraLimit whole = GcraLimit::share(100, kSecond, 200, 1);
  CHECK(whole.interval_ns == 10 * kMs);
  CHECK(whole.burst() == 200);
  GcraLimit quarter = GcraLimit::share(100, kSecond, 200, 4);
  CHECK(quarter.interval_ns == 40 * kMs);
  CHECK(quarter.burst() == 50);
  GcraLimit many = GcraLimit::share(3, kSecond, 3, 10);
  CHECK(many.interval_ns == kSecond);
  CHECK(many.burst() == 1);
  CHECK(GcraLimit::share(3, kSecond, 3, 0).burst() == 3);
  // The documented bound: together at most max(requests, nodes) a period.
  for (uint32_t nodes : {1u, 2u, 3u, 7u, 50u}) {
    for (int64_t requests : {1, 2, 10, 49}) {
      int64_t total = 0;
      for (uint32_t n = 0; n < nodes; ++n) {
        RateTable t(64);
        GcraLimit limit = GcraLimit::share(requests, kSecond, requests, nodes);
        uint64_t key = t.key(1, 1);
        pass(t, key, limit, kSecond, 100);  // the burst
        for (int ms = 1; ms <= 1000; ++ms) total += pass(t, key, limit, kSecond + ms * kMs, 3);
      }
      INFO(nodes << " nodes, " << requests << " requests");
      CHECK(total <= std::max<int64_t>(requests, nodes));
    }
  }
}

TEST_CASE("extreme limits do not overflow") {
  RateTable t(64);
  int64_t now = int64_t{400} * 86400 * kSecond;
  GcraLimit fast = GcraLimit::of(1'000'000'000, kMs, 1'000'000'000);
  CHECK(fast.interval_ns == 1);
  CHECK(pass(t, t.key(1, 1), fast, now, 1000) == 1000);
  GcraLimit slow = GcraLimit::of(1, 86400 * kSecond, 1'000'000'000);
  CHECK(slow.tolerance_ns > 0);
  CHECK(pass(t, t.key(2, 1), slow, now, 1000) == 1000);
}

TEST_CASE("keys of different objects and callers count apart") {
  RateTable t(1024);
  GcraLimit limit = GcraLimit::of(1, kSecond, 1);
  CHECK(pass(t, t.key(1, "a"), limit, kSecond, 5) == 1);
  CHECK(pass(t, t.key(1, "b"), limit, kSecond, 5) == 1);
  CHECK(pass(t, t.key(2, "a"), limit, kSecond, 5) == 1);
  CHECK(pass(t, t.key(1, "a"), limit, kSecond, 5) == 0);
}

TEST_CASE("cells whose time has passed are taken over without loss") {
  RateTable t(8);
  GcraLimit limit = GcraLimit::of(10, kSecond, 1);
  for (uint64_t i = 0; i < 5000; ++i) REQUIRE(t.take(t.key(7, i), limit, kSecond + static_cast<int64_t>(i) * 100 * kMs).allowed);
  CHECK(t.evicted() == 0);
}

TEST_CASE("a full window evicts the key that is nearest to free, and counts it") {
  RateTable t(8);
  CHECK(t.cells() == 8);
  GcraLimit slow = GcraLimit::of(1, 1000 * kSecond, 1);
  GcraLimit quick = GcraLimit::of(1, 10 * kSecond, 1);
  for (uint64_t i = 0; i < 7; ++i) CHECK(pass(t, t.key(1, i), slow, kSecond, 2) == 1);
  CHECK(pass(t, t.key(2, 1), quick, kSecond, 2) == 1);
  CHECK(t.evicted() == 0);
  CHECK(pass(t, t.key(3, 1), slow, kSecond, 2) == 1);
  CHECK(t.evicted() == 1);
  // The slow ones still remember; the quick one has lost its count.
  for (uint64_t i = 0; i < 7; ++i) CHECK(pass(t, t.key(1, i), slow, kSecond, 2) == 0);
  CHECK(pass(t, t.key(2, 1), quick, kSecond, 2) == 1);
}

TEST_CASE("threads together get what one thread would get") {
  RateTable t(1024);
  GcraLimit limit = GcraLimit::of(1000, kSecond, 1000);
  std::vector<int> got(4);
  {
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; ++i) {
      threads.emplace_back([&, i] { got[i] = pass(t, t.key(1, 1), limit, kSecond, 2000); });
    }
    for (auto& th : threads) th.join();
  }
  // Threads that meet at the first use of a key may each make a cell: at most one request each is forgotten.
  int total = got[0] + got[1] + got[2] + got[3];
  CHECK(total >= 1000);
  CHECK(total <= 1004);
}
