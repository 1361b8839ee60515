#include "dataplane/upstream/pool.h"

#include <algorithm>
#include <charconv>

#include "common/http/uri.h"
#include "dataplane/loop/socket_address.h"
#include "dataplane/routing/hash.h"
#include "dataplane/upstream/endpoint.h"

namespace gw {

using http1::ClientSession;

namespace {

constexpr uint64_t kKeySeed = 0x68617368206f6e21;

// As hex16() writes it.
bool parse_hex16(std::string_view text, uint64_t& out) {
  auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), out, 16);
  return text.size() == 16 && failure == std::errc() && end == text.data() + text.size();
}

// What `hashOn` names, or the affinity cookie.
void read_key(const BalanceConfig& config, const UpstreamPool::Ask& ask, BalanceInput& out) {
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

std::string proxy_text(v1::UpstreamSpec::ProxyProtocol version, const ProxyHeader& header) {
  char text[ProxyHeader::kMaxV1];
  size_t size = version == v1::UpstreamSpec::PROXY_PROTOCOL_V1 ? write_proxy_v1(header, text) : write_proxy_v2(header, text);
  return {text, size};
}

void announce(ClientSession& session, v1::UpstreamSpec::ProxyProtocol version, const ProxyHeader& header) {
  session.announce(proxy_text(version, header), header.source);
}

UpstreamPool::UpstreamPool(Loop& loop, PoolOptions options)
    : loop_(loop),
      options_(std::move(options)),
      zones_{""},
      bury_task_([](void* self) { static_cast<UpstreamPool*>(self)->bury(); }, this),
      waiting_task_([](void* self) { static_cast<UpstreamPool*>(self)->serve_waiting(); }, this) {}

UpstreamPool::~UpstreamPool() {
  close_all();
  bury();
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
  // Where requests share connections, so many more may be in work.
  const UpstreamConfig& config = *upstream.config;
  size_t at_once = config.protocol == v1::UpstreamSpec::PROTOCOL_HTTP1 ? 1 : config.http2.max_streams;
  if (upstream.in_work < share(limits.max_connections) * at_once && (ask.waited || waiting == 0)) return out;
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
  BalanceInput in;
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
  bool shares = endpoint != nullptr && endpoint->shared != nullptr && (endpoint->shared->in_use || ask.http2);
  if (endpoint == nullptr || full(*endpoint, shares)) {
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
  if (endpoint->shared != nullptr && !shares) try_http2(*endpoint);
  if (shares) {
    out.stream = &share(*endpoint, events, ask);
    return out;
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

bool UpstreamPool::full(const Endpoint& endpoint, bool shares) {
  return !shares ? endpoint.connections() >= kMaxConnections : endpoint.shared->waiting >= kMaxWaiting;
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
  wake(*upstream);
}

// At the end of the turn those that wait for this upstream are looked at.
void UpstreamPool::wake(UpstreamState& upstream) {
  if (upstream.waiting.empty()) return;
  if (!upstream.due) due_.push_back(upstream.config->index);
  upstream.due = true;
  loop_.defer(waiting_task_);
}

// Exchanges whose turn has come, in the order in which they began to wait.
void UpstreamPool::serve_waiting() {
  for (uint32_t index : std::exchange(due_, {})) {
    UpstreamState* upstream = index < upstreams_.size() ? upstreams_[index].get() : nullptr;
    if (upstream == nullptr) continue;
    upstream->due = false;
    for (size_t left = upstream->waiting.size(); left > 0 && !upstream->waiting.empty(); --left) {
      const auto& limits = upstream->config->breaker;
      size_t at_once = upstream->config->protocol == v1::UpstreamSpec::PROTOCOL_HTTP1 ? 1 : upstream->config->http2.max_streams;
      if (limits && limits->max_connections > 0 && upstream->in_work >= share(limits->max_connections) * at_once) break;
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

ClientSession& UpstreamPool::open(Endpoint& endpoint) {
  auto* session = new ClientSession(loop_, *this);
  session->endpoint = &endpoint;
  endpoint.busy.push(*session);
  ++live_;
  return *session;
}

template <class Session>
void UpstreamPool::connect_to(Session& session, Endpoint& endpoint, int64_t timeout_ms) {
  const UpstreamTarget& target = endpoint.target;
  if (!endpoint.resolved()) {
    session.connect_failed("the target's name cannot be resolved");
    return;
  }
  if (endpoint.speaks_tls) {
    std::unique_ptr<StreamFilter> filter = open_tls(endpoint, std::is_same_v<Session, http2::ClientSession>);
    if (filter == nullptr) {
      session.connect_failed("TLS to the target could not be set up");
      return;
    }
    session.secure(std::move(filter));
  }
  const IpAddress& address =
      target.is_address ? target.address : target.addresses->list[endpoint.next_address++ % target.addresses->list.size()];
  sockaddr_storage where;
  socklen_t size = fill_socket_address(address, target.port, where);
  session.connect(reinterpret_cast<sockaddr*>(&where), size, timeout_ms);
}
template void UpstreamPool::connect_to(http2::ClientSession& session, Endpoint& endpoint, int64_t timeout_ms);

// A name that is not known yet is waited for; one that has no address fails at once.
void UpstreamPool::connect(ClientSession& session, Endpoint& endpoint, int64_t timeout_ms) {
  const UpstreamTarget& target = endpoint.target;
  if (!target.is_address && target.addresses == nullptr) {
    session.wait_for_address(timeout_ms);
    endpoint.waiting.push_back({&session, timeout_ms});
    return;
  }
  connect_to(session, endpoint, timeout_ms);
}

// Its name has got an answer.
void UpstreamPool::resolved(Endpoint& endpoint) {
  for (auto& [session, timeout_ms] : std::exchange(endpoint.waiting, {})) connect(*session, endpoint, timeout_ms);
  if (endpoint.shared == nullptr) return;
  for (http2::ClientSession* session : endpoint.shared->sessions) {
    if (session->awaits_address()) connect_to(*session, endpoint, endpoint.upstream->config->connect_ms);
  }
}

// What waited for the name itself goes to those that were found by it.
void UpstreamPool::rehome(Endpoint& from, UpstreamState& upstream) {
  size_t next = 0;
  for (auto& [session, timeout_ms] : std::exchange(from.waiting, {})) {
    if (upstream.endpoints.empty()) {
      session->connect_failed("the target's name cannot be resolved");
      continue;
    }
    Endpoint& to = *upstream.endpoints[next++ % upstream.endpoints.size()];
    from.busy.remove(*session);
    to.busy.push(*session);
    session->endpoint = &to;
    connect(*session, to, timeout_ms);
  }
  rehome_streams(from, upstream, next);
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
  bury_streams();
  std::erase_if(retired_, [](const auto& endpoint) { return endpoint->connections() == 0 && endpoint->in_work == 0; });
}

std::string_view UpstreamPool::session_target(const ClientSession& session) const {
  return static_cast<const Endpoint*>(session.endpoint)->target.authority;
}

void UpstreamPool::close_all() {
  auto close = [](Endpoint& endpoint) {
    while (endpoint.idle.head != nullptr) endpoint.idle.head->close();
    while (endpoint.busy.head != nullptr) endpoint.busy.head->close();
    if (endpoint.shared == nullptr) return;
    while (!endpoint.shared->sessions.empty()) endpoint.shared->sessions.back()->close();
  };
  for (auto& upstream : upstreams_) {
    if (upstream == nullptr) continue;
    for (auto& endpoint : upstream->endpoints) close(*endpoint);
  }
  for (auto& endpoint : retired_) close(*endpoint);
}

}  // namespace gw
