#include <catch2/catch.hpp>
#include <optional>

#include "control_plane.h"
#include "dataplane/agent/config_agent.h"
#include "dataplane/agent/grpc_channels.h"
#include "dataplane/agent/last_good.h"
#include "dataplane/agent/node_token.h"
#include "controlplane/snapshot/certificate_needs.h"
#include "tests/dataplane/agent/agent_support.h"
#include "tests/support/certificates.h"

using namespace gw;
using namespace gw::push_test;
using gw::agent_test::FakeSink;
using gw::test::TempDir;
using gw::agent_test::text;

namespace {

using Until = v1::WatchRolloutRequest;

// The configuration as the store keeps it: a gateway, an Api, routes that answer by themselves.
struct Config {
  Store store{v1::STREAM_CONFIG, Lineage{7}};

  static EntryPtr route(uint64_t uid, const std::string& body) {
    v1::RouteEntry route = text<v1::RouteEntry>("name { owner: 'platform' name: 'r" + std::to_string(uid) +
                                                "' } api: 2 match { path { prefix: '/r" + std::to_string(uid) +
                                                "' } } respond { status: 200 }");
    route.mutable_respond()->set_body(body);
    return entry(v1::ENTRY_ROUTE, uid, route.SerializeAsString(), {{v1::ENTRY_API, 2}});
  }
  Publication first(int routes, size_t body = 10) {
    v1::GatewayEntry gateway = text<v1::GatewayEntry>(
        "name { owner: 'platform' name: 'edge' } listeners { name: 'http' address: '127.0.0.1' port: 8080 protocol: PROTOCOL_HTTP }");
    v1::ApiEntry api = text<v1::ApiEntry>(
        "name { owner: 'platform' name: 'all' } gateways: 1 hosts: '*' base_path: '/' allow_anonymous: true");
    std::vector<EntryPtr> upserts = {entry(v1::ENTRY_GATEWAY, 1, gateway.SerializeAsString()),
                                     entry(v1::ENTRY_API, 2, api.SerializeAsString(), {{v1::ENTRY_GATEWAY, 1}})};
    for (int i = 0; i < routes; ++i) upserts.push_back(route(100 + static_cast<uint64_t>(i), std::string(body, 'x')));
    return store.change(upserts);
  }
  Publication change(const std::string& body) { return store.change({route(100, body)}); }
};

struct TestNode {
  TempDir dir;
  FakeSink sink;
  std::unique_ptr<ConfigAgent> agent;
  const std::string name;
  const std::string control;

  TestNode(std::string node, std::string address) : name(std::move(node)), control(std::move(address)) {
    REQUIRE(write_durably(dir.path() + "/join", "join-token\n").ok());
    start();
  }
  ~TestNode() { agent->stop(); }
  void start() {
    agent = std::make_unique<ConfigAgent>();
    sink.on_drained = [this](uint64_t version) { agent->drained(version); };
    AgentOptions options;
    options.node = name;
    options.zone = "az-a";
    options.state_dir = dir.path();
    options.control = control;
    options.join_token_file = dir.path() + "/join";
    options.make_channel = [](const std::string& to) { return make_grpc_sync_channel(to); };
    options.backoff_min_ms = 5;
    options.backoff_max_ms = 50;
    absl::Status status = agent->start(options, sink);
    INFO(message_of(status));
    REQUIRE(status.ok());
  }
  void restart() {
    agent->stop();
    sink.take();
    start();
  }
};

}  // namespace

TEST_CASE("a change is built by two nodes, activated together, persisted and drained") {
  ControlPlane control;
  Config config;
  Store directory(v1::STREAM_DIRECTORY, Lineage{7});
  TestNode n1("n1", control.address()), n2("n2", control.address());
  control.push->publish(directory.change(
      {entry(v1::ENTRY_CONSUMER, 5, text<v1::ConsumerEntry>("name { owner: 'platform' name: 'acme' }").SerializeAsString())}));
  Publication first = config.first(3);
  first.needs_directory = 1;
  // Zero nodes may be there yet: then it becomes active when they join.
  control.push->publish(std::move(first));
  REQUIRE(control.log.wait_for("n1 ACTIVE 1"));
  REQUIRE(control.log.wait_for("n2 ACTIVE 1"));

  control.push->publish(config.change("two"));
  v1::RolloutStatus verdict = control.verdict(2, Until::UNTIL_DRAINED);
  CHECK(verdict.phase() == "active");
  REQUIRE(verdict.nodes_size() == 2);
  CHECK(verdict.nodes(0).state() == v1::DRAINED);
  CHECK(verdict.nodes(0).zone() == "az-a");
  CHECK(control.verdict(2, Until::UNTIL_PERSISTED).final());
  for (TestNode* node : {&n1, &n2}) {
    REQUIRE(node->sink.wait_for("activate 2"));
    AgentStatus status = node->agent->status();
    CHECK(status.directory_version == 1);
  }
  // Built by both before it was active on either.
  CHECK(control.log.index("n1 BUILT 2") < control.log.index("n1 ACTIVE 2"));
  CHECK(control.log.index("n1 BUILT 2") < control.log.index("n2 ACTIVE 2"));
  CHECK(control.log.index("n2 BUILT 2") < control.log.index("n1 ACTIVE 2"));
  RolloutHeads heads = control.push->heads();
  CHECK(heads.active == 2);
  CHECK(heads.latest == 2);
  CHECK(heads.latest_phase == "active");
}

