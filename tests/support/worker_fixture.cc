#include "tests/support/worker_fixture.h"

#include <algorithm>
#include <stdexcept>

namespace gw::test {

std::string Config::yaml() const {
  auto plus = [](const std::string& text) { return text.empty() ? std::string() : ", " + text; };
  return R"(
apiVersion: gw/v1
kind: Team
metadata: {name: platform}
spec: {title: Platform}
---
apiVersion: gw/v1
kind: Gateway
metadata: {name: edge, owner: platform, shareWith: [all]}
spec: {nodes: {labels: {}}, listeners: [{name: http, address: 127.0.0.1, port: 0, protocol: http)" + plus(listener) + R"(}], accessLog: {to: none})" + plus(gateway) + R"(}
---
apiVersion: gw/v1
kind: Upstream
metadata: {name: up, owner: platform}
spec: {targets: [{url: "http://127.0.0.1:)" + std::to_string(upstream_port) + "\"}]" + plus(upstream) + R"(}
---
apiVersion: gw/v1
kind: Api
metadata: {name: all, owner: platform}
spec: {title: All, version: "1", hosts: ["*"], basePath: /, auth: [anonymous])" + plus(api) + R"(}
---
apiVersion: gw/v1
kind: Route
metadata: {name: all, owner: platform}
spec: {api: all, match: {path: {prefix: /}}, to: {upstream: up})" + plus(route) + R"(}
)" + more;
}

WorkerFixture::WorkerFixture(const std::string& yaml, BuilderOptions options, const std::function<void(WorkerOptions&)>& adjust)
    : maker_(std::move(options)), rates_(1 << 12, 1) {
  auto socket = ListenSocket::open(*IpAddress::parse("127.0.0.1"), 0, 1);
  if (!socket.ok()) throw std::runtime_error("no port to listen on");
  socket_ = std::make_unique<ListenSocket>(*std::move(socket));
  WorkerOptions o;
  o.rates = &rates_;
  o.clients = &clients_;
  o.on_drained = [this](uint64_t version) {
    std::lock_guard lock(mutex_);
    drained_.push_back(version);
    changed_.notify_all();
  };
  if (adjust != nullptr) adjust(o);
  worker_ = std::make_unique<Worker>(std::move(o));
  worker_->start();
  install(yaml);
}

WorkerFixture::~WorkerFixture() { worker_->stop(); }

void WorkerFixture::on_worker(const std::function<void(Worker&)>& fn) {
  std::mutex mutex;
  std::condition_variable changed;
  bool done = false;
  worker_->post([&] {
    fn(*worker_);
    std::lock_guard lock(mutex);
    done = true;
    changed.notify_all();
  });
  std::unique_lock lock(mutex);
  changed.wait(lock, [&] { return done; });
}

void WorkerFixture::install(const std::string& yaml) {
  Tables tables = maker_.make(yaml);
  tables_ = tables;
  std::vector<SocketBinding> bindings{{0, socket_->fds(), tables.snapshot->gateways().front()->uid, UINT32_MAX}};
  on_worker([&](Worker& worker) {
    worker.install_directory(tables.directory);
    worker.install_quota(tables.quota);
    worker.install_config(tables.snapshot, bindings);
  });
}

void WorkerFixture::install(std::shared_ptr<const Switches> switches) {
  on_worker([&](Worker& worker) { worker.install_switches(switches); });
}

bool WorkerFixture::wait_drained(uint64_t version) {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, std::chrono::milliseconds(kCapMs),
                           [&] { return std::find(drained_.begin(), drained_.end(), version) != drained_.end(); });
}

std::vector<uint64_t> WorkerFixture::drained() {
  std::lock_guard lock(mutex_);
  return drained_;
}

StatsSnapshot WorkerFixture::stats() {
  StatsSnapshot out;
  on_worker([&](Worker& worker) {
    worker.refresh_gauges();
    worker.stats().snapshot_into(out);
  });
  return out;
}

}  // namespace gw::test
