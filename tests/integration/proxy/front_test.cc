// The client's side of a worker: path rules, PROXY protocol, limits on connections, overload.
#include <catch2/catch.hpp>

#include "common/http/proxy_protocol.h"
#include "tests/support/worker_fixture.h"

namespace gw::test {
namespace {

uint64_t front_count(WorkerFixture& gw, Counter counter) { return gw.stats().counters[static_cast<size_t>(counter)]; }

constexpr std::string_view kAsk = "GET /a HTTP/1.1\r\nHost: x\r\n\r\n";

int status_of_path(WorkerFixture& gw, std::string_view path) {
  Connection client = Connection::to(gw.port());
  client.send("GET " + std::string(path) + " HTTP/1.1\r\nHost: x\r\n\r\n");
  return read_message(client).status();
}

// A header for 192.0.2.N.
std::string proxied(int n, bool v2 = false) {
  ProxyHeader h;
  h.has_addresses = true;
  h.source = *IpAddress::parse("192.0.2." + std::to_string(n));
  h.destination = *IpAddress::parse("198.51.100.1");
  h.source_port = 4000;
  h.destination_port = 443;
  char out[ProxyHeader::kMaxV1];
  return std::string(out, v2 ? write_proxy_v2(h, out) : write_proxy_v1(h, out));
}

TEST_CASE("The path rule of a listener decides what becomes of ambiguous paths", "[proxy]") {
  Upstream upstream;
  Config config{.upstream_port = upstream.port()};
  config.route = "rewrite: {addPrefix: /up}";
  WorkerFixture gw(config.yaml());
  CHECK(status_of_path(gw, "/a/../b") == 400);
  config.listener = "pathRule: normalize";
  gw.install(config.yaml());
  CHECK(status_of_path(gw, "/a/%2e%2e//%62?x=/../y") == 200);
  CHECK(status_of_path(gw, "/a%2fb") == 400);
  CHECK(status_of_path(gw, "/a%00") == 400);
  CHECK(status_of_path(gw, "/a\\b") == 400);
  config.listener = "pathRule: raw";
  gw.install(config.yaml());
  CHECK(status_of_path(gw, "/a/..//%2f%62?x") == 200);
  CHECK(status_of_path(gw, "/a%00") == 400);
  auto seen = upstream.requests();
  REQUIRE(seen.size() == 2);
  CHECK(seen[0].start_line == "GET /up/b?x=/../y HTTP/1.1");
  CHECK(seen[1].start_line == "GET /up/a/..//%2f%62?x HTTP/1.1");
}

TEST_CASE("Under normalize a route is chosen by the path that is forwarded", "[proxy]") {
  Upstream upstream;
  Config config{.upstream_port = upstream.port(), .listener = "pathRule: normalize"};
  config.more = R"(
---
apiVersion: gw/v1
kind: Route
metadata: {name: admin, owner: platform}
spec: {api: all, match: {path: {prefix: /admin}}, to: {respond: {status: 403}}}
)";
  WorkerFixture gw(config.yaml());
  for (const char* path : {"/admin", "/public/../admin/x", "/public/%2e%2E/admin", "//admin", "/%61dmin", "/./admin"}) {
    INFO(path);
    CHECK(status_of_path(gw, path) == 403);
  }
  CHECK(status_of_path(gw, "/admin/../public") == 200);
  CHECK(upstream.requests().size() == 1);
}

TEST_CASE("X-Forwarded-For is walked from the right through trusted proxies", "[proxy]") {
  Upstream upstream;
  Config config{.upstream_port = upstream.port()};
  config.gateway = "clientAddress: {trustedProxies: [127.0.0.0/8, 10.0.0.0/8]}, policies: [block]";
  config.more = R"(
---
apiVersion: gw/v1
kind: Policy
metadata: {name: block, owner: platform}
spec: {type: ipList, config: {deny: [203.0.113.9/32]}}
)";
  WorkerFixture gw(config.yaml());
  auto ask = [&](const std::string& fields) {
    Connection client = Connection::to(gw.port());
    client.send("GET / HTTP/1.1\r\nHost: x\r\n" + fields + "\r\n");
    return read_message(client).status();
  };
  CHECK(ask("X-Forwarded-For: 203.0.113.9\r\n") == 403);
  CHECK(ask("X-Forwarded-For: 203.0.113.9, 10.1.2.3\r\n") == 403);
  CHECK(ask("X-Forwarded-For: 203.0.113.9\r\nX-Forwarded-For: 10.1.2.3, 10.4.5.6\r\n") == 403);
  CHECK(ask("X-Forwarded-For: 203.0.113.9, 198.51.100.7\r\n") == 200);          // a forged entry left of the client's own
  CHECK(ask("X-Forwarded-For: 203.0.113.9, junk, 10.1.2.3\r\n") == 200);        // nothing left of a bad entry counts
  CHECK(ask("") == 200);
}

