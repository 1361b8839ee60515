// Durations in log-linear buckets: four to each power of two, so that a quantile is off by a
// quarter at most. Plain numbers without atomics, fixed memory (800 bytes), a record costs a few
// nanoseconds. One thread at a time.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace gw {

class Histogram {
 public:
  static constexpr int kSubBits = 2;   // 2^2 buckets to each power of two
  static constexpr int kMinBits = 13;  // below 8.2 µs all is one bucket
  static constexpr int kMaxBits = 37;  // 137 s and above is the last one
  static constexpr size_t kBuckets = ((kMaxBits - kMinBits) << kSubBits) + 2;

  // Negative counts as 0.
  void record(int64_t ns) {
    uint64_t value = ns > 0 ? static_cast<uint64_t>(ns) : 0;
    ++counts_[index(value)];
    ++count_;
    sum_ns_ += value;
  }

  void merge(const Histogram& other);
  // What was recorded since `before`, an earlier copy of this histogram.
  Histogram since(const Histogram& before) const;

  uint64_t count() const { return count_; }
  uint64_t sum_ns() const { return sum_ns_; }
  // Nanoseconds that the share `q` (0 to 1) of all records does not exceed, even within its bucket;
  // 0 when empty.
  int64_t quantile(double q) const;
  // Records of at most `ns`: exact on a bucket's bound, in proportion within one. Never falls as
  // `ns` or the records grow.
  uint64_t count_at_most(int64_t ns) const;

  static size_t index(uint64_t ns) {
    if (ns < (uint64_t{1} << kMinBits)) return 0;
    if (ns >= (uint64_t{1} << kMaxBits)) return kBuckets - 1;
    int top = std::bit_width(ns) - 1;
    size_t sub = (ns >> (top - kSubBits)) & ((1u << kSubBits) - 1);
    return 1 + (static_cast<size_t>(top - kMinBits) << kSubBits) + sub;
  }
  // First value of a bucket; the last bucket ends nowhere.
  static uint64_t lower_bound(size_t index);

 private:
  std::array<uint64_t, kBuckets> counts_{};
  uint64_t count_ = 0;
  uint64_t sum_ns_ = 0;
};

}  // namespace gw
