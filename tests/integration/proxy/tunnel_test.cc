// WebSockets through a worker: handshakes, bytes, and every way in which a tunnel ends.
#include <catch2/catch.hpp>

#include "common/crypto/websocket_key.h"
#include "tests/support/worker_fixture.h"

namespace gw::test {
namespace {

constexpr std::string_view kClientKey = "dGhlIHNhbXBsZSBub25jZQ==", kClientAccept = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
constexpr std::string_view kAwayFrame = "\x88\x02\x03\xe9";

std::string handshake(const std::string& more = "", const std::string& path = "/ws") {
  return "GET " + path + " HTTP/1.1\r\nHost: gw.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n" +
         "Sec-WebSocket-Key: " + std::string(kClientKey) + "\r\n" + more + "\r\n";
}

std::string field_of(const std::string& head, const std::string& name) {
  size_t at = head.find("\r\n" + name + ": ");
  if (at == std::string::npos) return {};
  at += name.size() + 4;
  return head.substr(at, head.find("\r\n", at) - at);
}

std::string agreement(const std::string& head) {
  return "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nX-Up: 1\r\nSec-WebSocket-Accept: " +
         websocket_accept(field_of(head, "Sec-WebSocket-Key")) + "\r\n\r\n";
}

// Agrees to every handshake, then runs `then`, by default an echo.
class SocketUpstream {
 public:
  explicit SocketUpstream(std::function<void(Connection&)> then = nullptr)
      : server_([this, then](Connection& c, int) {
          std::string head = c.take_through("\r\n\r\n");
          {
            std::lock_guard lock(mutex_);
            heads_.push_back(head);
          }
          c.send(agreement(head));
          if (then != nullptr) {
            then(c);
            return;
          }
          while (c.read_until([](std::string_view b) { return !b.empty(); })) c.send(c.take(c.buffer().size()));
        }) {}
  uint16_t port() const { return server_.port(); }
  int connections() const { return server_.connections(); }
  std::vector<std::string> heads() const {
    std::lock_guard lock(mutex_);
    return heads_;
  }

