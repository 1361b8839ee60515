#include <catch2/catch.hpp>
#include <deque>
#include <thread>

#include "control_plane.h"
#include "dataplane/agent/grpc_channels.h"
#include "dataplane/telemetry/usage_client.h"
#include "dataplane/telemetry/worker_stats.h"
#include "tests/dataplane/telemetry/record_support.h"

using namespace gw;
using namespace gw::push_test;
using gw::telemetry_test::Objects;
using gw::test::TempDir;

namespace {

// One worker that counts, on a thread of its own.
class OneWorker final : public WorkerCalls {
 public:
  explicit OneWorker(UsageMeter& meter) : meter_(meter), thread_([this] { run(); }) {}
  ~OneWorker() override {
    {
      std::lock_guard lock(mu_);
      stopped_ = true;
    }
    wake_.notify_all();
    thread_.join();
  }
  size_t workers() const override { return 1; }
  bool post(size_t, Fn fn) override {
    std::lock_guard lock(mu_);
    queue_.push_back(std::move(fn));
    wake_.notify_all();
    return true;
  }

 private:
  void run() {
    std::unique_lock lock(mu_);
    while (true) {
      wake_.wait(lock, [this] { return stopped_ || !queue_.empty(); });
      if (queue_.empty()) return;
      Fn fn = std::move(queue_.front());
      queue_.pop_front();
      lock.unlock();
      fn(stats_, meter_);
      fn = nullptr;
      lock.lock();
    }
  }
  UsageMeter& meter_;
  WorkerStats stats_;
  std::mutex mu_;
  std::condition_variable wake_;
  std::deque<Fn> queue_;
  bool stopped_ = false;
  std::thread thread_;
};

UsageClientOptions options(ControlPlane& control) {
  UsageClientOptions out;
  out.node = "n1";
  out.control = control.address();
  out.token = [token = control.tokens.join("join-token", "n1", "")->token] { return token; };
  out.metrics = [](v1::MetricsReport& report) { report.set_connections(3); };
  out.make_channel = [](const std::string& to) { return make_grpc_telemetry_channel(to); };
  out.usage_interval_ms = 10;
  out.metrics_interval_ms = 10;
  out.backoff_min_ms = 1;
  out.backoff_max_ms = 20;
  return out;
}

}  // namespace

TEST_CASE("usage is counted once over a real channel, also when the store fails in between") {
  ControlPlane control;
  TempDir dir;
  Objects objects;
  auto spool = *UsageSpool::open({.dir = dir.path()});
  OneWorker worker(spool->meter(0));
  UsageClient client(options(control), *spool, worker);
  control.usage.fail(3);
  client.start();
  for (int i = 0; i < 50; ++i) {
    worker.post(0, [&](WorkerStats&, UsageMeter& meter) {
      for (int k = 0; k < 10; ++k) meter.record(objects.record());
      meter.seal();
    });
  }
  CHECK(client.drain(60'000));
  client.stop();
  CHECK(control.usage.requests() == 500);
  CHECK(client.state().lost == 0);
  CHECK(control.hub.last_metrics().count("n1") == 1);
}

TEST_CASE("usage of an earlier process is sent by the next") {
  ControlPlane control;
  TempDir dir;
  Objects objects;
  {
    auto spool = *UsageSpool::open({.dir = dir.path(), .workers = 2});
    spool->meter(0).record(objects.record());
    spool->meter(1).record(objects.record());
    spool->meter(1).record(objects.record(500));
  }
  auto spool = *UsageSpool::open({.dir = dir.path()});
  OneWorker worker(spool->meter(0));
  UsageClient client(options(control), *spool, worker);
  client.start();
  CHECK(client.drain(60'000));
  CHECK(control.usage.requests() == 3);
}
