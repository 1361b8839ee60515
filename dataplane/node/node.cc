#include "dataplane/node/node.h"

#include <fcntl.h>
#include <spdlog/spdlog.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <thread>

#include "common/base/build_info.h"
#include "common/base/status.h"
#include "dataplane/agent/grpc_channels.h"
#include "dataplane/node/node_impl.h"
#include "dataplane/node/ready_file.h"

namespace gw {
namespace {

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
  signer_ = std::make_shared<TlsSigner>(static_cast<size_t>(options_.workers));
  tls_ = std::make_unique<TlsBuilder>(signer_);
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
    w.retire = [this](Tables tables) { background_.run([held = std::move(tables)] {}); };
    w.on_ejected = [this, i](const HealthChange& change) { tell_health(change, static_cast<size_t>(i)); };
    workers_.push_back(std::make_unique<Worker>(std::move(w)));
  }
  for (auto& worker : workers_) worker->start();
  health_ = std::make_unique<HealthChecker>([this](const HealthChange& change) { tell_health(change, workers_.size()); });
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
  a.control_ca_file = options_.control_ca_file;
  a.identity = identity_;
  a.admin_address = options_.admin_address.to_string();
  a.admin_port = admin_port;
  a.without_capabilities = options_.without_capabilities;
  a.suspended = takeover_ != nullptr;  // the process before has not gone yet
  a.make_channel = options_.make_sync_channel;
  if (!a.make_channel) a.make_channel = [identity = identity_](const std::string& control) { return make_grpc_sync_channel(control, identity); };
  return agent_.start(std::move(a), *this);
}

void Node::Impl::post_ready() { write_ready_file(options_.state_dir, options_.name, admin_port(), bound()); }

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
  if (signer_ != nullptr) signer_->stop();  // it posts to the workers' loops
  workers_.clear();
  background_.stop();
  if (log_ != nullptr) log_->sync();
  if (state_lock_ >= 0) close(state_lock_);
  return code;
}

}  // namespace gw
