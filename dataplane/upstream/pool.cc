#include "dataplane/upstream/pool.h"

#include <algorithm>
#include <cstring>

#include "common/http/uri.h"
#include "dataplane/routing/hash.h"
#include "dataplane/snapshot/snapshot.h"
#include "dataplane/upstream/endpoint.h"
#include "dataplane/upstream/socket_address.h"

namespace gw {

using http1::ClientSession;

namespace {

constexpr uint64_t kKeySeed = 0x68617368206f6e21;

bool parse_hex16(std::string_view text, uint64_t& out) {
  if (text.size() != 16) return false;
  out = 0;
  for (char c : text) {
    int digit = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
    if (digit < 0) return false;
    out = out << 4 | static_cast<uint64_t>(digit);
  }
  return true;
}

// What `hashOn` names, or the affinity cookie.
void read_key(const BalanceConfig& config, const UpstreamPool::Ask& ask, PickInput& out) {
  std::string_view text;
  if (config.by == BalanceConfig::By::kCookie) {
    out.has_key = parse_hex16(cookie_find(ask.request->headers, config.name), out.key);
    return;
  }
  switch (config.hash_on) {
    case BalanceConfig::HashOn::kAddress:
      out.has_key = true;
      out.key = ask.client.hash();
      return;
    case BalanceConfig::HashOn::kPath: text = ask.request->path; break;
    case BalanceConfig::HashOn::kCookie: text = cookie_find(ask.request->headers, config.name); break;
    case BalanceConfig::HashOn::kHeader:
      if (const HeaderField* f = ask.request->headers.find(config.name)) text = f->value;
      break;
    default: return;
  }
  out.has_key = !text.empty();
  out.key = hash_bytes(text, kKeySeed);
}

}  // namespace

void announce(ClientSession& session, v1::UpstreamSpec::ProxyProtocol version, const ProxyHeader& header) {
  char text[ProxyHeader::kMaxV1];
  size_t size = version == v1::UpstreamSpec::PROXY_PROTOCOL_V1 ? write_proxy_v1(header, text) : write_proxy_v2(header, text);
  session.announce({text, size}, header.source);
}

namespace {

std::vector<Balancer::Member> members_of(const UpstreamState& upstream) {
  std::vector<Balancer::Member> out;
  out.reserve(upstream.endpoints.size());
  for (const auto& e : upstream.endpoints) out.push_back({e.get(), e->authority, e->zone, e->well()});
  return out;
}

}  // namespace

UpstreamPool::UpstreamPool(Loop& loop, Resolver& resolver, PoolOptions options)
    : loop_(loop),
      resolver_(resolver),
      options_(std::move(options)),
      zones_{""},
      bury_task_([](void* self) { static_cast<UpstreamPool*>(self)->bury(); }, this),
      waiting_task_([](void* self) { static_cast<UpstreamPool*>(self)->serve_waiting(); }, this) {
  resolver_.on_answer([this](const std::string& host) { answered(host); });
}

UpstreamPool::~UpstreamPool() {
  resolver_.on_answer(nullptr);
  close_all();
  bury();
}

UpstreamState& UpstreamPool::state_of(const UpstreamConfig& config) {
  if (config.index >= upstreams_.size()) upstreams_.resize(config.index + 1);
  std::unique_ptr<UpstreamState>& slot = upstreams_[config.index];
  if (slot == nullptr || slot->uid != config.uid) {
    if (slot != nullptr) {
      for (auto& endpoint : slot->endpoints) retire(std::move(endpoint));
    }
    slot = std::make_unique<UpstreamState>();
    slot->uid = config.uid;
  }
  if (slot->config == nullptr) update(*slot, config);
  return *slot;
}

void UpstreamPool::update(UpstreamState& upstream, const UpstreamConfig& config) {
  bool first = upstream.config == nullptr;
  std::vector<std::unique_ptr<Endpoint>> before = std::move(upstream.endpoints);
  upstream.endpoints.clear();
  upstream.config = config.shared_from_this();
  for (const UpstreamTarget& target : config.targets) {
    auto kept = std::find_if(before.begin(), before.end(), [&](const auto& e) {
      return e && e->authority == target.authority && e->proxy_protocol == config.proxy_protocol;
    });
    bool is_new = kept == before.end();
    std::unique_ptr<Endpoint> endpoint = is_new ? std::make_unique<Endpoint>() : std::move(*kept);
    endpoint->upstream = &upstream;
    endpoint->proxy_protocol = config.proxy_protocol;
    adopt(*endpoint, target, is_new && !first, config.balance);
    upstream.endpoints.push_back(std::move(endpoint));
  }
  for (auto& endpoint : before) {
    if (endpoint != nullptr) retire(std::move(endpoint));
  }
  if (!config.breaker) upstream.breaker.reset();
  if (!config.passive) {
    for (auto& endpoint : upstream.endpoints) endpoint->outlier = OutlierDetector();
  }
  refresh(upstream, true);
  if (!upstream.waiting.empty()) loop_.defer(waiting_task_);
}

void UpstreamPool::adopt(Endpoint& endpoint, const UpstreamTarget& target, bool is_new, const BalanceConfig& balance) {
  endpoint.host = target.host;
  endpoint.authority = target.authority;
  endpoint.zone = target.zone;
  endpoint.zone_index = zone_index(target.zone);
  endpoint.port = target.port;
  endpoint.is_address = target.is_address;
  endpoint.address = target.address;
  endpoint.weight = target.weight;
  endpoint.priority = target.priority;
  endpoint.probe_failed = probe_failed_.contains({endpoint.upstream->uid, target.authority});
  if (!endpoint.upstream->config->active) endpoint.probe_failed = false;
  if (balance.slow_start_ms == 0) {
    endpoint.ramp_until_ns = 0;
  } else if (is_new) {
    endpoint.ramp_from_ns = options_.clock->mono_ns();
    endpoint.ramp_until_ns = endpoint.ramp_from_ns + balance.slow_start_ms * 1'000'000;
  }
}

uint32_t UpstreamPool::zone_index(const std::string& zone) {
  auto it = std::find(zones_.begin(), zones_.end(), zone);
  if (it == zones_.end()) it = zones_.insert(it, zone);
  uint32_t index = static_cast<uint32_t>(it - zones_.begin());
  options_.stats->name_zone(index, zone);
  return index;
}

void UpstreamPool::refresh(UpstreamState& upstream, bool targets_changed) {
  std::vector<Balancer::Member> members = members_of(upstream);
  const BalanceConfig& balance = upstream.config->balance;
  if (targets_changed) upstream.balancer.configure(balance, members);
  upstream.balancer.refresh(balance, members, options_.zone, options_.clock->mono_ns());
  upstream.next_return_ns = 0;
  for (const auto& e : upstream.endpoints) {
    int64_t until = e->outlier.ejected_until_ns();
    if (until != 0 && (upstream.next_return_ns == 0 || until < upstream.next_return_ns)) upstream.next_return_ns = until;
  }
}

void UpstreamPool::return_ejected(UpstreamState& upstream, int64_t now_ns) {
  int64_t slow_start_ms = upstream.config->balance.slow_start_ms;
  for (auto& e : upstream.endpoints) {
    if (!e->ejected() || e->outlier.ejected_until_ns() > now_ns) continue;
    e->outlier.come_back(now_ns);
    e->ramp_from_ns = now_ns;
    e->ramp_until_ns = slow_start_ms == 0 ? 0 : now_ns + slow_start_ms * 1'000'000;
  }
  refresh(upstream, false);
}

void UpstreamPool::retire(std::unique_ptr<Endpoint> endpoint) {
  endpoint->upstream = nullptr;
  while (endpoint->idle.head != nullptr) endpoint->idle.head->close();
  for (ClientSession* s = endpoint->busy.head; s != nullptr; s = s->next) s->retire();
  if (endpoint->connections() > 0 || endpoint->in_work > 0) retired_.push_back(std::move(endpoint));
}

void UpstreamPool::configure(const Snapshot& snapshot) {
  for (const auto& config : snapshot.upstreams()) {
    if (config == nullptr || config->index >= upstreams_.size() || upstreams_[config->index] == nullptr) continue;
    UpstreamState& upstream = *upstreams_[config->index];
    if (upstream.uid == config->uid && upstream.config != config) update(upstream, *config);
  }
  for (uint32_t i = 0; i < upstreams_.size(); ++i) {
    // Exchanges that wait keep the snapshot that they started with, and the upstream's state with it.
    if (upstreams_[i] == nullptr || snapshot.upstream(i) != nullptr || !upstreams_[i]->waiting.empty()) continue;
    for (auto& endpoint : upstreams_[i]->endpoints) retire(std::move(endpoint));
    upstreams_[i].reset();
  }
}

void UpstreamPool::apply(const HealthChange& change) {
  std::pair<uint64_t, std::string> key(change.upstream_uid, change.authority);
  if (change.what == HealthChange::What::kProbeFailed) probe_failed_.insert(key);
  if (change.what == HealthChange::What::kProbeGood) probe_failed_.erase(key);
  for (auto& upstream : upstreams_) {
    if (upstream == nullptr || upstream->uid != change.upstream_uid) continue;
    for (auto& endpoint : upstream->endpoints) {
      if (endpoint->authority != change.authority) continue;
      if (change.what == HealthChange::What::kEjected) {
        if (!upstream->config->passive) continue;
        endpoint->outlier.set_out_until(change.until_ns);
      } else {
        bool failed = change.what == HealthChange::What::kProbeFailed && upstream->config->active.has_value();
        if (endpoint->probe_failed && !failed && upstream->config->balance.slow_start_ms > 0) {
          endpoint->ramp_from_ns = options_.clock->mono_ns();
          endpoint->ramp_until_ns = endpoint->ramp_from_ns + upstream->config->balance.slow_start_ms * 1'000'000;
        }
        endpoint->probe_failed = failed;
      }
      // Kept connections to a target that is out would be the first to be used when it is back, and may be dead.
      if (!endpoint->well()) {
        while (endpoint->idle.head != nullptr) endpoint->idle.head->close();
      }
    }
    refresh(*upstream, false);
  }
}

bool UpstreamPool::may_eject(const UpstreamState& upstream, const Endpoint& endpoint, const PassiveHealthConfig& config) const {
  uint64_t total = 0, out = 0;
  for (const auto& e : upstream.endpoints) {
    total += e->weight;
    if (e->ejected()) out += e->weight;
  }
  if (out == 0) return upstream.endpoints.size() > 1 || config.max_ejected_ppm == 1'000'000;
  return (out + endpoint.weight) * 1'000'000 <= static_cast<uint64_t>(config.max_ejected_ppm) * total;
}

void UpstreamPool::eject(UpstreamState& upstream, Endpoint& endpoint, int64_t now_ns) {
  const PassiveHealthConfig& config = *upstream.config->passive;
  if (endpoint.ejected() || endpoint.weight == 0 || !may_eject(upstream, endpoint, config)) return;
  HealthChange change{upstream.uid, endpoint.authority, HealthChange::What::kEjected, endpoint.outlier.eject(config, now_ns)};
  options_.stats->count(Counter::kUpstreamEjections);
  while (endpoint.idle.head != nullptr) endpoint.idle.head->close();
  refresh(upstream, false);
  if (options_.on_ejected) options_.on_ejected(change);
}

// A worker's part of a limit of the node.
size_t UpstreamPool::share(int limit) const { return std::max<size_t>(1, static_cast<size_t>(limit) / options_.workers); }

// The limits of the circuit breaker. Nothing set: go on.
UpstreamPool::Acquired UpstreamPool::admit(UpstreamState& upstream, UpstreamEvents& events, const Ask& ask) {
  const BreakerConfig& limits = *upstream.config->breaker;
  Acquired out;
  auto refuse = [&](const char* why) {
    options_.stats->count(Counter::kUpstreamCircuitOpen);
    out.error = {Reason::kCircuitOpen, ProxyError::Retry::kNever, why};
  };
  switch (upstream.breaker.ask(ask.now_ns)) {
    case CircuitBreaker::Answer::kNo: refuse("the upstream failed too often; circuitBreaker.openFor has not passed"); return out;
    case CircuitBreaker::Answer::kProbe: out.attempt.probe = true; return out;
    case CircuitBreaker::Answer::kYes: break;
  }
  size_t waiting = upstream.waiting.size();
  if (limits.max_requests > 0 && !ask.waited && upstream.in_work + waiting >= share(limits.max_requests)) {
    refuse("circuitBreaker.maxRequests are in work");
    return out;
  }
  if (limits.max_connections == 0) return out;
  if (upstream.in_work < share(limits.max_connections) && (ask.waited || waiting == 0)) return out;
  if (!ask.may_wait) {
    refuse("circuitBreaker.maxConnections are in use");
    return out;
  }
  if (!ask.waited && waiting >= (limits.max_pending == 0 ? 0 : share(limits.max_pending))) {
    refuse("circuitBreaker.maxConnections are in use, and maxPending requests wait for one");
    return out;
  }
  if (ask.waited) {
    upstream.waiting.push_front(&events);
  } else {
    upstream.waiting.push_back(&events);
  }
  out.wait = true;
  return out;
}

Endpoint* UpstreamPool::pick(UpstreamState& upstream, const Ask& ask, uint64_t& new_cookie) {
  if (upstream.next_return_ns != 0 && ask.now_ns >= upstream.next_return_ns) return_ejected(upstream, ask.now_ns);
  PickInput in;
  in.avoid = static_cast<const Endpoint*>(ask.avoid);
  in.now_ns = ask.now_ns;
  const BalanceConfig& balance = upstream.config->balance;
  if (balance.by >= BalanceConfig::By::kHash) read_key(balance, ask, in);
  auto* endpoint = static_cast<Endpoint*>(upstream.balancer.pick(balance, in, upstream.in_work, *options_.random));
  if (endpoint != nullptr && balance.by == BalanceConfig::By::kCookie && !(in.has_key && in.key == endpoint->id)) {
    new_cookie = endpoint->id;
  }
  return endpoint;
}

UpstreamPool::Acquired UpstreamPool::acquire(const UpstreamConfig& config, UpstreamEvents& events, const Ask& ask) {
  UpstreamState& upstream = state_of(config);
  Acquired out;
  const std::optional<BreakerConfig>& breaker = upstream.config->breaker;
  if (breaker) {
    out = admit(upstream, events, ask);
    if (out.wait || out.error.reason != Reason::kNone) return out;
  }
  Endpoint* endpoint = pick(upstream, ask, out.cookie);
  if (endpoint == nullptr || endpoint->connections() >= kMaxConnections) {
    if (out.attempt.probe) upstream.breaker.ended(*breaker, false, false, true, ask.now_ns);
    out.error = endpoint == nullptr
                    ? ProxyError{Reason::kNoHealthyEndpoint, ProxyError::Retry::kNever, "no target of the upstream is well and has a weight"}
                    : ProxyError{Reason::kOverload, ProxyError::Retry::kNever, "too many connections to the upstream's target"};
    if (endpoint != nullptr) options_.stats->count(Counter::kUpstreamPoolFull);
    return out;
  }
  out.attempt.endpoint = endpoint;
  out.attempt.retry = ask.retry;
  ++endpoint->in_work;
  ++endpoint->attempts;
  ++upstream.in_work;
  if (ask.retry) {
    ++upstream.retries;
  } else {
    upstream.budget.deposit(config.retry.budget_ppm);
  }
  if (ClientSession* idle = ask.fresh ? nullptr : idle_session(*endpoint, ask)) {
    ClientSession& session = *idle;
    endpoint->idle.remove(session);
    endpoint->busy.push(session);
    session.pooled = false;
    session.lease(events, ask.request->method);
    out.stream = &session;
    return out;
  }
  if (breaker && breaker->max_connections > 0) make_room(upstream);
  ClientSession& session = open(*endpoint);
  if (endpoint->proxy_protocol != v1::UpstreamSpec::PROXY_PROTOCOL_NONE) {
    announce(session, endpoint->proxy_protocol, ask.announce != nullptr ? *ask.announce : ProxyHeader());
  }
  session.lease(events, ask.request->method);
  connect(session, *endpoint, config.connect_ms);
  out.stream = &session;
  return out;
}

// With proxyProtocol only one that was announced for the same client; where the target has no room for another, one of
// another client's is closed.
ClientSession* UpstreamPool::idle_session(Endpoint& endpoint, const Ask& ask) {
  if (endpoint.proxy_protocol == v1::UpstreamSpec::PROXY_PROTOCOL_NONE) return endpoint.idle.head;
  IpAddress client = ask.announce != nullptr ? ask.announce->source : IpAddress();
  ClientSession* last = nullptr;
  for (ClientSession* s = endpoint.idle.head; s != nullptr; s = s->next) {
    if (s->announced == client) return s;
    last = s;
  }
  if (last != nullptr && endpoint.connections() + 1 >= kMaxConnections) last->close();
  return nullptr;
}

// Idle connections to other targets count, too.
void UpstreamPool::make_room(UpstreamState& upstream) {
  size_t all = 0;
  Endpoint* most = nullptr;
  for (auto& e : upstream.endpoints) {
    all += e->connections();
    if (e->idle.head != nullptr && (most == nullptr || e->idle.size > most->idle.size)) most = e.get();
  }
  if (all >= share(upstream.config->breaker->max_connections) && most != nullptr) most->idle.head->close();
}

void UpstreamPool::settled(Attempt& attempt, AttemptResult result, int status, int64_t now_ns) {
  if (attempt.settled) return;
  attempt.settled = true;
  Endpoint* endpoint = attempt.endpoint;
  bool ok = result == AttemptResult::kOk && status < 500;
  bool counts = result != AttemptResult::kCancelled;
  if (counts && !ok) ++endpoint->failures;
  UpstreamState* upstream = endpoint->upstream;
  if (upstream == nullptr) return;
  if (upstream->config->breaker && upstream->breaker.ended(*upstream->config->breaker, ok, counts, attempt.probe, now_ns)) {
    options_.stats->count(Counter::kUpstreamCircuitOpened);
  }
  if (const auto& passive = upstream->config->passive; passive && counts && (ok || !passive->connects_only || result == AttemptResult::kConnect)) {
    if (endpoint->outlier.ended(*passive, ok, now_ns)) eject(*upstream, *endpoint, now_ns);
  }
}

void UpstreamPool::ended(Attempt& attempt, AttemptResult result, int status, int64_t now_ns) {
  Endpoint* endpoint = attempt.endpoint;
  if (endpoint == nullptr) return;
  settled(attempt, result, status, now_ns);
  attempt.endpoint = nullptr;
  --endpoint->in_work;
  UpstreamState* upstream = endpoint->upstream;
  if (upstream == nullptr) {
    loop_.defer(bury_task_);
    return;
  }
  --upstream->in_work;
  if (attempt.retry) --upstream->retries;
  if (!upstream->waiting.empty()) loop_.defer(waiting_task_);
}

// Exchanges whose turn has come, in the order in which they began to wait.
void UpstreamPool::serve_waiting() {
  for (size_t i = 0; i < upstreams_.size(); ++i) {
    UpstreamState* upstream = upstreams_[i].get();
    if (upstream == nullptr) continue;
    for (size_t left = upstream->waiting.size(); left > 0 && !upstream->waiting.empty(); --left) {
      const auto& limits = upstream->config->breaker;
      if (limits && limits->max_connections > 0 && upstream->in_work >= share(limits->max_connections)) break;
      UpstreamEvents* events = upstream->waiting.front();
      upstream->waiting.pop_front();
      events->on_upstream_available();
    }
  }
}

void UpstreamPool::stop_waiting(const UpstreamConfig& config, UpstreamEvents& events) {
  if (config.index >= upstreams_.size() || upstreams_[config.index] == nullptr) return;
  std::erase(upstreams_[config.index]->waiting, &events);
}

bool UpstreamPool::take_retry(const UpstreamConfig& config, int64_t now_ns) {
  UpstreamState& upstream = state_of(config);
  const std::optional<BreakerConfig>& breaker = upstream.config->breaker;
  if (breaker && breaker->max_retries >= 0) {
    size_t most = breaker->max_retries == 0 ? 0 : share(breaker->max_retries);
    if (upstream.retries >= most) return false;
  }
  return upstream.budget.take(now_ns);
}

uint32_t UpstreamPool::zone_of(const Attempt& attempt) { return attempt.endpoint == nullptr ? 0 : attempt.endpoint->zone_index; }

void UpstreamPool::each_target(const std::function<void(const TargetView&)>& fn) const {
  for (const auto& upstream : upstreams_) {
    if (upstream == nullptr) continue;
    for (const auto& e : upstream->endpoints) {
      fn({upstream->uid, e->authority, e->attempts, e->failures, e->idle.size, e->busy.size, e->probe_failed, e->ejected()});
    }
  }
}

void UpstreamPool::report() {
  for (const auto& upstream : upstreams_) {
    if (upstream == nullptr || upstream->config == nullptr) continue;
    if (int64_t now_ns = options_.clock->mono_ns(); upstream->next_return_ns != 0 && now_ns >= upstream->next_return_ns) {
      return_ejected(*upstream, now_ns);
    }
    UpstreamGauges g;
    for (const auto& e : upstream->endpoints) g.well += e->well() ? 1 : 0;
    g.waiting = static_cast<int64_t>(upstream->waiting.size());
    g.in_work = static_cast<int64_t>(upstream->in_work);
    g.circuit_open = upstream->breaker.open();
    g.panicking = upstream->balancer.panicking();
    options_.stats->upstream_gauges(*upstream->config, g);
  }
}

ClientSession& UpstreamPool::open(Endpoint& endpoint) {
  auto* session = new ClientSession(loop_, *this);
  session->endpoint = &endpoint;
  endpoint.busy.push(*session);
  ++live_;
  return *session;
}

void UpstreamPool::connect(ClientSession& session, Endpoint& endpoint, int64_t timeout_ms) {
  sockaddr_storage where;
  if (endpoint.is_address) {
    socklen_t size = fill_socket_address(endpoint.address, endpoint.port, where);
    session.connect(reinterpret_cast<sockaddr*>(&where), size, timeout_ms);
    return;
  }
  const auto& addresses = resolver_.lookup(endpoint.host);
  if (!addresses.empty()) {
    socklen_t size = fill_socket_address(addresses[endpoint.next_address++ % addresses.size()], endpoint.port, where);
    session.connect(reinterpret_cast<sockaddr*>(&where), size, timeout_ms);
    return;
  }
  session.wait_for_address(timeout_ms);
  endpoint.waiting.push_back({&session, timeout_ms});
}

void UpstreamPool::answered(const std::string& host) {
  auto tell = [&](Endpoint& endpoint) {
    if (!endpoint.waiting.empty() && endpoint.host == host) resolved(endpoint);
  };
  for (auto& upstream : upstreams_) {
    if (upstream == nullptr) continue;
    for (auto& endpoint : upstream->endpoints) tell(*endpoint);
  }
  for (auto& endpoint : retired_) tell(*endpoint);
}

void UpstreamPool::resolved(Endpoint& endpoint) {
  std::vector<std::pair<ClientSession*, int64_t>> waiting;
  waiting.swap(endpoint.waiting);
  for (auto& [session, timeout_ms] : waiting) {
    const auto& addresses = resolver_.known(endpoint.host);
    if (addresses.empty()) {
      session->connect_failed("the target's name cannot be resolved");
      continue;
    }
    sockaddr_storage where;
    socklen_t size = fill_socket_address(addresses[endpoint.next_address++ % addresses.size()], endpoint.port, where);
    session->connect(reinterpret_cast<sockaddr*>(&where), size, timeout_ms);
  }
}

void UpstreamPool::session_idle(ClientSession& session) {
  auto& endpoint = *static_cast<Endpoint*>(session.endpoint);
  if (endpoint.upstream == nullptr || !endpoint.well() || endpoint.idle.size >= kMaxIdle) {
    session.close();
    return;
  }
  endpoint.busy.remove(session);
  endpoint.idle.push(session);
  session.pooled = true;
}

void UpstreamPool::session_closed(ClientSession& session) {
  auto& endpoint = *static_cast<Endpoint*>(session.endpoint);
  std::erase_if(endpoint.waiting, [&](const auto& w) { return w.first == &session; });
  (session.pooled ? endpoint.idle : endpoint.busy).remove(session);
  --live_;
  dead_.push_back(&session);
  loop_.defer(bury_task_);
}

void UpstreamPool::bury() {
  std::vector<ClientSession*> dead;
  dead.swap(dead_);
  for (ClientSession* session : dead) delete session;
  std::erase_if(retired_, [](const auto& endpoint) { return endpoint->connections() == 0 && endpoint->in_work == 0; });
}

std::string_view UpstreamPool::session_target(const ClientSession& session) const {
  return static_cast<const Endpoint*>(session.endpoint)->authority;
}

void UpstreamPool::close_all() {
  auto close = [](Endpoint& endpoint) {
    while (endpoint.idle.head != nullptr) endpoint.idle.head->close();
    while (endpoint.busy.head != nullptr) endpoint.busy.head->close();
  };
  for (auto& upstream : upstreams_) {
    if (upstream == nullptr) continue;
    for (auto& endpoint : upstream->endpoints) close(*endpoint);
  }
  for (auto& endpoint : retired_) close(*endpoint);
}

}  // namespace gw
