// WebSockets over HTTP/2 (RFC 8441) through a worker.
#include <catch2/catch.hpp>

#include <condition_variable>
#include <mutex>

#include "common/crypto/websocket_key.h"
#include "tests/support/http2_client.h"
#include "tests/support/worker_fixture.h"

namespace gw::test {
namespace {

constexpr int32_t kConnectProtocol = 8;
const Http2Fields kExtendedConnect = {{":method", "CONNECT"}, {":protocol", "websocket"}, {"sec-websocket-version", "13"}};

// Agrees and sends everything back.
class Echo {
 public:
  Echo()
      : server_([this](Connection& c, int) {
          std::string head = c.take_through("\r\n\r\n");
          {
            std::lock_guard lock(mutex_);
            heads_.push_back(head);
          }
          std::string mark = "Sec-WebSocket-Key: ";
          std::string key = head.substr(head.find(mark) + mark.size(), 24);
          c.send("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Protocol: chat\r\n"
                 "Sec-WebSocket-Accept: " + websocket_accept(key) + "\r\n\r\n");
          while (c.read_until([](std::string_view b) { return !b.empty(); })) c.send(c.take(c.buffer().size()));
          ++ended_;
        }) {}
  uint16_t port() const { return server_.port(); }
  int ended() const { return ended_; }
  std::string head() const {
    std::lock_guard lock(mutex_);
    return heads_.empty() ? std::string() : heads_.back();
  }

 private:
  mutable std::mutex mutex_;
  std::vector<std::string> heads_;
  std::atomic<int> ended_{0};
  Server server_;
};

Config socket_config(uint16_t upstream) {
  return Config{.upstream_port = upstream, .route = "websocket: {}", .listener = "http2: true"};
}

bool ends(const Echo& echo) {
  auto cap = std::chrono::steady_clock::now() + std::chrono::milliseconds(kCapMs);
  while (echo.ended() == 0 && std::chrono::steady_clock::now() < cap) std::this_thread::yield();
  return echo.ended() == 1;
}

TEST_CASE("A WebSocket over HTTP/2 is a tunnel beside other requests", "[http2]") {
  Echo upstream;
  WorkerFixture gw(socket_config(upstream.port()).yaml());
  Http2Client client(gw.port());
  REQUIRE(client.run([&] { return client.settled(); }));
  CHECK(client.setting(kConnectProtocol) == 1);
  Http2Fields fields = kExtendedConnect;
  fields.emplace_back("sec-websocket-protocol", "chat");
  int32_t id = client.open("/ws?x=1", fields);
  client.send(id, "early,");  // before anybody has agreed
  REQUIRE(client.run([&] { return client.answer(id).body == "early,"; }));
  Http2Answer& answer = client.answer(id);
  CHECK(answer.status == 200);
  CHECK(answer.field("sec-websocket-protocol") == "chat");
  CHECK(answer.field("sec-websocket-accept").empty());
  CHECK(answer.field("upgrade").empty());
  client.send(id, "later");
  REQUIRE(client.run([&] { return answer.body == "early,later"; }));
  CHECK(upstream.head().substr(0, 23) == "GET /ws?x=1 HTTP/1.1\r\nH");
  CHECK(upstream.head().find("Upgrade: websocket\r\n") != std::string::npos);
  CHECK(gw.stats().gauges.tunnels == 1);
  std::string large(1 << 20, 'z');
  client.send(id, large);
  REQUIRE(client.run([&] { return answer.body.size() == 11 + large.size(); }));
  SECTION("the client ends it") { client.send(id, "", true); }
  SECTION("the client resets it") { client.reset(id, 8); }
  client.finish(id);
  CHECK(ends(upstream));
  client.ping();
  CHECK(client.run([&] { return client.pongs() == 1; }));
  CHECK(gw.stats().gauges.tunnels == 0);
}

TEST_CASE("The end of the upstream is the end of a WebSocket's stream", "[http2]") {
  Server upstream([](Connection& c, int) {
    std::string head = c.take_through("\r\n\r\n"), mark = "Sec-WebSocket-Key: ";
    c.send("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " +
           websocket_accept(head.substr(head.find(mark) + mark.size(), 24)) + "\r\n\r\nlast words");
  });
  WorkerFixture gw(socket_config(upstream.port()).yaml());
  Http2Client client(gw.port());
  int32_t id = client.open("/ws", kExtendedConnect);
  Http2Answer& answer = client.finish(id);
  CHECK(answer.body == "last words");
  CHECK(answer.ended);
}

TEST_CASE("Extended CONNECT is offered where a route takes WebSockets, and refused elsewhere", "[http2]") {
  Echo upstream;
  Config config = socket_config(upstream.port());
  config.more = R"(
---
apiVersion: gw/v1
kind: Route
metadata: {name: plain, owner: platform}
spec: {api: all, match: {path: {prefix: /plain}}, to: {upstream: up}}
)";
  WorkerFixture gw(config.yaml());
  auto status = [&](const std::string& path, Http2Fields fields) {
    Http2Client client(gw.port());
    return client.finish(client.open(path, fields)).status;
  };
  CHECK(status("/plain", kExtendedConnect) == 400);
  CHECK(status("/ws", {{":method", "CONNECT"}, {":protocol", "websocket"}}) == 400);
  CHECK(status("/ws", {{":method", "CONNECT"}, {":protocol", "websocket"}, {"sec-websocket-version", "12"}}) == 426);
  CHECK(status("/ws", {{":method", "CONNECT"}, {":protocol", "connect-udp"}, {"sec-websocket-version", "13"}}) == 400);
  Http2Fields foreign = kExtendedConnect;
  foreign.emplace_back("origin", "https://evil.test");
  CHECK(status("/ws", foreign) == 403);
  Connection plain = Connection::to(gw.port());
  plain.send(std::string(kHttp2Preface) + http2_frame(4, 0, 0, "") +
             http2_frame(1, 4, 1, http2_literals({{":method", "CONNECT"}, {":authority", "127.0.0.1:22"}})));
  Http2Frame refused = read_http2_until(plain, 1, 1);
  REQUIRE(refused.type == 1);
  config.route = "";
  gw.install(config.yaml());
  Http2Client without(gw.port());
  REQUIRE(without.run([&] { return without.settled(); }));
  CHECK(without.setting(kConnectProtocol) == -1);
  CHECK(upstream.head().empty());
}

TEST_CASE("A node that goes away gives WebSockets over HTTP/2 their grace", "[http2]") {
  std::atomic<bool> drained{false};  // the worker may write it until it has ended
  Echo upstream;
  WorkerFixture gw(socket_config(upstream.port()).yaml(), {}, [](WorkerOptions& o) { o.tunnel_grace_ms = 20; });
  Http2Client client(gw.port());
  int32_t id = client.open("/ws", kExtendedConnect);
  REQUIRE(client.run([&] { return client.answer(id).status == 200; }));
  gw.on_worker([&](Worker& worker) { worker.drain(0, [&] { drained = true; }); });
  Http2Answer& answer = client.finish(id);
  CHECK(answer.body == std::string("\x88\x02\x03\xe9"));
  CHECK(answer.ended);
  CHECK(client.run_to_end());
}

}  // namespace
}  // namespace gw::test
