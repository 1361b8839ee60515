// A client's connection, whatever it speaks, and who keeps it. All on the worker's thread.
#pragma once

#include <cstddef>
#include <cstdint>

#include "dataplane/exchange/streams.h"

namespace gw {

// Of a message's head: start line and fields.
struct HeadLimits {
  size_t bytes = 32768;
  size_t fields = 100;
};

// Of one HTTP/2 connection (Listener.http2Limits).
struct Http2Limits {
  uint32_t streams = 100;
  uint32_t stream_window = 65536;
  uint32_t connection_window = 1 << 20;
  // In kBudgetMs; beyond it the connection is ended with ENHANCE_YOUR_CALM.
  uint32_t resets = 200;
  uint32_t control_frames = 2000;
  int64_t ping_after_ms = 30'000;
  static constexpr int64_t kBudgetMs = 10'000;
};

// Limits of one listener; replaced as a whole when the configuration changes.
struct ServerLimits {
  HeadLimits head;
  int64_t head_timeout_ms = 10'000;
  int64_t idle_timeout_ms = 60'000;
  uint32_t requests = UINT32_MAX;  // of one connection
  PathRule path_rule = PathRule::kReject;
  Http2Limits http2;
  bool websockets = false;  // some route takes them: HTTP/2 says that they may begin (RFC 8441)
};

// Of the moment.
struct Http2Gauges {
  int64_t connections = 0;
  int64_t streams = 0;  // requests that their connections have not done with
};

class ServerConnection {
 public:
  explicit ServerConnection(uint32_t listener) : listener_(listener) {}
  virtual ~ServerConnection() = default;
  ServerConnection(const ServerConnection&) = delete;
  ServerConnection& operator=(const ServerConnection&) = delete;

  virtual const ConnectionInfo& connection() const = 0;
  // Ends after what is in work; when idle, after one more request, or when none has come for `idle_ms`.
  virtual void drain(int64_t idle_ms) = 0;
  // At once, dropping what is in work (exchanges are told).
  virtual void abort() = 0;
  uint32_t listener() const { return listener_; }

  // The host's list.
  ServerConnection* next = nullptr;
  ServerConnection* prev = nullptr;
  // The host's: the Gateway that counts this client's connections; 0: none does.
  uint64_t counted_for = 0;

 private:
  const uint32_t listener_;
};

// The worker, as a session sees it.
class ServerHost : public ExchangeHost {
 public:
  virtual const ServerLimits& limits(uint32_t listener) = 0;
  // No further request on any connection once true: responses carry `Connection: close`, HTTP/2 has said GOAWAY.
  virtual bool draining() const = 0;
  // Responses carry `Connection: close` for now, to make room.
  virtual bool sheds_connections() { return false; }
  // The connection is closed after this answer: it has had all the requests that it may have.
  virtual void requests_used_up() {}
  virtual Http2Gauges& http2_gauges() = 0;
  // An HTTP/2 connection is ended because its client is beyond a budget.
  virtual void http2_budget_exceeded() {}
  // It is ended because a head that has begun has not come to its end.
  virtual void head_timed_out() {}
  // The connection has closed; the host destroys it at the end of the turn.
  virtual void connection_closed(ServerConnection& connection) = 0;
};

}  // namespace gw