TEST_CASE("A PROXY protocol header says the client's address, in both versions", "[proxy]") {
  Upstream upstream;
  Config config{.upstream_port = upstream.port(), .listener = "proxyProtocol: true"};
  WorkerFixture gw(config.yaml());
  for (bool v2 : {false, true}) {
    Connection client = Connection::to(gw.port());
    client.send(proxied(7, v2) + std::string(kAsk));
    REQUIRE(read_message(client).status() == 200);
    CHECK(upstream.requests().back().field("x-forwarded-for") == "192.0.2.7");
    client.send(kAsk);  // the connection goes on as usual
    CHECK(read_message(client).status() == 200);
  }
  Connection pieces = Connection::to(gw.port());
  for (char c : proxied(8, true)) pieces.send({&c, 1});
  pieces.send(kAsk);
  REQUIRE(read_message(pieces).status() == 200);
  CHECK(upstream.requests().back().field("x-forwarded-for") == "192.0.2.8");
  Connection local = Connection::to(gw.port());
  local.send("PROXY UNKNOWN\r\n" + std::string(kAsk));
  REQUIRE(read_message(local).status() == 200);
  CHECK(upstream.requests().back().field("x-forwarded-for") == "127.0.0.1");
  CHECK(front_count(gw, Counter::kProxyHeaderRefused) == 0);
}

TEST_CASE("Connections without a good PROXY protocol header are closed without an answer", "[proxy]") {
  Upstream upstream;
  Config config{.upstream_port = upstream.port(), .listener = "proxyProtocol: true"};
  config.gateway = "limits: {headTimeout: 100ms}";
  WorkerFixture gw(config.yaml());
  Connection plain = Connection::to(gw.port());
  plain.send(kAsk);
  CHECK(plain.read_to_end() == "");
  Connection silent = Connection::to(gw.port());  // the head's time is the header's too
  silent.send("PROXY TCP4 ");
  CHECK(silent.read_to_end() == "");
  CHECK(front_count(gw, Counter::kProxyHeaderRefused) == 2);
  config.gateway = "clientAddress: {trustedProxies: [10.0.0.0/8]}";
  gw.install(config.yaml());
  Connection stranger = Connection::to(gw.port());
  stranger.send(proxied(7) + std::string(kAsk));
  CHECK(stranger.read_to_end() == "");
  CHECK(front_count(gw, Counter::kProxyHeaderRefused) == 3);
  CHECK(upstream.requests().empty());
  config.gateway = "clientAddress: {trustedProxies: [127.0.0.1]}";
  gw.install(config.yaml());
  Connection trusted = Connection::to(gw.port());
  trusted.send(proxied(7) + std::string(kAsk));
  CHECK(read_message(trusted).status() == 200);
}

TEST_CASE("Upstream connections begin with a PROXY protocol header and serve one client address", "[proxy]") {
  std::mutex mutex;
  std::vector<std::string> headers;  // by connection
  Server upstream([&](Connection& c, int) {
    c.read_until([](std::string_view b) { return b.find("\r\n\r\n") != std::string_view::npos; });
    ProxyHeader h;
    if (parse_proxy_header(c.buffer(), h) != ProxyHeaderResult::kDone) return;
    {
      std::lock_guard lock(mutex);
      headers.push_back(c.take(h.size).substr(0, 5) + " " + h.source.to_string() + " " + std::to_string(h.source_port));
    }
    while (!c.take_through("\r\n\r\n").empty()) c.send(ok_response());
  });
  Config config{.upstream_port = upstream.port(), .upstream = "proxyProtocol: v1", .listener = "proxyProtocol: true"};
  WorkerFixture gw(config.yaml());
  auto ask = [&](int n) {
    Connection client = Connection::to(gw.port());
    client.send(proxied(n) + std::string(kAsk));
    return read_message(client).status();
  };
  for (int n : {1, 2, 1, 2, 1}) REQUIRE(ask(n) == 200);
  CHECK(upstream.connections() == 2);  // used again, each for its client
  config.upstream = "proxyProtocol: v2";
  gw.install(config.yaml());
  REQUIRE(ask(1) == 200);
  CHECK(upstream.connections() == 3);  // the other version needs another connection
  std::lock_guard lock(mutex);
  REQUIRE(headers.size() == 3);
  CHECK(headers[0] == "PROXY 192.0.2.1 4000");
  CHECK(headers[1] == "PROXY 192.0.2.2 4000");
  CHECK(headers[2] == "\r\n\r\n" + std::string(1, '\0') + " 192.0.2.1 4000");
}