TEST_CASE("a version that one node refuses activates nowhere, and says why") {
  ControlPlane control;
  Config config;
  TestNode n1("n1", control.address()), n2("n2", control.address());
  control.push->publish(config.first(1));
  REQUIRE(control.log.wait_for("n1 ACTIVE 1"));
  REQUIRE(control.log.wait_for("n2 ACTIVE 1"));
  n2.sink.set_port_in_use("127.0.0.1:8080 is in use");
  control.push->publish(config.change("two"));
  v1::RolloutStatus verdict = control.verdict(2);
  CHECK(verdict.phase() == "refused");
  CHECK(verdict.nodes(1).state() == v1::REFUSED);
  REQUIRE(verdict.nodes(1).diagnostics_size() == 1);
  CHECK(verdict.nodes(1).diagnostics(0).node() == "n2");
  CHECK(verdict.nodes(1).diagnostics(0).object() == "platform/edge");
  n2.sink.set_port_in_use("");
  control.push->publish(config.change("three"));
  CHECK(control.verdict(3).phase() == "active");
  for (TestNode* node : {&n1, &n2}) {
    auto calls = node->sink.calls();
    CHECK(std::find(calls.begin(), calls.end(), "activate 2") == calls.end());
  }
}

TEST_CASE("a large configuration comes in chunks, a change of one route is small") {
  ControlPlane control;
  Config config;
  TestNode n1("n1", control.address());
  control.push->publish(config.first(3000, 1000));
  REQUIRE(control.log.wait_for("n1 ACTIVE 1"));
  uint64_t whole = control.info("n1").config_bytes_pushed();
  CHECK(whole > 3'000'000);
  control.push->publish(config.change("small"));
  CHECK(control.verdict(2).phase() == "active");
  CHECK(control.info("n1").config_bytes_pushed() - whole < 1000);
  CHECK(control.info("n1").offers_whole() == 1);
  CHECK(control.info("n1").offers_delta() == 1);
}

TEST_CASE("a node that restarts serves from disk, and takes a delta from there") {
  ControlPlane control;
  Config config;
  TestNode n1("n1", control.address());
  control.push->publish(config.first(3));
  REQUIRE(control.log.wait_for("n1 PERSISTED 1"));
  SECTION("nothing is new") {
    n1.restart();
    CHECK(n1.sink.calls().back() == "activate 1");
    control.push->publish(config.change("two"));
  }
  SECTION("something is") {
    n1.agent->stop();
    control.push->publish(config.change("two"));
    n1.sink.take();
    n1.start();
  }
  REQUIRE(control.log.wait_for("n1 ACTIVE 2"));
  CHECK(control.info("n1").offers_whole() == 1);
  CHECK(control.info("n1").offers_delta() == 1);
}

TEST_CASE("nodes serve on without the control plane, and go on when it is back") {
  ControlPlane control;
  Config config;
  TestNode n1("n1", control.address()), n2("n2", control.address());
  control.push->publish(config.first(3));
  REQUIRE(control.log.wait_for("n1 PERSISTED 1"));
  REQUIRE(control.log.wait_for("n2 ACTIVE 1"));
  Publication active = config.store.whole();
  control.end();
  n1.restart();  // while it is away
  CHECK(n1.agent->status().started_from_disk);
  CHECK(n1.sink.calls().back() == "activate 1");
  control.begin(std::move(active));
  control.push->publish(config.change("two"));
  v1::RolloutStatus verdict = control.verdict(2);
  CHECK(verdict.phase() == "active");
  CHECK(verdict.nodes_size() == 2);
  for (const char* name : {"n1", "n2"}) CHECK(control.info(name).offers_whole() == 0);
}

TEST_CASE("a stranger is refused, clearly") {
  ControlPlane control;
  TempDir dir;
  FakeSink sink;
  auto channel = make_grpc_sync_channel(control.address());
  auto token = channel->join("wrong", "n1", "");
  CHECK(token.status().code() == absl::StatusCode::kUnauthenticated);
  CHECK(message_of(token.status()) == "unknown join token");

  struct Events final : SyncEvents {
    void on_message(v1::ToNode) override {}
    void on_closed(absl::Status s) override {
      std::lock_guard lock(mu);
      status = std::move(s);
      changed.notify_all();
    }
    std::mutex mu;
    std::condition_variable changed;
    std::optional<absl::Status> status;
  } events;
  channel->open("wrong", events);
  v1::FromNode hello;
  hello.mutable_hello()->set_node("n1");
  channel->send(hello);
  {
    std::unique_lock lock(events.mu);
    REQUIRE(events.changed.wait_for(lock, std::chrono::seconds(60), [&] { return events.status.has_value(); }));
    CHECK(events.status->code() == absl::StatusCode::kUnauthenticated);
  }
  channel->close();
  CHECK(control.push->nodes().empty());
}

