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
#include "dataplane/node/handover.h"
#include "dataplane/node/ready_file.h"
#include "dataplane/node/reaper.h"
#include "dataplane/node/systemd.h"
#include "dataplane/policy/rate_table.h"
#include "dataplane/snapshot/switches.h"
#include "dataplane/telemetry/metrics_page.h"
#include "dataplane/upstream/discovery.h"
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

}  // namespace

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
  AdminServer::Page ready_page(bool verbose) const;
  NodeMetrics node_metrics() const;

  NodeOptions options_;
  int state_lock_ = -1;
  std::unique_ptr<Takeover> takeover_;  // until this process has taken over
  uint64_t handovers_ = 0;              // that led to this process
  RateTable rates_;
  ClientTable clients_;
  std::unique_ptr<AccessLog> log_;
  std::unique_ptr<UsageSpool> spool_;
  Reaper reaper_;
  std::vector<std::unique_ptr<Worker>> workers_;
  std::unique_ptr<HealthChecker> health_;
  std::unique_ptr<Discovery> discovery_;
  std::unique_ptr<Listeners> sockets_;
  std::unique_ptr<AdminServer> admin_;
  bool admin_kept_ = false;  // PassedSocket::kept of its socket
  ConfigAgent agent_;
  std::unique_ptr<UsageClient> usage_;
  std::unique_ptr<HandoverServer> handover_;

  mutable std::mutex mutex_;
  std::vector<v1::BoundListener> bound_;
  std::shared_ptr<const Snapshot> snapshot_;      // in force
  std::map<uint64_t, size_t> drained_;            // workers that are done with a version
  mutable std::mutex metrics_mutex_;
  MetricsPage metrics_;
  bool draining_ = false;
  bool handed_over_ = false;
  bool cannot_listen_ = false;
  uint64_t handovers_failed_ = 0;
  bool stopped_ = false;
};

