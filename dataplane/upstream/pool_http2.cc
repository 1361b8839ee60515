// Requests that share connections: HTTP/2. One connection of a target is filled before another is made, and while one is made
// requests wait for it. What a connection says for itself (PROXY protocol) is said for one client alone.

#include <algorithm>
#include <utility>

#include "dataplane/upstream/endpoint.h"
#include "dataplane/upstream/pool.h"

namespace gw {

using SharedSession = http2::ClientSession;
using http2::ClientStream;

namespace {

Endpoint& endpoint_of(const SharedSession& session) { return *static_cast<Endpoint*>(session.endpoint); }
Endpoint& endpoint_of(const ClientStream& stream) { return *static_cast<Endpoint*>(stream.endpoint); }

SharedSession* with_room(const SharedConnections& shared, const IpAddress& announced) {
  for (SharedSession* session : shared.sessions) {
    if (session->room() > 0 && session->announced == announced) return session;
  }
  return nullptr;
}

// One that is made and has not been promised to all that it may take, as far as is known.
SharedSession* in_the_making(const SharedConnections& shared, const IpAddress& announced) {
  for (SharedSession* session : shared.sessions) {
    size_t most = shared.most != 0 ? shared.most : session->most_streams();
    if (session->in_the_making() && session->promised < most && session->announced == announced) return session;
  }
  return nullptr;
}

}  // namespace

Http2Limits http2_limits(const UpstreamHttp2Config& config) {
  Http2Limits limits;
  limits.streams = config.max_streams;
  limits.stream_window = config.stream_window;
  limits.connection_window = config.connection_window;
  limits.ping_after_ms = config.ping_after_ms;
  limits.resets = SharedSession::kMaxRequests;  // each is of one of our own requests
  return limits;
}

UpstreamStream& UpstreamPool::share(Endpoint& endpoint, UpstreamEvents& events, const Ask& ask) {
  std::unique_ptr<ClientStream> made;
  if (free_streams_.empty()) {
    made.reset(new ClientStream(loop_, *this));
  } else {
    made = std::move(free_streams_.back());
    free_streams_.pop_back();
  }
  ClientStream& stream = *made.release();  // stream_ended() gives it back
  stream.endpoint = &endpoint;
  stream.lease(events, ask.request->method);
  if (endpoint.proxy_protocol != v1::UpstreamSpec::PROXY_PROTOCOL_NONE) {
    ProxyHeader header = ask.announce != nullptr ? *ask.announce : ProxyHeader();
    stream.announced = header.source;
    stream.announcement = proxy_text(endpoint.proxy_protocol, header);
  }
  queue(endpoint, stream);
  return stream;
}

// To a connection that has room, else behind those that wait.
void UpstreamPool::queue(Endpoint& endpoint, ClientStream& stream) {
  SharedConnections& shared = *endpoint.shared;
  if (shared.waiting == 0 || endpoint.proxy_protocol != v1::UpstreamSpec::PROXY_PROTOCOL_NONE) {
    if (SharedSession* session = with_room(shared, stream.announced)) {
      session->attach(stream);
      return;
    }
  }
  shared.push(stream);
  stream.wait(endpoint.upstream != nullptr ? endpoint.upstream->config->connect_ms : kDefaultConnectMs);
  if (SharedSession* session = in_the_making(shared, stream.announced)) {
    ++session->promised;
  } else if (may_make_session(endpoint)) {
    make_session(endpoint, &stream);
  }
}

// A target may always have one; more as far as the limits go.
bool UpstreamPool::may_make_session(const Endpoint& endpoint) {
  if (endpoint.upstream == nullptr || endpoint.shared->sessions.size() >= kMaxConnections) {
    options_.stats->count(Counter::kUpstreamPoolFull);
    return false;
  }
  const std::optional<BreakerConfig>& breaker = endpoint.upstream->config->breaker;
  if (!breaker || breaker->max_connections == 0 || endpoint.shared->sessions.empty()) return true;
  size_t all = 0;
  for (const auto& e : endpoint.upstream->endpoints) all += e->connections();
  return all < share(breaker->max_connections);
}

void UpstreamPool::make_session(Endpoint& endpoint, const ClientStream* stream) {
  const UpstreamConfig& config = *endpoint.upstream->config;
  auto* session = new SharedSession(loop_, *this, http2_limits(config.http2));
  session->endpoint = &endpoint;
  session->promised = stream != nullptr ? 1 : 0;
  if (stream != nullptr && !stream->announcement.empty()) session->announce(stream->announcement, stream->announced);
  endpoint.shared->sessions.push_back(session);
  ++live_;
  options_.stats->count(Counter::kUpstreamHttp2Connections);
  if (!endpoint.target.is_address && endpoint.target.addresses == nullptr) {
    session->wait_for_address(config.connect_ms);
  } else {
    connect_to(*session, endpoint, config.connect_ms);
  }
}

// Beside a request that goes by HTTP/1.1: whether the target agrees to HTTP/2 is known before the next one needs it.
void UpstreamPool::try_http2(Endpoint& endpoint) {
  SharedConnections& shared = *endpoint.shared;
  if (!shared.sessions.empty() || loop_.now_ms() < shared.next_trial_ms || !endpoint.resolved()) return;
  if (endpoint.proxy_protocol != v1::UpstreamSpec::PROXY_PROTOCOL_NONE || !may_make_session(endpoint)) return;
  shared.next_trial_ms = loop_.now_ms() + kTryHttp2AgainMs;
  make_session(endpoint, nullptr);
}

void UpstreamPool::session_has_room(SharedSession& session) {
  endpoint_of(session).shared->in_use = true;
  endpoint_of(session).shared->next_trial_ms = 0;
  endpoint_of(session).shared->most = session.most_streams();
  if (endpoint_of(session).shared->waiting > 0) serve_streams(endpoint_of(session));
}

// In the order in which they began to wait; what finds no room gets further connections.
void UpstreamPool::serve_streams(Endpoint& endpoint) {
  SharedConnections& shared = *endpoint.shared;
  for (SharedSession* session : shared.sessions) {
    if (session->in_the_making()) session->promised = 0;
  }
  for (ClientStream *stream = shared.first, *next = nullptr; stream != nullptr; stream = next) {
    next = stream->next;
    if (SharedSession* session = with_room(shared, stream->announced)) {
      shared.remove(*stream);
      session->attach(*stream);
      continue;
    }
    if (SharedSession* making = in_the_making(shared, stream->announced)) {
      ++making->promised;
    } else if (may_make_session(endpoint)) {
      make_session(endpoint, stream);
    } else if (endpoint.proxy_protocol == v1::UpstreamSpec::PROXY_PROTOCOL_NONE) {
      break;  // nor is there anything for those behind it
    }
  }
}

void UpstreamPool::session_going_away(SharedSession&) { options_.stats->count(Counter::kUpstreamHttp2Goaways); }
void UpstreamPool::session_beyond_budget(SharedSession&) { options_.stats->count(Counter::kUpstreamHttp2Budgets); }

// Those that waited for it hear why, unless another is on its way.
void UpstreamPool::session_failed(SharedSession& session, const ProxyError& why) {
  Endpoint& endpoint = endpoint_of(session);
  for (const SharedSession* other : endpoint.shared->sessions) {
    if (other != &session && other->in_the_making() && other->announced == session.announced) return;
  }
  fail_streams(endpoint, why, &session.announced);
}

void UpstreamPool::fail_streams(Endpoint& endpoint, const ProxyError& why, const IpAddress* announced) {
  for (ClientStream *stream = endpoint.shared->first, *next = nullptr; stream != nullptr; stream = next) {
    next = stream->next;
    if (announced != nullptr && stream->announced != *announced) continue;
    endpoint.shared->remove(*stream);
    stream->fail(why);
  }
}

void UpstreamPool::session_closed(SharedSession& session) {
  Endpoint& endpoint = endpoint_of(session);
  std::erase(endpoint.shared->sessions, &session);
  if (endpoint.protocol == v1::UpstreamSpec::PROTOCOL_AUTO && endpoint.shared->sessions.empty() && endpoint.shared->waiting == 0) {
    endpoint.shared->in_use = false;
  }
  --live_;
  dead_shared_.push_back(&session);
  loop_.defer(bury_task_);
}

// A GOAWAY, or a limit that has become less, left it out: nothing of it was looked at.
bool UpstreamPool::move_stream(ClientStream& stream) {
  Endpoint& endpoint = endpoint_of(stream);
  if (endpoint.upstream == nullptr || ++stream.moves > ClientStream::kMaxMoves) return false;
  options_.stats->count(Counter::kUpstreamHttp2Moved);
  queue(endpoint, stream);
  return true;
}

void UpstreamPool::stream_left(ClientStream& stream) { endpoint_of(stream).shared->remove(stream); }

void UpstreamPool::stream_ended(ClientStream& stream) {
  ended_streams_.push_back(&stream);
  loop_.defer(bury_task_);
}

std::string_view UpstreamPool::stream_target(const ClientStream& stream) const { return endpoint_of(stream).target.authority; }

// What waited for a name itself goes to those that were found by it.
void UpstreamPool::rehome_streams(Endpoint& from, UpstreamState& upstream, size_t next) {
  if (from.shared == nullptr || upstream.endpoints.empty()) return;
  while (ClientStream* stream = from.shared->first) {
    Endpoint& to = *upstream.endpoints[next++ % upstream.endpoints.size()];
    if (to.shared == nullptr) return;
    from.shared->remove(*stream);
    stream->endpoint = &to;
    queue(to, *stream);
  }
}

void UpstreamPool::retire_shared(Endpoint& endpoint) {
  fail_streams(endpoint, {Reason::kUpstreamConnect, ProxyError::Retry::kSafe, "the target is gone"}, nullptr);
  std::vector<SharedSession*> sessions = endpoint.shared->sessions;
  for (SharedSession* session : sessions) session->retire();
}

// Kept connections to a target that is out would be the first to be used when it is back, and may be dead.
void UpstreamPool::close_idle(Endpoint& endpoint) {
  while (endpoint.idle.head != nullptr) endpoint.idle.head->close();
  if (endpoint.shared == nullptr) return;
  std::vector<SharedSession*> sessions = endpoint.shared->sessions;
  for (SharedSession* session : sessions) {
    if (!session->in_the_making()) session->retire();
  }
}

void UpstreamPool::bury_streams() {
  for (SharedSession* session : std::exchange(dead_shared_, {})) delete session;
  for (ClientStream* ended : ended_streams_) {
    std::unique_ptr<ClientStream> stream(ended);
    if (free_streams_.size() >= kKeptStreams) continue;
    stream->recycle();
    free_streams_.push_back(std::move(stream));
  }
  ended_streams_.clear();
}

}  // namespace gw
