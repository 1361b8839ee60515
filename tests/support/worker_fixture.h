// One real worker on a port of its own, configured by YAML, in this process.
#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "dataplane/policy/rate_table.h"
#include "dataplane/worker/worker.h"
#include "tests/support/net.h"
#include "tests/support/tables.h"

namespace gw::test {

// Team, one Gateway `edge` with one listener, an Upstream `up` on `port`, an open Api on any host, and a route for everything;
// `more` is added as further documents, `gateway`, `upstream`, `api` and `route` are added to their specs, `listener` to the
// listener.
struct Config {
  uint16_t upstream_port = 0;
  std::string gateway, upstream, api, route, more, listener;
  std::string yaml() const;
};

class WorkerFixture {
 public:
  // `adjust`: changes the worker's options before it starts.
  explicit WorkerFixture(const std::string& yaml, BuilderOptions options = {},
                         const std::function<void(WorkerOptions&)>& adjust = nullptr);
  ~WorkerFixture();

  uint16_t port() const { return socket_->port(); }
  // Puts another configuration in force; returns when the worker serves it.
  void install(const std::string& yaml);
  // Stops what these say, on top of the configuration in force.
  void install(std::shared_ptr<const Switches> switches);
  const Snapshot& snapshot() const { return *tables_.snapshot; }
  // Runs fn on the worker's thread and waits.
  void on_worker(const std::function<void(Worker&)>& fn);
  // Waits for the version to have drained.
  bool wait_drained(uint64_t version);
  std::vector<uint64_t> drained();
  StatsSnapshot stats();

 private:
  TableMaker maker_;
  Tables tables_;  // as last installed, before switches
  RateTable rates_;
  ClientTable clients_;
  std::unique_ptr<ListenSocket> socket_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<uint64_t> drained_;
  std::unique_ptr<Worker> worker_;
};

}  // namespace gw::test
