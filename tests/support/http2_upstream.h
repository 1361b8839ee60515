// An upstream that speaks HTTP/2 by prior knowledge: nghttp2's server, a thread for each connection. What it answers is a
// function; what it was asked is kept. Everything on 127.0.0.1, every wait capped.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tests/support/http2_client.h"
#include "tests/support/net.h"

namespace gw::test {

struct Http2Request {
  int connection = 0;  // from 1 on
  int stream = 0;
  Http2Fields fields;       // pseudo fields, too
  Http2Fields trailers;
  std::string body;
  bool complete = false;

  std::string field(std::string_view name) const;  // first value, or ""
};

struct Http2Reply {
  enum class How : uint8_t {
    kAnswer,
    kRefuse,        // RST_STREAM(REFUSED_STREAM), without an answer
    kReset,         // RST_STREAM(INTERNAL_ERROR) without an answer
    kResetMidBody,  // head and body, no end, RST_STREAM
    kHangUp,        // closes the connection without an answer
    kNothing,
  };
  How how = How::kAnswer;
  Http2Fields fields{{":status", "200"}, {"content-type", "text/plain"}};
  std::string body = "ok\n";
  Http2Fields trailers;
  std::vector<Http2Fields> interim;  // before it
  bool goaway = false;          // behind it: GOAWAY that names this stream as the last
  int goaway_last = 0;          // above 0: in front of it, with this stream as the last
  bool hold = false;            // until let_go()
};

struct Http2UpstreamOptions {
  uint32_t max_streams = 100;
  uint32_t window = 65535;       // of streams and connection, towards the gateway's bodies
  bool connect_protocol = false;  // RFC 8441
  bool echo_tunnels = true;       // bytes of extended CONNECT come back
  bool echo_calls = false;        // gRPC calls of …/Echo are answered at once, their messages come back, then status 0
  bool withhold_window = false;   // until let_go()
  bool proxy_header = false;      // connections begin with a PROXY protocol header, version 1
};

class Http2Upstream {
 public:
  using Answer = std::function<Http2Reply(const Http2Request&)>;
  explicit Http2Upstream(Answer answer = nullptr, Http2UpstreamOptions options = {});
  ~Http2Upstream();

  uint16_t port() const;
  int connections() const;       // that there ever were
  int open_connections() const;
  std::vector<Http2Request> requests() const;  // complete ones
  size_t begun() const;          // requests whose head has come
  size_t most_at_once() const;   // streams of one connection
  size_t resets() const;         // streams that the gateway has reset
  size_t pings() const;
  size_t bytes_taken() const;    // of bodies
  std::vector<std::string> proxy_headers() const;
  // Held answers go, the window is given.
  void let_go();
  // GOAWAY on every connection; streams in work go on.
  void say_goaway();
  // Waits until it is so.
  bool wait(const std::function<bool()>& done) const;

 private:
  class Peer;
  struct State;
  std::unique_ptr<State> state_;
  std::unique_ptr<Server> server_;
};

}  // namespace gw::test
