#include "dataplane/snapshot/switches.h"

#include <map>

#include "common/base/random.h"
#include "dataplane/snapshot/explain.h"
#include "tests/dataplane/snapshot/world.h"

using namespace gw;
using namespace gw::testing;

namespace {

constexpr int64_t kSecond = 1'000'000'000;

struct Board {
  StreamMaker maker{v1::STREAM_SWITCHES};
  SwitchesBuilder builder;

  void disable(uint64_t api, const std::string& rest = {}) {
    maker.put(v1::ENTRY_API_SWITCH, api, text<v1::ApiSwitchEntry>(named("platform/api") + rest));
  }
  void drain(uint64_t uid, uint64_t upstream, const std::string& target) {
    v1::TargetSwitchEntry entry;
    entry.set_upstream(upstream);
    entry.set_target(target);
    maker.put(v1::ENTRY_TARGET_SWITCH, uid, entry);
  }
  void block(uint64_t uid, const std::string& cidr, int64_t expires_at = 0, const std::string& message = {}) {
    v1::BlockEntry entry;
    entry.set_cidr(cidr);
    entry.set_expires_at(expires_at);
    entry.set_message(message);
    maker.put(v1::ENTRY_BLOCK, uid, entry);
  }
  SwitchesBuilder::Result take(const v1::Offer& offer) {
    auto result = builder.prepare(offer);
    INFO(lines(result.diagnostics));
    if (result.outcome == PrepareOutcome::kReady) builder.commit(result);
    return result;
  }
  const Switches& now() const { return *builder.switches(); }
};

IpAddress ip(const std::string& text) { return *IpAddress::parse(text); }

}  // namespace

TEST_CASE("nothing is stopped where nothing was said") {
  CHECK_FALSE(Switches::none()->any());
  CHECK(Switches::none()->blocked(ip("127.0.0.1"), 0) == nullptr);
  CHECK(Switches::none()->disabled(1) == nullptr);
  CHECK(Tables().switches == Switches::none());
}

TEST_CASE("switches come and go by deltas, and the digest tells a wrong one") {
  Board b;
  b.disable(2, "message: 'back at noon' status: 404 retry_after: 60");
  b.block(7, "10.0.0.0/8");
  REQUIRE(b.take(b.maker.whole()).outcome == PrepareOutcome::kReady);
  CHECK(b.now().version() == 1);
  REQUIRE(b.now().disabled(2));
  CHECK(b.now().disabled(2)->detail == "the Api is switched off: back at noon");
  CHECK(b.now().disabled(2)->status == 404);
  CHECK(b.now().disabled(2)->retry_after == "60");
  CHECK_FALSE(b.now().disabled(3));
  CHECK(b.now().any());
  b.maker.remove(v1::ENTRY_API_SWITCH, 2);
  b.drain(9, 4, "10.0.0.1:80");
  v1::Offer delta = b.maker.delta();
  v1::Offer wrong = delta;
  wrong.clear_removals();
  CHECK(b.builder.prepare(wrong).outcome == PrepareOutcome::kMismatch);
  REQUIRE(b.take(delta).outcome == PrepareOutcome::kReady);
  CHECK_FALSE(b.now().disabled(2));
  CHECK(b.now().drained(4, "10.0.0.1:80"));
  CHECK_FALSE(b.now().drained(4, "10.0.0.2:80"));
  CHECK(b.now().blocked(ip("10.1.2.3"), 0));
  SECTION("a whole takes the place of what was there") {
    Board c;
    c.take(b.maker.whole());
    v1::Offer whole = c.builder.whole();
    CHECK(b.take(whole).outcome == PrepareOutcome::kReady);
    CHECK(b.now().blocks() == 1);
  }
  SECTION("only drained targets are no reason to look at a request") {
    b.maker.remove(v1::ENTRY_BLOCK, 7);
    b.take(b.maker.delta());
    CHECK_FALSE(b.now().any());
  }
}

TEST_CASE("a block ends at its time by the node's own clock") {
  Board b;
  b.block(1, "192.0.2.0/24", 100, "flood");
  b.block(2, "192.0.2.7", 50);
  b.block(3, "2001:db8::/32");
  b.take(b.maker.whole());
  REQUIRE(b.now().blocked(ip("192.0.2.1"), 99 * kSecond));
  CHECK(b.now().blocked(ip("192.0.2.1"), 99 * kSecond)->detail == "the client's address is blocked: flood");
  CHECK_FALSE(b.now().blocked(ip("192.0.2.1"), 100 * kSecond));
  // The wider one lasts longer.
  CHECK(b.now().blocked(ip("192.0.2.7"), 99 * kSecond));
  CHECK_FALSE(b.now().blocked(ip("192.0.2.7"), 100 * kSecond));
  CHECK(b.now().blocked(ip("2001:db8:1::1"), 1'000'000 * kSecond));
  CHECK_FALSE(b.now().blocked(ip("2001:db9::"), 0));
  CHECK_FALSE(b.now().blocked(ip("192.0.3.0"), 0));
  CHECK_FALSE(b.now().blocked(ip("192.0.1.255"), 0));
}