 private:
  mutable std::mutex mutex_;
  std::vector<std::string> heads_;
  Server server_;
};

uint64_t counter(const StatsSnapshot& stats, Counter c) { return stats.counters[static_cast<size_t>(c)]; }

bool no_tunnel_left(WorkerFixture& gw) {
  for (int i = 0; i < 20'000; ++i) {
    if (gw.stats().gauges.tunnels == 0) return true;
    std::this_thread::yield();
  }
  return false;
}

Connection open_socket(WorkerFixture& gw, const std::string& more = "") {
  Connection client = Connection::to(gw.port());
  client.send(handshake(more));
  std::string head = client.take_through("\r\n\r\n");
  CHECK(head.substr(0, 13) == "HTTP/1.1 101 ");
  return client;
}

TEST_CASE("A WebSocket is a tunnel once the upstream has agreed, with handshakes of the gateway's own", "[tunnel]") {
  SocketUpstream upstream;
  WorkerFixture gw(Config{.upstream_port = upstream.port(), .route = "websocket: {}"}.yaml());
  {
    Connection client = Connection::to(gw.port());
    client.send(handshake("Sec-WebSocket-Protocol: chat\r\nTE: trailers\r\n") + "early");
    std::string head = client.take_through("\r\n\r\n");
    CHECK(head.substr(0, 34) == "HTTP/1.1 101 Switching Protocols\r\n");
    CHECK(field_of(head, "Upgrade") == "websocket");
    CHECK(field_of(head, "Connection") == "Upgrade");
    CHECK(field_of(head, "Sec-WebSocket-Accept") == kClientAccept);
    CHECK(field_of(head, "X-Up") == "1");
    CHECK(head.find("Content-Length") == std::string::npos);
    CHECK(head.find("Transfer-Encoding") == std::string::npos);
    CHECK(client.take(5) == "early");
    client.send("later");
    CHECK(client.take(5) == "later");
    CHECK(gw.stats().gauges.tunnels == 1);
  }
  CHECK(no_tunnel_left(gw));
  StatsSnapshot stats = gw.stats();
  CHECK(counter(stats, Counter::kTunnels) == 1);
  CHECK(counter(stats, Counter::kTunnelBytesIn) == 10);
  CHECK(counter(stats, Counter::kTunnelBytesOut) == 10);
  std::string sent = upstream.heads().at(0);
  CHECK(field_of(sent, "Upgrade") == "websocket");
  CHECK(field_of(sent, "Connection") == "Upgrade");
  CHECK(field_of(sent, "Sec-WebSocket-Version") == "13");
  CHECK(field_of(sent, "Sec-WebSocket-Protocol") == "chat");
  CHECK(field_of(sent, "Sec-WebSocket-Key").size() == kClientKey.size());
  CHECK(field_of(sent, "Sec-WebSocket-Key") != kClientKey);
  CHECK(field_of(sent, "x-forwarded-for") == "127.0.0.1");
  open_socket(gw);
  CHECK(upstream.connections() == 2);  // never used again
}

TEST_CASE("Without the upstream's due agreement there is no tunnel", "[tunnel]") {
  for (const char* answer : {"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\nEVIL",
                             "HTTP/1.1 101 X\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "
                             "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\nEVIL",
                             "HTTP/1.1 101 X\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\nEVIL"}) {
    INFO(answer);
    Server upstream([answer](Connection& c, int) {
      c.take_through("\r\n\r\n");
      c.send(answer);
      c.read_to_end();
    });
    WorkerFixture gw(Config{.upstream_port = upstream.port(), .route = "websocket: {}"}.yaml());
    Connection client = Connection::to(gw.port());
    client.send(handshake());
    Message refused = read_message(client);
    CHECK(refused.status() == 502);
    CHECK(refused.body.find("UPSTREAM_INVALID") != std::string::npos);
    CHECK(client.buffer().find("EVIL") == std::string::npos);
    CHECK(counter(gw.stats(), Counter::kTunnels) == 0);
  }
}

TEST_CASE("Any other answer is an ordinary one, and what follows the handshake is then the next request", "[tunnel]") {
  Upstream upstream([](const Message& request, const std::string&) {
    if (request.start_line.find("/ws") == std::string::npos) return ok_response("next");
    return std::string("HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno");
  });
  WorkerFixture gw(Config{.upstream_port = upstream.port(), .route = "websocket: {}"}.yaml());
  Connection client = Connection::to(gw.port());
  client.send(handshake() + "GET /next HTTP/1.1\r\nHost: gw.test\r\n\r\n");
  Message refused = read_message(client);
  CHECK(refused.status() == 403);
  CHECK(refused.body == "no");
  CHECK(read_message(client).body == "next");
}

TEST_CASE("Handshakes that break a rule reach no upstream, and end the connection", "[tunnel]") {
  Upstream upstream;
  struct Bad {
    std::string request;
    int status;
    const char* reason;
  };
  std::string smuggled = "GET /smuggled HTTP/1.1\r\nHost: gw.test\r\n\r\n";
  std::string version = handshake(), body = handshake("Content-Length: " + std::to_string(smuggled.size()) + "\r\n");
  version.replace(version.find(": 13"), 4, ": 1337");
  std::string old = handshake();
  old.replace(old.find("HTTP/1.1"), 8, "HTTP/1.0");
  for (const Bad& bad : {Bad{version + smuggled, 426, "BAD_REQUEST"}, Bad{body + smuggled, 400, "BAD_REQUEST"},
                         Bad{old, 400, "BAD_REQUEST"}, Bad{handshake("", "/plain") + smuggled, 400, "BAD_REQUEST"},
                         Bad{handshake("Origin: https://evil.test\r\n") + smuggled, 403, "CORS_DENIED"},
                         Bad{handshake("", "/closed") + smuggled, 403, "IP_DENIED"}}) {
    INFO(bad.request);
    Config config{.upstream_port = upstream.port(), .route = "websocket: {}"};
    config.more = R"(
---
apiVersion: gw/v1
kind: Route
metadata: {name: plain, owner: platform}
spec: {api: all, match: {path: {prefix: /plain}}, to: {upstream: up}}
---
apiVersion: gw/v1
kind: Route
metadata: {name: closed, owner: platform}
spec: {api: all, match: {path: {exact: /closed}}, to: {upstream: up}, websocket: {}, policies: [nobody]}
---
apiVersion: gw/v1
kind: Policy
metadata: {name: nobody, owner: platform}
spec: {type: ipList, config: {deny: [127.0.0.0/8]}}
)";
    WorkerFixture gw(config.yaml());
    Connection client = Connection::to(gw.port());
    client.send(bad.request);
    Message answer = read_message(client);
    CHECK(answer.status() == bad.status);
    CHECK(answer.body.find(bad.reason) != std::string::npos);
    if (bad.status == 426) CHECK(answer.field("sec-websocket-version") == "13");
    if (bad.reason != std::string("IP_DENIED")) {
      CHECK(answer.field("connection") == "close");
      CHECK(client.at_end());
    }
    if (bad.reason == std::string("CORS_DENIED")) CHECK(counter(gw.stats(), Counter::kTunnelOriginDenied) == 1);
  }
  for (const Message& request : upstream.requests()) CHECK(request.start_line.find("/ws") == std::string::npos);
}

TEST_CASE("Pages of the own host pass, those of others where the route names them", "[tunnel]") {
  SocketUpstream upstream;
  WorkerFixture own(Config{.upstream_port = upstream.port(), .route = "websocket: {}"}.yaml());
  open_socket(own, "Origin: http://gw.test\r\n");
  WorkerFixture named(Config{.upstream_port = upstream.port(), .route = "websocket: {origins: [\"https://app.test\"]}"}.yaml());
  open_socket(named, "Origin: https://app.test\r\n");
}

TEST_CASE("Silence in both directions ends a tunnel: with a close frame between frames, plainly within one", "[tunnel]") {
  bool within = GENERATE(false, true);
  SocketUpstream upstream([within](Connection& c) {
    c.send(within ? std::string_view("\x81\x05he", 4) : std::string_view("\x81\x02hi", 4));
    c.read_to_end();
  });
  WorkerFixture gw(Config{.upstream_port = upstream.port(), .route = "websocket: {idleTimeout: 100ms}"}.yaml());
  Connection client = open_socket(gw);
  std::string got = client.read_to_end();
  CHECK(got == (within ? std::string("\x81\x05he") : "\x81\x02hi" + std::string(kAwayFrame)));
  CHECK(counter(gw.stats(), Counter::kTunnelIdleTimeouts) == 1);
  CHECK(no_tunnel_left(gw));
}

TEST_CASE("A tunnel has no other end than its own: the route's timeouts hold until the 101", "[tunnel]") {
  SocketUpstream upstream;
  Config config{.upstream_port = upstream.port(), .upstream = "timeouts: {idle: 50ms, firstByte: 20s}",
                .route = "websocket: {idleTimeout: 20s}, timeouts: {request: 5s, idle: 50ms}"};
  config.more = R"(
---
apiVersion: gw/v1
kind: Route
metadata: {name: short, owner: platform}
spec: {api: all, match: {path: {exact: /short}}, to: {upstream: up}, websocket: {idleTimeout: 300ms}}
)";
  WorkerFixture gw(config.yaml());
  Connection client = open_socket(gw), other = Connection::to(gw.port());
  other.send(handshake("", "/short"));
  CHECK(other.take_through("\r\n\r\n").find(" 101 ") != std::string::npos);
  CHECK(other.read_to_end() == kAwayFrame);  // by now all idle timeouts but the tunnel's own are over
  client.send("still here");
  CHECK(client.take(10) == "still here");
}

