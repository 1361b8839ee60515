#include "dataplane/agent/agent_streams.h"

#include <catch2/catch.hpp>

#include "agent_support.h"
#include "tests/support/certificates.h"

using namespace gw;
using namespace gw::agent_test;

namespace {

using Lines = std::vector<std::string>;

struct Agent {
  FakeSink sink;
  Lines acks;
  std::vector<v1::Ack> raw;
  AgentStreams streams;
  Config config;
  Records records;

  explicit Agent(std::vector<std::string> without = {})
      : streams(sink, std::move(without), [this](v1::Ack ack) {
          acks.push_back((ack.stream() == v1::STREAM_DIRECTORY  ? "directory "
                          : ack.stream() == v1::STREAM_QUOTA    ? "quota "
                          : ack.stream() == v1::STREAM_SWITCHES ? "switches "
                          : ack.stream() == v1::STREAM_ENDPOINTS ? "endpoints "
                          : ack.stream() == v1::STREAM_CERTIFICATES ? "certificates "
                          : ack.stream() == v1::STREAM_TICKETS      ? "tickets "
                                                                : "") +
                         v1::NodeState_Name(ack.state()) + " " + std::to_string(ack.version()));
          raw.push_back(std::move(ack));
        }) {}
  Lines take() {
    raw.clear();
    return std::exchange(acks, {});
  }
  void run(v1::Offer offer) {
    uint64_t version = offer.version();
    streams.offered(std::move(offer));
    streams.activate(version);
  }
};

}  // namespace

TEST_CASE("a version is received, built, activated on word, and drained when nothing is before it") {
  Agent a;
  a.streams.offered(a.config.whole());
  CHECK(a.acks == Lines{"RECEIVED 1", "BUILT 1"});
  CHECK(a.sink.take() == Lines{"prepare 1"});
  CHECK(a.raw[1].build_micros() >= 0);
  CHECK(a.raw[1].snapshot_bytes() > 0);
  a.take();
  CHECK(a.streams.config_version() == 0);
  a.streams.activate(1);
  CHECK(a.raw[0].listeners_size() == 1);
  CHECK(a.take() == Lines{"ACTIVE 1", "DRAINED 1"});
  CHECK(a.sink.take() == Lines{"activate 1"});
  CHECK(a.streams.config_version() == 1);
}

TEST_CASE("drained is said when the last exchange on the version before has ended, not sooner") {
  Agent a;
  a.run(a.config.whole());
  a.run(a.config.change("two"));
  a.run(a.config.change("three"));
  a.take();
  a.streams.drained(2);
  CHECK(a.take().empty());  // something still runs on 1
  a.streams.drained(3);     // of the newest: it is in use
  CHECK(a.take().empty());
  a.streams.drained(1);
  CHECK(a.take() == Lines{"DRAINED 2", "DRAINED 3"});
  a.streams.drained(1);
  CHECK(a.take().empty());
}

TEST_CASE("an offer that is to be active at once needs no other word") {
  Agent a;
  v1::Offer offer = a.config.whole();
  offer.set_activate(true);
  a.streams.offered(offer);
  CHECK(a.acks == Lines{"RECEIVED 1", "BUILT 1", "ACTIVE 1", "DRAINED 1"});
}

TEST_CASE("a newer offer takes the place of the one that is ready") {
  Agent a;
  a.run(a.config.whole());
  v1::Offer second = a.config.change("two");
  a.config.answer("three");
  v1::Offer third = a.config.maker.delta();
  third.set_base(1);  // from what is active
  a.take();
  a.sink.take();
  a.streams.offered(second);
  a.streams.offered(third);
  CHECK(a.sink.take() == Lines{"prepare 2", "abandon 2", "prepare 3"});
  a.streams.activate(2);
  CHECK(a.acks.back() == "MISMATCH 2");
  a.streams.activate(3);
  CHECK(a.streams.config_version() == 3);
}

