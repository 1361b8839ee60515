#include "dataplane/node/node.h"

#include <fcntl.h>
#include <spdlog/spdlog.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <condition_variable>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <optional>
#include <thread>

#include "common/base/build_info.h"
#include "common/base/diagnostic.h"
#include "common/base/status.h"
#include "common/metrics/prometheus.h"
#include "dataplane/agent/grpc_channels.h"
#include "dataplane/agent/node_token.h"
#include "dataplane/node/admin_server.h"
#include "dataplane/node/reaper.h"
#include "dataplane/policy/rate_table.h"
#include "dataplane/snapshot/switches.h"
#include "dataplane/telemetry/metrics_page.h"
#include "dataplane/upstream/health_checker.h"
#include "dataplane/worker/worker.h"

namespace gw {
namespace {

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

// Descriptors for clients: as many again for upstreams, and some for all else.
size_t default_connections() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return 1024;
  if (limit.rlim_cur < limit.rlim_max) {
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    getrlimit(RLIMIT_NOFILE, &limit);
  }
  size_t files = limit.rlim_cur == RLIM_INFINITY ? 1 << 20 : static_cast<size_t>(limit.rlim_cur);
  return std::max<size_t>(64, files / 3);
}

// A quarter of the memory that the process may use: of its control group's limit, else of the machine's.
size_t default_buffer_bytes() {
  size_t bytes = static_cast<size_t>(sysconf(_SC_PHYS_PAGES)) * static_cast<size_t>(sysconf(_SC_PAGESIZE));
  std::ifstream group("/sys/fs/cgroup/memory.max");
  if (size_t limit = 0; group >> limit) bytes = std::min(bytes, limit);  // "max" is no number
  return std::max<size_t>(64 << 20, bytes / 4);
}

std::string json_string(std::string_view text) {
  std::string out = "\"";
  for (char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    if (static_cast<unsigned char>(c) >= 0x20) out += c;
  }
  return out + "\"";
}

}  // namespace

class Node::Impl final : public NodeSink, public WorkerCalls {
 public:
  explicit Impl(NodeOptions options) : options_(std::move(options)), rates_(options_.rate_cells, FastRandom().next()) {}
  ~Impl() override { stop(); }

  absl::Status start();
  int stop();
  void reopen_logs() { log_->reopen(); }
  uint16_t admin_port() const { return admin_ ? admin_->port() : 0; }
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
  std::vector<v1::BoundListener> listeners() override { return bound(); }
  // WorkerCalls
  size_t workers() const override { return workers_.size(); }
  bool post(size_t worker, Fn fn) override {
    Worker* w = workers_[worker].get();
    return w->post([w, fn = std::move(fn)] { fn(w->stats(), *w->usage()); });
  }

  absl::Status open_state_dir();
  absl::Status open_logs(const Snapshot& snapshot);
  void start_workers();
  absl::Status start_admin();
  absl::Status start_agent();
  void start_usage();
  template <class Task>
  void on_every_worker(Task task);
  void worker_drained(uint64_t version);
  void tell_health(const HealthChange& change, size_t except);
  void write_ready_file() const;
  void serve(std::string_view path, std::string_view query, AdminServer::Reply reply);
  AdminServer::Page ready_page(bool verbose) const;
  NodeMetrics node_metrics() const;

  NodeOptions options_;
  int state_lock_ = -1;
  RateTable rates_;
  ClientTable clients_;
  std::unique_ptr<AccessLog> log_;
  std::unique_ptr<UsageSpool> spool_;
  Reaper reaper_;
  std::vector<std::unique_ptr<Worker>> workers_;
  std::unique_ptr<HealthChecker> health_;
  std::unique_ptr<Listeners> sockets_;
  std::unique_ptr<AdminServer> admin_;
  ConfigAgent agent_;
  std::unique_ptr<UsageClient> usage_;

  mutable std::mutex mutex_;
  std::vector<v1::BoundListener> bound_;
  std::shared_ptr<const Snapshot> snapshot_;      // in force, as it was built
  std::shared_ptr<const Switches> switches_ = Switches::none();  // the agent's thread
  std::map<uint64_t, size_t> drained_;            // workers that are done with a version
  mutable std::mutex metrics_mutex_;
  MetricsPage metrics_;
  bool draining_ = false;
  bool stopped_ = false;
};

