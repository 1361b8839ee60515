#include "dataplane/policy/rate_table.h"

#include <algorithm>
#include <bit>

#include "dataplane/routing/hash.h"

namespace gw {
namespace {

constexpr int64_t kMaxTolerance = int64_t{1} << 60;  // 36 years

GcraLimit make(__int128 interval, __int128 burst) {
  GcraLimit out;
  out.interval_ns = static_cast<int64_t>(std::clamp<__int128>(interval, 1, kMaxTolerance));
  out.tolerance_ns = static_cast<int64_t>(std::clamp<__int128>(burst * out.interval_ns, out.interval_ns, kMaxTolerance));
  return out;
}

// What a request at `now` makes of a cell's time.
struct Step {
  int64_t next;
  RateVerdict verdict;
};
Step step(int64_t time, const GcraLimit& limit, int64_t now) {
  int64_t from = std::max(time, now);
  Step s{from + limit.interval_ns, {}};
  int64_t excess = s.next - now - limit.tolerance_ns;
  s.verdict.allowed = excess <= 0;
  int64_t debt = s.verdict.allowed ? s.next - now : from - now;
  s.verdict.remaining = (limit.tolerance_ns - std::min(debt, limit.tolerance_ns)) / limit.interval_ns;
  s.verdict.retry_after_ns = s.verdict.allowed ? 0 : excess;
  s.verdict.reset_ns = debt;
  return s;
}

}  // namespace

GcraLimit GcraLimit::of(int64_t requests, int64_t per_ns, int64_t burst) { return share(requests, per_ns, burst, 1); }

GcraLimit GcraLimit::share(int64_t requests, int64_t per_ns, int64_t burst, uint32_t nodes) {
  __int128 n = std::max<uint32_t>(nodes, 1);
  __int128 interval = std::min<__int128>(per_ns * n / std::max<int64_t>(requests, 1), per_ns);
  return make(interval, std::max<__int128>(burst / n, 1));
}

RateTable::RateTable(size_t cells, uint64_t seed) : seed_(seed) {
  size_t size = std::bit_ceil(std::max(cells, kWindow));
  mask_ = size - 1;
  cells_ = std::make_unique<Cell[]>(size);
}

uint64_t RateTable::key(uint64_t object_uid, std::string_view what) const {
  return key(object_uid, hash_bytes(what, seed_));
}

uint64_t RateTable::key(uint64_t object_uid, uint64_t what) const {
  uint64_t h = fold_multiply(object_uid ^ seed_ ^ 0xa0761d6478bd642f, what ^ 0xe7037ed1a0b428db);
  h = fold_multiply(h ^ what, 0x8ebc6af09c88c6e3 ^ object_uid);
  return h == 0 ? 1 : h;
}

const RateTable::Cell* RateTable::find(uint64_t key) const {
  for (size_t i = 0; i < kWindow; ++i) {
    const Cell& cell = cells_[(key + i) & mask_];
    if (cell.key.load(std::memory_order_relaxed) == key) return &cell;
  }
  return nullptr;
}

RateTable::Cell& RateTable::claim(uint64_t key, int64_t now_ns) {
  for (int attempt = 0;; ++attempt) {
    Cell* best = nullptr;
    uint64_t holder = 0;
    int64_t best_time = 0;
    for (size_t i = 0; i < kWindow; ++i) {
      Cell& cell = cells_[(key + i) & mask_];
      uint64_t held = cell.key.load(std::memory_order_relaxed);
      if (held == key) return cell;
      int64_t time = held == 0 ? INT64_MIN : cell.time_ns.load(std::memory_order_relaxed);
      if (!best || time < best_time) {
        best = &cell;
        holder = held;
        best_time = time;
      }
    }
    bool evicts = holder != 0 && best_time > now_ns;
    if (best->key.compare_exchange_strong(holder, key, std::memory_order_relaxed)) {
      if (evicts) {
        evicted_.fetch_add(1, std::memory_order_relaxed);
        best->time_ns.store(0, std::memory_order_relaxed);
      }
      return *best;
    }
    // Another worker was faster: look again; after a few times take what there is.
    if (attempt == 3) return *best;
  }
}

RateVerdict RateTable::take(uint64_t key, const GcraLimit& limit, int64_t now_ns) {
  Cell& cell = claim(key, now_ns);
  int64_t time = cell.time_ns.load(std::memory_order_relaxed);
  for (;;) {
    Step s = step(time, limit, now_ns);
    if (!s.verdict.allowed) return s.verdict;
    if (cell.time_ns.compare_exchange_weak(time, s.next, std::memory_order_relaxed)) return s.verdict;
  }
}

RateVerdict RateTable::look(uint64_t key, const GcraLimit& limit, int64_t now_ns) const {
  const Cell* cell = find(key);
  Step s = step(cell ? cell->time_ns.load(std::memory_order_relaxed) : 0, limit, now_ns);
  if (s.verdict.allowed) ++s.verdict.remaining;  // nothing was taken
  return s.verdict;
}

}  // namespace gw
