// Clients' connections: who is let in, how many there may be, and what happens when there is too much of everything.
#include <cerrno>
#include <utility>

#include "dataplane/snapshot/snapshot.h"
#include "dataplane/worker/worker.h"

namespace gw {

// What the snapshot says of a socket's connections.
void Worker::configure(Socket& socket) {
  const GatewayConfig& gateway = *socket.gateway;
  ServerLimits& limits = socket.limits;
  limits.head.bytes = static_cast<size_t>(gateway.header_bytes);
  limits.head.fields = static_cast<size_t>(gateway.header_fields);
  limits.head_timeout_ms = gateway.head_timeout_ms;
  limits.idle_timeout_ms = gateway.idle_timeout_ms;
  limits.requests = static_cast<uint32_t>(gateway.requests_per_connection);
  const ListenerConfig* listener = gateway.find_listener(socket.listener_name);
  limits.path_rule = listener != nullptr ? listener->path_rule : PathRule::kReject;
  if (listener != nullptr) {
    limits.http2.streams = listener->http2_limits.streams;
    limits.http2.stream_window = listener->http2_limits.stream_window;
    limits.http2.connection_window = listener->http2_limits.connection_window;
    limits.http2.resets = listener->http2_limits.resets;
    limits.http2.control_frames = listener->http2_limits.control_frames;
    limits.http2.ping_after_ms = listener->http2_limits.ping_after_ms;
  }
  limits.websockets = gateway.websockets;
  socket.front.http2 = listener != nullptr && listener->http2;
  socket.front.proxy_header = listener != nullptr && listener->proxy_protocol;
  socket.front.head_timeout_ms = limits.head_timeout_ms;
  socket.config = listener;
  socket.front.tls = listener != nullptr && listener->protocol == v1::Listener::PROTOCOL_HTTPS;
  if (listener != nullptr) socket.front.handshake_timeout_ms = listener->tls.handshake_timeout_ms;
}

// The worker's own limit, and its share of the Gateway's.
bool Worker::has_room(uint32_t id) {
  if (connection_count_ >= options_.max_connections) {
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

bool Worker::admit(ServerConnection& connection) {
  const GatewayConfig* gateway = sockets_[connection.listener()].gateway;
  const IpAddress& client = connection.connection().peer;
  if (gateway == nullptr || options_.clients == nullptr || gateway->trusted_proxies.contains(client)) return true;
  if (!options_.clients->add(gateway->uid, client, static_cast<size_t>(gateway->max_connections_per_client))) {
    stats_.count(Counter::kClientConnectionsFull);
    return false;
  }
  connection.counted_for = gateway->uid;
  return true;
}

void Worker::accept(uint32_t socket, int fd) {
  const FrontRules& rules = sockets_[socket].front;
  std::unique_ptr<ServerConnection> connection;
  int error;
  bool known = true;
  if (rules.any()) {
    std::unique_ptr<Front> front(new Front(loop_, *this, socket, rules));
    error = front->start(fd);
    known = !front->awaits_proxy_header();
    connection = std::move(front);
  } else {
    std::unique_ptr<http1::ServerSession> session(new http1::ServerSession(loop_, *this, socket));
    error = session->start(fd);
    connection = std::move(session);
  }
  if (error != 0 || !has_room(socket) || (known && !admit(*connection))) return;
  stats_.count(Counter::kConnectionsAccepted);
  keep(*connection.release());
}

void Worker::keep(ServerConnection& connection) {
  connection.next = connections_;
  if (connections_ != nullptr) connections_->prev = &connection;
  connections_ = &connection;
  ++connection_count_;
  ++sockets_[connection.listener()].connections;
}

void Worker::promote(Front& front, TcpStream& stream, bool http2, std::string_view early) {
  ServerConnection* session;
  http1::ServerSession* http1 = nullptr;
  http2::ServerSession* h2 = nullptr;
  if (http2) {
    session = h2 = new http2::ServerSession(loop_, *this, http2_requests_, front.listener());
  } else {
    session = http1 = new http1::ServerSession(loop_, *this, front.listener());
  }
  session->counted_for = std::exchange(front.counted_for, 0);
  keep(*session);
  if (http2) {
    h2->start(stream, front.connection(), early);
  } else {
    http1->start(stream, front.connection(), early);
  }
  if (draining_) session->drain(drain_idle_ms_);
}

void Worker::connection_closed(ServerConnection& connection) {
  if (connection.prev != nullptr) connection.prev->next = connection.next;
  if (connection.next != nullptr) connection.next->prev = connection.prev;
  if (connections_ == &connection) connections_ = connection.next;
  --connection_count_;
  --sockets_[connection.listener()].connections;
  if (connection.counted_for != 0) options_.clients->remove(connection.counted_for, connection.connection().peer);
  dead_connections_.push_back(&connection);
  loop_.defer(turn_task_);
}

bool Worker::sheds_connections() {
  if (overload_.stage() == 0) return false;
  stats_.count(Counter::kOverloadClosed);
  return true;
}

void Worker::turn_ended(int64_t busy_ns, int64_t now_ns) {
  stats_.loop_turn(busy_ns);
  OverloadReading reading{loop_.blocks().bytes_in_use(), connection_count_, static_cast<size_t>(stats_.gauges().active_requests)};
  int stage = overload_.turn(busy_ns, now_ns, reading);
  stats_.gauges().overload_stage = stage;
  env_.admit_ns = overload_.admit_ns();
}

}  // namespace gw
