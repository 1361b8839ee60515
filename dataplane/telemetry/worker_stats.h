// What one worker counts. Plain numbers, no atomics, no locks: only the worker's thread touches them; the scrape asks each
// worker through its mailbox for a copy, slice by slice (copy_slice), and adds the slices and makes text of them elsewhere
// (metrics_page.h).
//
// Routes, upstreams and policies are counted at their dense index, and the place remembers its object's uid: counters
// survive swaps, and an index that is given out anew starts from zero.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/metrics/histogram.h"
#include "dataplane/policy/policy.h"
#include "dataplane/snapshot/config.h"
#include "dataplane/telemetry/request_record.h"

namespace gw {

enum class AttemptResult : uint8_t { kOk, kConnect, kTimeout, kReset, kInvalid, kCancelled, kCount };
enum class PolicyVerdict : uint8_t { kNext, kRespond, kObserved, kFailOpen, kCount };
// What became of a request that was drawn to be copied to a mirror: the status of its answer, or why there is none.
enum class MirrorResult : uint8_t { k2xx, k3xx, k4xx, k5xx, kFailed, kTimeout, kTooMany, kTooLarge, kUnfinished, kCount };
std::string_view mirror_result_name(MirrorResult result);  // 2xx, …, failed, timeout, dropped_too_many, …
std::string_view result_name(AttemptResult result);    // ok, connect, …
// How a TLS handshake with a client ended.
enum class TlsResult : uint8_t {
  kOk12, kOk13, kResumed12, kResumed13,
  kProtocol, kNoHost, kNoAlpn, kCertificate, kPeer, kTimeout, kLimit, kCount
};
struct TlsResultName {
  std::string_view result, version;
};
TlsResultName tls_result_name(TlsResult result);
// Why an attempt followed another.
enum class RetryReason : uint8_t { kReused, kConnect, kReset, kTimeout, kStatus, kHedge, kGrpcStatus, kCount };
std::string_view retry_name(RetryReason reason);       // reused_connection, connect, …
std::string_view verdict_name(PolicyVerdict verdict);  // pass, refuse, observe, fail_open

// Events without labels of their own, limits that were hit among them. One line in worker_stats.cc each.
enum class Counter : uint8_t {
  kConnectionsAccepted,
  kConnectionsRefused,  // the limit of live connections was hit
  kRequestHeadTooLarge,
  kRequestBodyTooLarge,
  kRequestTimeouts,
  kUpstreamQueueFull,
  kUpstreamPoolFull,
  kUpstreamEjections,
  kUpstreamTlsFailed,      // handshakes with targets
  kUpstreamCircuitOpen,    // requests refused by a circuit breaker
  kUpstreamCircuitOpened,
  kRetryRefused,           // by budget or maxRetries
  kBufferLimit,
  kBodiesSpliced,
  kSplicePipesFull,
  kRateTableFull,
  kRetryReused,
  kClientClosed,
  kTunnels,
  kTunnelBytesIn,
  kTunnelBytesOut,
  kTunnelIdleTimeouts,
  kTunnelsDrained,
  kTunnelOriginDenied,
  kLoops,
  kStacked,
  kStackTooDeep,
  kProxyHeaderRefused,
  kGatewayConnectionsFull,
  kClientConnectionsFull,
  kConnectionRequestsUsedUp,
  kOverloadRefused,
  kOverloadClosed,
  kRequestsBlocked,   // by `gwctl block ip`
  kRequestsDisabled,  // by `gwctl api disable`
  kUpstreamHttp2Connections,
  kUpstreamHttp2Goaways,
  kUpstreamHttp2Moved,
  kUpstreamHttp2Budgets,
  kHttp2Requests,
  kHttp2BudgetExceeded,
  kEarlyRequests,  // that came as early data of TLS
  kEarlyRefused,
  kCount,
};
// `gw_..._total` name and help of a counter.
struct CounterName {
  std::string_view name, help;
};
const CounterName& counter_name(Counter counter);

// Values of the moment, written by the worker as it pleases.
struct WorkerGauges {
  int64_t connections_active = 0;  // with a request on them
  int64_t connections_idle = 0;
  int64_t active_requests = 0;     // tunnels among them
  int64_t tunnels = 0;
  int64_t mirrors = 0;             // copies in work
  int64_t handshakes = 0;          // of TLS with clients, in work
  int64_t buffer_bytes = 0;
  int64_t http2_connections = 0;
  int64_t http2_streams = 0;
  int64_t overload_stage = 0;  // 0 to 2; of several workers the highest

  void merge(const WorkerGauges& other);
};

struct RequestCount {
  Method method = Method::kOther;
  Reason reason = Reason::kNone;
  uint16_t status = 0;
  uint64_t count = 0;
};

struct RouteStats {
  // Combinations counted by themselves; what comes after goes under (kOther, kNone, 0).
  static constexpr size_t kMaxCombinations = 48;

