// Via: written both ways, read on requests.
#include <catch2/catch.hpp>

#include "common/http/via.h"
#include "tests/support/worker_fixture.h"

namespace gw::test {
namespace {

uint64_t via_count(const StatsSnapshot& stats, Counter counter) { return stats.counters[static_cast<size_t>(counter)]; }

Message ask_via(Connection& client, const std::string& fields) {
  client.send("GET /a HTTP/1.1\r\nHost: x\r\n" + fields + "\r\n");
  return read_message(client);
}

TEST_CASE("Via is written to requests and to upstreams' answers, behind what is there", "[proxy]") {
  Upstream upstream([](const Message&, const std::string&) { return std::string("HTTP/1.1 200 OK\r\nVia: 1.1 cache\r\nContent-Length: 0\r\n\r\n"); });
  WorkerFixture gw(Config{.upstream_port = upstream.port()}.yaml());
  Connection client = Connection::to(gw.port());
  Message answer = ask_via(client, "Via: 1.0 fred (a proxy)\r\n");
  CHECK(answer.status() == 200);
  REQUIRE(answer.count("via") == 2);
  CHECK(answer.field("via") == "1.1 cache");
  auto seen = upstream.requests();
  REQUIRE(seen.size() == 1);
  std::vector<std::string> via;
  for (auto& [name, value] : seen[0].fields) {
    if (name == "via") via.push_back(value);
  }
  REQUIRE(via.size() == 2);
  CHECK(via[0] == "1.0 fred (a proxy)");
  CHECK(via[1].rfind("1.1 northgate-", 0) == 0);
  Connection old = Connection::to(gw.port());
  old.send("GET /a HTTP/1.0\r\nHost: x\r\n\r\n");
  read_message(old);
  CHECK(upstream.requests()[1].field("via").rfind("1.0 northgate-", 0) == 0);
}

TEST_CASE("A request that comes back is 508 LOOP, whoever sends it", "[proxy]") {
  Upstream upstream;
  WorkerFixture gw(Config{.upstream_port = upstream.port()}.yaml());
  Connection client = Connection::to(gw.port());
  REQUIRE(ask_via(client, "").status() == 200);
  std::string mark = upstream.requests()[0].field("via");
  Message answer = ask_via(client, "Via: 1.1 between, " + mark + ", 1.1 behind\r\n");
  CHECK(answer.status() == 508);
  CHECK(answer.body.find("LOOP") != std::string::npos);
  CHECK(ask_via(client, "Via: 1.1 " + via_pseudonym(0) + "\r\n").status() == 200);
  CHECK(ask_via(client, "Connection: via\r\nVia: " + mark + "\r\n").status() == 508);
  CHECK(upstream.requests().size() == 2);
  CHECK(via_count(gw.stats(), Counter::kLoops) == 2);
}

TEST_CASE("A gateway that is its own upstream answers 508, once round", "[proxy]") {
  Upstream nobody;
  WorkerFixture gw(Config{.upstream_port = nobody.port()}.yaml());
  gw.install(Config{.upstream_port = gw.port()}.yaml());
  Connection client = Connection::to(gw.port());
  CHECK(ask_via(client, "").status() == 508);
  CHECK(via_count(gw.stats(), Counter::kLoops) == 1);
}

TEST_CASE("Stacked gateways are counted and limited", "[proxy]") {
  Upstream upstream;
  Config config{.upstream_port = upstream.port()};
  config.gateway = "limits: {stackedGateways: 2}";
  WorkerFixture gw(config.yaml());
  Connection client = Connection::to(gw.port());
  std::string two = "Via: 1.1 " + via_pseudonym(7) + ", 1.1 " + via_pseudonym(8) + "\r\n";
  CHECK(ask_via(client, two).status() == 200);
  CHECK(ask_via(client, two + "Via: 1.1 " + via_pseudonym(9) + "\r\n").status() == 508);
  CHECK(ask_via(client, "Via: 1.1 elsewhere, 1.1 a, 1.1 b, 1.1 c\r\n").status() == 200);
  StatsSnapshot stats = gw.stats();
  CHECK(via_count(stats, Counter::kStacked) == 2);
  CHECK(via_count(stats, Counter::kStackTooDeep) == 1);
  CHECK(via_count(stats, Counter::kLoops) == 0);
}

}  // namespace
}  // namespace gw::test