TEST_CASE("what is refused changes nothing") {
  Agent a;
  a.run(a.config.whole());
  a.take();
  a.sink.take();
  SECTION("an entry with a field that this build does not know") {
    v1::RouteEntry route = text<v1::RouteEntry>("name { owner: 'platform' name: 'all' } api: 2 match { path { prefix: '/' } } respond { status: 200 }");
    route.GetReflection()->MutableUnknownFields(&route)->AddVarint(999, 1);
    a.config.maker.put(v1::ENTRY_ROUTE, 3, route);
    a.streams.offered(a.config.maker.delta());
    CHECK(a.acks == Lines{"RECEIVED 2", "REFUSED 2"});
    CHECK(a.raw[1].diagnostics(0).code() == "GW3002");
    CHECK(a.sink.take().empty());
  }
  SECTION("a listener's port that is taken") {
    a.sink.set_port_in_use("127.0.0.1:8080 is in use");
    a.streams.offered(a.config.change("two"));
    CHECK(a.acks == Lines{"RECEIVED 2", "REFUSED 2"});
    REQUIRE(a.raw[1].diagnostics_size() == 1);
    CHECK(a.raw[1].diagnostics(0).object() == "platform/edge");
    CHECK(a.raw[1].diagnostics(0).message() == "127.0.0.1:8080 is in use");
    CHECK(a.sink.take() == Lines{"prepare 2"});
    a.sink.set_port_in_use("");
  }
  CHECK(a.streams.refused() == 1);
  CHECK(a.streams.config_version() == 1);
  CHECK_FALSE(a.streams.config_fresh());
  a.streams.activate(2);
  CHECK(a.acks.back() == "MISMATCH 2");
  CHECK(a.streams.config_version() == 1);
}

TEST_CASE("a delta that does not lead to the promised digest is a mismatch, the whole mends it") {
  Agent a;
  a.run(a.config.whole());
  a.take();
  v1::Offer offer = a.config.change("two");
  SECTION("another digest") { offer.set_digest(std::string(32, 'x')); }
  SECTION("another base") { offer.set_base(7); }
  a.streams.offered(offer);
  CHECK(a.take() == Lines{"RECEIVED 2", "MISMATCH 2"});
  a.streams.offered(a.config.whole());
  a.streams.activate(3);
  CHECK(a.streams.config_version() == 3);
}

TEST_CASE("a version waits until the directory that it needs is there") {
  Agent a;
  v1::Offer offer = a.config.whole();
  offer.set_needs_directory(2);
  a.streams.offered(offer);
  CHECK(a.take() == Lines{"RECEIVED 1"});
  a.streams.offered(a.records.whole());
  CHECK(a.take() == Lines{"directory ACTIVE 1"});
  CHECK(a.sink.take() == Lines{"directory 1"});
  a.streams.offered(a.records.change());
  CHECK(a.take() == Lines{"directory ACTIVE 2", "BUILT 1"});
  CHECK(a.sink.take() == Lines{"directory 2", "prepare 1"});
}

TEST_CASE("an abort, or the end of the stream, gives up what is ready") {
  Agent a;
  a.run(a.config.whole());
  a.streams.offered(a.config.change("two"));
  a.sink.take();
  SECTION("abort") {
    a.streams.abort(1, "of another version");
    CHECK(a.sink.take().empty());
    a.streams.abort(2, "refused by node n2");
  }
  SECTION("disconnected") { a.streams.disconnected(); }
  CHECK(a.sink.take() == Lines{"abandon 2"});
  a.streams.activate(2);
  CHECK(a.acks.back() == "MISMATCH 2");
  CHECK(a.streams.config_version() == 1);
}

TEST_CASE("activation of what is active already is answered again") {
  Agent a;
  a.run(a.config.whole());
  a.take();
  a.streams.activate(1);
  CHECK(a.acks == Lines{"ACTIVE 1"});
}

TEST_CASE("a build with fewer capabilities refuses what needs them") {
  Agent a({"RouteEntry.respond"});
  a.streams.offered(a.config.whole());
  CHECK(a.acks == Lines{"RECEIVED 1", "REFUSED 1"});
  CHECK(a.raw[1].diagnostics(0).code() == "GW3010");
  CHECK(a.raw[1].diagnostics(0).message().find("RouteEntry.respond") != std::string::npos);
}

TEST_CASE("persisted is said of each version that the write holds, and again on a new stream") {
  Agent a;
  a.run(a.config.whole());
  uint64_t first = a.streams.change();
  a.run(a.config.change("two"));
  a.streams.drained(1);
  a.take();
  a.streams.persisted(first);
  CHECK(a.take() == Lines{"PERSISTED 1"});
  CHECK(a.streams.persisted_version() == 1);
  a.streams.persisted(a.streams.change());
  CHECK(a.take() == Lines{"PERSISTED 2"});
  a.streams.connected();
  CHECK(a.take() == Lines{"PERSISTED 2", "DRAINED 2"});
}

