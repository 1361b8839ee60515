#include "common/metrics/histogram.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <vector>

#include "common/base/random.h"

namespace gw {
namespace {

TEST_CASE("buckets cover every value without gap or overlap") {
  for (size_t i = 1; i < Histogram::kBuckets; ++i) {
    uint64_t low = Histogram::lower_bound(i);
    CHECK(Histogram::lower_bound(i - 1) < low);
    CHECK(Histogram::index(low) == i);
    CHECK(Histogram::index(low - 1) == i - 1);
  }
  CHECK(Histogram::index(0) == 0);
  CHECK(Histogram::index(UINT64_MAX) == Histogram::kBuckets - 1);
}

TEST_CASE("a histogram stays small enough for one per route") { CHECK(sizeof(Histogram) <= 808); }

TEST_CASE("a quantile is within a quarter of the true one") {
  FastRandom random(11);
  for (int round = 0; round < 20; ++round) {
    Histogram histogram;
    std::vector<int64_t> values;
    uint64_t spread = 10 + random.below(13);
    for (int i = 0; i < 5000; ++i) {
      // Between 16 µs and 70 s, evenly over the magnitudes.
      int64_t ns =
          static_cast<int64_t>((uint64_t{1} << (14 + random.below(spread))) + random.below(16384));
      values.push_back(ns);
      histogram.record(ns);
    }
    std::sort(values.begin(), values.end());
    for (double q : {0.1, 0.5, 0.9, 0.99, 1.0}) {
      double truth = static_cast<double>(values[static_cast<size_t>(q * 4999)]);
      double got = static_cast<double>(histogram.quantile(q));
      INFO("q " << q << " truth " << truth << " got " << got);
      CHECK(got >= truth * 0.8);
      CHECK(got <= truth * 1.25);
    }
  }
}

TEST_CASE("an empty histogram answers 0, a negative duration counts as none") {
  Histogram histogram;
  CHECK(histogram.quantile(0.99) == 0);
  CHECK(histogram.count_at_most(1'000'000'000) == 0);
  histogram.record(-5);
  CHECK(histogram.count() == 1);
  CHECK(histogram.sum_ns() == 0);
  CHECK(histogram.quantile(1) <= 8192);
}

TEST_CASE("values beyond the last bound are counted and do not spill into bounds below") {
  Histogram histogram;
  histogram.record(int64_t{1} << 50);
  CHECK(histogram.count() == 1);
  CHECK(histogram.count_at_most((int64_t{1} << 37) - 1) == 0);
  CHECK(histogram.quantile(0.5) == int64_t{1} << 37);
}

TEST_CASE("merging is the same as recording in one") {
  FastRandom random(5);
  Histogram a, b, both;
  for (int i = 0; i < 1000; ++i) {
    int64_t ns = static_cast<int64_t>(random.below(5'000'000'000));
    (i % 2 ? a : b).record(ns);
    both.record(ns);
  }
  Histogram before = a;
  a.merge(b);
  CHECK(a.count() == both.count());
  CHECK(a.sum_ns() == both.sum_ns());
  Histogram later = a.since(before);
  CHECK(later.count() == b.count());
  CHECK(later.sum_ns() == b.sum_ns());
  for (int64_t ns = 1000; ns < 10'000'000'000; ns *= 3) {
    CHECK(a.count_at_most(ns) == both.count_at_most(ns));
    CHECK(later.count_at_most(ns) == b.count_at_most(ns));
  }
}

TEST_CASE("counts below a bound never fall, neither with the bound nor with more records") {
  FastRandom random(3);
  Histogram histogram;
  std::vector<uint64_t> last(40, 0);
  for (int round = 0; round < 300; ++round) {
    histogram.record(static_cast<int64_t>(random.below(uint64_t{1} << (10 + random.below(28)))));
    uint64_t below = 0;
    int64_t bound = 500;
    for (uint64_t& seen : last) {
      uint64_t now = histogram.count_at_most(bound);
      REQUIRE(now >= below);
      REQUIRE(now >= seen);
      REQUIRE(now <= histogram.count());
      below = seen = now;
      bound = bound * 8 / 5;
    }
  }
}

}  // namespace
}  // namespace gw