  uint64_t uid = 0;
  std::vector<RequestCount> requests;
  uint64_t request_bytes = 0;
  uint64_t response_bytes = 0;
  uint64_t client_errors = 0;  // 4xx
  uint64_t server_errors = 0;  // 5xx
  std::vector<uint64_t> grpc;  // at each GrpcStatus; empty: no gRPC call was seen
  Histogram duration_ns;

  uint64_t total() const { return duration_ns.count(); }
  void count(Method method, Reason reason, uint16_t status, uint64_t n);
  void count(GrpcStatus status, uint64_t n);
  void merge(const RouteStats& other);
};

// Of the moment.
struct UpstreamGauges {
  int64_t targets = 0;     // all of them
  int64_t well = 0;        // targets that take requests; the sum of workers is their least
  int64_t in_work = 0, waiting = 0;
  bool circuit_open = false, panicking = false;

  void merge(const UpstreamGauges& other);
};

// One target as it stands; sums over workers.
struct TargetStats {
  uint64_t requests = 0, failures = 0;
  uint32_t idle = 0, busy = 0;  // connections
  bool drained = false;         // by an operator's switch
  bool probe_failed = false, ejected = false;
  UpstreamTarget::Source source = UpstreamTarget::Source::kStatic;
  std::string name;             // that it was found by
  uint32_t weight = 0;
  uint8_t priority = 0;

  void merge(const TargetStats& other);
};

// A name that is resolved for an upstream.
struct NameStats {
  std::string name;
  bool srv = false;
  bool answered = false;        // at least once, good or bad
  bool failing = false;         // the last answer was not what is in use
  std::vector<std::string> addresses;  // in use
  int64_t refresh_in_ms = -1;
  int64_t stale_since_s = 0;    // Unix seconds; 0: fresh
  std::string problem;          // empty: none
  uint32_t refused = 0, excess = 0;  // left out of the last good answer
};

// What Discovery has counted and knows.
struct DiscoveryStats {
  std::array<uint64_t, 3> lookups{};  // found, missing, failed
  uint64_t refused = 0, excess = 0;   // addresses and records left out
  uint64_t stale = 0, unresolved = 0; // names of the moment
  std::map<uint64_t, std::vector<NameStats>> names;  // by upstream
};

struct UpstreamStats {
  uint64_t uid = 0;
  std::optional<UpstreamGauges> gauges;  // in sums alone
  std::array<uint64_t, static_cast<size_t>(AttemptResult::kCount)> attempts{};
  std::array<uint64_t, static_cast<size_t>(RetryReason::kCount)> retries{};
  std::array<uint64_t, static_cast<size_t>(MirrorResult::kCount)> mirrored{};
  Histogram duration_ns;
  std::map<std::string, TargetStats> targets;  // by host:port; in sums alone

  void merge(const UpstreamStats& other);
  void add(const UpstreamGauges& more);
};

struct PolicyStats {
  uint64_t uid = 0;
  std::array<uint64_t, static_cast<size_t>(PolicyVerdict::kCount)> verdicts{};

  void merge(const PolicyStats& other);
};

// Requests refused by a plan's rate or quota (plan 0: by a rateLimit policy), by uids.
struct Rejection {
  uint64_t api = 0;
  uint64_t plan = 0;
  friend auto operator<=>(const Rejection&, const Rejection&) = default;
};

// Bytes of requests to and answers from targets in one zone.
struct ZoneBytes {
  uint64_t sent = 0, received = 0;
};

// What has no uid.
struct StatsTotals {
  std::map<std::string, ZoneBytes> zones;
  std::array<uint64_t, static_cast<size_t>(Counter::kCount)> counters{};
  std::array<uint64_t, static_cast<size_t>(TlsResult::kCount)> handshakes{};
  Histogram overhead_ns;  // the gateway's own time
  Histogram loop_lag_ns;  // turns of the workers' loops
  WorkerGauges gauges;

  void merge(const StatsTotals& other);
};

struct StatsSlice;

// The sum of workers' numbers, by uid; routes[0] has the requests that no route took.
struct StatsSnapshot : StatsTotals {
  std::map<uint64_t, RouteStats> routes;
  std::map<uint64_t, UpstreamStats> upstreams;
  std::map<uint64_t, PolicyStats> policies;
  std::map<Rejection, uint64_t> rejections;
  DiscoveryStats discovery;

  void add(const StatsSlice& slice);
};

// What one slice of a copy may do, so that no turn of a worker's loop is long however much there is to copy.
class SliceBudget {
 public:
  static constexpr int kLooks = 4096;  // places without anything to copy
  static constexpr int kCopies = 64;   // what is copied: a histogram of 800 bytes each

  bool left() const { return units_ > 0; }
  void looked() { units_ -= 1; }
  void copied() { units_ -= kLooks / kCopies; }

