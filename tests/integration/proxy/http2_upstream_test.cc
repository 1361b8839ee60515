// Clients on HTTP/1.1 and an upstream that speaks HTTP/2: what is sent, what comes back, and how connections are shared.
#include <catch2/catch.hpp>
#include <thread>

#include "common/crypto/websocket_key.h"
#include "tests/support/http2_upstream.h"
#include "tests/support/worker_fixture.h"

namespace gw::test {
namespace {

constexpr const char* kHttp2 = "protocol: http2";

std::string over_http2(const Http2Upstream& upstream, const std::string& more = "", const std::string& route = "") {
  return Config{.upstream_port = upstream.port(), .upstream = kHttp2 + (more.empty() ? "" : ", " + more), .route = route}.yaml();
}

Message get(uint16_t port, const std::string& fields = "", const std::string& path = "/x") {
  Connection client = Connection::to(port);
  client.send("GET " + path + " HTTP/1.1\r\nHost: gw.test\r\n" + fields + "\r\n");
  return read_message(client);
}

uint64_t counted(WorkerFixture& gw, Counter which) { return gw.stats().counters[static_cast<size_t>(which)]; }

bool until(const std::function<bool()>& done) {
  for (int i = 0; i < 200'000; ++i) {
    if (done()) return true;
    std::this_thread::yield();
  }
  return false;
}

TEST_CASE("A request goes to an HTTP/2 upstream with pseudo fields, and without those of the client's connection", "[http2]") {
  Http2Upstream upstream;
  WorkerFixture gw(over_http2(upstream));
  Message answer = get(gw.port(), "X-Mixed-Case: Yes\r\nCookie: a=1; b=2\r\nConnection: keep-alive, X-Hop\r\nX-Hop: 1\r\nUpgrade: h2c\r\n", "/a/b?c=d");
  CHECK(answer.status() == 200);
  CHECK(answer.body == "ok\n");
  CHECK(answer.field("content-type") == "text/plain");
  auto seen = upstream.requests();
  REQUIRE(seen.size() == 1);
  const Http2Request& r = seen[0];
  CHECK(r.field(":method") == "GET");
  CHECK(r.field(":scheme") == "http");
  CHECK(r.field(":authority") == "gw.test");
  CHECK(r.field(":path") == "/a/b?c=d");
  CHECK(r.field("x-mixed-case") == "Yes");
  CHECK(r.field("cookie") == "a=1; b=2");
  CHECK(r.field("x-forwarded-for") == "127.0.0.1");
  CHECK_FALSE(r.field("x-request-id").empty());
  for (const char* name : {"host", "connection", "upgrade", "x-hop", "te", "transfer-encoding", "keep-alive"}) CHECK(r.field(name).empty());
  bool regular = false;
  for (const auto& [name, value] : r.fields) {
    CHECK((name[0] != ':' || !regular));  // pseudo fields first
    regular = regular || name[0] != ':';
  }
}

TEST_CASE("Many clients share one connection to the upstream", "[http2]") {
  Http2Upstream upstream([](const Http2Request& r) {
    Http2Reply a;
    a.body = r.field(":path");
    return a;
  });
  WorkerFixture gw(over_http2(upstream));
  std::vector<std::thread> clients;
  std::atomic<int> good{0};
  for (int c = 0; c < 32; ++c) {
    clients.emplace_back([&, c] {
      Connection client = Connection::to(gw.port());
      for (int i = 0; i < 20; ++i) {
        std::string path = "/" + std::to_string(c) + "/" + std::to_string(i);
        client.send("GET " + path + " HTTP/1.1\r\nHost: x\r\n\r\n");
        Message m = read_message(client);
        good += m.status() == 200 && m.body == path ? 1 : 0;
      }
    });
  }
  for (std::thread& t : clients) t.join();
  CHECK(good == 32 * 20);
  CHECK(upstream.connections() == 1);
  CHECK(upstream.requests().size() == 32 * 20);
  CHECK(counted(gw, Counter::kUpstreamHttp2Connections) == 1);
}

TEST_CASE("One connection is filled before another is made, and no limit of streams is passed", "[http2]") {
  auto hold = [](const Http2Request&) {
    Http2Reply a;
    a.hold = true;
    return a;
  };
  struct Case {
    uint32_t theirs;
    const char* ours;
    int connections;
  };
  for (Case c : {Case{100, "http2: {maxStreams: 4}", 3}, Case{5, "http2: {maxStreams: 50}", 2}, Case{1, "", 10}}) {
    INFO(c.theirs << " " << c.ours);
    Http2Upstream upstream(hold, {.max_streams = c.theirs});
    WorkerFixture gw(over_http2(upstream, c.ours));
    std::vector<Connection> clients;
    for (int i = 0; i < 10; ++i) {
      clients.push_back(Connection::to(gw.port()));
      clients.back().send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    }
    CHECK(upstream.wait([&] { return upstream.begun() == 10; }));
    CHECK(upstream.connections() == c.connections);
    size_t most = std::min<size_t>(c.theirs, c.ours[0] != 0 && c.theirs == 100 ? 4 : 50);
    CHECK(upstream.most_at_once() <= most);
    auto stats = gw.stats();
    const TargetStats& target = stats.upstreams.begin()->second.targets.begin()->second;
    CHECK(target.busy == static_cast<uint32_t>(c.connections));
    upstream.let_go();
    for (Connection& client : clients) CHECK(read_message(client).status() == 200);
    CHECK(until([&] {
      auto now = gw.stats();
      const TargetStats& t = now.upstreams.begin()->second.targets.begin()->second;
      return t.idle == static_cast<uint32_t>(c.connections) && t.busy == 0;
    }));
  }
}

TEST_CASE("Beyond circuitBreaker.maxConnections requests wait for room", "[http2]") {
  Http2Upstream upstream(
      [](const Http2Request&) {
        Http2Reply a;
        a.hold = true;
        return a;
      },
      {.max_streams = 2});
  WorkerFixture gw(over_http2(upstream, "circuitBreaker: {maxConnections: 1}, timeouts: {connect: 20s}"));
  std::vector<Connection> clients;
  for (int i = 0; i < 3; ++i) {
    clients.push_back(Connection::to(gw.port()));
    clients.back().send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  }
  CHECK(upstream.wait([&] { return upstream.begun() == 2; }));
  CHECK(until([&] { return gw.stats().upstreams.begin()->second.gauges->in_work == 3; }));
  CHECK(upstream.begun() == 2);
  upstream.let_go();
  CHECK(upstream.wait([&] { return upstream.begun() == 3; }));
  upstream.let_go();
  for (Connection& client : clients) CHECK(read_message(client).status() == 200);
  CHECK(upstream.connections() == 1);
}

TEST_CASE("Bodies go both ways whole, whatever their size", "[http2]") {
  std::string large(3 << 20, 'x');
  for (size_t i = 0; i < large.size(); ++i) large[i] = static_cast<char>('a' + i % 23);
  Http2Upstream upstream([](const Http2Request& r) {
    Http2Reply a;
    a.body = r.body;
    return a;
  });
  WorkerFixture gw(over_http2(upstream));
  for (size_t size : {size_t{1}, size_t{16384}, size_t{65536}, size_t{1} << 20, large.size()}) {
    std::string body = large.substr(0, size);
    Connection client = Connection::to(gw.port());
    std::thread sender([&] { client.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: " + std::to_string(size) + "\r\n\r\n" + body); });
    Message m = read_message(client);
    sender.join();
    CHECK(m.status() == 200);
    CHECK(m.body == body);
    CHECK(upstream.requests().back().field("content-length") == std::to_string(size));
  }
  Connection client = Connection::to(gw.port());
  client.send("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n");
  Message m = read_message(client);
  CHECK(m.body == "abcde");
  CHECK(m.field("transfer-encoding") == "chunked");  // nobody has said a length
  CHECK(upstream.requests().back().field("content-length").empty());
}

TEST_CASE("An upstream that gives no window stops the client's body, and nothing piles up", "[http2]") {
  Http2Upstream upstream(nullptr, {.withhold_window = true});
  Config config{.upstream_port = upstream.port(), .upstream = kHttp2};
  config.route = "limits: {bodyBytes: 64MiB}";
  config.gateway = "limitsMax: {bodyBytes: 64MiB}";
  WorkerFixture gw(config.yaml());
  Connection client = Connection::to(gw.port());
  constexpr size_t kSize = 32 << 20;
  std::atomic<size_t> sent{0};
  std::thread sender([&] {
    client.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: " + std::to_string(kSize) + "\r\n\r\n");
    std::string piece(65536, 'p');
    while (sent < kSize && client.send(piece)) sent += piece.size();
  });
  CHECK(upstream.wait([&] { return upstream.bytes_taken() == 65535; }));
  // What the sockets on the way take, and no more: it stands still.
  size_t before = 0;
  CHECK(until([&] {
    size_t now = sent;
    bool still = now == before && now > 0;
    before = now;
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    return still;
  }));
  CHECK(sent < kSize);
  CHECK(upstream.bytes_taken() == 65535);
  CHECK(gw.stats().gauges.buffer_bytes < (1 << 20));
  upstream.let_go();
  Message m = read_message(client);
  sender.join();
  CHECK(m.status() == 200);
  CHECK(upstream.bytes_taken() == kSize);
}

TEST_CASE("A client that takes nothing holds its own stream up and no other one", "[http2]") {
  std::string large(8 << 20, 'd');
  Http2Upstream upstream([&](const Http2Request& r) {
    Http2Reply a;
    if (r.field(":path") == "/large") a.body = large;
    return a;
  });
  WorkerFixture gw(over_http2(upstream, "http2: {connectionWindow: 64KiB}"));
  std::vector<Connection> slow;
  for (int i = 0; i < 3; ++i) {  // their windows together are more than the connection's
    slow.push_back(Connection::to(gw.port()));
    slow.back().send("GET /large HTTP/1.1\r\nHost: x\r\n\r\n");
  }
  CHECK(upstream.wait([&] { return upstream.requests().size() == 3; }));
  for (int i = 0; i < 50; ++i) CHECK(get(gw.port()).status() == 200);
  CHECK(upstream.connections() == 1);
  for (Connection& client : slow) CHECK(read_message(client).body.size() == large.size());
}

TEST_CASE("A client that hangs up cancels its stream upstream; the others go on", "[http2]") {
  Http2Upstream upstream([](const Http2Request& r) {
    Http2Reply a;
    a.hold = r.field(":path") == "/held";
    return a;
  });
  WorkerFixture gw(over_http2(upstream));
  Connection other = Connection::to(gw.port());
  {
    Connection client = Connection::to(gw.port());
    client.send("GET /held HTTP/1.1\r\nHost: x\r\n\r\n");
    CHECK(upstream.wait([&] { return upstream.begun() == 1; }));
    client.reset();
  }
  CHECK(upstream.wait([&] { return upstream.resets() == 1; }));
  other.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  CHECK(read_message(other).status() == 200);
  CHECK(upstream.connections() == 1);
}

TEST_CASE("Interim answers, empty answers and answers to HEAD cross the versions", "[http2]") {
  Http2Upstream upstream([](const Http2Request& r) {
    Http2Reply a;
    std::string path = r.field(":path");
    if (path == "/hints") a.interim = {{{":status", "103"}, {"link", "</s.css>; rel=preload"}}};
    if (path == "/none") a = {.fields = {{":status", "204"}}, .body = ""};
    if (path == "/empty") a = {.fields = {{":status", "200"}}, .body = ""};
    if (r.field(":method") == "HEAD") a = {.fields = {{":status", "200"}, {"content-length", "1234"}}, .body = ""};
    return a;
  });
  WorkerFixture gw(over_http2(upstream));
  Connection client = Connection::to(gw.port());
  client.send("GET /hints HTTP/1.1\r\nHost: x\r\n\r\n");
  std::string hints = client.take_through("\r\n\r\n");
  CHECK(hints.substr(0, 13) == "HTTP/1.1 103 ");
  CHECK(hints.find("rel=preload") != std::string::npos);
  CHECK(read_message(client).body == "ok\n");
  client.send("GET /none HTTP/1.1\r\nHost: x\r\n\r\n");
  Message none = read_message(client);
  CHECK(none.status() == 204);
  CHECK(none.count("content-length") + none.count("transfer-encoding") == 0);
  client.send("GET /empty HTTP/1.1\r\nHost: x\r\n\r\n");
  CHECK(read_message(client).field("content-length") == "0");
  client.send("HEAD / HTTP/1.1\r\nHost: x\r\n\r\n");
  Message head = read_message(client, true);
  CHECK(head.field("content-length") == "1234");
  client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  CHECK(read_message(client).body == "ok\n");
  CHECK(upstream.connections() == 1);
}

TEST_CASE("Trailers do not cross the versions, also when they are asked for", "[http2]") {
  Http2Upstream upstream([](const Http2Request&) {
    Http2Reply a;
    a.trailers = {{"x-sum", "1"}};
    return a;
  });
  WorkerFixture gw(over_http2(upstream));
  Connection client = Connection::to(gw.port());
  client.send("POST / HTTP/1.1\r\nHost: x\r\nTE: trailers\r\nConnection: TE\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nX-Mine: 1\r\n\r\n");
  std::string answer = client.take_through("0\r\n\r\n");
  CHECK(answer.find("ok\n") != std::string::npos);
  CHECK(answer.find("x-sum") == std::string::npos);
  REQUIRE(upstream.requests().size() == 1);
  CHECK(upstream.requests()[0].trailers.empty());
  CHECK(upstream.requests()[0].field("te").empty());
}

TEST_CASE("With proxyProtocol a connection serves one client address alone", "[http2]") {
  Http2Upstream upstream(nullptr, {.proxy_header = true});
  Config config{.upstream_port = upstream.port(), .upstream = std::string(kHttp2) + ", proxyProtocol: v1"};
  config.gateway = "clientAddress: {trustedProxies: [127.0.0.1]}";
  WorkerFixture gw(config.yaml());
  for (int i = 0; i < 3; ++i) {
    CHECK(get(gw.port(), "X-Forwarded-For: 192.0.2.1\r\n").status() == 200);
    CHECK(get(gw.port(), "X-Forwarded-For: 192.0.2.2\r\n").status() == 200);
  }
  CHECK(upstream.connections() == 2);
  auto headers = upstream.proxy_headers();
  REQUIRE(headers.size() == 2);
  CHECK(headers[0].substr(0, 21) == "PROXY TCP4 192.0.2.1 ");
  CHECK(headers[1].substr(0, 21) == "PROXY TCP4 192.0.2.2 ");
  auto seen = upstream.requests();
  for (const Http2Request& r : seen) CHECK(r.field("x-forwarded-for").find(r.connection == 1 ? "192.0.2.1" : "192.0.2.2") == 0);
}

TEST_CASE("An upstream that changes its protocol gets new connections, and what is in work ends on the old ones", "[http2]") {
  Http2Upstream upstream([](const Http2Request& r) {
    Http2Reply a;
    a.hold = r.field(":path") == "/held";
    return a;
  });
  Upstream plain;
  WorkerFixture gw(over_http2(upstream));
  Connection held = Connection::to(gw.port());
  held.send("GET /held HTTP/1.1\r\nHost: x\r\n\r\n");
  CHECK(upstream.wait([&] { return upstream.begun() == 1; }));
  gw.install(Config{.upstream_port = plain.port()}.yaml());
  CHECK(get(gw.port()).status() == 200);
  CHECK(plain.requests().size() == 1);
  CHECK(upstream.open_connections() == 1);
  upstream.let_go();
  CHECK(read_message(held).status() == 200);
  CHECK(upstream.wait([&] { return upstream.open_connections() == 0; }));
  gw.install(over_http2(upstream));
  CHECK(get(gw.port()).status() == 200);
  CHECK(upstream.connections() == 2);
}

constexpr std::string_view kSocketKey = "dGhlIHNhbXBsZSBub25jZQ==";

std::string websocket_request() {
  return "GET /ws HTTP/1.1\r\nHost: gw.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " +
         std::string(kSocketKey) + "\r\nSec-WebSocket-Protocol: chat\r\n\r\n";
}

TEST_CASE("A WebSocket goes to an HTTP/2 upstream by extended CONNECT", "[http2][tunnel]") {
  Http2Upstream upstream(
      [](const Http2Request& r) {
        Http2Reply a;
        if (r.field(":protocol") == "websocket") a.fields = {{":status", "200"}, {"sec-websocket-protocol", "chat"}};
        return a;
      },
      {.connect_protocol = true});
  WorkerFixture gw(over_http2(upstream, "", "websocket: {}"));
  Connection client = Connection::to(gw.port());
  client.send(websocket_request());
  std::string head = client.take_through("\r\n\r\n");
  CHECK(head.substr(0, 13) == "HTTP/1.1 101 ");
  CHECK(head.find(websocket_accept(kSocketKey)) != std::string::npos);
  CHECK(head.find("sec-websocket-protocol: chat") != std::string::npos);
  std::string sent(200'000, 'w');
  std::thread sender([&] { client.send(sent); });
  CHECK(client.take(sent.size()) == sent);
  sender.join();
  // Others go by the same connection meanwhile.
  CHECK(get(gw.port()).status() == 200);
  CHECK(upstream.connections() == 1);
  auto seen = upstream.requests();
  REQUIRE(!seen.empty());
  CHECK(seen[0].field(":method") == "CONNECT");
  CHECK(seen[0].field(":path") == "/ws");
  CHECK(seen[0].field("sec-websocket-version") == "13");
  CHECK(seen[0].field("sec-websocket-protocol") == "chat");
  CHECK(seen[0].field("sec-websocket-key").empty());
  client.finish_sending();
  CHECK(client.read_to_end().empty());
  CHECK(until([&] { return gw.stats().gauges.tunnels == 0; }));
}

TEST_CASE("A WebSocket to an HTTP/2 upstream that takes none, or says no, is an answer", "[http2][tunnel]") {
  {
    Http2Upstream upstream;
    WorkerFixture gw(over_http2(upstream, "", "websocket: {}"));
    Connection client = Connection::to(gw.port());
    client.send(websocket_request());
    Message m = read_message(client);
    CHECK(m.status() == 502);
    CHECK(m.body.find("RFC 8441") != std::string::npos);
    CHECK(upstream.begun() == 0);
    CHECK(get(gw.port()).status() == 200);
  }
  Http2Upstream upstream([](const Http2Request&) { return Http2Reply{.fields = {{":status", "403"}}}; }, {.connect_protocol = true});
  WorkerFixture gw(over_http2(upstream, "", "websocket: {}"));
  Connection client = Connection::to(gw.port());
  client.send(websocket_request());
  CHECK(client.take_through("\r\n\r\n").substr(0, 13) == "HTTP/1.1 403 ");
}

}  // namespace
}  // namespace gw::test
