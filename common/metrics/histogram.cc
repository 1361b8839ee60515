#include "common/metrics/histogram.h"

#include <algorithm>
#include <cmath>

namespace gw {

uint64_t Histogram::lower_bound(size_t index) {
  if (index == 0) return 0;
  if (index >= kBuckets - 1) return uint64_t{1} << kMaxBits;
  size_t octave = (index - 1) >> kSubBits;
  uint64_t sub = (index - 1) & ((1u << kSubBits) - 1);
  int top = kMinBits + static_cast<int>(octave);
  return (uint64_t{1} << top) + (sub << (top - kSubBits));
}

void Histogram::merge(const Histogram& other) {
  for (size_t i = 0; i < kBuckets; ++i) counts_[i] += other.counts_[i];
  count_ += other.count_;
  sum_ns_ += other.sum_ns_;
}

Histogram Histogram::since(const Histogram& before) const {
  Histogram out;
  for (size_t i = 0; i < kBuckets; ++i) out.counts_[i] = counts_[i] - before.counts_[i];
  out.count_ = count_ - before.count_;
  out.sum_ns_ = sum_ns_ - before.sum_ns_;
  return out;
}

int64_t Histogram::quantile(double q) const {
  if (count_ == 0) return 0;
  double wanted = std::clamp(q, 0.0, 1.0) * static_cast<double>(count_);
  double before = 0;
  for (size_t i = 0; i < kBuckets; ++i) {
    double here = static_cast<double>(counts_[i]);
    if (counts_[i] > 0 && before + here >= wanted) {
      uint64_t low = lower_bound(i);
      if (i == kBuckets - 1) return static_cast<int64_t>(low);
      double width = static_cast<double>(lower_bound(i + 1) - low);
      return static_cast<int64_t>(static_cast<double>(low) + width * (wanted - before) / here);
    }
    before += here;
  }
  return static_cast<int64_t>(lower_bound(kBuckets - 1));
}

uint64_t Histogram::count_at_most(int64_t ns) const {
  if (ns < 0) return 0;
  uint64_t bound = static_cast<uint64_t>(ns);
  size_t last = index(bound);
  uint64_t below = 0;
  for (size_t i = 0; i < last; ++i) below += counts_[i];
  if (last == kBuckets - 1) return below;  // how far beyond they lie is not known
  uint64_t low = lower_bound(last);
  double share =
      static_cast<double>(bound - low) / static_cast<double>(lower_bound(last + 1) - low);
  return below + static_cast<uint64_t>(static_cast<double>(counts_[last]) * share);
}

}  // namespace gw
