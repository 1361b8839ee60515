// Finds the targets of a node's upstreams, for all its workers: resolves every name that the configuration in force has, ahead
// of need, and keeps the targets that were added at run time. One per node, on a thread and loop of its own. It is the only one
// that asks name servers.
//
// Upstreams with the same name and the same rules share what is known of it. Workers and the prober are told only what has
// changed. Owner: the Node.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "common/http/address.h"
#include "dataplane/telemetry/worker_stats.h"
#include "dataplane/upstream/targets.h"

namespace gw {

class Endpoints;
class Snapshot;

struct DiscoveryOptions {
  // Where the node itself listens for its operators: never a target.
  std::vector<std::pair<IpAddress, uint16_t>> own;
  // What has changed, in the order in which it did. On discovery's thread.
  std::function<void(const std::vector<TargetsChange>&)> tell;
};

class Discovery {
 public:
  // Look-ups at one time; the others wait for their turn.
  static constexpr size_t kMaxAsking = 256;

  explicit Discovery(DiscoveryOptions options);
  ~Discovery();

  // Any thread. Names that stay keep what is known of them.
  void configure(std::shared_ptr<const Snapshot> snapshot);
  // Any thread: targets that were added at run time. `told` is called, on discovery's thread, once workers have been told.
  // False: it has ended.
  bool endpoints(std::shared_ptr<const Endpoints> endpoints, std::function<void()> told);
  // Any thread: calls `done` with what is known of names, on discovery's thread. False: it has ended.
  bool report(std::function<void(const DiscoveryStats&)> done);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace gw