TEST_CASE("What was sent before one side closed reaches the other", "[tunnel]") {
  std::string large(4 << 20, 'z');
  SECTION("the upstream closes") {
    SocketUpstream upstream([&](Connection& c) {
      c.send(large);
      c.finish_sending();
      c.read_to_end();
    });
    WorkerFixture gw(Config{.upstream_port = upstream.port(), .route = "websocket: {}"}.yaml());
    CHECK(open_socket(gw).read_to_end() == large);
    CHECK(no_tunnel_left(gw));
  }
  SECTION("the client closes") {
    std::mutex mutex;
    std::condition_variable changed;
    std::string got;
    bool done = false;
    SocketUpstream upstream([&](Connection& c) {
      std::string all = c.read_to_end();
      std::lock_guard lock(mutex);
      got = std::move(all);
      done = true;
      changed.notify_all();
    });
    WorkerFixture gw(Config{.upstream_port = upstream.port(), .route = "websocket: {}"}.yaml());
    Connection client = open_socket(gw);
    client.send(large);
    client.finish_sending();
    std::unique_lock lock(mutex);
    REQUIRE(changed.wait_for(lock, std::chrono::milliseconds(kCapMs), [&] { return done; }));
    CHECK(got.size() == large.size());
  }
}

TEST_CASE("A side that takes nothing stops the other one", "[tunnel]") {
  constexpr size_t kSize = 64 << 20;
  std::mutex mutex;
  std::condition_variable changed;
  bool read = false;
  size_t arrived = 0;
  SocketUpstream upstream([&](Connection& c) {  // takes nothing until it is told to
    {
      std::unique_lock lock(mutex);
      changed.wait(lock, [&] { return read; });
    }
    size_t got = 0;
    while (got < kSize) {
      size_t piece = c.take(std::min<size_t>(1 << 20, kSize - got)).size();
      if (piece == 0) break;
      got += piece;
    }
    std::lock_guard lock(mutex);
    arrived = got;
    changed.notify_all();
  });
  WorkerFixture gw(Config{.upstream_port = upstream.port(), .route = "websocket: {}"}.yaml());
  Connection client = open_socket(gw);
  std::thread sender([&] {
    std::string piece(1 << 20, 'x');
    for (size_t sent = 0; sent < kSize; sent += piece.size()) client.send(piece);
  });
  // Bytes come until the buffers on the way are full, and then no more.
  uint64_t before = 0, now = 0;
  for (int same = 0; same < 1000; same = now == before ? same + 1 : 0) {
    before = now;
    now = counter(gw.stats(), Counter::kTunnelBytesIn);
    if (now == 0) same = 0;
    std::this_thread::yield();
  }
  CHECK(now < kSize);
  {
    std::lock_guard lock(mutex);
    read = true;
    changed.notify_all();
  }
  sender.join();
  std::unique_lock lock(mutex);
  CHECK(changed.wait_for(lock, std::chrono::milliseconds(kCapMs), [&] { return arrived == kSize; }));
}

