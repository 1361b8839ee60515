// Copies of requests for another Upstream, and that nothing which becomes of them is felt by the live ones.
#include <catch2/catch.hpp>

#include "tests/support/worker_fixture.h"

namespace gw::test {
namespace {

std::string with_mirror(uint16_t live, uint16_t mirror, const std::string& rule, const std::string& to = "upstream: up") {
  Config config{.upstream_port = live};
  config.more = "\n---\napiVersion: gw/v1\nkind: Upstream\nmetadata: {name: shadow, owner: platform}\n"
                "spec: {targets: [{url: \"http://127.0.0.1:" + std::to_string(mirror) + "\"}]}\n"
                "---\napiVersion: gw/v1\nkind: Route\nmetadata: {name: mirrored, owner: platform}\n"
                "spec: {api: all, match: {path: {prefix: /m}}, to: {" + to + ", mirror: {upstream: shadow, " + rule + "}}}\n";
  return config.yaml();
}

uint64_t mirrored(WorkerFixture& gw, MirrorResult result) {
  uint64_t n = 0;
  for (const auto& [uid, upstream] : gw.stats().upstreams) n += upstream.mirrored[static_cast<size_t>(result)];
  return n;
}

bool wait_mirrored(WorkerFixture& gw, MirrorResult result, uint64_t wanted) {
  for (int i = 0; i < 200'000; ++i) {
    if (mirrored(gw, result) >= wanted) return mirrored(gw, result) == wanted;
    std::this_thread::yield();
  }
  return false;
}

constexpr std::string_view kGetMirrored = "GET /m?q=1 HTTP/1.1\r\nHost: gw.test\r\nX-Gw-Mirror: forged\r\n\r\n";
constexpr std::string_view kPostMirrored = "POST /m HTTP/1.1\r\nHost: gw.test\r\nContent-Length: 5\r\n\r\nhello";

TEST_CASE("A copy goes to the mirror with its mark, its answer to nobody", "[mirror]") {
  Upstream live([](const Message&, const std::string&) { return ok_response("live"); });
  Upstream mirror([](const Message& request, const std::string&) {
    return request.body.empty() ? ok_response("mirror")
                                : std::string("HTTP/1.1 500 X\r\nContent-Length: 6\r\n\r\nmirror");
  });
  WorkerFixture gw(with_mirror(live.port(), mirror.port(), "percent: 100%"));
  Connection client = Connection::to(gw.port());
  client.send(kGetMirrored);
  CHECK(read_message(client).body == "live");
  CHECK(wait_mirrored(gw, MirrorResult::k2xx, 1));
  client.send(kPostMirrored);
  CHECK(read_message(client).body == "live");
  CHECK(wait_mirrored(gw, MirrorResult::k5xx, 1));
  client.send("POST /m HTTP/1.1\r\nHost: gw.test\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n");
  CHECK(read_message(client).body == "live");
  CHECK(wait_mirrored(gw, MirrorResult::k5xx, 2));
  client.send("GET / HTTP/1.1\r\nHost: gw.test\r\n\r\n");  // another route
  CHECK(read_message(client).body == "live");
  std::vector<Message> copies = mirror.requests();
  REQUIRE(copies.size() == 3);
  CHECK(copies[0].start_line == "GET /m?q=1 HTTP/1.1");
  CHECK(copies[0].field("host") == "gw.test");
  CHECK(copies[0].count("x-gw-mirror") == 1);
  CHECK(copies[0].field("x-gw-mirror") == "1");
  CHECK_FALSE(copies[0].field("x-request-id").empty());
  CHECK(copies[0].field("x-request-id") == live.requests()[0].field("x-request-id"));
  CHECK(copies[1].body == "hello");
  CHECK(copies[2].body == "abcde");
  for (const Message& request : live.requests()) CHECK(request.count("x-gw-mirror") == 0);
  CHECK(gw.stats().gauges.mirrors == 0);
  CHECK(mirror.connections() == 1);  // kept, as any
}

TEST_CASE("A mirror that never answers costs live requests nothing; what is too many is dropped", "[mirror]") {
  Upstream live([](const Message&, const std::string&) { return ok_response("live"); });
  Server hole([](Connection& c, int) { c.read_to_end(); });
  constexpr int kRequests = 40;
  WorkerFixture gw(with_mirror(live.port(), hole.port(), "percent: 100%, maxInFlight: 3, timeout: 20s"));
  {
    Connection client = Connection::to(gw.port());
    for (int i = 0; i < kRequests; ++i) {
      client.send(i % 2 == 0 ? kGetMirrored : kPostMirrored);
      Message answer = read_message(client);
      CHECK(answer.status() == 200);
      CHECK(answer.body == "live");
    }
  }
  StatsSnapshot stats = gw.stats();
  CHECK(stats.gauges.mirrors == 3);
  CHECK(mirrored(gw, MirrorResult::kTooMany) == kRequests - 3);
  for (const auto& [uid, route] : stats.routes) CHECK(route.server_errors == 0);
  // Nothing of it holds a snapshot.
  gw.install(Config{.upstream_port = live.port()}.yaml());
  CHECK(gw.wait_drained(1));
}

TEST_CASE("A copy ends with its timeout; places are free again", "[mirror]") {
  Upstream live;
  Server hole([](Connection& c, int) { c.read_to_end(); });
  WorkerFixture gw(with_mirror(live.port(), hole.port(), "percent: 100%, maxInFlight: 1, timeout: 50ms"));
  Connection client = Connection::to(gw.port());
  for (uint64_t i = 1; i <= 2; ++i) {
    client.send(kGetMirrored);
    CHECK(read_message(client).status() == 200);
    CHECK(wait_mirrored(gw, MirrorResult::kTimeout, i));
  }
  CHECK(mirrored(gw, MirrorResult::kTooMany) == 0);
  CHECK(gw.stats().gauges.mirrors == 0);
}

TEST_CASE("A mirror that is gone, or dies within its answer, is counted and not felt", "[mirror]") {
  Upstream live;
  Server broken([](Connection& c, int) {
    c.take_through("\r\n\r\n");
    c.send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf");
  });
  uint16_t port = broken.port();
  SECTION("gone") {
    Upstream gone;
    port = gone.port();
  }
  SECTION("dies") {}
  WorkerFixture gw(with_mirror(live.port(), port, "percent: 100%"));
  Connection client = Connection::to(gw.port());
  client.send(kPostMirrored);
  CHECK(read_message(client).status() == 200);
  CHECK(wait_mirrored(gw, MirrorResult::kFailed, 1));
}

TEST_CASE("Bodies beyond maxBodyBytes and requests that end early are not copied", "[mirror]") {
  Upstream live, mirror;
  WorkerFixture gw(with_mirror(live.port(), mirror.port(), "percent: 100%, maxBodyBytes: 4"));
  Connection client = Connection::to(gw.port());
  client.send(kPostMirrored);
  CHECK(read_message(client).status() == 200);
  client.send("POST /m HTTP/1.1\r\nHost: gw.test\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n");
  CHECK(read_message(client).status() == 200);
  CHECK(mirrored(gw, MirrorResult::kTooLarge) == 2);
  client.send("POST /m HTTP/1.1\r\nHost: gw.test\r\nContent-Length: 4\r\n\r\nab");
  client.reset();
  CHECK(wait_mirrored(gw, MirrorResult::kUnfinished, 1));
  CHECK(mirror.requests().empty());
}

TEST_CASE("The share is a share, and a split has a mirror too", "[mirror]") {
  Upstream live, mirror;
  auto copies = [&](const char* percent, const char* to) {
    WorkerFixture gw(with_mirror(live.port(), mirror.port(), std::string("percent: ") + percent + ", maxInFlight: 1000", to));
    Connection client = Connection::to(gw.port());
    for (int i = 0; i < 200; ++i) {
      client.send(kGetMirrored);
      CHECK(read_message(client).status() == 200);
    }
    for (int i = 0; i < 200'000 && gw.stats().gauges.mirrors > 0; ++i) std::this_thread::yield();
    return mirrored(gw, MirrorResult::k2xx);
  };
  CHECK(copies("0%", "upstream: up") == 0);
  CHECK(copies("100%", "split: [{upstream: up, weight: 1}]") == 200);
  uint64_t half = copies("50%", "upstream: up");
  CHECK(half > 50);  // less than one time in 10^12
  CHECK(half < 150);
}

}  // namespace
}  // namespace gw::test
