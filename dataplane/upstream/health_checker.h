// Asks the targets of upstreams with `health.active`, for all workers of a node: one prober, on a thread and loop of its own.
//
// A target counts as well until it has failed `unhealthyAfter` probes in a row, and as not well until it has passed
// `healthyAfter`. Each probe is a connection of its own. Times are spread, so that many nodes do not ask at one moment.
// Owner: the Node.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "dataplane/upstream/pool.h"

namespace gw {

class Snapshot;

class HealthChecker {
 public:
  // `tell` is called on the prober's thread when a target's health has changed.
  explicit HealthChecker(std::function<void(const HealthChange&)> tell);
  ~HealthChecker();

  // Any thread. Targets that stay keep what is known of them.
  void configure(std::shared_ptr<const Snapshot> snapshot, std::shared_ptr<const TlsClients> clients = std::make_shared<TlsClients>());
  // Any thread. Targets that were found.
  void apply(std::shared_ptr<const std::vector<TargetsChange>> changes);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace gw