TEST_CASE("A Gateway's connections are limited, in all and for each client", "[proxy]") {
  Upstream upstream;
  Config config{.upstream_port = upstream.port(), .listener = "proxyProtocol: true"};
  config.gateway = "limits: {maxConnections: 5, maxConnectionsPerClient: 2}";
  WorkerFixture gw(config.yaml());
  std::vector<Connection> open;
  auto admitted = [&](int n) {
    open.push_back(Connection::to(gw.port()));
    open.back().send(proxied(n) + std::string(kAsk));
    return read_message(open.back()).status() == 200;
  };
  CHECK(admitted(1));
  CHECK(admitted(1));
  CHECK_FALSE(admitted(1));
  CHECK(front_count(gw, Counter::kClientConnectionsFull) == 1);
  CHECK(admitted(2));
  CHECK(admitted(2));
  CHECK(admitted(3));
  CHECK_FALSE(admitted(4));
  CHECK(front_count(gw, Counter::kGatewayConnectionsFull) == 1);
  // A connection that ends makes room, for its client too.
  open.front().close();
  while (gw.stats().gauges.connections_idle > 4) {
  }
  CHECK(admitted(1));
}

TEST_CASE("Trusted proxies' own connections are not counted for a client", "[proxy]") {
  Upstream upstream;
  Config config{.upstream_port = upstream.port()};
  config.gateway = "limits: {maxConnectionsPerClient: 1}, clientAddress: {trustedProxies: [127.0.0.1]}";
  WorkerFixture gw(config.yaml());
  std::vector<Connection> open;
  for (int i = 0; i < 4; ++i) {
    open.push_back(Connection::to(gw.port()));
    open.back().send(kAsk);
    CHECK(read_message(open.back()).status() == 200);
  }
  config.gateway = "limits: {maxConnectionsPerClient: 1}";
  gw.install(config.yaml());
  Connection one = Connection::to(gw.port()), two = Connection::to(gw.port());
  one.send(kAsk);
  CHECK(read_message(one).status() == 200);
  CHECK(two.at_end());
}

TEST_CASE("A connection ends after the requests that it may have", "[proxy]") {
  Upstream upstream;
  Config config{.upstream_port = upstream.port()};
  config.gateway = "limits: {requestsPerConnection: 3}";
  WorkerFixture gw(config.yaml());
  Connection client = Connection::to(gw.port());
  for (int i = 0; i < 3; ++i) {
    client.send(kAsk);
    Message answer = read_message(client);
    CHECK(answer.status() == 200);
    CHECK(answer.field("connection") == (i == 2 ? "close" : ""));
  }
  CHECK(client.at_end());
  CHECK(front_count(gw, Counter::kConnectionRequestsUsedUp) == 1);
  CHECK(upstream.connections() == 1);
}

TEST_CASE("Under load connections end after their answer, then requests are refused early", "[proxy]") {
  std::mutex mutex;
  std::condition_variable changed;
  bool go = false;
  Server upstream([&](Connection& c, int) {
    while (!c.take_through("\r\n\r\n").empty()) {
      std::unique_lock lock(mutex);
      changed.wait(lock, [&] { return go; });
      c.send(ok_response());
    }
  });
  OverloadLimits limits;
  limits.requests = 5;  // stage 1 from four, stage 2 from five
  limits.lag_ns = 60'000'000'000;
  WorkerFixture gw(Config{.upstream_port = upstream.port()}.yaml(), {}, [&](WorkerOptions& o) { o.overload = limits; });
  std::vector<Connection> waiting;
  for (int i = 0; i < 5; ++i) {
    waiting.push_back(Connection::to(gw.port()));
    waiting.back().send(kAsk);
  }
  while (gw.stats().gauges.active_requests < 5) {
  }
  CHECK(gw.stats().gauges.overload_stage == 2);
  Connection late = Connection::to(gw.port());
  late.send(kAsk);
  Message refused = read_message(late);
  CHECK(refused.status() == 503);
  CHECK(refused.body.find("OVERLOAD") != std::string::npos);
  CHECK(refused.field("retry-after") == "1");
  CHECK(refused.field("connection") == "close");
  {
    std::lock_guard lock(mutex);
    go = true;
    changed.notify_all();
  }
  int closed = 0;
  for (Connection& c : waiting) {
    Message answer = read_message(c);
    CHECK(answer.status() == 200);
    closed += answer.field("connection") == "close";
  }
  CHECK(closed >= 1);
  CHECK(front_count(gw, Counter::kOverloadRefused) == 1);
  CHECK(front_count(gw, Counter::kOverloadClosed) >= 2);
  CHECK(gw.stats().gauges.overload_stage == 0);
  Connection after = Connection::to(gw.port());
  after.send(kAsk);
  Message answer = read_message(after);
  CHECK(answer.status() == 200);
  CHECK(answer.field("connection") == "");
  CHECK(gw.stats().loop_lag_ns.count() > 0);
}

}  // namespace
}  // namespace gw::test
