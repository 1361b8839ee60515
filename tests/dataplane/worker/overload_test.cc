#include "dataplane/worker/overload.h"

#include <catch2/catch.hpp>

using namespace gw;

namespace {
OverloadLimits limits_of_100() {
  OverloadLimits l;
  l.buffer_bytes = l.connections = l.requests = 100;
  l.lag_ns = 1'000'000;
  return l;
}
}  // namespace

TEST_CASE("each reading makes a stage from 80 % and from 100 % of its limit") {
  using Reading = OverloadReading;
  for (size_t Reading::*what : {&Reading::buffer_bytes, &Reading::requests, &Reading::connections}) {
    OverloadManager m(limits_of_100());
    Reading r;
    int most = what == &Reading::connections ? 1 : 2;  // new connections are closed, those that are there go on
    for (auto [value, stage] : {std::pair<size_t, int>{0, 0}, {79, 0}, {80, 1}, {99, 1}, {100, most}, {1000, most}}) {
      r.*what = value;
      INFO(value);
      CHECK(m.turn(0, 1'000, r) == stage);
    }
  }
}

TEST_CASE("a stage is left only well below what made it") {
  OverloadManager m(limits_of_100());
  auto at = [&](size_t requests) { return m.turn(0, 1'000, {0, 0, requests}); };
  CHECK(at(100) == 2);
  CHECK(at(95) == 2);
  CHECK(at(90) == 2);
  CHECK(at(89) == 1);
  CHECK(at(75) == 1);
  CHECK(at(69) == 0);
  CHECK(at(79) == 0);
  CHECK(at(100) == 2);
  CHECK(at(0) == 0);
}

TEST_CASE("long turns count when they last; one alone, or one long ago, does not") {
  OverloadManager m(limits_of_100());
  int64_t now = 10'000'000'000;
  auto turn = [&](int64_t busy) { return m.turn(busy, now += busy + 1'000, {}); };
  CHECK(turn(3'000'000) == 0);
  for (int i = 0; i < 20; ++i) turn(10'000);
  CHECK(m.lag_ns() < 300'000);
  int stage = 0;
  for (int i = 0; i < 40; ++i) stage = turn(3'000'000);
  CHECK(stage == 2);
  CHECK(m.lag_ns() > 2'900'000);
  for (int i = 0; i < 40; ++i) stage = turn(10'000);
  CHECK(stage == 0);
  for (int i = 0; i < 40; ++i) stage = turn(3'000'000);
  REQUIRE(stage == 2);
  now += OverloadManager::kForgetNs + 1;
  CHECK(turn(10'000) == 0);
}

TEST_CASE("by lag alone the first half of a limit's time is still served, by what is full nothing") {
  OverloadManager m(limits_of_100());
  int64_t now = 10'000'000'000;
  auto turn = [&](int64_t busy, size_t requests) { return m.turn(busy, now += busy + 1'000, {0, 0, requests}); };
  CHECK(turn(10'000, 0) == 0);
  CHECK(m.admit_ns() == INT64_MAX);
  CHECK(turn(10'000, 85) == 1);
  CHECK(m.admit_ns() == INT64_MAX);
  int stage = 0;
  for (int i = 0; i < 40; ++i) stage = turn(3'000'000, 0);
  REQUIRE(stage == 2);
  CHECK(m.admit_ns() == 500'000);
  CHECK(turn(3'000'000, 100) == 2);
  CHECK(m.admit_ns() == 0);
  CHECK(turn(3'000'000, 95) == 2);  // not yet well below
  CHECK(m.admit_ns() == 0);
  CHECK(turn(3'000'000, 80) == 2);
  CHECK(m.admit_ns() == 500'000);
}

TEST_CASE("limits that are not set are never reached") {
  OverloadLimits none;
  none.lag_ns = INT64_MAX;
  OverloadManager m(none);
  CHECK(m.turn(1'000'000'000, 5'000'000'000, {SIZE_MAX / 2, SIZE_MAX / 2, SIZE_MAX / 2}) == 0);
}
