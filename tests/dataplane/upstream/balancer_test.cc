// Who is picked: the rules by themselves, without connections.
#include <catch2/catch.hpp>
#include <cmath>
#include <map>
#include <string>

#include "dataplane/upstream/balancer.h"

namespace gw {
namespace {

using By = BalanceConfig::By;

struct Targets {
  struct Target : BalancerMember {
    std::string name, zone;
    bool well = true;
  };
  BalanceConfig config;
  std::vector<std::unique_ptr<Target>> all;
  Balancer balancer;
  FastRandom random{7};
  std::string own_zone;
  size_t in_work = 0;

  Target& add(const std::string& name, uint32_t weight = 1, const std::string& zone = "", uint8_t priority = 0) {
    auto t = std::make_unique<Target>();
    t->name = name;
    t->zone = zone;
    t->weight = weight;
    t->priority = priority;
    all.push_back(std::move(t));
    return *all.back();
  }
  std::vector<Balancer::Member> members() {
    std::vector<Balancer::Member> out;
    for (auto& t : all) out.push_back({t.get(), t->name, t->zone, t->well});
    return out;
  }
  void ready(int64_t now_ns = 0) {
    balancer.configure(config, members());
    balancer.refresh(config, members(), own_zone, now_ns);
  }
  void refresh(int64_t now_ns = 0) { balancer.refresh(config, members(), own_zone, now_ns); }
  std::string pick(const BalanceInput& in = {}) {
    auto* t = static_cast<Target*>(balancer.pick(config, in, in_work, random));
    return t == nullptr ? "" : t->name;
  }
  std::map<std::string, int> picks(int n, const BalanceInput& in = {}) {
    std::map<std::string, int> out;
    for (int i = 0; i < n; ++i) ++out[pick(in)];
    return out;
  }
};

// Within five standard deviations of n draws.
bool near(int got, int n, double share) { return std::abs(got - n * share) <= 5 * std::sqrt(n * share * (1 - share)) + 1; }

TEST_CASE("round robin gives each target its weight, evenly spread", "[balancer]") {
  Targets t;
  t.add("a", 5);
  t.add("b", 1);
  t.add("c", 1);
  t.add("none", 0);
  t.ready();
  std::string order;
  for (int i = 0; i < 7; ++i) order += t.pick();
  CHECK(order == "aabacaa");
  CHECK(t.picks(700) == std::map<std::string, int>{{"a", 500}, {"b", 100}, {"c", 100}});
}

TEST_CASE("round robin over even weights goes round", "[balancer]") {
  Targets t;
  for (const char* name : {"a", "b", "c"}) t.add(name, 3);
  t.ready();
  CHECK(t.picks(300) == std::map<std::string, int>{{"a", 100}, {"b", 100}, {"c", 100}});
  BalanceInput in;
  in.avoid = t.all[1].get();
  CHECK(t.picks(100, in).count("b") == 0);
}

TEST_CASE("the target to avoid is taken when there is no other", "[balancer]") {
  for (By by : {By::kRoundRobin, By::kLeastRequest}) {
    Targets t;
    t.config.by = by;
    t.add("a");
    t.add("b").well = false;
    t.ready();
    BalanceInput in;
    in.avoid = t.all[0].get();
    CHECK(t.pick(in) == "a");
    t.all[0]->well = false;
    t.refresh();
    CHECK(t.pick(in).empty());
  }
}

TEST_CASE("least request takes the one with less work for its weight", "[balancer]") {
  Targets t;
  t.config.by = By::kLeastRequest;
  t.add("busy").in_work = 10;
  t.add("free");
  t.ready();
  CHECK(t.picks(100) == std::map<std::string, int>{{"free", 100}});
  t.all[0]->weight = 20;  // 11/20 < 1/1
  t.ready();
  CHECK(t.picks(100) == std::map<std::string, int>{{"busy", 100}});
}

TEST_CASE("a hash keeps a key at its target, and few keys move when one leaves", "[balancer]") {
  Targets t;
  t.config.by = By::kHash;
  for (int i = 0; i < 10; ++i) t.add("10.0.0." + std::to_string(i) + ":80");
  t.ready();
  std::vector<std::string> before;
  std::map<std::string, int> share;
  for (uint64_t key = 0; key < 10'000; ++key) {
    BalanceInput in{true, key * 0x9e3779b97f4a7c15};
    before.push_back(t.pick(in));
    ++share[before.back()];
    CHECK(t.pick(in) == before.back());
  }
  CHECK(share.size() == 10);
  for (const auto& [name, n] : share) {
    INFO(name);
    CHECK(n > 500);
    CHECK(n < 1500);
  }
  t.all[3]->well = false;
  t.refresh();
  int moved = 0;
  for (uint64_t key = 0; key < 10'000; ++key) {
    std::string now = t.pick({true, key * 0x9e3779b97f4a7c15});
    CHECK(now != t.all[3]->name);
    if (now != before[key]) {
      ++moved;
      CHECK(before[key] == t.all[3]->name);  // only its own keys
    }
  }
  CHECK(moved == share[t.all[3]->name]);
}

TEST_CASE("a hash passes over a target with more than its part of the work", "[balancer]") {
  Targets t;
  t.config.by = By::kHash;
  for (const char* name : {"a", "b", "c", "d"}) t.add(name);
  t.ready();
  BalanceInput in{true, 42};
  std::string first = t.pick(in);
  for (auto& target : t.all) target->in_work = target->name == first ? 50 : 0;
  t.in_work = 50;
  CHECK(t.pick(in) != first);
  for (auto& target : t.all) target->in_work = 20;  // all the same: it is not overloaded
  t.in_work = 80;
  CHECK(t.pick(in) == first);
}

TEST_CASE("a cookie leads to its target as long as that is well", "[balancer]") {
  Targets t;
  t.config.by = By::kCookie;
  t.add("a");
  t.add("b");
  t.ready();
  BalanceInput in{true, t.all[1]->id};
  CHECK(t.picks(10, in) == std::map<std::string, int>{{"b", 10}});
  t.all[1]->well = false;
  t.refresh();
  CHECK(t.pick(in) == "a");
  CHECK(t.pick({true, 12345}) == "a");  // nobody's
}

TEST_CASE("a lower priority gets what the higher cannot take", "[balancer]") {
  Targets t;
  for (int i = 0; i < 4; ++i) t.add("first" + std::to_string(i));
  t.add("second", 1, "", 1);
  t.ready();
  CHECK(t.picks(1000).count("second") == 0);
  t.all[0]->well = false;  // 3 of 4, with 1.4: still enough
  t.refresh();
  CHECK(t.picks(1000).count("second") == 0);
  t.all[1]->well = t.all[2]->well = false;  // 1 of 4: 35 %
  t.refresh();
  CHECK(near(t.picks(10'000)["first3"], 10'000, 0.35));
  t.all[3]->well = false;
  t.refresh();
  CHECK(t.picks(100) == std::map<std::string, int>{{"second", 100}});
  t.all[4]->well = false;
  t.refresh();
  CHECK(t.pick().empty());
}

TEST_CASE("with too few targets well, health is ignored where the threshold says so", "[balancer]") {
  Targets t;
  t.config.panic_threshold_ppm = 500'000;
  for (const char* name : {"a", "b", "c"}) t.add(name);
  t.ready();
  t.all[0]->well = false;
  t.refresh();
  CHECK_FALSE(t.balancer.panicking());
  CHECK(t.picks(100).count("a") == 0);
  t.all[1]->well = false;
  t.refresh();
  CHECK(t.balancer.panicking());
  CHECK(t.picks(300) == std::map<std::string, int>{{"a", 100}, {"b", 100}, {"c", 100}});
  t.config.panic_threshold_ppm = 0;
  t.refresh();
  CHECK(t.picks(100) == std::map<std::string, int>{{"c", 100}});
}

TEST_CASE("zones keep their own requests as far as their capacity reaches, and overrun nobody", "[balancer]") {
  Targets t;
  t.config.zone_aware = true;
  t.own_zone = "z1";
  SECTION("even zones: all stays") {
    for (const char* zone : {"z1", "z2", "z3"}) t.add(zone, 1, zone);
    t.ready();
    CHECK(t.picks(1000) == std::map<std::string, int>{{"z1", 1000}});
  }
  SECTION("a small zone sends on what it cannot take, to where there is room") {
    t.add("z1", 1, "z1");
    t.add("z2", 4, "z2");
    t.add("z3", 1, "z3");
    t.ready();
    auto got = t.picks(10'000);
    CHECK(near(got["z1"], 10'000, 0.5));  // 1 of 6 of the capacity, times three zones
    CHECK(near(got["z2"], 10'000, 0.5));
    CHECK(got.count("z3") == 0);          // as small as ours: it has no room
  }
  SECTION("without targets of its own a zone uses all") {
    t.add("z2", 1, "z2");
    t.add("z3", 1, "z3");
    t.ready();
    CHECK(t.picks(1000) == std::map<std::string, int>{{"z2", 500}, {"z3", 500}});
  }
  SECTION("a zone whose targets are not well spills over") {
    t.add("z1", 1, "z1").well = false;
    t.add("z2", 1, "z2");
    t.ready();
    CHECK(t.picks(100) == std::map<std::string, int>{{"z2", 100}});
  }
}

TEST_CASE("a target in its slow start gets a growing share", "[balancer]") {
  Targets t;
  t.add("old");
  auto& fresh = t.add("fresh");
  fresh.ramp_from_ns = 0;
  fresh.ramp_until_ns = 1'000;
  t.ready(1);
  BalanceInput in;
  in.now_ns = 1;
  CHECK(t.picks(1100, in)["fresh"] == 100);  // a tenth of the other's
  in.now_ns = 500;
  CHECK(t.picks(1500, in)["fresh"] == 500);
  in.now_ns = 2'000;
  CHECK(t.picks(1000, in)["fresh"] == 500);
}

TEST_CASE("shares hold for any mix of weights", "[balancer]") {
  FastRandom random(3);
  for (int round = 0; round < 50; ++round) {
    Targets t;
    uint32_t total = 0;
    size_t n = 1 + random.below(12);
    for (size_t i = 0; i < n; ++i) {
      uint32_t weight = static_cast<uint32_t>(random.below(9));
      t.add("t" + std::to_string(i), weight);
      total += weight;
    }
    t.ready();
    if (total == 0) {
      CHECK(t.pick().empty());
      continue;
    }
    auto got = t.picks(static_cast<int>(total) * 10);
    for (auto& target : t.all) CHECK(got[target->name] == static_cast<int>(target->weight) * 10);
  }
}

}  // namespace
}  // namespace gw
