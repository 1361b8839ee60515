#include "dataplane/snapshot/endpoints.h"

#include "tests/dataplane/snapshot/world.h"

using namespace gw;
using namespace gw::testing;

namespace {

struct EndpointStream {
  StreamMaker maker{v1::STREAM_ENDPOINTS};
  EndpointsBuilder builder;

  void put(uint64_t uid, uint64_t upstream, const std::string& url, const std::string& rest = {}) {
    maker.put(v1::ENTRY_ENDPOINT, uid,
              text<v1::EndpointEntry>(named("platform/u") + "upstream: " + std::to_string(upstream) + " target { url: '" + url + "' " + rest + "}"));
  }
  EndpointsBuilder::Result take(const v1::Offer& offer) {
    auto result = builder.prepare(offer);
    auto copy = result;
    if (result.outcome == PrepareOutcome::kReady) builder.commit(std::move(result));
    return copy;
  }
  const Endpoints& now() const { return *builder.endpoints(); }
};

}  // namespace

TEST_CASE("endpoints are found by their upstream, sorted, and follow the stream's differences") {
  EndpointStream s;
  CHECK(s.now().of(10).empty());
  s.put(1, 10, "http://10.0.0.2:80", "weight: 3 zone: 'az-a' priority: 2");
  s.put(2, 10, "http://10.0.0.1:80");
  s.put(3, 11, "http://name.test:8080");
  REQUIRE(s.take(s.maker.whole()).outcome == PrepareOutcome::kReady);
  REQUIRE(s.now().of(10).size() == 2);
  CHECK(s.now().of(10)[0].target.authority == "10.0.0.1:80");
  CHECK(s.now().of(10)[1].target.weight == 3);
  CHECK(s.now().of(10)[1].target.zone == "az-a");
  CHECK(s.now().of(10)[1].target.priority == 2);
  CHECK(s.now().of(10)[1].target.source == UpstreamTarget::Source::kEndpoint);
  CHECK_FALSE(s.now().of(11)[0].target.is_address);
  CHECK(s.now().size() == 3);
  s.maker.remove(v1::ENTRY_ENDPOINT, 1);
  REQUIRE(s.take(s.maker.delta()).outcome == PrepareOutcome::kReady);
  CHECK(s.now().of(10).size() == 1);
  EndpointsBuilder other;  // as after a restart from disk
  CHECK(other.prepare(s.builder.whole()).endpoints->size() == 2);
}

TEST_CASE("an endpoint means nothing from its end on") {
  EndpointStream s;
  for (uint64_t uid : {1, 2, 3}) {
    auto entry = text<v1::EndpointEntry>(named("platform/u") + "upstream: 10 target { url: 'http://10.0.0." + std::to_string(uid) + ":80' }");
    entry.set_expires_at(uid == 3 ? 0 : static_cast<int64_t>(uid) * 100);
    s.maker.put(v1::ENTRY_ENDPOINT, uid, entry);
  }
  s.take(s.maker.whole());
  CHECK(s.now().next_end(50) == 100);
  CHECK(s.now().next_end(100) == 200);
  CHECK(s.now().next_end(200) == 0);
  const auto& all = s.now().of(10);
  CHECK_FALSE(all[0].over(99));
  CHECK(all[0].over(100));
  CHECK_FALSE(all[2].over(INT64_MAX));
}

TEST_CASE("an endpoint that no target could be is refused, and what was there stays") {
  EndpointStream s;
  s.put(1, 10, "http://10.0.0.1:80");
  s.take(s.maker.whole());
  SECTION("metadata") { s.put(2, 10, "http://169.254.169.254:80"); }
  SECTION("no url") { s.put(2, 10, "10.0.0.1:80"); }
  SECTION("priority") { s.put(2, 10, "http://10.0.0.2:80", "priority: 16"); }
  SECTION("another stream's entry") { s.maker.put(v1::ENTRY_BLOCK, 2, v1::BlockEntry()); }
  SECTION("unknown fields") { s.maker.put_bytes(v1::ENTRY_ENDPOINT, 2, std::string("\xf8\x3f\x01", 3)); }
  CHECK(s.take(s.maker.whole()).outcome == PrepareOutcome::kRefused);
  CHECK(s.now().size() == 1);
}
