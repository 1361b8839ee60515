#include "dataplane/worker/worker.h"

#include <pthread.h>

#include <algorithm>
#include <ctime>

#include "dataplane/policy/rate_table.h"
#include "dataplane/snapshot/snapshot.h"

namespace gw {

// What a policy asked to be told later. Gone with its exchange.
struct Worker::ServiceTimer {
  ServiceTimer(Worker& w, ExchangeRef r, std::function<void()> f)
      : worker(w), ref(r), fn(std::move(f)), timer([](void* self) { static_cast<ServiceTimer*>(self)->fire(); }, this) {}

  void fire() {
    std::function<void()> task = std::move(fn);
    fn = nullptr;  // done; removed at the end of the turn
    worker.loop_.defer(worker.turn_task_);
    if (worker.find(ref) != nullptr) task();
  }

  Worker& worker;
  ExchangeRef ref;
  std::function<void()> fn;
  Timer timer;
};

Worker::Worker(WorkerOptions options)
    : options_(std::move(options)),
      pool_(loop_, {options_.workers, options_.zone, &stats_, &random_, options_.clock, options_.on_ejected}),
      mirrors_(loop_, pool_, stats_, random_, *options_.clock),
      http2_requests_(loop_),
      overload_(options_.overload),
      turn_task_([](void* self) { static_cast<Worker*>(self)->end_of_turn(); }, this),
      tick_timer_([](void* self) { static_cast<Worker*>(self)->tick(); }, this) {
  if (options_.log != nullptr) log_ = std::make_unique<AccessLogBuffer>(*options_.log);
  env_.loop = &loop_;
  env_.pool = &pool_;
  env_.random = &random_;
  env_.clock = options_.clock;
  env_.rates = options_.rates;
  env_.services = this;
  env_.counters = this;
  env_.stats = &stats_;
  env_.usage = options_.usage;
  env_.log = log_.get();
  env_.mirrors = &mirrors_;
  env_.tunnel_grace_ms = options_.tunnel_grace_ms;
  env_.worker = this;
  env_.finished = [](void* self, Exchange& exchange) { static_cast<Worker*>(self)->exchange_finished(exchange); };
  stats_.more([this](uint64_t& next, SliceBudget& budget, StatsSlice& out) { return copy_targets(next, budget, out); });
  current_ = std::make_unique<PinnedTables>();
  current_->tables.directory = std::make_shared<Directory>();
  current_->tables.quota = std::make_shared<QuotaView>();
  loop_.on_turn([](void* self, int64_t busy_ns, int64_t now_ns) { static_cast<Worker*>(self)->turn_ended(busy_ns, now_ns); }, this);
  tick();
}

Worker::~Worker() {
  stop();
  loop_.on_turn(nullptr, nullptr);  // it closes its handles after most of this worker is gone
  for (ServerConnection* connection : dead_connections_) delete connection;
}

void Worker::start() {
  thread_ = std::thread([this] {
    pthread_setname_np(pthread_self(), "gw-worker");
    loop_.run();
    abort_all();
    end_of_turn();
    mirrors_.close_all();
    pool_.close_all();
    for (Socket& socket : sockets_) socket.listeners.clear();
    tick_timer_.cancel();
    service_timers_.clear();
    if (log_ != nullptr) log_->flush();
  });
}

void Worker::stop() {
  if (!thread_.joinable()) return;
  loop_.stop();
  thread_.join();
}

void Worker::install_config(std::shared_ptr<const Snapshot> snapshot, const std::vector<SocketBinding>& sockets) {
  listen_error_ = 0;
  for (const SocketBinding& binding : sockets) {
    if (binding.id >= sockets_.size()) sockets_.resize(binding.id + 1);
    sockets_[binding.id].gateway_uid = binding.gateway_uid;
    sockets_[binding.id].log_target = binding.log_target;
    sockets_[binding.id].listener_name = binding.listener;
    sockets_[binding.id].tls = binding.tls;
  }
  Tables tables = current_->tables;
  tables.snapshot = std::move(snapshot);
  swap(std::move(tables));
  for (uint32_t id = 0; id < sockets_.size(); ++id) {
    auto wanted = std::find_if(sockets.begin(), sockets.end(), [&](const SocketBinding& b) { return b.id == id; });
    if (wanted == sockets.end()) {
      sockets_[id].listeners.clear();
      sockets_[id].gateway_uid = 0;
      sockets_[id].gateway = nullptr;
      sockets_[id].config = nullptr;
    } else if (sockets_[id].listeners.empty() && !draining_) {
      listen(id, *wanted);
    }
  }
}

void Worker::listen(uint32_t id, const SocketBinding& binding) {
  for (int socket : binding.fds) {
    auto listener = std::make_unique<Listener>(loop_, socket, binding.shared, [this, id](int fd) { accept(id, fd); });
    if (listener->error() != 0) listen_error_ = listener->error();
    sockets_[id].listeners.push_back(std::move(listener));
  }
}

void Worker::install_directory(std::shared_ptr<const Directory> directory) {
  Tables tables = current_->tables;
  tables.directory = std::move(directory);
  swap(std::move(tables));
}

void Worker::install_quota(std::shared_ptr<const QuotaView> quota) {
  Tables tables = current_->tables;
  tables.quota = std::move(quota);
  swap(std::move(tables));
}

void Worker::install_switches(std::shared_ptr<const Switches> switches) {
  Tables tables = current_->tables;
  tables.switches = std::move(switches);
  pool_.configure(tables.switches);
  swap(std::move(tables));
}

void Worker::install_certificates(std::shared_ptr<const CertificateTable> certificates,
                                  const std::vector<std::shared_ptr<const TlsServerContext>>& contexts) {
  for (size_t id = 0; id < sockets_.size() && id < contexts.size(); ++id) {
    if (contexts[id] != nullptr) sockets_[id].tls = contexts[id];
  }
  Tables tables = current_->tables;
  tables.certificates = std::move(certificates);
  swap(std::move(tables));
}

void Worker::install_tickets(std::shared_ptr<const TicketKeys> tickets) {
  Tables tables = current_->tables;
  tables.tickets = std::move(tickets);
  swap(std::move(tables));
}

void Worker::swap(Tables tables) {
  auto next = std::make_unique<PinnedTables>();
  next->tables = std::move(tables);
  if (next->tables.snapshot != nullptr && next->tables.snapshot != current_->tables.snapshot) {
    const Snapshot& snapshot = *next->tables.snapshot;
    for (Socket& socket : sockets_) {
      socket.gateway = nullptr;
      socket.config = nullptr;
      for (const auto& gateway : snapshot.gateways()) {
        if (gateway->uid == socket.gateway_uid) socket.gateway = gateway.get();
      }
      if (socket.gateway != nullptr) configure(socket);
    }
    pool_.configure(snapshot);
  }
  old_.push_back(std::move(current_));
  current_ = std::move(next);
  sweep_tables();
}

// Frees tables without exchanges, and tells when the last of a version's are gone.
void Worker::sweep_tables() {
  for (size_t i = 0; i < old_.size();) {
    if (old_[i]->exchanges > 0) {
      ++i;
      continue;
    }
    Tables gone = std::move(old_[i]->tables);
    old_.erase(old_.begin() + static_cast<std::ptrdiff_t>(i));
    const Snapshot* snapshot = gone.snapshot.get();
    // Switches make other snapshots of the same version.
    auto same = [&](const PinnedTables& t) {
      const Snapshot* other = t.tables.snapshot.get();
      return other != nullptr && other->version() == snapshot->version() && other->lineage() == snapshot->lineage();
    };
    bool left = snapshot == nullptr || same(*current_);
    for (const auto& other : old_) left = left || same(*other);
    uint64_t version = snapshot != nullptr ? snapshot->version() : 0;
    if (options_.retire) options_.retire(std::move(gone));
    if (!left && options_.on_drained) options_.on_drained(version);
  }
}

void Worker::unpin(PinnedTables& tables) {
  --tables.exchanges;
  if (tables.exchanges == 0 && &tables != current_.get()) sweep_tables();
}

DownstreamEvents& Worker::open_exchange(DownstreamStream& stream, uint32_t listener) {
  uint32_t slot;
  if (free_slots_.empty()) {
    slot = static_cast<uint32_t>(slots_.size());
    slots_.emplace_back();
    slots_.back().exchange = std::make_unique<Exchange>(env_);
  } else {
    slot = free_slots_.back();
    free_slots_.pop_back();
  }
  ++current_->exchanges;
  const Socket& socket = sockets_[listener];
  return slots_[slot].exchange->open(stream, *current_, socket.gateway, socket.config, socket.log_target, {slot, slots_[slot].generation});
}

Exchange* Worker::find(ExchangeRef ref) {
  if (ref.slot >= slots_.size() || slots_[ref.slot].generation != ref.generation) return nullptr;
  return slots_[ref.slot].exchange.get();
}

void Worker::exchange_finished(Exchange& exchange) {
  ++slots_[exchange.ref().slot].generation;  // late answers find nobody from now on
  finished_.push_back(exchange.ref().slot);
  loop_.defer(turn_task_);
}

void Worker::after(ExchangeRef ref, int64_t ms, std::function<void()> fn) {
  service_timers_.push_back(std::make_unique<ServiceTimer>(*this, ref, std::move(fn)));
  loop_.arm(service_timers_.back()->timer, ms);
}

void Worker::resume(ExchangeRef ref, Decision d) {
  resumes_.push_back({ref, d});
  loop_.defer(turn_task_);
}

void Worker::end_of_turn() {
  std::vector<Resume> resumes;
  resumes.swap(resumes_);
  for (const Resume& r : resumes) {
    if (Exchange* exchange = find(r.ref)) exchange->resume(r.decision);
  }
  for (uint32_t slot : finished_) {
    Exchange& exchange = *slots_[slot].exchange;
    PinnedTables& tables = *exchange.tables();
    exchange.recycle();
    free_slots_.push_back(slot);
    unpin(tables);
  }
  finished_.clear();
  std::vector<ServerConnection*> dead;
  dead.swap(dead_connections_);
  for (ServerConnection* connection : dead) delete connection;
  if (!service_timers_.empty()) {
    std::erase_if(service_timers_, [this](const auto& t) { return t->fn == nullptr || find(t->ref) == nullptr; });
  }
  if (draining_ && connection_count_ == 0 && on_idle_) {
    std::function<void()> idle = std::move(on_idle_);
    on_idle_ = nullptr;
    idle();
  }
}

void Worker::drain(int64_t idle_ms, std::function<void()> idle) {
  draining_ = true;
  drain_idle_ms_ = idle_ms;
  on_idle_ = std::move(idle);
  for (Socket& socket : sockets_) socket.listeners.clear();
  for (ServerConnection* connection = connections_; connection != nullptr;) {
    ServerConnection* next = connection->next;
    connection->drain(idle_ms);
    connection = next;
  }
  loop_.defer(turn_task_);
}

void Worker::abort_all() {
  while (connections_ != nullptr) connections_->abort();
}

void Worker::count(const Policy& policy, PolicyCount what) { stats_.policy(policy.info(), static_cast<PolicyVerdict>(what)); }

void Worker::count_plan(const PlanConfig& plan, PolicyCount what) { stats_.plan(plan.uid, static_cast<PolicyVerdict>(what)); }

void Worker::refresh_gauges() {
  WorkerGauges& gauges = stats_.gauges();
  gauges.connections_active = gauges.active_requests;
  gauges.connections_idle = static_cast<int64_t>(connection_count_) - gauges.active_requests;
  gauges.http2_connections = http2_gauges_.connections;
  gauges.http2_streams = http2_gauges_.streams;
  gauges.buffer_bytes = static_cast<int64_t>(loop_.blocks().bytes_in_use());
}

bool Worker::copy_targets(uint64_t& next, SliceBudget& budget, StatsSlice& out) {
  auto upstream = [&](uint64_t uid, const UpstreamGauges& gauges) { out.gauges.next() = {uid, gauges}; };
  const Switches& switches = *current_->tables.switches;
  auto target = [&](const UpstreamPool::TargetView& t) {
    StatsSlice::Target& row = out.targets.next();
    row.upstream = t.upstream_uid;
    row.address = t.authority;
    row.stats.requests = t.requests;
    row.stats.failures = t.failures;
    row.stats.idle = static_cast<uint32_t>(t.idle);
    row.stats.busy = static_cast<uint32_t>(t.busy);
    row.stats.drained = switches.drained(t.upstream_uid, t.authority);
    row.stats.probe_failed = t.probe_failed;
    row.stats.ejected = t.ejected;
    row.stats.source = t.target->source;
    row.stats.name = t.target->found_by;
    row.stats.weight = t.target->weight;
    row.stats.priority = t.target->priority;
  };
  return pool_.report(next, budget, upstream, target);
}

// Once a second: what is too dear to do per request.
void Worker::tick() {
  loop_.arm(tick_timer_, 1000);
  int64_t wall_ns = options_.clock->wall_ns();
  env_.wall_offset_ns = wall_ns - options_.clock->mono_ns();
  std::time_t seconds = wall_ns / 1'000'000'000;
  std::tm utc;
  gmtime_r(&seconds, &utc);
  char text[40];
  size_t size = std::strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S GMT", &utc);
  env_.date.assign(text, size);
  if (log_ != nullptr) log_->flush();
  refresh_gauges();
}

}  // namespace gw
