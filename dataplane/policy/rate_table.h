// Rates of all callers on this node: a bounded table of GCRA cells, one atomic time per key, shared by the workers. One of
// the listed node-wide atomics of the request path.
//
// A cell holds the theoretical arrival time of its key: the moment at which its whole burst is free again. A cell whose time
// has passed says the same as no cell, so such cells are taken over without loss. A key lives in one of the kWindow cells
// from its hash on. When all of those are in use the one whose time comes first is evicted: its caller gets back what was
// left of its debt, at most one burst; evicted() counts it.
//
// Two workers that use and take over one cell at the same moment may charge one request to the wrong key, or forget one.
// Any thread; times are one monotonic clock's.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

namespace gw {

// `burst` at once, then one each `interval_ns`. Intervals are whole nanoseconds, rounded down: at most `requests` ns less
// than the period.
struct GcraLimit {
  int64_t interval_ns = 0;   // >= 1
  int64_t tolerance_ns = 0;  // burst x interval

  static GcraLimit of(int64_t requests, int64_t per_ns, int64_t burst);
  // A node's share among `nodes`: rate and burst divided by their number, but at least one request per period and a burst
  // of one. Together the nodes admit at most max(requests, nodes) per period beyond max(burst, nodes) at once.
  static GcraLimit share(int64_t requests, int64_t per_ns, int64_t burst, uint32_t nodes);
  int64_t burst() const { return tolerance_ns / interval_ns; }
};

struct RateVerdict {
  bool allowed = true;
  int64_t remaining = 0;       // that could come at once now
  int64_t retry_after_ns = 0;  // refused: until one will pass
  int64_t reset_ns = 0;        // until the whole burst is free
};

class RateTable {
 public:
  static constexpr size_t kWindow = 8;
  static constexpr size_t kDefaultCells = 1 << 18;  // 4 MiB

  // `cells` is rounded up to a power of two. Keys are salted with `seed`.
  explicit RateTable(size_t cells = kDefaultCells, uint64_t seed = 0);
  RateTable(const RateTable&) = delete;

  // Hash of what is counted: the object whose limit it is, and the key in it.
  uint64_t key(uint64_t object_uid, std::string_view what) const;
  uint64_t key(uint64_t object_uid, uint64_t what) const;

  // Takes one request off `key`'s limit, if it allows. No allocation.
  RateVerdict take(uint64_t key, const GcraLimit& limit, int64_t now_ns);
  // The same without taking it.
  RateVerdict look(uint64_t key, const GcraLimit& limit, int64_t now_ns) const;

  // Keys that lost their count because their window was full.
  uint64_t evicted() const { return evicted_.load(std::memory_order_relaxed); }
  size_t cells() const { return mask_ + 1; }

 private:
  struct Cell {
    std::atomic<uint64_t> key{0};      // 0: free
    std::atomic<int64_t> time_ns{0};
  };
  Cell& claim(uint64_t key, int64_t now_ns);
  const Cell* find(uint64_t key) const;

  const uint64_t seed_;
  size_t mask_ = 0;
  std::unique_ptr<Cell[]> cells_;
  std::atomic<uint64_t> evicted_{0};
};

}  // namespace gw
