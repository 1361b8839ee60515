#include "dataplane/upstream/pool.h"

#include <algorithm>
#include <cstring>

#include "dataplane/snapshot/snapshot.h"

namespace gw {

using http1::ClientSession;

namespace {

struct SessionList {
  ClientSession* head = nullptr;
  size_t size = 0;

  void push(ClientSession& s) {
    s.prev = nullptr;
    s.next = head;
    if (head != nullptr) head->prev = &s;
    head = &s;
    ++size;
  }
  void remove(ClientSession& s) {
    if (s.prev != nullptr) s.prev->next = s.next;
    if (s.next != nullptr) s.next->prev = s.prev;
    if (head == &s) head = s.next;
    s.prev = s.next = nullptr;
    --size;
  }
};

socklen_t fill(const IpAddress& address, uint16_t port, sockaddr_storage& out) {
  std::memset(&out, 0, sizeof out);
  if (address.is_v4()) {
    auto& v4 = reinterpret_cast<sockaddr_in&>(out);
    v4.sin_family = AF_INET;
    v4.sin_port = htons(port);
    std::memcpy(&v4.sin_addr, address.bytes.data() + 12, 4);
    return sizeof v4;
  } else {
    auto& v6 = reinterpret_cast<sockaddr_in6&>(out);
    v6.sin6_family = AF_INET6;
    v6.sin6_port = htons(port);
    std::memcpy(&v6.sin6_addr, address.bytes.data(), 16);
    return sizeof v6;
  }
}

}  // namespace

// One target of one upstream, and this worker's connections to it.
struct UpstreamPool::Endpoint {
  std::string host, authority;
  uint16_t port = 0;
  bool is_address = false;
  IpAddress address;
  int64_t weight = 1;
  int64_t current = 0;  // of the smooth round robin
  size_t next_address = 0;
  bool retired = false;
  SessionList idle, busy;
  // Sessions that wait for the name's addresses.
  std::vector<std::pair<ClientSession*, int64_t>> waiting;

