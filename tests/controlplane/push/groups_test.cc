#include "controlplane/push/groups.h"

#include <catch2/catch.hpp>

#include "common/base/random.h"
#include "push_support.h"

using namespace gw;
using namespace gw::push_test;

namespace {

constexpr EntryKey kGateway(uint64_t uid) { return {v1::ENTRY_GATEWAY, uid}; }
constexpr EntryKey kApi(uint64_t uid) { return {v1::ENTRY_API, uid}; }
constexpr EntryKey kRoute(uint64_t uid) { return {v1::ENTRY_ROUTE, uid}; }
constexpr EntryKey kUpstream(uint64_t uid) { return {v1::ENTRY_UPSTREAM, uid}; }
constexpr EntryKey kPolicy(uint64_t uid) { return {v1::ENTRY_POLICY, uid}; }
constexpr EntryKey kPlan(uint64_t uid) { return {v1::ENTRY_PLAN, uid}; }

std::set<EntryKey> keys(const EntryTable& table) {
  std::set<EntryKey> out;
  for (const auto& [key, e] : table) out.insert(key);
  return out;
}

// Two gateways: 1 on every node, 2 on nodes with tier=inner.
std::vector<EntryPtr> two_gateways() {
  return {gateway(1, {}, {kPolicy(50)}),
          gateway(2, {{"tier", "inner"}}),
          entry(v1::ENTRY_API, 11, "a", {kGateway(1)}),
          entry(v1::ENTRY_API, 12, "b", {kGateway(2), kPolicy(51)}),
          entry(v1::ENTRY_ROUTE, 21, "r", {kApi(11), kUpstream(31)}),
          entry(v1::ENTRY_ROUTE, 22, "s", {kApi(12), kUpstream(32)}),
          entry(v1::ENTRY_UPSTREAM, 31, "u"),
          entry(v1::ENTRY_UPSTREAM, 32, "v"),
          entry(v1::ENTRY_UPSTREAM, 33, "nobody's"),
          entry(v1::ENTRY_POLICY, 50, "p"),
          entry(v1::ENTRY_POLICY, 51, "q"),
          entry(v1::ENTRY_POLICY, 52, "of a plan"),
          entry(v1::ENTRY_PLAN, 41, "free", {kPolicy(52)})};
}

}  // namespace

TEST_CASE("a node holds its gateways and what they need") {
  Store store(v1::STREAM_CONFIG);
  store.change(two_gateways());
  std::set<EntryKey> outer = {kGateway(1), kApi(11), kRoute(21), kUpstream(31), kPolicy(50), kPolicy(52), kPlan(41)};
  CHECK(keys(member_table(store.entries(), {})) == outer);
  CHECK(keys(member_table(store.entries(), {{"tier", "edge"}})) == outer);
  std::set<EntryKey> inner = outer;
  inner.insert({kGateway(2), kApi(12), kRoute(22), kUpstream(32), kPolicy(51)});
  CHECK(keys(member_table(store.entries(), {{"tier", "inner"}, {"zone", "a"}})) == inner);
}

TEST_CASE("nodes that no selector tells apart share a group") {
  Store store(v1::STREAM_CONFIG);
  Groups groups(8);
  groups.publish(store.change(two_gateways()), {});
  auto a = groups.assign({{"tier", "edge"}, {"host", "a"}});
  auto b = groups.assign({{"tier", "edge"}, {"host", "b"}});
  auto c = groups.assign({{"tier", "inner"}, {"host", "a"}});
  CHECK(a == b);
  CHECK(a != c);
  b.reset();
  a.reset();
  groups.drop_unused();
  CHECK(groups.size() == 1);
}

TEST_CASE("a change reaches the groups that hold what it touches") {
  Store store(v1::STREAM_CONFIG);
  Groups groups(8);
  groups.publish(store.change(two_gateways()), {});
  std::vector<Labels> nodes = {{{"tier", "edge"}}, {{"tier", "inner"}}};
  auto edge = groups.assign(nodes[0]), inner = groups.assign(nodes[1]);

  groups.publish(store.change({entry(v1::ENTRY_ROUTE, 22, "changed", {kApi(12), kUpstream(33)})}), nodes);
  SetDelta d = inner->set().delta(1, 2);
  CHECK(d.upserts.size() == 2);  // the route, and the upstream that it now needs
  CHECK(d.removals == std::vector<EntryKey>{kUpstream(32)});
  d = edge->set().delta(1, 2);
  CHECK(d.base == 1);
  CHECK(d.upserts.empty());
  CHECK(d.removals.empty());
  CHECK(edge->set().latest() == 2);
}

