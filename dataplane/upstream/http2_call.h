// One request over an HTTP/2 connection of its own: for probes.
//
// Owner: the probe, which is the events; ends it with finish() and destroys it at the end of the turn. Loop's thread.
#pragma once

#include <string>
#include <string_view>

#include "dataplane/http2/h2_client_session.h"

namespace gw {

class Http2Call final : private http2::ClientHost {
 public:
  // `target` for logs.
  Http2Call(Loop& loop, UpstreamEvents& events, const Http2Limits& limits, std::string_view target);

  void announce(std::string_view proxy_header) { session_.announce(proxy_header, IpAddress()); }
  void secure(std::unique_ptr<StreamFilter> filter) { session_.secure(std::move(filter)); }
  // Null: no request; on_upstream_drained() comes when the target has shown that it speaks HTTP/2.
  void ask(const RequestHead* head, std::string_view body);
  void connect(const sockaddr* address, socklen_t size, int64_t timeout_ms) { session_.connect(address, size, timeout_ms); }
  void connect_failed(const char* why) { session_.connect_failed(why); }
  // No event follows.
  void finish();

 private:
  void session_has_room(http2::ClientSession& session) override;
  void session_failed(http2::ClientSession& session, const ProxyError& why) override;
  void session_closed(http2::ClientSession&) override {}
  bool move_stream(http2::ClientStream&) override { return false; }
  void stream_left(http2::ClientStream&) override {}
  void stream_ended(http2::ClientStream&) override {}
  std::string_view stream_target(const http2::ClientStream&) const override { return target_; }

  UpstreamEvents& events_;
  const std::string target_;
  http2::ClientStream stream_;
  http2::ClientSession session_;
  bool asks_ = false;
  bool attached_ = false;
  bool done_ = false;
};

// A request of the gRPC health protocol (grpc.health.v1.Health/Check) for `service`, as the body of a POST.
std::string grpc_health_request(std::string_view service);
// Whether the body of its answer says SERVING.
bool grpc_says_serving(std::string_view body);

}  // namespace gw
