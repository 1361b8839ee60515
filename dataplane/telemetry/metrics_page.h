// The text of /metrics: the workers' numbers merged and labelled.
//
// Labels are remembered by dense index for as long as the node runs, so that the counters of an object that was removed do
// not vanish (nor go back) while it is remembered. Owner: the node. One thread at a time.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "dataplane/telemetry/worker_calls.h"
#include "dataplane/telemetry/worker_stats.h"
#include "gw/v1/telemetry.pb.h"

namespace gw {

class Snapshot;

// What stands in the labels of one dense index.
struct RouteLabels {
  uint64_t api_uid = 0, route_uid = 0;
  std::string api, route;  // owner/name
};
struct PolicyLabels {
  std::string policy, type;
};

// Values of the node itself, beside what the workers count.
struct NodeMetrics {
  std::string build, commit;
  uint64_t config_version = 0;
  int64_t config_success_wall_ns = 0;
  int64_t directory_success_wall_ns = 0;
  uint64_t config_rejected = 0;
  bool control_plane_connected = false;
  uint64_t usage_events = 0, usage_unacknowledged = 0, usage_lost = 0;
  uint64_t access_log_dropped = 0;
  int64_t snapshot_bytes = 0;
};

class MetricsPage {
 public:
  // Remembers the names of a snapshot that is put into force.
  void learn(const Snapshot& snapshot);
  void learn_route(uint32_t index, RouteLabels labels);
  void learn_upstream(uint32_t index, uint64_t uid, std::string name);
  void learn_policy(uint32_t index, PolicyLabels labels);

  // Prometheus text format 0.0.4.
  std::string render(const StatsSnapshot& stats, const NodeMetrics& node) const;
  // Routes and upstreams with anything counted, for MetricsReport; percentiles over what was counted since the last call.
  void report(const StatsSnapshot& stats, v1::MetricsReport& out);

 private:
  struct Seen;  // what the last report had

  std::vector<RouteLabels> routes_;
  std::vector<std::pair<uint64_t, std::string>> upstreams_;
  std::vector<PolicyLabels> policies_;
  std::vector<Histogram> last_durations_;
};

// Asks every worker for its numbers and calls `done` with their sum, on the thread of the worker that answered last (or
// inline, when none is left to answer): hand over from there.
void collect_stats(WorkerCalls& workers, std::function<void(StatsSnapshot)> done);

}  // namespace gw