TEST_CASE("what is on disk leads another agent to the same state") {
  Agent a;
  a.streams.offered(a.records.whole());
  a.run(a.config.whole());
  a.run(a.config.change("two"));
  Agent b;
  CHECK(b.streams.load(a.streams.whole(), true).empty());
  CHECK(b.sink.take() == Lines{"directory 1", "prepare 2", "activate 2"});
  REQUIRE(b.streams.positions().size() == 2);
  for (size_t i = 0; i < 2; ++i) {
    CHECK(b.streams.positions()[i].SerializeAsString() == a.streams.positions()[i].SerializeAsString());
  }
  SECTION("unless its port is taken") {
    Agent c;
    c.sink.set_port_in_use("127.0.0.1:8080 is in use");
    CHECK(c.streams.load(a.streams.whole(), true).find("in use") != std::string::npos);
    CHECK(c.streams.config_version() == 0);
    CHECK(c.streams.directory_version() == 1);
  }
}

TEST_CASE("the word on quotas is stale until the control plane is heard") {
  Agent a;
  gw::testing::StreamMaker quota(v1::STREAM_QUOTA);
  v1::ShareEntry share;
  share.set_active_nodes(2);
  quota.put(v1::ENTRY_SHARE, 1, share);
  a.streams.offered(quota.whole());
  CHECK(a.take() == Lines{"quota ACTIVE 1"});
  a.streams.set_stale(false);
  a.streams.set_stale(false);
  a.streams.set_stale(true);
  CHECK(a.sink.take() == Lines{"quota 1 stale", "quota 1", "quota 1 stale"});
}

TEST_CASE("endpoints are in force before the config, and are kept with what is on disk") {
  Agent a;
  gw::testing::StreamMaker endpoints(v1::STREAM_ENDPOINTS);
  auto good = text<v1::EndpointEntry>("name { owner: 'platform' name: 'u' } upstream: 10 target { url: 'http://10.0.0.1:80' }");
  endpoints.put(v1::ENTRY_ENDPOINT, 1, good);
  a.streams.offered(endpoints.whole());
  CHECK(a.take() == Lines{"endpoints ACTIVE 1"});
  CHECK(a.sink.take() == Lines{"endpoints 1"});
  a.run(a.config.whole());
  Agent b;
  CHECK(b.streams.load(a.streams.whole(), true).empty());
  CHECK(b.sink.take() == Lines{"endpoints 1", "prepare 1", "activate 1"});
  CHECK(b.streams.endpoints_version() == 1);
  b.take();
  // One that no target could be changes nothing.
  endpoints.put(v1::ENTRY_ENDPOINT, 2, text<v1::EndpointEntry>("name { owner: 'platform' name: 'u' } upstream: 10 target { url: 'http://169.254.169.254:80' }"));
  b.streams.offered(endpoints.delta());
  CHECK(b.take() == Lines{"endpoints REFUSED 2"});
  CHECK(b.streams.endpoints_version() == 1);
}

TEST_CASE("switches are in force before the config, and are kept with what is on disk") {
  Agent a;
  gw::testing::StreamMaker switches(v1::STREAM_SWITCHES);
  v1::BlockEntry block;
  block.set_cidr("10.0.0.0/8");
  switches.put(v1::ENTRY_BLOCK, 1, block);
  a.streams.offered(switches.whole());
  CHECK(a.take() == Lines{"switches ACTIVE 1"});
  CHECK(a.sink.take() == Lines{"switches 1"});
  a.run(a.config.whole());
  Agent b;
  CHECK(b.streams.load(a.streams.whole(), true).empty());
  CHECK(b.sink.take() == Lines{"switches 1", "prepare 1", "activate 1"});
  CHECK(b.streams.switches_version() == 1);
  REQUIRE(b.streams.positions().size() == 2);
  CHECK(b.streams.positions()[1].SerializeAsString() == a.streams.positions()[1].SerializeAsString());

  block.set_cidr("nonsense");
  switches.put(v1::ENTRY_BLOCK, 2, block);
  b.take();
  b.streams.offered(switches.delta());
  CHECK(b.take() == Lines{"switches REFUSED 2"});
  CHECK(b.streams.refused() == 1);
  CHECK(b.streams.switches_version() == 1);
  switches.remove(v1::ENTRY_BLOCK, 2);
  b.streams.offered(switches.delta());  // from a version that it does not hold
  CHECK(b.take() == Lines{"switches MISMATCH 3"});
}