absl::StatusOr<std::unique_ptr<Node>> Node::start(NodeOptions options) {
  auto impl = std::make_unique<Impl>(std::move(options));
  GW_RETURN_IF_ERROR(impl->start());
  return std::unique_ptr<Node>(new Node(std::move(impl)));
}
Node::Node(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Node::~Node() = default;
int Node::stop() { return impl_->stop(); }
void Node::reopen_logs() { impl_->reopen_logs(); }
uint16_t Node::admin_port() const { return impl_->admin_port(); }
std::vector<v1::BoundListener> Node::listeners() const { return impl_->bound(); }
AgentStatus Node::agent_status() const { return impl_->agent_status(); }

absl::Status Node::Impl::start() {
  GW_RETURN_IF_ERROR(open_state_dir());
  if (options_.workers <= 0) options_.workers = static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
  if (options_.max_connections == 0) options_.max_connections = default_connections();
  if (options_.max_buffer_bytes == 0) options_.max_buffer_bytes = default_buffer_bytes();
  if (options_.max_requests == 0) options_.max_requests = options_.max_connections;
  log_ = std::make_unique<AccessLog>(AccessLogOptions{options_.name, options_.state_dir});
  GW_ASSIGN_OR_RETURN(spool_, UsageSpool::open({options_.state_dir, static_cast<size_t>(options_.workers)}));
  for (const std::string& problem : spool_->problems()) spdlog::warn("usage spool: {}", problem);
  sockets_ = std::make_unique<Listeners>(options_.workers, options_.listeners);
  start_workers();
  GW_RETURN_IF_ERROR(start_admin());
  GW_RETURN_IF_ERROR(start_agent());
  start_usage();
  write_ready_file();
  return absl::OkStatus();
}

absl::Status Node::Impl::open_state_dir() {
  std::error_code error;
  std::filesystem::create_directories(options_.state_dir, error);
  if (error) return errno_status("make the state directory " + options_.state_dir, error.value());
  chmod(options_.state_dir.c_str(), 0700);
  std::string path = options_.state_dir + "/lock";
  state_lock_ = open(path.c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0600);
  if (state_lock_ < 0) return errno_status("open " + path, errno);
  if (flock(state_lock_, LOCK_EX | LOCK_NB) != 0) {
    return failed_precondition("another node runs in " + options_.state_dir + "; give each its own --state");
  }
  return absl::OkStatus();
}

void Node::Impl::start_workers() {
  for (int i = 0; i < options_.workers; ++i) {
    WorkerOptions w;
    w.max_connections = std::max<size_t>(16, options_.max_connections / static_cast<size_t>(options_.workers));
    w.workers = static_cast<size_t>(options_.workers);
    w.zone = options_.zone;
    w.tunnel_grace_ms = std::min(options_.tunnel_grace_ms, std::max<int64_t>(0, options_.drain_timeout_ms - 1'000));
    w.clients = &clients_;
    w.overload.connections = w.max_connections;
    w.overload.buffer_bytes = options_.max_buffer_bytes / w.workers;
    w.overload.requests = std::max<size_t>(1, options_.max_requests / w.workers);
    w.overload.lag_ns = options_.max_loop_lag_ms * 1'000'000;
    w.rates = &rates_;
    w.log = log_.get();
    w.usage = &spool_->meter(static_cast<size_t>(i));
    w.on_drained = [this](uint64_t version) { worker_drained(version); };
    w.retire = [this](Tables tables) { reaper_.take(std::move(tables)); };
    w.on_ejected = [this, i](const HealthChange& change) { tell_health(change, static_cast<size_t>(i)); };
    workers_.push_back(std::make_unique<Worker>(std::move(w)));
  }
  for (auto& worker : workers_) worker->start();
  health_ = std::make_unique<HealthChecker>([this](const HealthChange& change) { tell_health(change, workers_.size()); });
}

// To all workers but the one that knows.
void Node::Impl::tell_health(const HealthChange& change, size_t except) {
  for (size_t i = 0; i < workers_.size(); ++i) {
    if (i == except) continue;
    Worker* w = workers_[i].get();
    w->post([w, change] { w->apply_health(change); });
  }
  std::string_view what = change.what == HealthChange::What::kProbeGood     ? "answers probes again"
                          : change.what == HealthChange::What::kProbeFailed ? "failed its probes and gets no requests"
                                                                            : "failed requests and gets none for a while";
  spdlog::log(change.what == HealthChange::What::kProbeGood ? spdlog::level::info : spdlog::level::warn, "target {} {}",
              change.authority, what);
}

absl::Status Node::Impl::start_admin() {
  auto admin = AdminServer::start(options_.admin_address, options_.admin_port,
                                  [this](std::string_view path, std::string_view query, AdminServer::Reply reply) {
                                    serve(path, query, std::move(reply));
                                  });
  if (!admin.ok()) return make_status(admin.status().code(), "admin listener: " + message_of(admin.status()));
  admin_ = *std::move(admin);
  return absl::OkStatus();
}

absl::Status Node::Impl::start_agent() {
  AgentOptions a;
  a.node = options_.name;
  a.zone = options_.zone;
  a.labels = options_.labels;
  a.build = std::string(build_version()) + "+" + std::string(build_commit());
  a.state_dir = options_.state_dir;
  a.seed_file = options_.seed_file;
  a.control = options_.control;
  a.join_token_file = options_.join_token_file;
  a.admin_address = options_.admin_address.to_string();
  a.admin_port = admin_->port();
  a.without_capabilities = options_.without_capabilities;
  a.make_channel = options_.make_sync_channel ? options_.make_sync_channel : make_grpc_sync_channel;
  return agent_.start(std::move(a), *this);
}

void Node::Impl::start_usage() {
  UsageClientOptions u;
  u.node = options_.name;
  u.control = options_.control;
  u.token = [path = node_token_path(options_.state_dir)] {
    auto token = read_token_file(path);
    return token.ok() ? *token : std::string();
  };
  u.make_channel = options_.make_telemetry_channel ? options_.make_telemetry_channel : make_grpc_telemetry_channel;
  u.metrics = [this](v1::MetricsReport& report) {
    struct Answer {
      std::mutex mutex;
      std::condition_variable ready;
      std::optional<StatsSnapshot> stats;
    };
    auto answer = std::make_shared<Answer>();
    collect_stats(*this, [answer](StatsSnapshot stats) {
      std::lock_guard lock(answer->mutex);
      answer->stats = std::move(stats);
      answer->ready.notify_all();
    });
    std::unique_lock lock(answer->mutex);
    answer->ready.wait(lock, [&] { return answer->stats.has_value(); });
    std::lock_guard metrics_lock(metrics_mutex_);
    metrics_.report(*answer->stats, report);
    report.set_config_version(static_cast<int64_t>(agent_.status().config_version));
  };
  usage_ = std::make_unique<UsageClient>(std::move(u), *spool_, *this);
  usage_->start();
}

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

absl::Status Node::Impl::open_logs(const Snapshot& snapshot) {
  DiagnosticList problems;
  for (const auto& gateway : snapshot.gateways()) {
    if (auto id = log_->open(gateway->access_log); !id.ok()) {
      problems.error("GW3022", {"Gateway", gateway->name}, "spec.accessLog.to.file", message_of(id.status()))
          .set_cure("make the file writable for this node, or log elsewhere");
    }
  }
  return problems.has_errors() ? to_status(problems, absl::StatusCode::kFailedPrecondition) : absl::OkStatus();
}

absl::Status Node::Impl::prepare(std::shared_ptr<const Snapshot> snapshot) {
  GW_RETURN_IF_ERROR(open_logs(*snapshot));
  return sockets_->prepare(*snapshot);
}

void Node::Impl::activate(std::shared_ptr<const Snapshot> snapshot) {
  sockets_->activate();
  std::vector<std::vector<SocketBinding>> bindings(workers_.size());
  for (size_t w = 0; w < workers_.size(); ++w) {
    for (const Listeners::Active& a : sockets_->active()) {
      SocketBinding b{a.id, a.socket->fd(static_cast<int>(w)), a.gateway_uid, AccessLog::kNowhere, a.name};
      for (const auto& gateway : snapshot->gateways()) {
        if (gateway->uid == a.gateway_uid) b.log_target = log_->find(gateway->access_log);
      }
      bindings[w].push_back(b);
    }
  }
  {
    std::lock_guard lock(metrics_mutex_);
    metrics_.learn(*snapshot);
  }
  {
    std::lock_guard lock(mutex_);
    snapshot_ = snapshot;
    bound_ = sockets_->bound();
  }
  std::shared_ptr<const Snapshot> served = with_drained(snapshot, *switches_);
  on_every_worker([&](Worker& worker, size_t i) {
    worker.install_config(served, bindings[i]);
    if (worker.listen_error() != 0) spdlog::error("a worker cannot listen: {}", uv_strerror(worker.listen_error()));
  });
  health_->configure(std::move(snapshot));
  sockets_->close_unused();
  write_ready_file();
}

void Node::Impl::abandon(uint64_t) { sockets_->abandon(); }

void Node::Impl::directory(std::shared_ptr<const Directory> directory) {
  on_every_worker([&](Worker& worker, size_t) { worker.install_directory(directory); });
}

void Node::Impl::quota(std::shared_ptr<const QuotaView> quota) {
  on_every_worker([&](Worker& worker, size_t) { worker.install_quota(quota); });
}

void Node::Impl::switches(std::shared_ptr<const Switches> switches) {
  switches_ = std::move(switches);
  std::shared_ptr<const Snapshot> built;
  {
    std::lock_guard lock(mutex_);
    built = snapshot_;
  }
  std::shared_ptr<const Snapshot> served = with_drained(built, *switches_);
  on_every_worker([&](Worker& worker, size_t) { worker.install_switches(served, switches_); });
}

void Node::Impl::worker_drained(uint64_t version) {
  {
    std::lock_guard lock(mutex_);
    if (++drained_[version] < workers_.size()) return;
    drained_.erase(version);
  }
  agent_.drained(version);
}

// Who started the node reads here where it can be reached.
void Node::Impl::write_ready_file() const {
  std::string text = "{\"node\":" + json_string(options_.name) + ",\"pid\":" + std::to_string(getpid()) +
                     ",\"admin\":" + std::to_string(admin_port()) + ",\"listeners\":[";
  bool first = true;
  for (const v1::BoundListener& b : bound()) {
    if (!first) text += ",";
    first = false;
    text += "{\"gateway\":" + json_string(b.gateway()) + ",\"name\":" + json_string(b.name()) +
            ",\"address\":" + json_string(b.address()) + ",\"port\":" + std::to_string(b.port()) + "}";
  }
  text += "]}\n";
  std::string path = options_.state_dir + "/ready.json", temporary = path + ".new";
  FILE* file = std::fopen(temporary.c_str(), "w");
  bool ok = file != nullptr && std::fwrite(text.data(), 1, text.size(), file) == text.size();
  if (file != nullptr) ok = std::fclose(file) == 0 && ok;
  if (!ok || std::rename(temporary.c_str(), path.c_str()) != 0) spdlog::warn("cannot write {}", path);
}

NodeMetrics Node::Impl::node_metrics() const {
  AgentStatus agent = agent_.status();
  NodeMetrics m;
  m.version = build_version();
  m.commit = build_commit();
  m.zone = options_.zone;
  m.config_version = agent.config_version;
  m.directory_version = agent.directory_version;
  m.switches_version = agent.switches_version;
  m.config_success_wall_ns = agent.config_success_wall_ns;
  m.directory_success_wall_ns = agent.directory_success_wall_ns;
  m.config_rejected = agent.versions_refused;
  m.control_plane_connected = agent.connected;
  if (usage_ != nullptr) {
    UsageState usage = usage_->state();
    m.usage_events = usage.events;
    m.usage_unacknowledged = usage.unacknowledged_batches;
    m.usage_lost = usage.lost;
  }
  m.access_log_dropped = log_->dropped_lines();
  std::lock_guard lock(mutex_);
  m.snapshot_bytes = snapshot_ ? snapshot_->memory_bytes() : 0;
  return m;
}

void Node::Impl::serve(std::string_view path, std::string_view query, AdminServer::Reply reply) {
  if (path == "/healthz") {
    reply({200, "text/plain; charset=utf-8", "ok\n"});
  } else if (path == "/readyz") {
    reply(ready_page(query == "verbose" || query.substr(0, 8) == "verbose="));
  } else if (path == "/metrics") {
    collect_stats(*this, [this, reply = std::move(reply)](StatsSnapshot stats) {
      NodeMetrics node = node_metrics();
      std::lock_guard lock(metrics_mutex_);
      reply({200, std::string(kPrometheusContentType), metrics_.render(stats, node)});
    });
  } else {
    reply({404, "text/plain; charset=utf-8", "here are /healthz, /readyz and /metrics\n"});
  }
}

// Losing the control plane does not make a node unready: it serves what it has.
AdminServer::Page Node::Impl::ready_page(bool verbose) const {
  AgentStatus agent = agent_.status();
  std::lock_guard lock(mutex_);
  bool configured = snapshot_ != nullptr, listening = !bound_.empty();
  bool ready = configured && listening && !draining_;
  std::string text = ready ? "ready\n" : "not ready\n";
  if (verbose || !ready) {
    text += std::string(configured ? "ok   " : "FAIL ") + "configuration: " +
            (configured ? "serving version " + std::to_string(snapshot_->version()) : "none yet") + "\n";
    text += std::string(listening ? "ok   " : "FAIL ") + "listeners: " + std::to_string(bound_.size()) + " bound\n";
    text += std::string(draining_ ? "FAIL " : "ok   ") + "draining: " + (draining_ ? "yes" : "no") + "\n";
    text += std::string("info control plane: ") + (agent.connected ? "connected" : "not connected") +
            (agent.last_error.empty() ? "" : " (" + agent.last_error + ")") + "\n";
    if (agent.config_success_wall_ns > 0) {
      int64_t age = (SystemClock::instance().wall_ns() - agent.config_success_wall_ns) / 1'000'000'000;
      text += "info configuration confirmed " + std::to_string(age < 0 ? 0 : age) + " s ago\n";
    }
  }
  return {ready ? 200 : 503, "text/plain; charset=utf-8", std::move(text)};
}

int Node::Impl::stop() {
  if (stopped_) return 0;
  stopped_ = true;
  {
    std::lock_guard lock(mutex_);
    draining_ = true;
  }
  if (options_.drain_delay_ms > 0 && admin_ != nullptr) {
    std::this_thread::sleep_for(std::chrono::milliseconds(options_.drain_delay_ms));
  }
  agent_.stop();  // no new snapshot from here on
  int code = 0;
  if (!workers_.empty()) {
    auto left = std::make_shared<Countdown>(workers_.size());
    for (auto& worker : workers_) {
      Worker* w = worker.get();
      if (!w->post([w, left] { w->drain([left] { left->done(); }); })) left->done();
    }
    if (!left->wait_for(options_.drain_timeout_ms)) {
      spdlog::warn("drain: connections are left after {} ms; they are cut", options_.drain_timeout_ms);
      on_every_worker([](Worker& worker, size_t) { worker.abort_all(); });
    }
  }
  if (usage_ != nullptr) {
    if (!usage_->drain(options_.control.empty() ? 0 : 5'000)) {
      UsageState state = usage_->state();
      if (state.unacknowledged_batches > 0) {
        spdlog::warn("{} usage batches are not acknowledged yet; they stay in {} and are sent after the next start",
                     state.unacknowledged_batches, options_.state_dir);
      }
    }
    usage_->stop();
  }
  admin_.reset();
  health_.reset();
  for (auto& worker : workers_) worker->stop();
  workers_.clear();
  if (log_ != nullptr) log_->sync();
  if (state_lock_ >= 0) close(state_lock_);
  return code;
}

}  // namespace gw
