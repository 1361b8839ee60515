// Server-sent events and long polls: pieces go on as they come, and silence is measured by the Route's own timeouts.
#include <catch2/catch.hpp>

#include "tests/support/worker_fixture.h"

namespace gw::test {
namespace {

constexpr std::string_view kGetEvents = "GET /events HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\n\r\n";

// Lets an upstream go on step by step.
class Steps {
 public:
  void next() {
    std::lock_guard lock(mutex_);
    ++allowed_;
    changed_.notify_all();
  }
  bool wait(int step) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::milliseconds(kCapMs), [&] { return allowed_ >= step; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  int allowed_ = 0;
};

std::string chunk(const std::string& text) {
  char size[20];
  std::snprintf(size, sizeof size, "%zx\r\n", text.size());
  return size + text + "\r\n";
}

// Two routes to one upstream: /events with `timeouts`, everything else without.
std::string two_routes(uint16_t port, const std::string& upstream, const std::string& timeouts) {
  Config config{.upstream_port = port, .upstream = upstream};
  config.more = "\n---\napiVersion: gw/v1\nkind: Route\nmetadata: {name: events, owner: platform}\n"
                "spec: {api: all, match: {path: {exact: /events}}, to: {upstream: up}, timeouts: {" + timeouts + "}}\n";
  return config.yaml();
}

TEST_CASE("Each event is passed on before the next one exists, in chunks or until close", "[streaming]") {
  bool chunked = GENERATE(true, false);
  Steps steps;
  Server upstream([&](Connection& c, int) {
    c.take_through("\r\n\r\n");
    c.send(std::string("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n") + (chunked ? "Transfer-Encoding: chunked\r\n\r\n" : "\r\n"));
    for (int i = 1; i <= 50; ++i) {
      if (!steps.wait(i)) return;  // only once the client has the one before
      std::string event = "data: " + std::to_string(i) + "\n\n";
      c.send(chunked ? chunk(event) : event);
    }
    c.send(chunked ? "0\r\n\r\n" : "");
  });
  WorkerFixture gw(Config{.upstream_port = upstream.port()}.yaml());
  Connection client = Connection::to(gw.port());
  client.send(kGetEvents);
  CHECK(client.take_through("\r\n\r\n").find("text/event-stream") != std::string::npos);  // the head, before any event
  for (int i = 1; i <= 50; ++i) {
    steps.next();
    CHECK(client.take_through("\n\n").find("data: " + std::to_string(i)) != std::string::npos);
  }
}

TEST_CASE("A Route's idle timeout stands in for the Upstream's, longer or shorter", "[streaming]") {
  Steps steps;
  Server upstream([&](Connection& c, int) {
    bool events = c.take_through("\r\n\r\n").find("/events") != std::string::npos;
    c.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk("first"));
    if (events) {
      steps.wait(1);
      c.send(chunk("second"));
    }
    c.read_to_end();
  });
  SECTION("longer: silence that ends another route's answer is nothing to this one") {
    WorkerFixture gw(two_routes(upstream.port(), "timeouts: {idle: 100ms}", "idle: 20s"));
    Connection stream = Connection::to(gw.port()), other = Connection::to(gw.port());
    stream.send(kGetEvents);
    CHECK_FALSE(stream.take_through("first").empty());
    other.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    CHECK(other.read_to_end().find("first") != std::string::npos);  // cut by the Upstream's idle timeout
    steps.next();
    CHECK_FALSE(stream.take_through("second").empty());
  }
  SECTION("shorter: this one is cut, the other goes on") {
    WorkerFixture gw(two_routes(upstream.port(), "timeouts: {idle: 20s}", "idle: 100ms"));
    Connection stream = Connection::to(gw.port());
    stream.send(kGetEvents);
    std::string all = stream.read_to_end();
    CHECK(all.find("first") != std::string::npos);
    CHECK(all.find("0\r\n\r\n") == std::string::npos);
    steps.next();
  }
}

TEST_CASE("A long poll has the Route's first-byte timeout, and the Api's where the Route has none", "[streaming]") {
  Steps steps;
  Server upstream([&](Connection& c, int) {
    bool events = c.take_through("\r\n\r\n").find("/events") != std::string::npos;
    if (events) {
      steps.wait(1);
      c.send(ok_response("news"));
    }
    c.read_to_end();
  });
  std::string yaml = two_routes(upstream.port(), "timeouts: {firstByte: 20s}", "firstByte: 10s");
  std::string api = "basePath: /, auth: [anonymous]";
  yaml.replace(yaml.find(api), api.size(), api + ", timeouts: {firstByte: 100ms}");
  WorkerFixture gw(yaml);
  Connection poll = Connection::to(gw.port()), other = Connection::to(gw.port());
  poll.send(kGetEvents);
  other.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  CHECK(read_message(other).status() == 504);
  steps.next();
  CHECK(read_message(poll).body == "news");
}

TEST_CASE("A stream has no end but the one that its route says", "[streaming]") {
  Server upstream([&](Connection& c, int) {
    c.take_through("\r\n\r\n");
    c.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    while (c.send(chunk("event"))) std::this_thread::yield();
  });
  WorkerFixture gw(two_routes(upstream.port(), "", "request: 200ms"));
  Connection stream = Connection::to(gw.port());
  stream.send(kGetEvents);
  std::string all = stream.read_to_end();
  CHECK(all.find("event") != std::string::npos);
  CHECK(all.find("\r\n0\r\n\r\n") == std::string::npos);
  CHECK(gw.stats().counters[static_cast<size_t>(Counter::kRequestTimeouts)] == 1);
}

}  // namespace
}  // namespace gw::test
