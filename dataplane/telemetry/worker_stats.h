// What one worker counts. Plain numbers, no atomics, no locks: only the worker's thread touches them; the scrape asks each
// worker through its mailbox for a copy (snapshot_into) and merges the copies elsewhere (metrics_page.h).
//
// Routes, upstreams and policies are dense indexes that the node gives out once per uid, so that counters survive swaps.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "common/metrics/histogram.h"
#include "dataplane/telemetry/request_record.h"

namespace gw {

enum class AttemptResult : uint8_t { kOk, kConnect, kTimeout, kReset, kInvalid, kCancelled, kCount };
enum class PolicyVerdict : uint8_t { kNext, kRespond, kObserved, kFailOpen, kCount };

// Events without labels of their own. One line in kCounterNames (worker_stats.cc) each.
enum class Counter : uint8_t {
  kConnectionsAccepted,
  kConnectionsRefused,  // the limit of live connections was hit
  kRequestHeadTooLarge,
  kRequestBodyTooLarge,
  kRequestTimeouts,
  kUpstreamQueueFull,
  kUpstreamPoolFull,
  kBufferLimit,
  kRateTableFull,
  kRetryReused,
  kClientClosed,
  kCount,
};

// Values of the moment, written by the worker as it pleases.
struct WorkerGauges {
  int64_t connections_active = 0;  // with a request on them
  int64_t connections_idle = 0;
  int64_t active_requests = 0;
  int64_t buffer_bytes = 0;
};

struct RequestCount {
  Method method = Method::kOther;
  Reason reason = Reason::kNone;
  uint16_t status = 0;
  uint64_t count = 0;
};

struct RouteStats {
  // Combinations seen, most frequent first; at most kMaxCombinations, the rest under (kOther, kNone, 0).
  static constexpr size_t kMaxCombinations = 48;
  std::vector<RequestCount> requests;
  uint64_t request_bytes = 0;
  uint64_t response_bytes = 0;
  uint64_t client_errors = 0;  // 4xx
  uint64_t server_errors = 0;  // 5xx
  Histogram duration_ns;
};

struct UpstreamStats {
  std::array<uint64_t, static_cast<size_t>(AttemptResult::kCount)> attempts{};
  uint64_t retries = 0;
  Histogram duration_ns;
};

struct PolicyStats {
  std::array<uint64_t, static_cast<size_t>(PolicyVerdict::kCount)> verdicts{};
};

// A copy of one worker's numbers, or the sum of several. Null where nothing was counted.
struct StatsSnapshot {
  std::unique_ptr<RouteStats> unmatched;              // requests without a route
  std::vector<std::unique_ptr<RouteStats>> routes;    // by dense index
  std::vector<std::unique_ptr<UpstreamStats>> upstreams;
  std::vector<PolicyStats> policies;
  std::array<uint64_t, static_cast<size_t>(Counter::kCount)> counters{};
  Histogram overhead_ns;  // the gateway's own time
  WorkerGauges gauges;

  // Adds `other` to this.
  void merge(const StatsSnapshot& other);
};

// Owner and thread: the worker.
class WorkerStats {
 public:
  // Highest index counted by itself; beyond it all share one place, so that churn of objects cannot eat the memory.
  static constexpr uint32_t kMaxIndex = 100'000;

  void record(const RequestRecord& r);
  // `duration_ns`: connect to end of response, of this attempt.
  void attempt(uint32_t upstream_index, AttemptResult result, int64_t duration_ns);
  void retry(uint32_t upstream_index);
  void policy(uint32_t policy_index, PolicyVerdict verdict);
  void count(Counter counter, uint64_t n = 1) { stats_.counters[static_cast<size_t>(counter)] += n; }
  WorkerGauges& gauges() { return stats_.gauges; }

  // Adds a copy of everything to `out`. On the worker's thread.
  void snapshot_into(StatsSnapshot& out) const { out.merge(stats_); }

 private:
  RouteStats& route(uint32_t index);
  UpstreamStats& upstream(uint32_t index);

  StatsSnapshot stats_;
};

// `gw_..._total` name and help of a counter.
struct CounterName {
  std::string_view name, help;
};
const CounterName& counter_name(Counter counter);

}  // namespace gw