TEST_CASE("a burst of versions ends with the last one active, and none pending") {
  ControlPlane control;
  Config config;
  TestNode n1("n1", control.address()), n2("n2", control.address());
  control.push->publish(config.first(20));
  REQUIRE(control.log.wait_for("n1 ACTIVE 1"));
  REQUIRE(control.log.wait_for("n2 ACTIVE 1"));
  for (int i = 0; i < 100; ++i) control.push->publish(config.change("v" + std::to_string(i)));
  CHECK(control.verdict(101).phase() == "active");
  for (uint64_t v = 2; v <= 100; ++v) {
    auto status = control.push->status(v);
    REQUIRE(status);
    INFO("version " << v << " " << status->phase());
    CHECK((status->phase() == "active" || status->phase() == "superseded"));
  }
  CHECK(control.info("n1").offers_whole() == 1);
}

TEST_CASE("a switch is in force on two nodes, and on one that restarts without a control plane") {
  ControlPlane control;
  Config config;
  Store switches(v1::STREAM_SWITCHES, Lineage{7});
  TestNode n1("n1", control.address()), n2("n2", control.address());
  control.push->publish(config.first(1));
  REQUIRE(control.log.wait_for("n1 ACTIVE 1"));
  REQUIRE(control.log.wait_for("n2 ACTIVE 1"));
  v1::BlockEntry block = text<v1::BlockEntry>("cidr: '10.0.0.0/8'");
  control.push->publish(switches.change({entry(v1::ENTRY_BLOCK, 1, block.SerializeAsString())}));
  v1::RolloutStatus there = control.switches_verdict(1);
  CHECK(there.phase() == "active");
  REQUIRE(there.nodes_size() == 2);
  REQUIRE(n1.sink.wait_for("switches 1"));
  REQUIRE(n2.sink.wait_for("switches 1"));
  control.end();
  n1.restart();
  auto calls = n1.sink.calls();
  auto stopped = std::find(calls.begin(), calls.end(), "switches 1"), prepared = std::find(calls.begin(), calls.end(), "prepare 1");
  REQUIRE(prepared != calls.end());
  CHECK(stopped < prepared);
  CHECK(n1.agent->status().switches_version == 1);
  // The next control plane of the same store finds it where it left it, and takes it back.
  control.begin(config.store.whole());
  control.push->publish(switches.change({}, {{v1::ENTRY_BLOCK, 1}}));
  CHECK(control.switches_verdict(2).phase() == "active");
  REQUIRE(n1.sink.wait_for("switches 2"));
  REQUIRE(n2.sink.wait_for("switches 2"));
}

TEST_CASE("a rotation is in force on the nodes that need it, and on one that restarts without a control plane") {
  ControlPlane control;
  Config config;
  Store certificates(v1::STREAM_CERTIFICATES, Lineage{7});
  test::CertificateMaker ca(1'800'000'000);
  auto site = [&] {
    v1::CertificateEntry body;
    body.mutable_name()->set_owner("platform");
    body.mutable_name()->set_name("site");
    body.add_hosts("a.example.com");
    body.add_key_pairs()->set_pem(ca.issue({"a.example.com"}).pem());
    return entry(v1::ENTRY_CERTIFICATE, 9, body.SerializeAsString());
  };
  auto of = std::make_shared<CertificateNeeds>();
  (*of)[{v1::ENTRY_GATEWAY, 1}].entries.insert({v1::ENTRY_CERTIFICATE, 9});
  auto publish = [&](Publication p) {
    p.needs = of;
    control.push->publish(std::move(p));
  };
  TestNode n1("n1", control.address()), n2("n2", control.address());
  publish(certificates.change({site()}));
  Publication first = config.first(1);
  first.needs = of;
  first.needs_certificates = 1;
  control.push->publish(std::move(first));
  REQUIRE(control.log.wait_for("n1 ACTIVE 1"));
  REQUIRE(control.log.wait_for("n2 ACTIVE 1"));
  auto calls = n1.sink.calls();
  auto given = std::find(calls.begin(), calls.end(), "certificates 1"), prepared = std::find(calls.begin(), calls.end(), "prepare 1");
  REQUIRE(prepared != calls.end());
  CHECK(given < prepared);
  std::string before = n1.sink.table()->certificate(9)->key_pairs[0].facts.leaf().serial;

  publish(certificates.change({site()}));
  v1::RolloutStatus there = control.last_word({.certificates_version = 2});
  CHECK(there.phase() == "active");
  CHECK(there.nodes_size() == 2);
  std::string after = n1.sink.table()->certificate(9)->key_pairs[0].facts.leaf().serial;
  CHECK(after != before);
  CHECK(n2.sink.table()->certificate(9)->key_pairs[0].facts.leaf().serial == after);
  CHECK(control.info("n1").certificates_version() == 2);
  CHECK(control.info("n1").config_version() == 1);
  control.end();
  n1.restart();
  REQUIRE(n1.sink.table()->certificate(9));
  CHECK(n1.sink.table()->certificate(9)->key_pairs[0].facts.leaf().serial == after);
}
