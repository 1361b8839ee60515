// `retries.hedgeAfter`: a second try beside the first.
#include <catch2/catch.hpp>
#include <condition_variable>

#include "tests/support/worker_fixture.h"

namespace gw::test {
namespace {

// Something that happens once, and those who wait for it.
class Event {
 public:
  void happen() {
    std::lock_guard lock(mutex_);
    happened_ = true;
    changed_.notify_all();
  }
  bool wait() {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::milliseconds(kCapMs), [&] { return happened_; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool happened_ = false;
};

std::string hedged(uint16_t first, uint16_t second, const std::string& retries) {
  auto target = [](uint16_t port) { return "{url: \"http://127.0.0.1:" + std::to_string(port) + "\"}"; };
  std::string yaml = Config{.upstream_port = first, .upstream = "retries: " + retries}.yaml();
  yaml.replace(yaml.find(target(first)), target(first).size(), target(first) + ", " + target(second));
  return yaml;
}

Message ask(uint16_t port, const std::string& head = "GET /x HTTP/1.1\r\nHost: x\r\n\r\n") {
  Connection client = Connection::to(port);
  client.send(head);
  return read_message(client);
}

uint64_t hedges(WorkerFixture& gw) {
  StatsSnapshot stats = gw.stats();
  uint64_t sum = 0;
  for (const auto& [uid, upstream] : stats.upstreams) sum += upstream.retries[static_cast<size_t>(RetryReason::kHedge)];
  return sum;
}

TEST_CASE("A GET that waits for its answer goes to a second target, whose answer is taken", "[upstreams]") {
  Event over;
  Upstream stuck([&](const Message&, const std::string&) {
    over.wait();
    return std::string();
  });
  Upstream good([](const Message&, const std::string&) { return ok_response("good"); });
  {
    WorkerFixture gw(hedged(stuck.port(), good.port(), "{attempts: 1, hedgeAfter: 10ms, budget: 100%}"));
    for (int i = 0; i < 10; ++i) {
      Message answer = ask(gw.port());
      CHECK(answer.status() == 200);
      CHECK(answer.body == "good");
    }
    CHECK(hedges(gw) == static_cast<uint64_t>(stuck.connections()));  // each that began at the one that is stuck
    CHECK(stuck.connections() > 0);
    CHECK(good.requests().size() == 10);
  }
  over.happen();
}

TEST_CASE("A request with a body, or by another method, has one try at a time", "[upstreams]") {
  Event over;
  Upstream slow([&](const Message& request, const std::string&) {
    if (request.start_line.substr(0, 3) != "GET") over.wait();
    return ok_response("slow");
  });
  Upstream other([](const Message&, const std::string&) { return ok_response("other"); });
  WorkerFixture gw(hedged(slow.port(), other.port(), "{attempts: 1, hedgeAfter: 1ms, budget: 100%}"));
  std::string heads[] = {"DELETE /x HTTP/1.1\r\nHost: x\r\n\r\n", "POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nab"};
  for (const std::string& head : heads) {
    size_t before = slow.requests().size() + other.requests().size();
    std::vector<Connection> clients;
    for (int i = 0; i < 2; ++i) {  // one for each target
      clients.push_back(Connection::to(gw.port()));
      clients.back().send(head);
    }
    while (slow.requests().size() + other.requests().size() < before + 2) std::this_thread::yield();
    for (int i = 0; i < 20; ++i) ask(gw.port());  // time in which a second try would begin
    over.happen();
    for (Connection& client : clients) CHECK(read_message(client).status() == 200);
  }
  for (const Upstream* upstream : {&slow, &other}) {
    size_t others = 0;
    for (const Message& m : upstream->requests()) others += m.start_line.substr(0, 3) != "GET";
    CHECK(others == 2);
  }
}

TEST_CASE("A bad answer is not taken while the other try may still give a good one", "[upstreams]") {
  Event asked;
  Upstream slow([&](const Message&, const std::string&) {
    asked.wait();
    return ok_response("slow");
  });
  Upstream bad([&](const Message&, const std::string&) {
    asked.happen();
    return std::string("HTTP/1.1 503 X\r\nContent-Length: 3\r\n\r\nbad");
  });
  WorkerFixture gw(hedged(slow.port(), bad.port(), "{attempts: 1, hedgeAfter: 10ms, budget: 100%}"));
  int good = 0, passed_on = 0;
  for (int i = 0; i < 2; ++i) {
    int status = ask(gw.port()).status();
    good += status == 200;
    passed_on += status == 503;
  }
  CHECK(good == 1);       // began at the slow one
  CHECK(passed_on == 1);  // began at the bad one: its answer came before there was a second try
}

TEST_CASE("A first try that fails leaves the second, which is then the only one", "[upstreams]") {
  Event second, first_gone;
  Server dies([&](Connection& connection, int) {
    connection.take_through("\r\n\r\n");
    second.wait();
    connection.reset();
    first_gone.happen();
  });
  Upstream good([&](const Message&, const std::string&) {
    second.happen();
    first_gone.wait();
    return ok_response("good");
  });
  WorkerFixture gw(hedged(dies.port(), good.port(), "{attempts: 1, hedgeAfter: 10ms, budget: 100%}"));
  for (int i = 0; i < 2; ++i) {
    Message answer = ask(gw.port());
    CHECK(answer.status() == 200);
    CHECK(answer.body == "good");
  }
  CHECK(good.requests().size() == 2);
}

TEST_CASE("A client that leaves leaves no try behind", "[upstreams]") {
  Event over, both;
  std::mutex mutex;
  int asked = 0;
  auto stuck = [&](Connection& connection, int) {
    connection.take_through("\r\n\r\n");
    {
      std::lock_guard lock(mutex);
      if (++asked == 2) both.happen();
    }
    connection.at_end();  // until the gateway closes
  };
  Server first(stuck), second(stuck);
  WorkerFixture gw(hedged(first.port(), second.port(), "{attempts: 1, hedgeAfter: 10ms, budget: 100%}"));
  {
    Connection client = Connection::to(gw.port());
    client.send("GET /x HTTP/1.1\r\nHost: x\r\n\r\n");
    REQUIRE(both.wait());
    client.reset();
  }
  auto left = [&] {
    StatsSnapshot stats = gw.stats();
    int64_t sum = stats.gauges.active_requests;
    for (const auto& [uid, upstream] : stats.upstreams) {
      for (const auto& [name, target] : upstream.targets) sum += target.busy + target.idle;
    }
    return sum;
  };
  int64_t most = 20'000;
  while (left() != 0 && most-- > 0) std::this_thread::yield();
  CHECK(left() == 0);
}

}  // namespace
}  // namespace gw::test