TEST_CASE("nested blocks are found as a walk over all of them finds them") {
  FastRandom random(7);
  for (int round = 0; round < 200; ++round) {
    Board b;
    std::map<std::string, int64_t> all;
    int count = 1 + static_cast<int>(random.below(12));
    for (int i = 0; i < count; ++i) {
      // Few addresses and many lengths, so that most are nested; the ends of the space among them.
      std::string net = (random.below(2) ? "255.255.255." : "0.0.0.") + std::to_string(random.below(256));
      std::string cidr = net + "/" + std::to_string(20 + random.below(13));
      all[cidr] = static_cast<int64_t>(random.below(4)) * 10;  // 0: never
    }
    if (random.below(3) == 0) all["::/0"] = 20;
    uint64_t uid = 1;
    for (const auto& [cidr, expires] : all) b.block(uid++, cidr, expires);
    b.take(b.maker.whole());
    for (int probe = 0; probe < 300; ++probe) {
      std::string text = random.below(10) == 0 ? (random.below(2) ? "::" : "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff")
                                               : (random.below(2) ? "255.255.255." : "0.0.0.") + std::to_string(random.below(256));
      int64_t at = static_cast<int64_t>(random.below(40));
      bool expected = false;
      for (const auto& [cidr, expires] : all) {
        expected = expected || (Cidr::parse(cidr)->contains(ip(text)) && (expires == 0 || at < expires));
      }
      INFO(text << " at " << at << " of " << all.size());
      REQUIRE((b.now().blocked(ip(text), at * kSecond) != nullptr) == expected);
    }
  }
}

TEST_CASE("as many blocks as can be are taken, one more is refused") {
  Board b;
  for (uint64_t i = 0; i <= Switches::kMaxOfKind; ++i) {
    b.block(i + 1, "10.0." + std::to_string(i / 256) + "." + std::to_string(i % 256));
  }
  auto result = b.builder.prepare(b.maker.whole());
  CHECK(result.outcome == PrepareOutcome::kRefused);
  CHECK(lines(result.diagnostics).find("GW3006") != std::string::npos);
  b.maker.remove(v1::ENTRY_BLOCK, 1);
  REQUIRE(b.take(b.maker.whole()).outcome == PrepareOutcome::kReady);
  CHECK(b.now().blocks() == Switches::kMaxOfKind);
  CHECK(b.now().blocked(ip("10.0.39.16"), 0));
  CHECK_FALSE(b.now().blocked(ip("10.0.0.0"), 0));
}

TEST_CASE("what this build does not know, or what makes no sense, is refused") {
  Board b;
  SECTION("a long message") { b.disable(2, "message: '" + std::string(Switches::kMaxMessage + 1, 'x') + "'"); }
  SECTION("a message that breaks out of a header or a log") { b.block(1, "10.0.0.1", 0, "a\nb"); }
  SECTION("a status of success") { b.disable(2, "status: 200"); }
  SECTION("no network") { b.block(1, "10.0.0.0/33"); }
  SECTION("an entry of another stream") { b.maker.put(v1::ENTRY_CONSUMER, 5, v1::ConsumerEntry()); }
  SECTION("unknown fields") { b.maker.put_bytes(v1::ENTRY_BLOCK, 1, std::string("\xf8\x3f\x01", 3)); }
  auto before = b.builder.switches();
  CHECK(b.builder.prepare(b.maker.whole()).outcome == PrepareOutcome::kRefused);
  CHECK(b.builder.switches() == before);
}

TEST_CASE("explain names what is stopped") {
  World w;
  w.gateway(1, "platform/edge");
  w.config.put(v1::ENTRY_UPSTREAM, 10,
               text<v1::UpstreamEntry>(named("platform/two") + "targets { url: 'http://10.0.0.1' } targets { url: 'http://10.0.0.2:81' }"));
  w.api(2, "platform/api", "gateways: 1 hosts: '*' base_path: '/' allow_anonymous: true");
  w.route(3, "platform/all", "api: 2 match { path { prefix: '/' } } upstream: 10");
  w.build();
  Board b;
  b.drain(20, 99, "10.0.0.1:80");
  b.take(b.maker.whole());
  b.drain(21, 10, "10.0.0.2:81");
  b.take(b.maker.delta());
  w.tables.switches = b.builder.switches();
  auto r = explain(w.tables, {.url = "http://a.test/x"});
  CHECK(r.status() == 0);
  CHECK(r.steps(r.steps_size() - 1).detail().find("10.0.0.2:81 is drained") != std::string::npos);
  b.disable(2, "message: 'on fire'");
  b.block(22, "192.0.2.0/24");
  b.take(b.maker.delta());
  w.tables.switches = b.builder.switches();
  r = explain(w.tables, {.url = "http://a.test/x"});
  CHECK(r.status() == 503);
  CHECK(r.reason() == "DISABLED");
  CHECK(r.answer() == "503 DISABLED: the Api is switched off: on fire");
  CHECK(r.steps(r.steps_size() - 1).phase() == "switch");
  CHECK(r.steps(r.steps_size() - 1).object() == "platform/api");
  r = explain(w.tables, {.url = "http://a.test/x", .client_address = "192.0.2.9"});
  CHECK(r.status() == 403);
  CHECK(r.reason() == "IP_DENIED");
  CHECK(r.steps(r.steps_size() - 1).object() == "192.0.2.9");
}