TEST_CASE("A tunnel keeps its snapshot over changes, and the version drains with it", "[tunnel]") {
  SocketUpstream upstream;
  Config config{.upstream_port = upstream.port(), .route = "websocket: {}"};
  WorkerFixture gw(config.yaml());
  Connection client = open_socket(gw);
  config.route = "";
  gw.install(config.yaml());
  Connection late = Connection::to(gw.port());
  late.send(handshake());
  CHECK(read_message(late).status() == 400);
  client.send("goes on");
  CHECK(client.take(7) == "goes on");
  CHECK(gw.drained().empty());
  client.close();
  CHECK(gw.wait_drained(1));
}

TEST_CASE("A node that goes away gives tunnels their grace, then says so between two frames", "[tunnel]") {
  std::mutex mutex;
  std::condition_variable changed;
  bool draining = false, drained = false;
  SocketUpstream upstream([&](Connection& c) {
    c.send(std::string_view("\x82\x06" "abc", 5));  // half a frame
    {
      std::unique_lock lock(mutex);
      changed.wait(lock, [&] { return draining; });
    }
    while (c.read_until([](std::string_view b) { return !b.empty(); })) c.send(c.take(c.buffer().size()));
  });
  WorkerFixture gw(Config{.upstream_port = upstream.port(), .route = "websocket: {}"}.yaml(), {},
                   [](WorkerOptions& o) { o.tunnel_grace_ms = 20; });
  Connection client = open_socket(gw);
  CHECK(client.take(5) == std::string_view("\x82\x06" "abc", 5));
  gw.on_worker([&](Worker& worker) {
    worker.drain(0, [&] {
      std::lock_guard lock(mutex);
      drained = true;
      changed.notify_all();
    });
  });
  {
    std::lock_guard lock(mutex);
    draining = true;
    changed.notify_all();
  }
  SECTION("the frame's end comes") {
    client.send("def");  // the upstream sends it back
    std::string rest = client.read_to_end();
    CHECK(rest == "def" + std::string(kAwayFrame));
  }
  SECTION("it does not") { CHECK(client.read_to_end().empty()); }
  client.close();
  std::unique_lock lock(mutex);
  CHECK(changed.wait_for(lock, std::chrono::milliseconds(kCapMs), [&] { return drained; }));
  lock.unlock();
  CHECK(counter(gw.stats(), Counter::kTunnelsDrained) == 1);
}

}  // namespace
}  // namespace gw::test