namespace {

struct CertificateMakerStream {
  gw::testing::StreamMaker maker{v1::STREAM_CERTIFICATES};
  gw::test::CertificateMaker ca{1'800'000'000};

  void put(uint64_t uid, const std::string& pem) {
    v1::CertificateEntry entry;
    entry.mutable_name()->set_owner("platform");
    entry.mutable_name()->set_name("site");
    entry.add_hosts("a.example.com");
    entry.add_key_pairs()->set_pem(pem);
    maker.put(v1::ENTRY_CERTIFICATE, uid, entry);
  }
  std::string good() { return ca.issue({"a.example.com"}).pem(); }
};

}  // namespace

TEST_CASE("certificates are in force before the config, acknowledged, and kept with what is on disk") {
  Agent a;
  CertificateMakerStream certificates;
  certificates.put(7, certificates.good());
  a.streams.offered(certificates.maker.whole());
  CHECK(a.take() == Lines{"certificates ACTIVE 1"});
  CHECK(a.sink.take() == Lines{"certificates 1"});
  gw::testing::StreamMaker tickets(v1::STREAM_TICKETS);
  v1::TicketKeyEntry key;
  key.set_name(std::string(16, 'n'));
  key.set_secret(std::string(64, 's'));
  key.set_not_after(100);
  tickets.put(v1::ENTRY_TICKET_KEY, 1, key);
  a.streams.offered(tickets.whole());
  CHECK(a.take() == Lines{"tickets ACTIVE 1"});
  CHECK(a.sink.take() == Lines{"tickets 1"});
  a.run(a.config.whole());

  Agent b;  // restarted
  CHECK(b.streams.load(a.streams.whole(), true).empty());
  CHECK(b.sink.take() == Lines{"certificates 1", "tickets 1", "prepare 1", "activate 1"});
  CHECK(b.streams.certificates_version() == 1);
  CHECK(b.streams.tickets_version() == 1);
  CHECK(b.sink.table()->certificate(7)->name == "platform/site");
  CHECK(b.streams.positions().size() == 3);
}

TEST_CASE("a configuration waits for the certificates that it needs") {
  Agent a;
  CertificateMakerStream certificates;
  certificates.put(7, certificates.good());
  v1::Offer config = a.config.whole();
  config.set_needs_certificates(1);
  a.streams.offered(config);
  CHECK(a.take() == Lines{"RECEIVED 1"});
  a.streams.offered(certificates.maker.whole());
  CHECK(a.take() == Lines{"certificates ACTIVE 1", "BUILT 1"});
  CHECK(a.sink.take() == Lines{"certificates 1", "prepare 1"});
}

TEST_CASE("certificates that cannot be used are refused, what was there stays, and so does the configuration that needs them") {
  Agent a;
  CertificateMakerStream certificates;
  certificates.put(7, certificates.good());
  a.streams.offered(certificates.maker.whole());
  a.take();
  SECTION("a key pair that cannot be read") { certificates.put(8, "nothing"); }
  SECTION("the node cannot make its TLS settings of it") {
    certificates.put(8, certificates.good());
    a.sink.set_certificates_unusable("no cipher left");
  }
  v1::Offer config = a.config.whole();
  config.set_needs_certificates(2);
  a.streams.offered(config);
  a.take();
  a.streams.offered(certificates.maker.delta());
  REQUIRE(a.raw.size() == 2);
  CHECK(a.raw[0].state() == v1::REFUSED);
  CHECK(a.raw[0].diagnostics(0).code() == "GW3030");
  CHECK(a.raw[1].stream() == v1::STREAM_CONFIG);
  CHECK(a.raw[1].state() == v1::REFUSED);
  CHECK(a.raw[1].diagnostics(0).code() == "GW3031");
  CHECK(a.streams.certificates_version() == 1);
  CHECK(a.streams.whole()[v1::STREAM_CERTIFICATES].upserts_size() == 1);
  // Offered once more, it need not wait to be refused.
  a.take();
  a.streams.offered(config);
  CHECK(a.take() == Lines{"RECEIVED 1", "REFUSED 1"});
  // Mended.
  a.sink.set_certificates_unusable("");
  certificates.put(8, certificates.good());
  a.streams.offered(certificates.maker.whole());
  a.streams.offered(config);
  CHECK(a.take() == Lines{"certificates ACTIVE 3", "RECEIVED 1", "BUILT 1"});
}
