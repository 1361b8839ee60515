#include "dataplane/telemetry/usage_client.h"

#include <catch2/catch.hpp>
#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>
#include <optional>
#include <thread>

#include "common/base/status.h"
#include "dataplane/telemetry/worker_stats.h"
#include "record_support.h"

using namespace gw;
using namespace gw::telemetry_test;

namespace {

// A worker: a thread with a mailbox.
class Workers final : public WorkerCalls {
 public:
  explicit Workers(UsageMeter& meter) : meter_(meter), thread_([this] { run(); }) {}
  ~Workers() override { stop(); }
  void stop() {
    {
      std::lock_guard lock(mu_);
      stopped_ = true;
    }
    wake_.notify_all();
    if (thread_.joinable()) thread_.join();
  }
  size_t workers() const override { return 1; }
  bool post(size_t, Fn fn) override {
    std::lock_guard lock(mu_);
    if (stopped_) return false;
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

// The control plane: applies once, and acknowledges, or does not. A thread of its own answers.
class ControlPlane {
 public:
  ControlPlane() : thread_([this] { run(); }) {}
  ~ControlPlane() {
    {
      std::lock_guard lock(mu);
      stopping = true;
    }
    changed.notify_all();
    thread_.join();
  }

  class Channel final : public TelemetryChannel {
   public:
    explicit Channel(ControlPlane& to) : to_(to) {}
    void open(const std::string& token, TelemetryEvents& events) override {
      std::lock_guard lock(to_.mu);
      ++to_.opened;
      to_.token = token;
      to_.events = &events;
      to_.changed.notify_all();
    }
    bool send(const v1::NodeReport& report) override {
      std::lock_guard lock(to_.mu);
      if (to_.events == nullptr || to_.broken) return false;
      if (report.has_metrics()) {
        ++to_.metrics;
        to_.last_metrics = report.metrics();
      }
      if (report.has_usage()) {
        uint64_t& seen = to_.applied[report.usage().boot()];
        ++to_.batches;
        if (report.usage().sequence() > seen) {
          CHECK(report.usage().sequence() == seen + 1);
          seen = report.usage().sequence();
          for (const auto& c : report.usage().cells()) to_.requests += c.requests();
        }
        if (to_.acknowledges) to_.acks.push_back({report.usage().boot(), seen});
      }
      to_.changed.notify_all();
      return true;
    }
    void close() override {
      std::unique_lock lock(to_.mu);
      to_.events = nullptr;
      to_.acks.clear();
      to_.changed.wait(lock, [&] { return !to_.calling; });
    }

   private:
    ControlPlane& to_;
  };

  template <class Pred>
  bool wait(Pred pred) {
    std::unique_lock lock(mu);
    return changed.wait_for(lock, std::chrono::seconds(60), pred);
  }
  void cut(absl::Status why) {
    std::lock_guard lock(mu);
    cut_with = std::move(why);
    changed.notify_all();
  }

  std::mutex mu;
  std::condition_variable changed;
  TelemetryEvents* events = nullptr;
  std::string token;
  std::deque<std::pair<uint64_t, uint64_t>> acks;
  std::map<uint64_t, uint64_t> applied;
  std::optional<absl::Status> cut_with;
  v1::MetricsReport last_metrics;
  uint64_t requests = 0;
  int opened = 0, batches = 0, metrics = 0;
  bool acknowledges = true, broken = false, stopping = false, calling = false;

 private:
  void run() {
    std::unique_lock lock(mu);
    while (!stopping) {
      changed.wait(lock, [this] { return stopping || (events != nullptr && (cut_with || !acks.empty())); });
      if (events == nullptr) continue;
      TelemetryEvents* to = events;
      calling = true;
      if (cut_with) {
        absl::Status why = *std::exchange(cut_with, std::nullopt);
        lock.unlock();
        to->on_closed(std::move(why));
      } else if (!acks.empty()) {
        v1::ReportAck ack;
        ack.set_boot(acks.front().first);
        ack.set_sequence(acks.front().second);
        acks.pop_front();
        lock.unlock();
        to->on_ack(std::move(ack));
      } else {
        lock.unlock();
      }
      lock.lock();
      calling = false;
      changed.notify_all();
    }
  }
  std::thread thread_;
};

struct World {
  TempDir dir;
  Objects objects;
  std::unique_ptr<UsageSpool> spool;
  std::unique_ptr<Workers> workers;
  ControlPlane control;
  std::unique_ptr<UsageClient> client;

  World() {
    spool = *UsageSpool::open({.dir = dir.path(), .workers = 1});
    workers = std::make_unique<Workers>(spool->meter(0));
    UsageClientOptions options;
    options.node = "n1";
    options.control = "control:1";
    options.token = [] { return std::string("secret"); };
    options.metrics = [](v1::MetricsReport& report) { report.set_connections(7); };
    options.make_channel = [this](const std::string&) { return std::make_unique<ControlPlane::Channel>(control); };
    options.usage_interval_ms = 5;
    options.metrics_interval_ms = 10;
    options.backoff_min_ms = 1;
    options.backoff_max_ms = 5;
    client = std::make_unique<UsageClient>(std::move(options), *spool, *workers);
  }
  ~World() {
    client->stop();
    workers->stop();
  }
  void count(int n) {
    workers->post(0, [this, n](WorkerStats&, UsageMeter& meter) {
      for (int i = 0; i < n; ++i) meter.record(objects.record());
    });
  }
};

}  // namespace

TEST_CASE("usage arrives, once, and is acknowledged") {
  World w;
  w.client->start();
  w.count(100);
  CHECK(w.client->drain(60'000));
  CHECK(w.control.requests == 100);
  CHECK(w.control.token == "secret");
  UsageState state = w.client->state();
  CHECK(state.unacknowledged_batches == 0);
  CHECK(state.events == 100);
  CHECK(state.lost == 0);
}

TEST_CASE("usage that was sent and not acknowledged is sent again, and counted once") {
  World w;
  w.control.acknowledges = false;
  w.client->start();
  w.count(10);
  REQUIRE(w.control.wait([&] { return w.control.batches >= 1; }));
  w.count(20);
  REQUIRE(w.control.wait([&] { return w.control.batches >= 2; }));
  CHECK(w.client->state().unacknowledged_batches >= 1);
  {
    std::lock_guard lock(w.control.mu);
    w.control.acknowledges = true;
  }
  w.control.cut(unavailable("gone"));
  CHECK(w.client->drain(60'000));
  CHECK(w.control.opened >= 2);
  CHECK(w.control.batches >= 4);
  CHECK(w.control.requests == 30);
}

TEST_CASE("a drain that nobody acknowledges says what is left") {
  World w;
  w.control.acknowledges = false;
  w.client->start();
  w.count(10);
  REQUIRE(w.control.wait([&] { return w.control.batches >= 1; }));
  CHECK_FALSE(w.client->drain(1));
  CHECK(w.client->state().unacknowledged_batches == 1);
}

TEST_CASE("metrics are reported with what usage waits") {
  World w;
  w.client->start();
  REQUIRE(w.control.wait([&] { return w.control.metrics >= 2; }));
  std::lock_guard lock(w.control.mu);
  CHECK(w.control.last_metrics.connections() == 7);
}

TEST_CASE("without a token nothing is opened, and with one it is") {
  World w;
  w.client->stop();
  std::mutex mu;
  std::string token;
  int asked = 0;
  UsageClientOptions options;
  options.node = "n1";
  options.control = "control:1";
  options.token = [&] {
    std::lock_guard lock(mu);
    ++asked;
    if (asked == 3) token = "late";
    return token;
  };
  options.make_channel = [&](const std::string&) { return std::make_unique<ControlPlane::Channel>(w.control); };
  options.usage_interval_ms = 5;
  options.backoff_min_ms = 1;
  UsageClient client(std::move(options), *w.spool, *w.workers);
  client.start();
  REQUIRE(w.control.wait([&] { return w.control.opened >= 1; }));
  client.stop();
  CHECK(asked >= 3);
  CHECK(w.control.token == "late");
}