 private:
  int units_ = kLooks;
};

// Rows that are used again and again and keep their memory.
template <class Row>
class Rows {
 public:
  explicit Rows(size_t size) : rows_(size) {}
  // To be assigned in full: it has what it had before.
  Row& next() {
    if (used_ == rows_.size()) rows_.emplace_back();
    return rows_[used_++];
  }
  void clear() { used_ = 0; }
  size_t size() const { return used_; }
  const Row* begin() const { return rows_.data(); }
  const Row* end() const { return rows_.data() + used_; }

 private:
  std::vector<Row> rows_;
  size_t used_ = 0;
};

// What a worker copies in one turn, for another thread to add up. A worker that allocated what others free would wait for them:
// the heap's lock is held while it is put in order, for milliseconds after 100,000 pieces. So one slice serves for a whole copy.
struct StatsSlice {
  struct Gauges {
    uint64_t upstream = 0;
    UpstreamGauges gauges;
  };
  struct Target {
    uint64_t upstream = 0;
    std::string address;  // host:port
    TargetStats stats;
  };
  StatsSlice();
  void clear();
  size_t size() const { return routes.size() + upstreams.size() + policies.size() + rejections.size() + gauges.size() + targets.size(); }

  std::optional<StatsTotals> totals;
  Rows<RouteStats> routes;
  Rows<UpstreamStats> upstreams;
  Rows<PolicyStats> policies;
  Rows<std::pair<Rejection, uint64_t>> rejections;
  Rows<Gauges> gauges;
  Rows<Target> targets;
};

// How far a copy has got. Begins with StatsCursor().
struct StatsCursor {
  int table = 0;
  uint64_t next = 0;    // index or uid in the table
  Rejection rejection;  // likewise, for that table
};

// Owner and thread: the worker.
class WorkerStats {
 public:
  static constexpr size_t kMaxRejections = 4096;

  WorkerStats() = default;
  WorkerStats(const WorkerStats&) = delete;
  WorkerStats& operator=(const WorkerStats&) = delete;

  void record(const RequestRecord& r);
  // One attempt at an upstream; `duration_ns` from connecting to the response's end.
  void attempt(const ObjectInfo& upstream, AttemptResult result, int64_t duration_ns);
  void retry(const ObjectInfo& upstream, RetryReason reason);
  // Zones are counted at the pool's index of them.
  void name_zone(uint32_t index, const std::string& zone);
  void zone_bytes(uint32_t index, uint64_t sent, uint64_t received) {
    if (index >= zones_.size()) return;
    zones_[index].second.sent += sent;
    zones_[index].second.received += received;
  }
  // By index and uid: the upstream's configuration may be gone.
  void mirrored(uint32_t upstream_index, uint64_t upstream_uid, MirrorResult result);
  void policy(const Policy::Info& policy, PolicyVerdict verdict);
  // A Plan decides like a policy; its verdicts are kept among theirs.
  void plan(uint64_t plan_uid, PolicyVerdict verdict);
  void count(Counter counter, uint64_t n = 1) { counters_[static_cast<size_t>(counter)] += n; }
  void handshake(TlsResult result) { ++handshakes_[static_cast<size_t>(result)]; }
  WorkerGauges& gauges() { return gauges_; }
  // One turn of the loop, from its first event to its last.
  void loop_turn(int64_t busy_ns) { loop_lag_ns_.record(busy_ns); }

  // Copies what others keep, from `next` on (0 at first) while the budget lasts. False: more is left.
  using More = std::function<bool(uint64_t& next, SliceBudget& budget, StatsSlice& out)>;
  void more(More fn) { more_ = std::move(fn); }
  // The next slice of everything, in place of what `out` had; false: more is left, for a later turn. On the worker's thread.
  bool copy_slice(StatsCursor& at, StatsSlice& out) const;
  // All slices at once: for tests.
  void snapshot_into(StatsSnapshot& out) const;

 private:
  void copy_totals(StatsSlice& out) const;

  // Allocated at the first count, so that a route without traffic costs a pointer.
  std::vector<std::unique_ptr<RouteStats>> routes_;
  std::vector<std::unique_ptr<UpstreamStats>> upstreams_;
  std::vector<PolicyStats> policies_;
  std::map<uint64_t, PolicyStats> plans_;
  std::map<Rejection, uint64_t> rejections_;  // at most kMaxRejections
  std::vector<std::pair<std::string, ZoneBytes>> zones_;
  RouteStats unmatched_;
  std::array<uint64_t, static_cast<size_t>(Counter::kCount)> counters_{};
  std::array<uint64_t, static_cast<size_t>(TlsResult::kCount)> handshakes_{};
  Histogram overhead_ns_;
  Histogram loop_lag_ns_;
  WorkerGauges gauges_;
  More more_;
};

}  // namespace gw