TEST_CASE("a selector that changes moves entries in and out, as a delta") {
  Store store(v1::STREAM_CONFIG);
  Groups groups(8);
  groups.publish(store.change(two_gateways()), {});
  std::vector<Labels> nodes = {{{"tier", "edge"}, {"zone", "a"}}, {{"tier", "edge"}, {"zone", "b"}}};
  auto before = groups.assign(nodes[0]);
  CHECK(before == groups.assign(nodes[1]));
  // A label that no selector had mentioned: the group is split, and keeps its history.
  groups.publish(store.change({gateway(2, {{"zone", "b"}})}), nodes);
  auto a = groups.assign(nodes[0]), b = groups.assign(nodes[1]);
  CHECK(a != b);
  CHECK(a->set().delta(1, 2).upserts.empty());
  SetDelta d = b->set().delta(1, 2);
  CHECK(d.base == 1);
  CHECK(d.upserts.size() == 5);
  CHECK(keys(b->set().table()) == keys(member_table(store.entries(), nodes[1])));
}

TEST_CASE("a group that is new while a version is pending can give the active one and the pending one") {
  Store store(v1::STREAM_CONFIG);
  Groups groups(8);
  groups.publish(store.change(two_gateways()), {});
  groups.settle();
  groups.publish(store.change({entry(v1::ENTRY_UPSTREAM, 31, "moved")}, {kRoute(22)}), {});
  auto inner = groups.assign({{"tier", "inner"}});
  CHECK(inner->set().settled() == 1);
  CHECK(inner->set().latest() == 2);
  CHECK(inner->set().whole(1).upserts.size() == 12);
  SetDelta d = inner->set().delta(1, 2);
  CHECK(d.upserts.size() == 1);
  CHECK(d.removals == std::vector<EntryKey>{kRoute(22), kUpstream(32)});
}

TEST_CASE("what groups hold step by step is what they would hold if built at once") {
  FastRandom random(42);
  Store store(v1::STREAM_CONFIG);
  Groups groups(500);
  groups.publish(store.change(two_gateways()), {});
  std::vector<Labels> nodes = {{}, {{"tier", "edge"}}, {{"tier", "inner"}}, {{"tier", "inner"}, {"zone", "a"}}, {{"zone", "b"}}};
  std::vector<std::shared_ptr<Group>> held(nodes.size());
  for (size_t i = 0; i < nodes.size(); ++i) held[i] = groups.assign(nodes[i]);

  auto pick = [&](uint64_t base, uint64_t n) { return base + random.below(n); };
  for (int step = 0; step < 400; ++step) {
    std::vector<EntryPtr> upserts;
    std::vector<EntryKey> removals;
    uint64_t what = random.below(8);
    std::string bytes = std::to_string(step);
    if (what == 0) {
      std::vector<std::pair<std::string, std::string>> labels;
      if (random.below(2)) labels.push_back({"tier", random.below(2) ? "inner" : "edge"});
      if (random.below(3) == 0) labels.push_back({"zone", random.below(2) ? "a" : "b"});
      upserts.push_back(gateway(pick(1, 3), labels, {kPolicy(pick(50, 4))}));
    } else if (what <= 2) {
      upserts.push_back(entry(v1::ENTRY_API, pick(11, 4), bytes, {kGateway(pick(1, 3)), kGateway(pick(1, 3)), kPolicy(pick(50, 4))}));
    } else if (what <= 4) {
      upserts.push_back(entry(v1::ENTRY_ROUTE, pick(21, 8), bytes, {kApi(pick(11, 4)), kUpstream(pick(31, 5))}));
    } else if (what == 5) {
      upserts.push_back(entry(v1::ENTRY_UPSTREAM, pick(31, 5), bytes));
      upserts.push_back(entry(v1::ENTRY_POLICY, pick(50, 4), bytes));
    } else {
      const EntryKey candidates[] = {kApi(pick(11, 4)), kRoute(pick(21, 8)), kGateway(pick(1, 3)), kPlan(41)};
      EntryKey key = candidates[random.below(4)];
      if (store.entries().count(key) == 0) continue;
      removals.push_back(key);
    }
    groups.publish(store.change(upserts, removals), nodes);
    for (size_t i = 0; i < nodes.size(); ++i) {
      held[i] = groups.assign(nodes[i]);
      INFO("step " << step << " node " << i);
      REQUIRE(held[i]->set().table() == member_table(store.entries(), nodes[i]));
      Digest sum{};
      for (const auto& [key, e] : held[i]->set().table()) add(sum, e->hash);
      REQUIRE(held[i]->set().digest() == sum);
    }
  }
  CHECK(held[0]->set().holds(2));  // all of it as steps from the start, over splits
}
