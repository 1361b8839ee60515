// Clients' connections: who is let in, how many there may be, and what happens when there is too much of everything.
#include <cerrno>

#include "dataplane/snapshot/snapshot.h"
#include "dataplane/worker/worker.h"

namespace gw {

// What the snapshot says of a socket's connections.
void Worker::configure(Socket& socket) {
  const GatewayConfig& gateway = *socket.gateway;
  http1::ServerLimits& limits = socket.limits;
  limits.head.bytes = static_cast<size_t>(gateway.header_bytes);
  limits.head.fields = static_cast<size_t>(gateway.header_fields);
  limits.head_timeout_ms = gateway.head_timeout_ms;
  limits.idle_timeout_ms = gateway.idle_timeout_ms;
  limits.requests = static_cast<uint32_t>(gateway.requests_per_connection);
  const ListenerConfig* listener = gateway.find_listener(socket.listener_name);
  limits.path_rule = listener != nullptr ? listener->path_rule : PathRule::kReject;
  limits.proxy_protocol = listener != nullptr && listener->proxy_protocol;
}

// The worker's own limit, and its share of the Gateway's.
bool Worker::has_room(uint32_t id) {
  if (session_count_ >= options_.max_connections) {
    stats_.count(Counter::kConnectionsRefused);
    return false;
  }
  const Socket& socket = sockets_[id];
  if (socket.gateway == nullptr || socket.gateway->max_connections == std::numeric_limits<int32_t>::max()) return true;
  size_t share = (static_cast<size_t>(socket.gateway->max_connections) + options_.workers - 1) / options_.workers;
  size_t live = 0;
  for (const Socket& s : sockets_) {
    if (s.gateway_uid == socket.gateway_uid) live += s.connections;
  }
  if (live < share) return true;
  stats_.count(Counter::kGatewayConnectionsFull);
  return false;
}

bool Worker::believes_proxy_header(uint32_t id, const IpAddress& peer) {
  const GatewayConfig* gateway = sockets_[id].gateway;
  return gateway == nullptr || gateway->trusted_proxies.empty() || gateway->trusted_proxies.contains(peer);
}

bool Worker::admit(http1::ServerSession& session) {
  const GatewayConfig* gateway = sockets_[session.listener()].gateway;
  const IpAddress& client = session.connection().peer;
  if (gateway == nullptr || options_.clients == nullptr || gateway->trusted_proxies.contains(client)) return true;
  if (!options_.clients->add(gateway->uid, client, static_cast<size_t>(gateway->max_connections_per_client))) {
    stats_.count(Counter::kClientConnectionsFull);
    return false;
  }
  session.counted_for = gateway->uid;
  return true;
}

void Worker::accept(uint32_t socket, int fd) {
  auto* session = new http1::ServerSession(loop_, *this, socket);
  int error = session->start(fd);
  if (error != 0 || !has_room(socket) || (!session->awaits_proxy_header() && !admit(*session))) {
    delete session;
    return;
  }
  stats_.count(Counter::kConnectionsAccepted);
  session->next = sessions_;
  if (sessions_ != nullptr) sessions_->prev = session;
  sessions_ = session;
  ++session_count_;
  ++sockets_[socket].connections;
}

void Worker::session_closed(http1::ServerSession& session) {
  if (session.prev != nullptr) session.prev->next = session.next;
  if (session.next != nullptr) session.next->prev = session.prev;
  if (sessions_ == &session) sessions_ = session.next;
  --session_count_;
  --sockets_[session.listener()].connections;
  if (session.counted_for != 0) options_.clients->remove(session.counted_for, session.connection().peer);
  dead_sessions_.push_back(&session);
  loop_.defer(turn_task_);
}

bool Worker::sheds_connections() {
  if (overload_.stage() == 0) return false;
  stats_.count(Counter::kOverloadClosed);
  return true;
}

void Worker::turn_ended(int64_t busy_ns, int64_t now_ns) {
  stats_.loop_turn(busy_ns);
  OverloadReading reading{loop_.blocks().bytes_in_use(), session_count_, static_cast<size_t>(stats_.gauges().active_requests)};
  int stage = overload_.turn(busy_ns, now_ns, reading);
  stats_.gauges().overload_stage = stage;
  env_.admit_ns = overload_.admit_ns();
}

}  // namespace gw
