#include "dataplane/snapshot/persistent_map.h"

#include <catch2/catch.hpp>
#include <map>

#include "common/base/random.h"

namespace {
struct Item {
  uint64_t uid;
  int value;
};
auto same(uint64_t uid) {
  return [uid](const Item& i) { return i.uid == uid; };
}
}  // namespace

TEST_CASE("every version of a map keeps what it had, whatever later ones change") {
  gw::FastRandom random(5);
  gw::PersistentMap<Item> now;
  std::map<uint64_t, int> model;
  std::vector<std::pair<gw::PersistentMap<Item>, std::map<uint64_t, int>>> versions;
  for (int round = 0; round < 60; ++round) {
    gw::PersistentMap<Item> next(now);
    for (int i = 0; i < 40; ++i) {
      uint64_t uid = random.below(300);
      // Several uids share a hash, so that equal hashes are met.
      if (random.below(3) == 0) {
        CHECK(next.erase(uid / 3, same(uid)) == (model.erase(uid) == 1));
      } else {
        next.put(uid / 3, std::make_shared<Item>(Item{uid, round}), same(uid));
        model[uid] = round;
      }
    }
    versions.emplace_back(next, model);
    now = std::move(next);
  }
  for (const auto& [map, expected] : versions) {
    CHECK(map.size() == expected.size());
    bool equal = true;
    for (uint64_t uid = 0; uid < 300; ++uid) {
      const auto* found = map.find(uid / 3, same(uid));
      auto at = expected.find(uid);
      equal = equal && (found ? at != expected.end() && (*found)->value == at->second : at == expected.end());
    }
    CHECK(equal);
  }
}

TEST_CASE("a change of one key shares all others") {
  gw::PersistentMap<Item> a;
  for (uint64_t i = 0; i < 100000; ++i) a.put(i, std::make_shared<Item>(Item{i, 0}), same(i));
  gw::PersistentMap<Item> b(a);
  b.put(5, std::make_shared<Item>(Item{5, 1}), same(5));
  CHECK((*a.find(5, same(5)))->value == 0);
  CHECK((*b.find(5, same(5)))->value == 1);
  CHECK(a.find(7, same(7))->get() == b.find(7, same(7))->get());
  // One leaf of 4,096 was copied: nearly every record is found in the very same place.
  size_t shared = 0;
  for (uint64_t i = 0; i < 1000; ++i) shared += a.find(i, same(i)) == b.find(i, same(i));
  CHECK(shared > 990);
}
