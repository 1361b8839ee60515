// The text of /metrics: the workers' numbers merged and labelled.
//
// Names are remembered by uid for as long as anything is counted for it, so that the counters of an object that was removed
// neither vanish nor go back while its place is not given to another. Owner: the node. One thread at a time.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/metrics/prometheus.h"
#include "dataplane/telemetry/worker_calls.h"
#include "dataplane/telemetry/worker_stats.h"
#include "gw/v1/telemetry.pb.h"

namespace gw {

class Snapshot;

// Values of the node itself, beside what the workers count.
struct NodeMetrics {
  std::string version, commit;  // of the build
  std::string zone;             // of the node
  uint64_t config_version = 0;
  uint64_t directory_version = 0;
  uint64_t switches_version = 0;
  uint64_t endpoints_version = 0;
  uint64_t certificates_version = 0;
  std::vector<std::pair<std::string, int64_t>> certificate_ends;  // owner/name, or `node`: its own for the control channel; Unix seconds; at most kMaxObjects are shown
  int64_t config_success_wall_ns = 0;
  int64_t directory_success_wall_ns = 0;
  uint64_t config_rejected = 0;
  bool control_plane_connected = false;
  uint64_t usage_events = 0, usage_unacknowledged = 0, usage_lost = 0;
  uint64_t access_log_dropped = 0;
  uint64_t snapshot_bytes = 0;
  uint64_t handovers = 0, handovers_failed = 0;
};

class MetricsPage {
 public:
  // Most routes, upstreams or policies with labels of their own; the rest is summed under the label "_OTHER".
  static constexpr size_t kMaxObjects = 20'000;
  // Most targets in a report, of one upstream and in all; the rest is left out.
  static constexpr int kMaxTargets = 1'000, kMaxAllTargets = 10'000;
  static constexpr int kMaxNameAddresses = 16;

  // Remembers the names of a snapshot that is put into force.
  void learn(const Snapshot& snapshot);
  void learn_route(uint64_t uid, uint64_t api_uid, std::string route, std::string api);
  void learn_upstream(uint64_t uid, std::string upstream);
  void learn_policy(uint64_t uid, std::string policy, std::string type);
  void learn_name(uint64_t uid, std::string name);  // of an Api or a Plan

  // Prometheus text format 0.0.4 (kPrometheusContentType).
  std::string render(const StatsSnapshot& stats, const NodeMetrics& node) const;
  // Routes and upstreams with anything counted; percentiles of what was counted since the last call.
  void report(const StatsSnapshot& stats, v1::MetricsReport& out);

 private:
  struct RouteLabels {
    uint64_t api_uid = 0;
    std::string route, api;
  };
  struct PolicyLabels {
    std::string policy, type;
  };
  struct LabelledRoutes;
  LabelledRoutes by_labels(const StatsSnapshot& stats) const;
  std::string_view name_of(const std::map<uint64_t, std::string>& names, uint64_t uid) const;
  void render_routes(const StatsSnapshot& stats, PrometheusWriter& out) const;
  void render_upstreams(const StatsSnapshot& stats, PrometheusWriter& out) const;
  void render_names(const DiscoveryStats& names, PrometheusWriter& out) const;
  void render_policies(const StatsSnapshot& stats, PrometheusWriter& out) const;

  std::map<uint64_t, RouteLabels> routes_;
  std::map<uint64_t, std::string> upstreams_;
  std::map<uint64_t, std::string> names_;     // Apis and Plans
  std::map<std::string, size_t> targets_;     // of each upstream of the snapshot in force
  std::map<uint64_t, PolicyLabels> policies_;
  std::map<uint64_t, Histogram> reported_;  // durations as of the last report
};

// Asks one worker after the other for its numbers, slice by slice, adds each slice to the sum `elsewhere`, and calls `done` with it
// once: there, or inline when there is no worker left to answer.
using Elsewhere = std::function<void(std::function<void()> task)>;
void collect_stats(WorkerCalls& workers, Elsewhere elsewhere, std::function<void(StatsSnapshot)> done);

}  // namespace gw