absl::StatusOr<std::unique_ptr<Node>> Node::start(NodeOptions options, std::vector<PassedSocket> passed) {
  auto impl = std::make_unique<Impl>(std::move(options));
  GW_RETURN_IF_ERROR(impl->start(std::move(passed)));
  return std::unique_ptr<Node>(new Node(std::move(impl)));
}
Node::Node(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Node::~Node() = default;
int Node::stop() { return impl_->stop(); }
bool Node::gave_away() const { return impl_->gave_away(); }
void Node::reopen_logs() { impl_->reopen_logs(); }
uint16_t Node::admin_port() const { return impl_->admin_port(); }
std::vector<v1::BoundListener> Node::listeners() const { return impl_->bound(); }
AgentStatus Node::agent_status() const { return impl_->agent_status(); }

absl::Status Node::Impl::start(std::vector<PassedSocket> passed) {
  if (options_.take_over) {
    GW_ASSIGN_OR_RETURN(takeover_, Takeover::ask(options_.state_dir, std::string(build_version()) + "+" + std::string(build_commit())));
    std::vector<PassedSocket> handed = takeover_->take_listeners();
    passed.insert(passed.begin(), std::make_move_iterator(handed.begin()), std::make_move_iterator(handed.end()));
  }
  GW_RETURN_IF_ERROR(open_state_dir());
  if (options_.workers <= 0) options_.workers = static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
  if (options_.max_connections == 0) options_.max_connections = default_connections();
  if (options_.max_buffer_bytes == 0) options_.max_buffer_bytes = default_buffer_bytes();
  if (options_.max_requests == 0) options_.max_requests = options_.max_connections;
  log_ = std::make_unique<AccessLog>(AccessLogOptions{options_.name, options_.state_dir});
  GW_ASSIGN_OR_RETURN(spool_, UsageSpool::open({.dir = options_.state_dir,
                                                .workers = static_cast<size_t>(options_.workers),
                                                .beside_another = takeover_ != nullptr}));
  for (const std::string& problem : spool_->problems()) spdlog::warn("usage spool: {}", problem);
  auto admin = admin_socket(passed);
  if (!admin.ok()) return make_status(admin.status().code(), "admin listener: " + message_of(admin.status()));
  sockets_ = std::make_unique<Listeners>(options_.workers, options_.listeners, std::move(passed));
  start_workers();
  uint16_t admin_port = admin->socket.port();
  start_discovery(admin_port);
  // A taken one is answered by the process before until there is something good to say.
  if (!takeover_) start_admin(*std::move(admin));
  GW_RETURN_IF_ERROR(start_agent(admin_port));
  if (takeover_) start_admin(*std::move(admin));
  start_usage();
  if (takeover_) GW_RETURN_IF_ERROR(finish_take_over());
  post_ready();
  start_handover();
  return absl::OkStatus();
}

// What serves the node's state is in force here: the process before may go.
absl::Status Node::Impl::finish_take_over() {
  bool serves;
  {
    std::lock_guard lock(mutex_);
    serves = (snapshot_ != nullptr || takeover_->config_version() == 0) && !cannot_listen_;
  }
  if (!serves) {
    return failed_precondition("this process cannot serve version " + std::to_string(takeover_->config_version()) +
                               ", which the running one serves: " + agent_.status().start_problem);
  }
  GW_RETURN_IF_ERROR(takeover_->finish());
  handovers_ = takeover_->handovers() + 1;
  spdlog::info("took over from process {}", takeover_->from_pid());
  takeover_.reset();
  agent_.resume();
  return absl::OkStatus();
}

void Node::Impl::start_handover() {
  auto server = HandoverServer::start(options_.state_dir, *this);
  if (server.ok()) handover_ = *std::move(server);
  else spdlog::warn("this node cannot hand over to a new process: {}", message_of(server.status()));
}

absl::StatusOr<HandoverOffer> Node::Impl::offer() {
  using Item = HandoverMessage::Item;
  {
    std::lock_guard lock(mutex_);
    if (draining_) return failed_precondition("this node is draining");
  }
  if (absl::Status status = agent_.suspend(HandoverServer::kMessageMs); !status.ok()) {
    std::lock_guard lock(mutex_);
    ++handovers_failed_;
    return status;
  }
  HandoverOffer out;
  out.handovers = handovers_;
  out.config_version = agent_.status().config_version;
  out.descriptors.push_back({{Item::What::kLock, false, "", ""}, state_lock_});
  for (int fd : admin_->socket().fds()) out.descriptors.push_back({{Item::What::kAdmin, admin_kept_, "", ""}, fd});
  sockets_->each([&](const Listeners::Lent& lent) {
    for (int fd : lent.socket.fds()) out.descriptors.push_back({{Item::What::kListener, lent.kept, lent.key, lent.name}, fd});
  });
  return out;
}

void Node::Impl::withdraw(const std::string&) {
  {
    std::lock_guard lock(mutex_);
    ++handovers_failed_;
  }
  agent_.resume();
}

void Node::Impl::handed_over(int pid) {
  // Before this process can end: its supervisor would take its end for the service's.
  notify_supervisor("MAINPID=" + std::to_string(pid));
  {
    std::lock_guard lock(mutex_);
    draining_ = handed_over_ = true;
  }
  admin_->hand_over();
  usage_->leave_metrics();
  if (options_.on_handed_over) options_.on_handed_over();
}

absl::Status Node::Impl::open_state_dir() {
  std::error_code error;
  std::filesystem::create_directories(options_.state_dir, error);
  if (error) return errno_status("make the state directory " + options_.state_dir, error.value());
  chmod(options_.state_dir.c_str(), 0700);
  if (takeover_) {
    state_lock_ = takeover_->take_lock();  // one lock: it is held until the last of both lets go
    return absl::OkStatus();
  }
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

void Node::Impl::start_discovery(uint16_t admin_port) {
  DiscoveryOptions d;
  d.own.emplace_back(options_.admin_address, admin_port);
  d.tell = [this](const std::vector<TargetsChange>& changes) {
    auto shared = std::make_shared<const std::vector<TargetsChange>>(changes);
    for (auto& worker : workers_) worker->post([w = worker.get(), shared] { w->apply_targets(*shared); });
    health_->apply(std::move(shared));
  };
  discovery_ = std::make_unique<Discovery>(std::move(d));
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

// The workers' numbers and what discovery knows of names; `done` on a thread of theirs.
void Node::Impl::with_stats(std::function<void(StatsSnapshot)> done) {
  auto collect = [this, done](const DiscoveryStats& discovery) {
    collect_stats(*this, [done, discovery](StatsSnapshot stats) {
      stats.discovery = discovery;
      done(std::move(stats));
    });
  };
  if (!discovery_->report(collect)) collect({});
}

// One that was passed, where it is the one that was asked for; else a new one.
absl::StatusOr<PassedSocket> Node::Impl::admin_socket(std::vector<PassedSocket>& passed) {
  auto there = [this](const PassedSocket& s, bool any_port) {
    return s.socket.address() == options_.admin_address && (s.socket.port() == options_.admin_port || (any_port && options_.admin_port == 0));
  };
  if (takeover_) {
    auto handed = takeover_->take_admin();
    if (handed && (handed->kept || there(*handed, true))) return *std::move(handed);
  }
  for (auto at = passed.begin(); at != passed.end(); ++at) {
    if (!at->key.empty() || (at->name != "admin" && !there(*at, false))) continue;
    PassedSocket out = std::move(*at);
    passed.erase(at);
    return out;
  }
  auto socket = ListenSocket::open(options_.admin_address, options_.admin_port, 1);
  if (!socket.ok()) return socket.status();
  return PassedSocket{.key = {}, .name = {}, .kept = false, .socket = *std::move(socket)};
}

void Node::Impl::start_admin(PassedSocket socket) {
  admin_kept_ = socket.kept;
  admin_ = AdminServer::start(std::move(socket.socket), [this](std::string_view path, std::string_view query, AdminServer::Reply reply) {
    serve(path, query, std::move(reply));
  });
}

absl::Status Node::Impl::start_agent(uint16_t admin_port) {
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
  a.admin_port = admin_port;
  a.without_capabilities = options_.without_capabilities;
  a.suspended = takeover_ != nullptr;  // the process before has not gone yet
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
    with_stats([answer](StatsSnapshot stats) {
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
      SocketBinding b{a.id,   a.socket->fds_of(w, workers_.size()),     a.gateway_uid, AccessLog::kNowhere,
                      a.name, a.socket->fds().size() < workers_.size()};
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
  on_every_worker([&](Worker& worker, size_t i) {
    worker.install_config(snapshot, bindings[i]);
    if (worker.listen_error() == 0) return;
    spdlog::error("a worker cannot listen: {}", uv_strerror(worker.listen_error()));
    std::lock_guard lock(mutex_);
    cannot_listen_ = true;
  });
  discovery_->configure(snapshot);
  health_->configure(std::move(snapshot));
  sockets_->close_unused();
  if (!takeover_) post_ready();
}

void Node::Impl::post_ready() { write_ready_file(options_.state_dir, options_.name, admin_port(), bound()); }

void Node::Impl::abandon(uint64_t) { sockets_->abandon(); }

void Node::Impl::directory(std::shared_ptr<const Directory> directory) {
  on_every_worker([&](Worker& worker, size_t) { worker.install_directory(directory); });
}

void Node::Impl::quota(std::shared_ptr<const QuotaView> quota) {
  on_every_worker([&](Worker& worker, size_t) { worker.install_quota(quota); });
}

void Node::Impl::switches(std::shared_ptr<const Switches> switches) {
  on_every_worker([&](Worker& worker, size_t) { worker.install_switches(switches); });
}

void Node::Impl::endpoints(std::shared_ptr<const Endpoints> endpoints) {
  Countdown told(1);
  if (discovery_->endpoints(std::move(endpoints), [&told] { told.done(); })) told.wait();
  on_every_worker([](Worker&, size_t) {});  // what they were told, they have read
}

void Node::Impl::worker_drained(uint64_t version) {
  {
    std::lock_guard lock(mutex_);
    if (++drained_[version] < workers_.size()) return;
    drained_.erase(version);
  }
  agent_.drained(version);
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
  m.endpoints_version = agent.endpoints_version;
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
  m.handovers = handovers_;
  m.handovers_failed = handovers_failed_;
  m.snapshot_bytes = snapshot_ ? snapshot_->memory_bytes() : 0;
  return m;
}

void Node::Impl::serve(std::string_view path, std::string_view query, AdminServer::Reply reply) {
  if (path == "/healthz") {
    reply({200, "text/plain; charset=utf-8", "ok\n"});
  } else if (path == "/readyz") {
    reply(ready_page(query == "verbose" || query.substr(0, 8) == "verbose="));
  } else if (path == "/metrics") {
    with_stats([this, reply = std::move(reply)](StatsSnapshot stats) {
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
  handover_.reset();  // one in work is given up
  const bool handed = gave_away();
  {
    std::lock_guard lock(mutex_);
    draining_ = true;
  }
  if (options_.drain_delay_ms > 0 && admin_ != nullptr && !handed) {
    std::this_thread::sleep_for(std::chrono::milliseconds(options_.drain_delay_ms));
  }
  agent_.stop();  // no new snapshot from here on
  int code = 0;
  if (!workers_.empty()) {
    auto left = std::make_shared<Countdown>(workers_.size());
    // After a hand-over nobody waits for this process: idle connections may bring their next request until nearly the end.
    int64_t most_ms = std::max(options_.drain_timeout_ms - 1'000, options_.drain_timeout_ms / 2);
    int64_t idle_ms = handed ? most_ms : std::min(options_.drain_idle_ms, most_ms);
    for (auto& worker : workers_) {
      Worker* w = worker.get();
      if (!w->post([w, idle_ms, left] { w->drain(idle_ms, [left] { left->done(); }); })) left->done();
    }
    sockets_.reset();  // what the workers accept from until then is theirs
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
  discovery_.reset();
  health_.reset();
  for (auto& worker : workers_) worker->stop();
  workers_.clear();
  if (log_ != nullptr) log_->sync();
  if (state_lock_ >= 0) close(state_lock_);
  return code;
}

}  // namespace gw
