// Clients and upstreams that misbehave.
#include <catch2/catch.hpp>

#include "tests/support/worker_fixture.h"

namespace gw::test {
namespace {

constexpr std::string_view kGetRoot = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";

// Waits until nothing is in work on the worker.
bool idle(WorkerFixture& gw) {
  for (int i = 0; i < 2000; ++i) {
    if (gw.stats().gauges.active_requests == 0) return true;
    std::this_thread::yield();
  }
  return false;
}

TEST_CASE("An upstream that cannot be reached is 502 UPSTREAM_CONNECT", "[faults]") {
  uint16_t unused;
  {
    Upstream gone;
    unused = gone.port();
  }
  WorkerFixture gw(Config{.upstream_port = unused}.yaml());
  Connection client = Connection::to(gw.port());
  client.send(kGetRoot);
  Message answer = read_message(client);
  CHECK(answer.status() == 502);
  CHECK(answer.body.find("UPSTREAM_CONNECT") != std::string::npos);
  client.send(kGetRoot);
  CHECK(read_message(client).status() == 502);  // the client's connection goes on
}

TEST_CASE("With a second target a connect failure is tried there", "[faults]") {
  Upstream well;
  uint16_t unused;
  {
    Upstream gone;
    unused = gone.port();
  }
  Config config{.upstream_port = unused};
  std::string yaml = config.yaml();
  std::string target = "{url: \"http://127.0.0.1:" + std::to_string(unused) + "\"}";
  yaml.replace(yaml.find(target), target.size(), target + ", {url: \"http://127.0.0.1:" + std::to_string(well.port()) + "\"}");
  WorkerFixture gw(yaml);
  Connection client = Connection::to(gw.port());
  for (int i = 0; i < 6; ++i) {
    client.send(kGetRoot);
    CHECK(read_message(client).status() == 200);
  }
}

TEST_CASE("A kept connection that died is tried once more for idempotent methods only", "[faults]") {
  Server upstream([](Connection& c, int number) {
    c.take_through("\r\n\r\n");
    c.send(ok_response());
    if (number > 1) {
      while (!c.take_through("\r\n\r\n").empty()) c.send(ok_response());
      return;
    }
    // The second request is read and the connection closed without a byte.
    c.take_through("\r\n\r\n");
  });
  WorkerFixture gw(Config{.upstream_port = upstream.port()}.yaml());
  Connection client = Connection::to(gw.port());
  client.send(kGetRoot);
  CHECK(read_message(client).status() == 200);
  SECTION("GET") {
    client.send(kGetRoot);
    CHECK(read_message(client).status() == 200);
    CHECK(upstream.connections() == 2);
  }
  SECTION("POST") {
    client.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n");
    CHECK(read_message(client).status() == 502);
    CHECK(upstream.connections() == 1);
  }
}

TEST_CASE("An answer that stops short is never a clean end", "[faults]") {
  std::string answer = GENERATE(as<std::string>{}, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc",
                                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n");
  Server upstream([&](Connection& c, int) {
    c.take_through("\r\n\r\n");
    c.send(answer);
  });
  WorkerFixture gw(Config{.upstream_port = upstream.port()}.yaml());
  Connection client = Connection::to(gw.port());
  client.send(kGetRoot);
  Message got = read_message(client);
  CHECK_FALSE(got.complete);
  CHECK(idle(gw));
}

TEST_CASE("Answers that break HTTP's rules are 502 and never passed on", "[faults]") {
  std::string answer = GENERATE(as<std::string>{}, "hello", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
                                "HTTP/1.1 1000 X\r\n\r\n", "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\nEVIL",
                                "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n");
  Server upstream([&](Connection& c, int) {
    c.take_through("\r\n\r\n");
    c.send(answer);
    c.read_to_end();
  });
  WorkerFixture gw(Config{.upstream_port = upstream.port()}.yaml());
  Connection client = Connection::to(gw.port());
  client.send(kGetRoot);
  Message got = read_message(client);
  CHECK(got.status() == 502);
  CHECK(got.body.find("UPSTREAM_INVALID") != std::string::npos);
}

TEST_CASE("Bytes behind an answer are nobody's: the connection is not used again", "[faults]") {
  Server upstream([](Connection& c, int) {
    while (!c.take_through("\r\n\r\n").empty()) {
      c.send("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nEVIL");
    }
  });
  WorkerFixture gw(Config{.upstream_port = upstream.port()}.yaml());
  Connection client = Connection::to(gw.port());
  for (int i = 0; i < 3; ++i) {
    client.send(kGetRoot);
    CHECK(read_message(client).body == "abc");
  }
  CHECK(upstream.connections() == 3);
}

TEST_CASE("A slow upstream is 504 after its firstByte timeout", "[faults]") {
  Server upstream([](Connection& c, int) { c.read_to_end(); });
  WorkerFixture gw(Config{.upstream_port = upstream.port(), .upstream = "timeouts: {firstByte: 50ms}"}.yaml());
  Connection client = Connection::to(gw.port());
  client.send(kGetRoot);
  Message got = read_message(client);
  CHECK(got.status() == 504);
  CHECK(got.body.find("UPSTREAM_TIMEOUT") != std::string::npos);
}

TEST_CASE("An answer that stalls is cut after the upstream's idle timeout", "[faults]") {
  Server upstream([](Connection& c, int) {
    c.take_through("\r\n\r\n");
    c.send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\na");
    c.read_to_end();
  });
  WorkerFixture gw(Config{.upstream_port = upstream.port(), .upstream = "timeouts: {idle: 50ms}"}.yaml());
  Connection client = Connection::to(gw.port());
  client.send(kGetRoot);
  CHECK_FALSE(read_message(client).complete);
}

TEST_CASE("Slow clients are 408: heads by the Gateway's limit, bodies by the Route's", "[faults]") {
  Upstream upstream;
  WorkerFixture gw(Config{.upstream_port = upstream.port(), .gateway = "limits: {headTimeout: 100ms}", .route = "timeouts: {bodyIdle: 50ms}"}.yaml());
  std::string part = GENERATE(as<std::string>{}, "GET / HTTP/1.1\r\nHo", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\na");
  Connection client = Connection::to(gw.port());
  client.send(part);
  Message got = read_message(client);
  CHECK(got.status() == 408);
  CHECK(got.body.find("REQUEST_TIMEOUT") != std::string::npos);
  CHECK(client.at_end());
}

TEST_CASE("Bodies beyond the limit are 413, declared or not", "[faults]") {
  Upstream upstream;
  WorkerFixture gw(Config{.upstream_port = upstream.port(), .route = "limits: {bodyBytes: 1KiB}"}.yaml());
  std::string body(2000, 'x');
  Connection declared = Connection::to(gw.port());
  declared.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2000\r\n\r\n");
  CHECK(read_message(declared).status() == 413);
  Connection chunked = Connection::to(gw.port());
  chunked.send("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n7d0\r\n" + body + "\r\n0\r\n\r\n");
  CHECK(read_message(chunked).status() == 413);
  CHECK(gw.stats().counters[static_cast<size_t>(Counter::kRequestBodyTooLarge)] == 2);
}

TEST_CASE("Heads beyond the limits are 431", "[faults]") {
  Upstream upstream;
  WorkerFixture gw(Config{.upstream_port = upstream.port(), .gateway = "limits: {headerBytes: 1KiB, headerFields: 8}"}.yaml());
  Connection large = Connection::to(gw.port());
  large.send("GET / HTTP/1.1\r\nHost: x\r\nA: " + std::string(2000, 'a'));
  CHECK(read_message(large).status() == 431);
  Connection many = Connection::to(gw.port());
  many.send("GET / HTTP/1.1\r\nHost: x\r\nA: 1\r\nA: 1\r\nA: 1\r\nA: 1\r\nA: 1\r\nA: 1\r\nA: 1\r\nA: 1\r\n\r\n");
  CHECK(read_message(many).status() == 431);
}

TEST_CASE("A client that leaves at any step takes its upstream request with it", "[faults]") {
  Server upstream([](Connection& c, int) {
    c.take_through("\r\n\r\n");
    c.send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf");
    c.read_to_end();  // returns when the gateway has closed
  });
  WorkerFixture gw(Config{.upstream_port = upstream.port()}.yaml());
  SECTION("within its head") { Connection::to(gw.port()).send("GET / HT"); }
  SECTION("within its body") {
    Connection client = Connection::to(gw.port());
    client.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc");
    client.take_through("half");
    client.reset();
  }
  SECTION("with its request, before anybody has read it") {
    Connection client = Connection::to(gw.port());
    gw.on_worker([&](Worker&) {  // the worker finds bytes and reset at once
      client.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc");
      client.reset();
    });
    uint64_t seen = 0;
    for (int i = 0; i < 20'000 && seen == 0; ++i) seen = gw.stats().counters[static_cast<size_t>(Counter::kClientClosed)];
    CHECK(seen == 1);
  }
  SECTION("within the answer") {
    Connection client = Connection::to(gw.port());
    client.send(kGetRoot);
    client.take_through("half");
    client.reset();
  }
  CHECK(idle(gw));
}

TEST_CASE("A client that closed only its sending side still gets its answer", "[faults]") {
  Upstream upstream;
  WorkerFixture gw(Config{.upstream_port = upstream.port()}.yaml());
  Connection client = Connection::to(gw.port());
  client.send(kGetRoot);
  client.finish_sending();
  CHECK(read_message(client).status() == 200);
  CHECK(client.at_end());
}

TEST_CASE("Draining answers what is in work, closes what is idle, and takes nothing new", "[faults]") {
  Upstream upstream;
  WorkerFixture gw(Config{.upstream_port = upstream.port()}.yaml());
  Connection idle_client = Connection::to(gw.port());
  idle_client.send(kGetRoot);
  REQUIRE(read_message(idle_client).status() == 200);
  std::mutex mutex;
  std::condition_variable changed;
  bool drained = false;
  gw.on_worker([&](Worker& worker) {
    worker.drain(0, [&] {
      std::lock_guard lock(mutex);
      drained = true;
      changed.notify_all();
    });
  });
  std::unique_lock lock(mutex);
  CHECK(changed.wait_for(lock, std::chrono::milliseconds(kCapMs), [&] { return drained; }));
  CHECK(idle_client.at_end());
}

}  // namespace
}  // namespace gw::test
