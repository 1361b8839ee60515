// A real worker between a raw client and an upstream: what goes through, in which form.
#include <catch2/catch.hpp>

#include "tests/support/worker_fixture.h"

namespace gw::test {
namespace {

constexpr std::string_view kGet = "GET /a?b=c HTTP/1.1\r\nHost: shop.example\r\n\r\n";

TEST_CASE("A request goes upstream in a form of the gateway's own, its answer comes back", "[proxy]") {
  Upstream upstream;
  WorkerFixture gw(Config{.upstream_port = upstream.port()}.yaml());
  Connection client = Connection::to(gw.port());
  client.send("GET /a?b=c HTTP/1.1\r\nHost: Shop.Example:8080\r\nAccept: */*\r\nConnection: keep-alive\r\nX-Forwarded-For: 6.6.6.6\r\nX-GW-App: root\r\n\r\n");
  Message answer = read_message(client);
  CHECK(answer.status() == 200);
  CHECK(answer.body == "ok\n");
  auto seen = upstream.requests();
  REQUIRE(seen.size() == 1);
  CHECK(seen[0].start_line == "GET /a?b=c HTTP/1.1");
  CHECK(seen[0].field("host") == "Shop.Example:8080");
  CHECK(seen[0].field("x-forwarded-for") == "127.0.0.1");
  CHECK(seen[0].field("x-forwarded-proto") == "http");
  CHECK(seen[0].field("x-forwarded-host") == "Shop.Example:8080");
  CHECK(seen[0].field("x-request-id").size() == 26);
  CHECK(seen[0].field("traceparent").size() == 55);
  CHECK(seen[0].count("x-gw-app") == 0);
  CHECK(seen[0].count("connection") == 0);
}

TEST_CASE("Connections are kept on both sides", "[proxy]") {
  Upstream upstream;
  WorkerFixture gw(Config{.upstream_port = upstream.port()}.yaml());
  Connection client = Connection::to(gw.port());
  for (int i = 0; i < 20; ++i) {
    client.send(kGet);
    REQUIRE(read_message(client).status() == 200);
  }
  CHECK(upstream.connections() == 1);
  CHECK(upstream.requests().size() == 20);
}

TEST_CASE("Pipelined requests are answered in order", "[proxy]") {
  Upstream upstream([](const Message& request, const std::string&) { return ok_response(request.start_line); });
  WorkerFixture gw(Config{.upstream_port = upstream.port()}.yaml());
  Connection client = Connection::to(gw.port());
  std::string all;
  for (int i = 0; i < 50; ++i) all += "GET /" + std::to_string(i) + " HTTP/1.1\r\nHost: x\r\n\r\n";
  client.send(all);
  for (int i = 0; i < 50; ++i) {
    Message answer = read_message(client);
    REQUIRE(answer.status() == 200);
    CHECK(answer.body == "GET /" + std::to_string(i) + " HTTP/1.1");
  }
}

TEST_CASE("Bodies go both ways: by length, in chunks, and large", "[proxy]") {
  Upstream upstream([](const Message& request, const std::string&) {
    return "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nsize\r\n" + [&] {
      std::string size = std::to_string(request.body.size());
      return "1\r\n \r\n" + std::to_string(size.size()) + "\r\n" + size;
    }() + "\r\n0\r\n\r\n";
  });
  WorkerFixture gw(Config{.upstream_port = upstream.port()}.yaml());
  Connection client = Connection::to(gw.port());
  client.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello");
  CHECK(read_message(client).body == "size 5");
  client.send("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n");
  CHECK(read_message(client).body == "size 11");
  std::string large(3'000'000, 'x');
  client.send("PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: " + std::to_string(large.size()) + "\r\n\r\n");
  client.send(large);
  CHECK(read_message(client).body == "size 3000000");
  CHECK(upstream.connections() == 1);
}

TEST_CASE("A large answer to a slow reader is not held in memory", "[proxy]") {
  constexpr size_t kSize = 64 << 20;
  Server upstream([](Connection& c, int) {
    c.take_through("\r\n\r\n");
    c.send("HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(kSize) + "\r\n\r\n");
    std::string piece(1 << 20, 'y');
    for (size_t sent = 0; sent < kSize; sent += piece.size()) {
      if (!c.send(piece)) return;
    }
  });
  WorkerFixture gw(Config{.upstream_port = upstream.port()}.yaml());
  Connection client = Connection::to(gw.port());
  client.send(kGet);
  client.take_through("\r\n\r\n");
  size_t got = client.buffer().size();
  client.buffer().clear();
  while (got < kSize) {
    size_t piece = client.take(std::min<size_t>(1 << 20, kSize - got)).size();
    REQUIRE(piece > 0);
    got += piece;
    CHECK(gw.stats().gauges.buffer_bytes < 1 << 20);
  }
  CHECK(got == kSize);
}

TEST_CASE("HEAD, 204 and 304 have no body, and the connection goes on", "[proxy]") {
  Upstream upstream([](const Message& request, const std::string&) -> std::string {
    if (request.start_line.find("/204") != std::string::npos) return "HTTP/1.1 204 No Content\r\n\r\n";
    if (request.start_line.find("/304") != std::string::npos) return "HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n";
    return "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n";
  });
  WorkerFixture gw(Config{.upstream_port = upstream.port()}.yaml());
  Connection client = Connection::to(gw.port());
  client.send("HEAD / HTTP/1.1\r\nHost: x\r\n\r\n");
  Message head = read_message(client, true);
  CHECK(head.status() == 200);
  CHECK(head.field("content-length") == "3");
  client.send("GET /204 HTTP/1.1\r\nHost: x\r\n\r\n");
  CHECK(read_message(client).status() == 204);
  client.send("GET /304 HTTP/1.1\r\nHost: x\r\n\r\n");
  CHECK(read_message(client).status() == 304);
  CHECK(upstream.connections() == 1);
}

TEST_CASE("Expect: 100-continue is answered when the body is wanted", "[proxy]") {
  Upstream upstream;
  WorkerFixture gw(Config{.upstream_port = upstream.port()}.yaml());
  Connection client = Connection::to(gw.port());
  client.send("POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n");
  CHECK(client.take_through("\r\n\r\n") == "HTTP/1.1 100 Continue\r\n\r\n");
  client.send("hi");
  CHECK(read_message(client).status() == 200);
  CHECK(upstream.requests()[0].body == "hi");
  CHECK(upstream.requests()[0].count("expect") == 0);
}

TEST_CASE("HTTP/1.0 clients get an answer that they can read", "[proxy]") {
  Upstream upstream([](const Message&, const std::string&) { return std::string("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"); });
  WorkerFixture gw(Config{.upstream_port = upstream.port()}.yaml());
  Connection client = Connection::to(gw.port());
  client.send("GET / HTTP/1.0\r\nHost: x\r\n\r\n");
  Message answer = read_message(client);
  CHECK(answer.status() == 200);
  CHECK(answer.body == "abc");
  CHECK(answer.count("transfer-encoding") == 0);
}

TEST_CASE("Answers of the gateway's own have a reason and a request id, and the connection goes on", "[proxy]") {
  Upstream upstream;
  Config config{.upstream_port = upstream.port()};
  config.more = R"(
---
apiVersion: gw/v1
kind: Route
metadata: {name: only-get, owner: platform}
spec: {api: all, match: {path: {exact: /only-get}, methods: [GET]}, to: {respond: {status: 410, body: "gone for good", contentType: text/plain}}}
---
apiVersion: gw/v1
kind: Route
metadata: {name: moved, owner: platform}
spec: {api: all, match: {path: {exact: /moved}}, to: {redirect: {status: 301, path: /new}}}
)";
  WorkerFixture gw(config.yaml());
  Connection client = Connection::to(gw.port());
  client.send("GET /only-get HTTP/1.1\r\nHost: x\r\n\r\n");
  Message gone = read_message(client);
  CHECK(gone.status() == 410);
  CHECK(gone.body == "gone for good");
  CHECK(gone.field("content-type") == "text/plain");
  client.send("GET /moved?x=1 HTTP/1.1\r\nHost: x\r\n\r\n");
  Message moved = read_message(client);
  CHECK(moved.status() == 301);
  CHECK(moved.field("location").ends_with("/new?x=1"));
  client.send("POST /a/../b HTTP/1.1\r\nHost: x\r\n\r\n");
  Message bad = read_message(client);
  CHECK(bad.status() == 400);
  CHECK(bad.body.find("\"reason\":\"BAD_REQUEST\"") != std::string::npos);
  CHECK(bad.field("x-request-id").size() == 26);
  CHECK(client.at_end());
}

TEST_CASE("Trailers pass when asked for, and never as headers", "[proxy]") {
  Upstream upstream([](const Message&, const std::string&) {
    return std::string("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n3\r\nabc\r\n0\r\nX-Sum: 1\r\nAuthorization: no\r\n\r\n");
  });
  WorkerFixture gw(Config{.upstream_port = upstream.port()}.yaml());
  Connection client = Connection::to(gw.port());
  client.send("GET / HTTP/1.1\r\nHost: x\r\nTE: trailers\r\nConnection: TE\r\n\r\n");
  REQUIRE(client.read_until([](std::string_view b) { return b.find("0\r\nX-Sum: 1\r\n\r\n") != std::string_view::npos; }));
  CHECK(client.buffer().find("Authorization") == std::string::npos);
  client.buffer().clear();
  client.send(kGet);
  REQUIRE(client.read_until([](std::string_view b) { return b.find("0\r\n\r\n") != std::string_view::npos; }));
  CHECK(client.buffer().find("X-Sum") == std::string::npos);
}

TEST_CASE("A swap lets requests in work end on their own snapshot; the old one is then drained", "[proxy]") {
  std::mutex mutex;
  std::condition_variable changed;
  bool asked = false, go = false;
  Upstream upstream([&](const Message& request, const std::string&) {
    if (request.start_line.find("/slow") != std::string::npos) {
      std::unique_lock lock(mutex);
      asked = true;
      changed.notify_all();
      changed.wait(lock, [&] { return go; });
    }
    return ok_response(request.field("x-version"));
  });
  Config config{.upstream_port = upstream.port()};
  config.route = ", policies: [stamp]";
  config.route = "policies: [stamp]";
  auto with_version = [&](const char* version) {
    config.more = std::string("\n---\napiVersion: gw/v1\nkind: Policy\nmetadata: {name: stamp, owner: platform}\n"
                              "spec: {type: headers, config: {request: {set: {x-version: \"") + version + "\"}}}}\n";
    return config.yaml();
  };
  WorkerFixture gw(with_version("one"));
  Connection slow = Connection::to(gw.port());
  slow.send("GET /slow HTTP/1.1\r\nHost: x\r\n\r\n");
  {
    std::unique_lock lock(mutex);
    changed.wait(lock, [&] { return asked; });
  }
  gw.install(with_version("two"));
  Connection other = Connection::to(gw.port());
  other.send(kGet);
  CHECK(read_message(other).body == "two");
  CHECK(gw.drained().empty());
  {
    std::lock_guard lock(mutex);
    go = true;
    changed.notify_all();
  }
  CHECK(read_message(slow).body == "one");
  CHECK(gw.wait_drained(1));
}

}  // namespace
}  // namespace gw::test
