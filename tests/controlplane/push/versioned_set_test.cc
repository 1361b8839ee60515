#include "controlplane/push/versioned_set.h"

#include <catch2/catch.hpp>

#include "common/crypto/digest_sum.h"
#include "push_support.h"

using namespace gw;
using namespace gw::push_test;

namespace {

// What a node has after it took `delta`.
EntryTable taken(EntryTable table, const SetDelta& delta) {
  if (delta.base == 0) table.clear();
  for (const EntryKey& key : delta.removals) table.erase(key);
  for (const EntryPtr& e : delta.upserts) table[e->key] = e;
  return table;
}

Digest digest_of(const EntryTable& table) {
  Digest out{};
  for (const auto& [key, e] : table) add(out, e->hash);
  return out;
}

}  // namespace

TEST_CASE("a delta between any two remembered versions leads from one to the other") {
  VersionedSet set(8);
  EntryTable table;
  for (uint64_t uid = 1; uid <= 20; ++uid) table[{v1::ENTRY_ROUTE, uid}] = entry(v1::ENTRY_ROUTE, uid, "v1");
  set.reset(1, table);
  std::map<uint64_t, EntryTable> states{{1, set.table()}};
  for (uint64_t v = 2; v <= 8; ++v) {
    set.apply(v, {entry(v1::ENTRY_ROUTE, v, "v" + std::to_string(v)), entry(v1::ENTRY_ROUTE, 100 + v, "new")},
              {{v1::ENTRY_ROUTE, v + 10}});
    states[v] = set.table();
  }
  for (uint64_t from = 1; from <= 8; ++from) {
    for (uint64_t to = from; to <= 8; ++to) {
      SetDelta d = set.delta(from, to);
      CHECK(d.base == from);
      EntryTable got = taken(states[from], d);
      CHECK(got == states[to]);
      CHECK(d.digest == digest_of(got));
      CHECK(d.upserts.size() + d.removals.size() <= 3 * (to - from));
    }
  }
}

TEST_CASE("what is set back is in no delta twice") {
  VersionedSet set;
  set.reset(1, {});
  EntryPtr e = entry(v1::ENTRY_ROUTE, 1, "a");
  set.apply(2, {e}, {});
  set.apply(3, {}, {e->key});
  set.apply(4, {e}, {});
  SetDelta d = set.delta(1, 4);
  CHECK(d.upserts.size() == 1);
  CHECK(d.removals.empty());
}

TEST_CASE("from a version that is not remembered, or newer, the whole is sent") {
  VersionedSet set(2);
  set.reset(1, {{{v1::ENTRY_ROUTE, 1}, entry(v1::ENTRY_ROUTE, 1, "a")}});
  for (uint64_t v = 2; v <= 5; ++v) {
    set.apply(v, {entry(v1::ENTRY_ROUTE, v, "x")}, {});
    set.settle(v);
  }
  CHECK_FALSE(set.holds(1));
  CHECK(set.holds(3));
  CHECK(set.delta(1, 5).base == 0);
  CHECK(set.delta(1, 5).upserts.size() == 5);
  CHECK(set.delta(4, 5).base == 4);
  CHECK(set.delta(5, 4).base == 0);
}

TEST_CASE("a position counts only with its digest") {
  VersionedSet set;
  set.reset(7, {{{v1::ENTRY_ROUTE, 1}, entry(v1::ENTRY_ROUTE, 1, "a")}});
  CHECK(set.holds(7, set.digest()));
  Digest other = set.digest();
  other[0] ^= 1;
  CHECK_FALSE(set.holds(7, other));
  CHECK_FALSE(set.holds(6, set.digest()));
}

TEST_CASE("the whole of the settled version can be made while newer ones wait") {
  VersionedSet set(3);
  set.reset(1, {{{v1::ENTRY_ROUTE, 1}, entry(v1::ENTRY_ROUTE, 1, "a")}});
  // Versions that never became active: more than are remembered.
  for (uint64_t v = 2; v <= 9; ++v) set.apply(v, {entry(v1::ENTRY_ROUTE, v, "x")}, {});
  SetDelta d = set.whole(1);
  CHECK(d.upserts.size() == 1);
  CHECK(d.digest == d.upserts[0]->hash);
  CHECK(set.holds(1));
  CHECK(set.delta(1, 9).base == 1);
  CHECK(set.delta(1, 9).upserts.size() == 8);
  set.settle(9);
  CHECK(set.whole(9).upserts.size() == 9);
}
