#include "dataplane/snapshot/forward.h"

#include "tests/dataplane/snapshot/world.h"

using namespace gw;
using namespace gw::testing;

namespace {
SplitTo split_of(std::vector<uint32_t> weights, v1::StickyBy by = v1::STICKY_BY_ADDRESS) {
  SplitTo out;
  out.sticky_by = by;
  for (uint32_t i = 0; i < weights.size(); ++i) {
    out.arms.push_back({i, weights[i], 0x1234567 + i * 0x9e3779b97f4a7c15});
    out.total_weight += weights[i];
  }
  return out;
}
struct Parsed {
  Parsed(const std::string& t, const std::string& h = "gw.test:8080") : target(t), host(h) {
    std::string_view why;
    head.method = Method::kGet;
    REQUIRE(parse_target(head, arena, target, host, why));
  }
  std::string target, host;
  RequestHead head;
  Arena arena;
};
std::string rewritten(RewriteRule rule, const std::string& target) {
  Parsed p(target);
  return std::string(upstream_target(rule, p.head, p.arena));
}
std::string location(RedirectTo to, const std::string& target, bool tls = false, const std::string& host = "gw.test:8080") {
  Parsed p(target, host);
  return std::string(redirect_location(to, p.head, tls, p.arena));
}
}  // namespace

TEST_CASE("raising one side's weight moves callers to it and none back") {
  FastRandom random(1);
  for (int round = 0; round < 50; ++round) {
    std::vector<uint64_t> callers(400);
    for (auto& c : callers) c = random.next();
    std::vector<bool> moved(callers.size(), false);
    uint32_t left = 100;
    for (uint32_t weight : {0u, 1u, 5u, 10u, 30u, 50u, 100u, 400u}) {
      // With the other side unchanged, lowered in step, or gone at the end.
      uint32_t other = round % 2 == 0 ? left : (weight >= 100 ? 0 : left - weight);
      SplitTo split = split_of({other, weight});
      for (size_t i = 0; i < callers.size(); ++i) {
        bool now = pick_arm_for(split, callers[i]) == 1;
        REQUIRE((now || !moved[i]));
        moved[i] = now;
      }
      if (weight == 0) CHECK(std::count(moved.begin(), moved.end(), true) == 0);
      if (other == 0) CHECK(std::count(moved.begin(), moved.end(), true) == static_cast<long>(callers.size()));
    }
  }
}

TEST_CASE("with many sides a raise moves callers only to the raised one") {
  FastRandom random(2);
  for (int round = 0; round < 200; ++round) {
    std::vector<uint32_t> weights;
    for (uint64_t n = 2 + random.below(5); n > 0; --n) weights.push_back(static_cast<uint32_t>(random.below(50)));
    size_t raised = random.below(weights.size());
    SplitTo before = split_of(weights);
    weights[raised] += 1 + static_cast<uint32_t>(random.below(100));
    SplitTo after = split_of(weights);
    for (int i = 0; i < 100; ++i) {
      uint64_t caller = random.next();
      uint32_t a = pick_arm_for(before, caller), b = pick_arm_for(after, caller);
      REQUIRE((a == b || b == raised));
    }
  }
}

TEST_CASE("each side gets its share of callers") {
  SplitTo split = split_of({70, 20, 10, 0});
  std::vector<int> hits(4);
  FastRandom random(3);
  for (int i = 0; i < 20000; ++i) ++hits[pick_arm_for(split, random.next())];
  CHECK(hits[0] == Approx(14000).epsilon(0.05));
  CHECK(hits[1] == Approx(4000).epsilon(0.08));
  CHECK(hits[2] == Approx(2000).epsilon(0.1));
  CHECK(hits[3] == 0);
  split.sticky_by = v1::STICKY_BY_UNSPECIFIED;
  hits.assign(4, 0);
  Parsed p("/");
  for (int i = 0; i < 20000; ++i) ++hits[pick_arm(split, {&p.head, nullptr, {}, &random, &p.arena}).arm];
  CHECK(hits[0] == Approx(14000).epsilon(0.05));
  CHECK(hits[3] == 0);
}

TEST_CASE("consecutive small numbers, as uids are, spread like any callers") {
  SplitTo split = split_of({50, 50});
  int second = 0;
  for (uint64_t uid = 1; uid <= 2000; ++uid) second += pick_arm_for(split, uid) == 1;
  CHECK(second == Approx(1000).epsilon(0.1));
}

