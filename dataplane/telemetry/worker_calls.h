// How telemetry reaches the workers: by posting to their mailboxes. Implemented by the node.
#pragma once

#include <cstddef>
#include <functional>

namespace gw {

class WorkerStats;
class UsageMeter;

// Any thread.
class WorkerCalls {
 public:
  virtual ~WorkerCalls() = default;
  virtual size_t workers() const = 0;
  // Runs fn on the worker's thread, with what it counts in. False: the worker has stopped, fn will not run. A worker that
  // stops runs what was posted before.
  using Fn = std::function<void(WorkerStats&, UsageMeter&)>;
  virtual bool post(size_t worker, Fn fn) = 0;
};

}  // namespace gw
