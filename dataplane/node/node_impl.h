// What a node consists of, for the files of this folder: node.cc starts and ends it, node_config.cc puts configurations in force,
// node_handover.cc gives it to another process, node_pages.cc tells of it.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/random.h"
#include "dataplane/node/admin_server.h"
#include "dataplane/node/background.h"
#include "dataplane/node/handover.h"
#include "dataplane/node/node.h"
#include "dataplane/policy/rate_table.h"
#include "dataplane/snapshot/switches.h"
#include "dataplane/telemetry/metrics_page.h"
#include "dataplane/tls/tls_builder.h"
#include "dataplane/upstream/discovery.h"
#include "dataplane/upstream/health_checker.h"
#include "dataplane/worker/worker.h"

namespace gw {

// Waits for a number of threads to report.
class Countdown {
 public:
  explicit Countdown(size_t count) : count_(count) {}
  void done() {
    std::lock_guard lock(mutex_);
    if (--count_ == 0) zero_.notify_all();
  }
  void wait() {
    std::unique_lock lock(mutex_);
    zero_.wait(lock, [this] { return count_ == 0; });
  }
  bool wait_for(int64_t ms) {
    std::unique_lock lock(mutex_);
    return zero_.wait_for(lock, std::chrono::milliseconds(ms), [this] { return count_ == 0; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable zero_;
  size_t count_;
};

class Node::Impl final : public NodeSink, public WorkerCalls, private HandoverHost {
 public:
  explicit Impl(NodeOptions options) : options_(std::move(options)), rates_(options_.rate_cells, FastRandom().next()) {}
  ~Impl() override { stop(); }

  absl::Status start(std::vector<PassedSocket> passed);
  int stop();
  bool gave_away() const {
    std::lock_guard lock(mutex_);
    return handed_over_;
  }
  void reopen_logs() { log_->reopen(); }
  uint16_t admin_port() const { return admin_ ? admin_->socket().port() : 0; }
  std::vector<v1::BoundListener> bound() const {
    std::lock_guard lock(mutex_);
    return bound_;
  }
  AgentStatus agent_status() const { return agent_.status(); }

 private:
  // NodeSink, on the agent's thread.
  absl::Status prepare(std::shared_ptr<const Snapshot> snapshot) override;
  void activate(std::shared_ptr<const Snapshot> snapshot) override;
  void abandon(uint64_t version) override;
  void directory(std::shared_ptr<const Directory> directory) override;
  void quota(std::shared_ptr<const QuotaView> quota) override;
  void switches(std::shared_ptr<const Switches> switches) override;
  void endpoints(std::shared_ptr<const Endpoints> endpoints) override;
  void tickets(std::shared_ptr<const TicketKeys> keys) override;
  absl::Status certificates(std::shared_ptr<const CertificateTable> table) override;
  std::vector<v1::BoundListener> listeners() override { return bound(); }
  // WorkerCalls
  size_t workers() const override { return workers_.size(); }
  bool post(size_t worker, Fn fn) override {
    Worker* w = workers_[worker].get();
    return w->post([w, fn = std::move(fn)] { fn(w->stats(), *w->usage()); });
  }
  // HandoverHost
  absl::StatusOr<HandoverOffer> offer() override;
  void withdraw(const std::string& why) override;
  void handed_over(int pid) override;

  absl::Status open_state_dir();
  absl::StatusOr<PassedSocket> admin_socket(std::vector<PassedSocket>& passed);
  void start_admin(PassedSocket socket);
  absl::Status finish_take_over();
  void start_handover();
  void post_ready();
  absl::Status open_logs(const Snapshot& snapshot);
  absl::Status check_tls(const Snapshot& snapshot, const CertificateTable& table, bool running);
  std::shared_ptr<const TlsClients> make_tls_clients(const Snapshot& snapshot, const CertificateTable& table);
  std::shared_ptr<const TlsServerContext> make_tls(const Snapshot& snapshot, const CertificateTable& table, const Listeners::Active& of);
  void start_workers();
  absl::Status start_agent(uint16_t admin_port);
  void start_usage();
  template <class Task>
  void on_every_worker(Task task);
  void worker_drained(uint64_t version);
  void start_discovery(uint16_t admin_port);
  void tell_health(const HealthChange& change, size_t except);
  void with_stats(std::function<void(StatsSnapshot)> done);
  void serve(std::string_view path, std::string_view query, AdminServer::Reply reply);
  void scrape(AdminServer::Reply reply);
  AdminServer::Page ready_page(bool verbose) const;
  NodeMetrics node_metrics() const;

  static constexpr size_t kMaxScrapes = 4;

  NodeOptions options_;
  int state_lock_ = -1;
  std::unique_ptr<Takeover> takeover_;  // until this process has taken over
  uint64_t handovers_ = 0;              // that led to this process
  RateTable rates_;
  ClientTable clients_;
  std::unique_ptr<AccessLog> log_;
  std::unique_ptr<UsageSpool> spool_;
  Background background_;
  std::vector<std::unique_ptr<Worker>> workers_;
  std::unique_ptr<HealthChecker> health_;
  std::unique_ptr<Discovery> discovery_;
  std::unique_ptr<Listeners> sockets_;
  std::unique_ptr<AdminServer> admin_;
  bool admin_kept_ = false;  // PassedSocket::kept of its socket
  const std::shared_ptr<IdentityHolder> identity_ = std::make_shared<IdentityHolder>();  // of the control channel
  ConfigAgent agent_;
  std::unique_ptr<UsageClient> usage_;
  std::unique_ptr<HandoverServer> handover_;

  mutable std::mutex mutex_;
  std::vector<v1::BoundListener> bound_;
  std::shared_ptr<const Snapshot> snapshot_;      // in force
  std::shared_ptr<const CertificateTable> certificates_ = CertificateTable::none();  // in force
  std::shared_ptr<TlsSigner> signer_;
  std::unique_ptr<TlsBuilder> tls_;               // the agent's thread
  std::map<uint64_t, size_t> drained_;            // workers that are done with a version
  mutable std::mutex metrics_mutex_;
  MetricsPage metrics_;
  size_t scrapes_ = 0;  // in work
  bool draining_ = false;
  bool handed_over_ = false;
  bool cannot_listen_ = false;
  uint64_t handovers_failed_ = 0;
  bool stopped_ = false;
};

// Runs task(worker, its number) on every worker's thread and waits for all.
template <class Task>
void Node::Impl::on_every_worker(Task task) {
  Countdown left(workers_.size());
  for (size_t i = 0; i < workers_.size(); ++i) {
    Worker* worker = workers_[i].get();
    if (!worker->post([&left, task, worker, i] {
          task(*worker, i);
          left.done();
        })) {
      left.done();
    }
  }
  left.wait();
}

}  // namespace gw