TEST_CASE("weights that are all 0 pick nothing") {
  Parsed p("/");
  FastRandom random(4);
  for (auto by : {v1::STICKY_BY_UNSPECIFIED, v1::STICKY_BY_ADDRESS, v1::STICKY_BY_COOKIE, v1::STICKY_BY_CONSUMER}) {
    ArmPick pick = pick_arm(split_of({0, 0}, by), {&p.head, nullptr, {}, &random, &p.arena});
    CHECK(pick.arm == kNoIndex);
    CHECK(pick.upstream == kNoIndex);
    CHECK(pick.set_cookie.empty());
  }
}

TEST_CASE("a cookie is set once and keeps its caller where it is") {
  SplitTo split = split_of({50, 50}, v1::STICKY_BY_COOKIE);
  FastRandom random(5);
  for (int i = 0; i < 50; ++i) {
    Parsed first("/"), second("/");
    ArmPick a = pick_arm(split, {&first.head, nullptr, {}, &random, &first.arena});
    REQUIRE_FALSE(a.set_cookie.empty());
    std::string cookie(a.set_cookie.substr(0, a.set_cookie.find(';')));
    CHECK(cookie.substr(0, 10) == "gw-sticky=");
    CHECK_THAT(std::string(a.set_cookie), Catch::Contains("HttpOnly"));
    second.head.headers.add("cookie", cookie);
    ArmPick b = pick_arm(split, {&second.head, nullptr, {}, &random, &second.arena});
    CHECK(b.set_cookie.empty());
    CHECK(b.arm == a.arm);
  }
  Parsed huge("/");
  std::string value = "gw-sticky=" + std::string(1000, 'a');
  huge.head.headers.add("cookie", value);
  CHECK_FALSE(pick_arm(split, {&huge.head, nullptr, {}, &random, &huge.arena}).set_cookie.empty());
}

TEST_CASE("all apps of a consumer go to one side; without a consumer the address decides") {
  SplitTo split = split_of({50, 50}, v1::STICKY_BY_CONSUMER);
  auto consumer = std::make_shared<ConsumerRecord>(ConsumerRecord{77, "t/c", false});
  AppRecord one, two;
  one.consumer = two.consumer = consumer;
  Identity a, b;
  a.app = &one;
  b.app = &two;
  Parsed p("/");
  IpAddress x = *IpAddress::parse("10.0.0.1"), y = *IpAddress::parse("10.9.8.7");
  uint32_t arm = pick_arm(split, {&p.head, &a, x, nullptr, &p.arena}).arm;
  CHECK(pick_arm(split, {&p.head, &b, y, nullptr, &p.arena}).arm == arm);
  Identity nobody;
  CHECK(pick_arm(split, {&p.head, &nobody, x, nullptr, &p.arena}).arm == pick_arm_for(split, x.hash()));
}

TEST_CASE("a rewrite strips, then adds") {
  CHECK(rewritten({"/sessions", "/v2/sessions", ""}, "/sessions/1?x=%20") == "/v2/sessions/1?x=%20");
  CHECK(rewritten({"/sessions", "/v2/sessions", ""}, "/sessions") == "/v2/sessions");
  CHECK(rewritten({"/sessions", "/v2/sessions", ""}, "/sessions/") == "/v2/sessions/");
  CHECK(rewritten({"/sessions", "", ""}, "/sessions") == "/");
  CHECK(rewritten({"/sessions", "", ""}, "/sessions?") == "/?");
  CHECK(rewritten({"/sessions", "", ""}, "/%73essions/a%2Cb") == "/a%2Cb");
  CHECK(rewritten({"", "/v1", ""}, "/a") == "/v1/a");
  CHECK(rewritten({"/other", "/v1", ""}, "/a") == "/v1/a");
  Parsed p("/a?b");
  CHECK(upstream_target({"", "", "host"}, p.head, p.arena).data() == p.head.target.data());
}

TEST_CASE("a redirect keeps what it does not replace") {
  CHECK(location({301, "", "", "/new", true}, "/old?x=1") == "/new?x=1");
  CHECK(location({301, "", "", "/new", false}, "/old?x=1") == "/new");
  CHECK(location({301, "", "other.test", "", true}, "/old?x=1") == "http://other.test/old?x=1");
  CHECK(location({301, "", "other.test", "/n", true}, "/old", true) == "https://other.test/n");
  CHECK(location({301, "https", "", "", true}, "/old") == "https://gw.test/old");
  CHECK(location({301, "https", "", "", true}, "/old", false, "[::1]:80") == "https://[::1]/old");
}
