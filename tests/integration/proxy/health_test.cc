// The prober by itself: what it tells, and when.
#include <catch2/catch.hpp>
#include <condition_variable>
#include <map>

#include "dataplane/upstream/health_checker.h"
#include "tests/support/worker_fixture.h"

namespace gw::test {
namespace {

// What was told last of each target. Any thread.
class Told {
 public:
  void operator()(const HealthChange& change) {
    std::lock_guard lock(mutex_);
    last_[change.authority] = change.what;
    changed_.notify_all();
  }
  bool wait(uint16_t port, HealthChange::What what) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::milliseconds(kCapMs), [&] {
      auto at = last_.find("127.0.0.1:" + std::to_string(port));
      return at != last_.end() && at->second == what;
    });
  }
  size_t targets() {
    std::lock_guard lock(mutex_);
    return last_.size();
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<std::string, HealthChange::What> last_;
};

std::string probed(uint16_t port, const std::string& how) {
  return Config{.upstream_port = port, .upstream = "health: {active: {" + how + "interval: 100ms, timeout: 2s, unhealthyAfter: 2, healthyAfter: 2}}"}.yaml();
}

TEST_CASE("A target that fails its probes is told once it has, and when it is well again", "[health]") {
  std::atomic<int> status{200};
  Upstream upstream([&](const Message&, const std::string&) {
    return "HTTP/1.1 " + std::to_string(status) + " X\r\nContent-Length: 0\r\n\r\n";
  });
  Told told;
  TableMaker maker;
  HealthChecker checker([&](const HealthChange& change) { told(change); });
  checker.configure(maker.make(probed(upstream.port(), "path: /ping, host: probe.test, ")).snapshot);
  while (upstream.requests().size() < 3) std::this_thread::yield();
  CHECK(told.targets() == 0);  // well from the start: nothing to tell
  CHECK(upstream.requests()[0].start_line == "GET /ping HTTP/1.1");
  CHECK(upstream.requests()[0].field("host") == "probe.test");
  status = 500;
  CHECK(told.wait(upstream.port(), HealthChange::What::kProbeFailed));
  status = 302;
  CHECK(told.wait(upstream.port(), HealthChange::What::kProbeGood));
}

TEST_CASE("Without a path a connection is enough, and one that cannot be had is a failure", "[health]") {
  Upstream upstream;
  uint16_t unused;
  {
    Upstream gone;
    unused = gone.port();
  }
  Told told;
  TableMaker maker;
  HealthChecker checker([&](const HealthChange& change) { told(change); });
  checker.configure(maker.make(probed(upstream.port(), "")).snapshot);
  while (upstream.connections() < 3) std::this_thread::yield();
  CHECK(told.targets() == 0);
  checker.configure(maker.make(probed(unused, "")).snapshot);
  CHECK(told.wait(unused, HealthChange::What::kProbeFailed));
  // No longer probed: it must not stay out for ever.
  checker.configure(maker.make(Config{.upstream_port = unused}.yaml()).snapshot);
  CHECK(told.wait(unused, HealthChange::What::kProbeGood));
}

TEST_CASE("A probe that gets no answer in time has failed", "[health]") {
  Server silent([](Connection& c, int) { c.read_to_end(); });
  Told told;
  TableMaker maker;
  HealthChecker checker([&](const HealthChange& change) { told(change); });
  std::string yaml = probed(silent.port(), "path: /, ");
  yaml.replace(yaml.find("timeout: 2s"), 11, "timeout: 50ms");
  checker.configure(maker.make(yaml).snapshot);
  CHECK(told.wait(silent.port(), HealthChange::What::kProbeFailed));
}

}  // namespace
}  // namespace gw::test
