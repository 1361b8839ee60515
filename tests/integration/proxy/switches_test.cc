// Operators' stop switches at a real worker.
#include <catch2/catch.hpp>

#include "tests/dataplane/snapshot/stream_maker.h"
#include "tests/support/worker_fixture.h"

namespace gw::test {
namespace {

constexpr std::string_view kGetX = "GET /x HTTP/1.1\r\nHost: shop.example\r\n\r\n";

struct Stop {
  gw::testing::StreamMaker maker{v1::STREAM_SWITCHES};
  SwitchesBuilder builder;

  std::shared_ptr<const Switches> now() {
    auto result = builder.prepare(maker.whole());
    REQUIRE(result.outcome == PrepareOutcome::kReady);
    builder.commit(std::move(result));
    return builder.switches();
  }
  void api(uint64_t uid, const std::string& message, int status = 0, int64_t retry_after = 0) {
    v1::ApiSwitchEntry entry;
    entry.set_message(message);
    entry.set_status(status);
    entry.set_retry_after(retry_after);
    maker.put(v1::ENTRY_API_SWITCH, uid, entry);
  }
  void block(const std::string& cidr, int64_t expires_at = 0) {
    v1::BlockEntry entry;
    entry.set_cidr(cidr);
    entry.set_expires_at(expires_at);
    maker.put(v1::ENTRY_BLOCK, 1, entry);
  }
  void drain(uint64_t upstream, uint16_t port) {
    v1::TargetSwitchEntry entry;
    entry.set_upstream(upstream);
    entry.set_target("127.0.0.1:" + std::to_string(port));
    maker.put(v1::ENTRY_TARGET_SWITCH, port, entry);
  }
};

uint64_t api_uid(const WorkerFixture& gw) { return gw.snapshot().gateways()[0]->apis[0]->api->uid; }

uint64_t count_of(WorkerFixture& gw, Counter counter) { return gw.stats().counters[static_cast<size_t>(counter)]; }

std::string two_targets(uint16_t first, uint16_t second, const std::string& more = {}) {
  std::string yaml = Config{.upstream_port = first, .upstream = more}.yaml();
  std::string mark = std::to_string(first) + "\"}";
  yaml.insert(yaml.find(mark) + mark.size(), ", {url: \"http://127.0.0.1:" + std::to_string(second) + "\"}");
  return yaml;
}

TEST_CASE("A disabled Api answers by itself, on connections that are open already, and is served again", "[proxy]") {
  Upstream upstream;
  WorkerFixture gw(Config{.upstream_port = upstream.port()}.yaml());
  Connection client = Connection::to(gw.port());
  client.send(kGetX);
  CHECK(read_message(client).status() == 200);
  Stop stop;
  stop.api(api_uid(gw), "back at noon", 0, 120);
  gw.install(stop.now());
  client.send("POST /x HTTP/1.1\r\nHost: shop.example\r\nContent-Length: 2\r\n\r\nhi");
  Message answer = read_message(client);
  CHECK(answer.status() == 503);
  CHECK(answer.field("retry-after") == "120");
  CHECK(answer.body.find("DISABLED") != std::string::npos);
  CHECK(answer.body.find("the Api is switched off: back at noon") != std::string::npos);
  Connection second = Connection::to(gw.port());
  second.send(kGetX);
  CHECK(read_message(second).status() == 503);
  CHECK(upstream.requests().size() == 1);
  CHECK(count_of(gw, Counter::kRequestsDisabled) == 2);
  stop.api(api_uid(gw), "", 404);
  gw.install(stop.now());
  second.send(kGetX);
  answer = read_message(second);
  CHECK(answer.status() == 404);
  CHECK(answer.count("retry-after") == 0);
  gw.install(Switches::none());
  second.send(kGetX);
  CHECK(read_message(second).status() == 200);
}

TEST_CASE("A configuration that comes later leaves switches in force", "[proxy]") {
  Upstream upstream;
  WorkerFixture gw(Config{.upstream_port = upstream.port()}.yaml());
  Stop stop;
  stop.block("127.0.0.0/8");
  gw.install(stop.now());
  gw.install(Config{.upstream_port = upstream.port(), .route = "priority: 5"}.yaml());
  Connection client = Connection::to(gw.port());
  client.send(kGetX);
  CHECK(read_message(client).status() == 403);
  CHECK(gw.wait_drained(1));
}

TEST_CASE("A blocked client is refused and let go, whatever it asks for, until the block runs out", "[proxy]") {
  Upstream upstream;
  WorkerFixture gw(Config{.upstream_port = upstream.port()}.yaml());
  Stop stop;
  stop.block("127.0.0.0/8");
  gw.install(stop.now());
  Connection client = Connection::to(gw.port());
  client.send("GET /nothing HTTP/1.1\r\nHost: other.example\r\n\r\n");
  Message answer = read_message(client);
  CHECK(answer.status() == 403);
  CHECK(answer.body.find("IP_DENIED") != std::string::npos);
  CHECK(client.at_end());
  CHECK(count_of(gw, Counter::kRequestsBlocked) == 1);
  CHECK(upstream.requests().empty());
  stop.block("10.0.0.0/8");
  gw.install(stop.now());
  Connection second = Connection::to(gw.port());
  second.send(kGetX);
  CHECK(read_message(second).status() == 200);
  stop.block("127.0.0.0/8", 1'700'000'000);  // long past
  gw.install(stop.now());
  second.send(kGetX);
  CHECK(read_message(second).status() == 200);
}

TEST_CASE("Behind a trusted proxy the client is blocked, not the proxy", "[proxy]") {
  Upstream upstream;
  WorkerFixture gw(Config{.upstream_port = upstream.port(), .gateway = "clientAddress: {trustedProxies: [127.0.0.0/8]}"}.yaml());
  Stop stop;
  stop.block("203.0.113.0/24");
  gw.install(stop.now());
  Connection client = Connection::to(gw.port());
  client.send("GET /x HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 198.51.100.1\r\n\r\n");
  CHECK(read_message(client).status() == 200);
  client.send("GET /x HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 203.0.113.9\r\n\r\n");
  CHECK(read_message(client).status() == 403);
}

TEST_CASE("A drained target gets no new request; the one in work ends", "[proxy]") {
  std::mutex mutex;
  std::condition_variable changed;
  bool arrived = false, release = false;
  Upstream slow([&](const Message& request, const std::string&) {
    if (request.start_line.find("/slow") != std::string::npos) {
      std::unique_lock lock(mutex);
      arrived = true;
      changed.notify_all();
      changed.wait_for(lock, std::chrono::milliseconds(kCapMs), [&] { return release; });
    }
    return ok_response("one");
  });
  WorkerFixture gw(Config{.upstream_port = slow.port()}.yaml());
  Connection waiting = Connection::to(gw.port());
  waiting.send("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n");
  {
    std::unique_lock lock(mutex);
    REQUIRE(changed.wait_for(lock, std::chrono::milliseconds(kCapMs), [&] { return arrived; }));
  }
  Upstream other([](const Message&, const std::string&) { return ok_response("two"); });
  gw.install(two_targets(slow.port(), other.port()));
  uint64_t uid = 0;
  for (const auto& u : gw.snapshot().upstreams()) uid = u != nullptr ? u->uid : uid;
  Stop stop;
  stop.drain(uid, slow.port());
  gw.install(stop.now());
  size_t before = slow.requests().size();
  Connection client = Connection::to(gw.port());
  for (int i = 0; i < 20; ++i) {
    client.send(kGetX);
    REQUIRE(read_message(client).body == "two");
  }
  CHECK(slow.requests().size() == before);
  // Also where a change of the configuration comes after it.
  gw.install(two_targets(slow.port(), other.port(), "timeouts: {connect: 1s}"));
  gw.install(stop.builder.switches());
  for (int i = 0; i < 20; ++i) {
    client.send(kGetX);
    REQUIRE(read_message(client).body == "two");
  }
  stop.drain(uid, other.port());
  gw.install(stop.now());
  client.send(kGetX);
  Message none = read_message(client);
  CHECK(none.status() == 503);
  CHECK(none.body.find("NO_HEALTHY_ENDPOINT") != std::string::npos);
  CHECK(gw.drained() == std::vector<uint64_t>{2});  // the first version still has its request, the third is in force
  {
    std::lock_guard lock(mutex);
    release = true;
    changed.notify_all();
  }
  CHECK(read_message(waiting).body == "one");
  CHECK(gw.wait_drained(1));
  gw.install(Switches::none());
  bool first = false;
  for (int i = 0; i < 4; ++i) {
    client.send(kGetX);
    first = read_message(client).body == "one" || first;
  }
  CHECK(first);
}

TEST_CASE("Each target is counted by itself", "[proxy]") {
  Upstream good([](const Message&, const std::string&) { return ok_response("two"); });
  Server bad([](Connection& c, int) {
    c.take_through("\r\n\r\n");
    c.send("HTTP/9.9 nonsense\r\n\r\n");
  });
  WorkerFixture gw(two_targets(good.port(), bad.port()));
  Connection client = Connection::to(gw.port());
  int failures = 0;
  for (int i = 0; i < 20; ++i) {
    client.send(kGetX);
    int status = read_message(client).status();
    CHECK((status == 200 || status == 502));
    failures += status == 502;
  }
  CHECK(failures == 10);
  uint64_t uid = 0;
  for (const auto& u : gw.snapshot().upstreams()) uid = u != nullptr ? u->uid : uid;
  Stop stop;
  stop.drain(uid, bad.port());
  gw.install(stop.now());
  auto targets = gw.stats().upstreams[uid].targets;
  REQUIRE(targets.size() == 2);
  const TargetStats& two = targets["127.0.0.1:" + std::to_string(good.port())];
  CHECK(two.requests == 10);
  CHECK(two.failures == 0);
  CHECK(two.idle == 1);
  CHECK(two.busy == 0);
  CHECK_FALSE(two.drained);
  const TargetStats& one = targets["127.0.0.1:" + std::to_string(bad.port())];
  CHECK(one.requests == 10);
  CHECK(one.failures == 10);
  CHECK(one.idle + one.busy == 0);
  CHECK(one.drained);
}

}  // namespace
}  // namespace gw::test