  size_t connections() const { return idle.size + busy.size; }
};

struct UpstreamPool::Upstream {
  uint64_t uid = 0;
  const UpstreamConfig* config = nullptr;  // compared only: targets are current for this one
  std::vector<std::unique_ptr<Endpoint>> endpoints;
  int64_t total_weight = 0;
};

UpstreamPool::UpstreamPool(Loop& loop, Resolver& resolver)
    : loop_(loop), resolver_(resolver), bury_task_([](void* self) { static_cast<UpstreamPool*>(self)->bury(); }, this) {
  resolver_.on_answer([this](const std::string& host) { answered(host); });
}

UpstreamPool::~UpstreamPool() {
  resolver_.on_answer(nullptr);
  close_all();
  bury();
}

UpstreamPool::Upstream& UpstreamPool::state_of(const UpstreamConfig& config) {
  if (config.index >= upstreams_.size()) upstreams_.resize(config.index + 1);
  std::unique_ptr<Upstream>& slot = upstreams_[config.index];
  if (slot == nullptr || slot->uid != config.uid) {
    if (slot != nullptr) {
      for (auto& endpoint : slot->endpoints) {
        retire(*endpoint);
        retired_.push_back(std::move(endpoint));
      }
    }
    slot = std::make_unique<Upstream>();
    slot->uid = config.uid;
  }
  if (slot->config == nullptr) update(*slot, config);
  return *slot;
}

void UpstreamPool::update(Upstream& upstream, const UpstreamConfig& config) {
  std::vector<std::unique_ptr<Endpoint>> before = std::move(upstream.endpoints);
  upstream.endpoints.clear();
  upstream.total_weight = 0;
  for (const UpstreamTarget& target : config.targets) {
    auto kept = std::find_if(before.begin(), before.end(), [&](const auto& e) { return e && e->authority == target.authority; });
    std::unique_ptr<Endpoint> endpoint = kept != before.end() ? std::move(*kept) : std::make_unique<Endpoint>();
    endpoint->host = target.host;
    endpoint->authority = target.authority;
    endpoint->port = target.port;
    endpoint->is_address = target.is_address;
    endpoint->address = target.address;
    endpoint->weight = target.weight;
    endpoint->current = 0;
    upstream.total_weight += target.weight;
    upstream.endpoints.push_back(std::move(endpoint));
  }
  upstream.config = &config;
  for (auto& endpoint : before) {
    if (endpoint == nullptr) continue;
    retire(*endpoint);
    if (endpoint->connections() > 0) retired_.push_back(std::move(endpoint));
  }
}

void UpstreamPool::retire(Endpoint& endpoint) {
  endpoint.retired = true;
  while (endpoint.idle.head != nullptr) endpoint.idle.head->close();
  for (ClientSession* s = endpoint.busy.head; s != nullptr; s = s->next) s->retire();
}

void UpstreamPool::configure(const Snapshot& snapshot) {
  for (const auto& config : snapshot.upstreams()) {
    if (config == nullptr || config->index >= upstreams_.size() || upstreams_[config->index] == nullptr) continue;
    Upstream& upstream = *upstreams_[config->index];
    if (upstream.uid == config->uid && upstream.config != config.get()) update(upstream, *config);
  }
  for (uint32_t i = 0; i < upstreams_.size(); ++i) {
    if (upstreams_[i] == nullptr || snapshot.upstream(i) != nullptr) continue;
    for (auto& endpoint : upstreams_[i]->endpoints) {
      retire(*endpoint);
      if (endpoint->connections() > 0) retired_.push_back(std::move(endpoint));
    }
    upstreams_[i].reset();
  }
}

UpstreamPool::Endpoint* UpstreamPool::pick(Upstream& upstream, const void* avoid) {
  if (upstream.endpoints.size() == 1) {
    Endpoint* only = upstream.endpoints.front().get();
    return only->weight > 0 ? only : nullptr;
  }
  Endpoint* best = nullptr;
  int64_t total = 0;
  for (auto& endpoint : upstream.endpoints) {
    if (endpoint->weight == 0 || endpoint.get() == avoid) continue;
    endpoint->current += endpoint->weight;
    total += endpoint->weight;
    if (best == nullptr || endpoint->current > best->current) best = endpoint.get();
  }
  if (best != nullptr) {
    best->current -= total;
    return best;
  }
  for (auto& endpoint : upstream.endpoints) {
    if (endpoint.get() == avoid && endpoint->weight > 0) return endpoint.get();
  }
  return nullptr;
}

UpstreamPool::Acquired UpstreamPool::acquire(const UpstreamConfig& config, UpstreamEvents& events, Method method,
                                             const void* avoid, bool fresh) {
  Upstream& upstream = state_of(config);
  Endpoint* endpoint = pick(upstream, avoid);
  if (endpoint == nullptr) {
    return {nullptr, nullptr, {Reason::kNoHealthyEndpoint, ProxyError::Retry::kNever, "every target of the upstream has weight 0"}};
  }
  if (!fresh && endpoint->idle.head != nullptr) {
    ClientSession& session = *endpoint->idle.head;
    endpoint->idle.remove(session);
    endpoint->busy.push(session);
    session.pooled = false;
    session.lease(events, method);
    return {&session, endpoint, {}};
  }
  if (endpoint->connections() >= kMaxConnections) {
    return {nullptr, endpoint, {Reason::kOverload, ProxyError::Retry::kNever, "too many connections to the upstream's target"}};
  }
  ClientSession& session = open(*endpoint);
  session.lease(events, method);
  connect(session, *endpoint, config.connect_ms);
  return {&session, endpoint, {}};
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
    socklen_t size = fill(endpoint.address, endpoint.port, where);
    session.connect(reinterpret_cast<sockaddr*>(&where), size, timeout_ms);
    return;
  }
  const auto& addresses = resolver_.lookup(endpoint.host);
  if (!addresses.empty()) {
    socklen_t size = fill(addresses[endpoint.next_address++ % addresses.size()], endpoint.port, where);
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
    socklen_t size = fill(addresses[endpoint.next_address++ % addresses.size()], endpoint.port, where);
    session->connect(reinterpret_cast<sockaddr*>(&where), size, timeout_ms);
  }
}

void UpstreamPool::session_idle(ClientSession& session) {
  auto& endpoint = *static_cast<Endpoint*>(session.endpoint);
  if (endpoint.retired || endpoint.idle.size >= kMaxIdle) {
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
  std::erase_if(retired_, [](const auto& endpoint) { return endpoint->connections() == 0; });
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
