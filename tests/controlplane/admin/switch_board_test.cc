#include "controlplane/admin/switch_board.h"

#include <catch2/catch.hpp>
#include <deque>

#include "common/base/status.h"
#include "tests/support/temp_dir.h"

using namespace gw;

namespace {

class Published final : public Publisher {
 public:
  void publish(Publication publication) override { all.push_back(std::move(publication)); }
  std::deque<Publication> all;
};

SwitchRow block(const std::string& cidr, int64_t expires_at = 0) {
  SwitchRow row;
  row.kind = v1::SWITCH_BLOCK;
  row.name = cidr;
  row.actor = "alice@platform";
  row.expires_at = expires_at;
  return row;
}

SwitchRow api(uint64_t uid, const std::string& message = {}) {
  SwitchRow row;
  row.kind = v1::SWITCH_API;
  row.name = "platform/api";
  row.object = uid;
  row.message = message;
  row.actor = "alice@platform";
  return row;
}

struct World {
  test::TempDir dir;
  ManualClock clock;
  std::unique_ptr<Database> db;
  Published published;
  std::unique_ptr<SwitchBoard> board;

  World() {
    clock.set_wall_ns(INT64_C(1'800'000'000'000'000'000));
    auto made = Database::create(dir.path() + "/state", clock);
    INFO(message_of(made.status()));
    REQUIRE(made.ok());
    db = *std::move(made);
    begin();
  }
  void begin() {
    board = std::make_unique<SwitchBoard>(*db, clock);
    REQUIRE(board->start(published).ok());
  }
  SwitchBoard::Change put(SwitchRow row) {
    auto change = board->put(std::move(row));
    INFO(message_of(change.status()));
    REQUIRE(change.ok());
    return *change;
  }
  std::vector<std::string> audit() {
    std::vector<std::string> out;
    REQUIRE(db->read([&](Connection& c) {
                return c.query("SELECT actor, action, object, detail FROM audit ORDER BY id", {}, [&](const Row& row) {
                  out.push_back(row.text(0) + "|" + row.text(1) + "|" + row.text(2) + "|" + row.text(3));
                  return absl::OkStatus();
                });
              }).ok());
    return out;
  }
};

}  // namespace

TEST_CASE("a stop is stored, published as a step and audited") {
  World w;
  REQUIRE(w.published.all.size() == 1);  // an empty set: nodes of another life let go of what they have
  CHECK(w.published.all[0].version == 1);
  CHECK(w.published.all[0].entries->empty());
  auto change = w.put(api(5, "on fire"));
  CHECK(change.changed);
  CHECK(change.version == 2);
  CHECK(change.row.since == 1'800'000'000);
  const Publication& p = w.published.all.back();
  CHECK(p.stream == v1::STREAM_SWITCHES);
  CHECK(p.previous == 1);
  REQUIRE(p.upserts.size() == 1);
  CHECK(p.upserts[0]->key == EntryKey{v1::ENTRY_API_SWITCH, 5});
  CHECK(w.audit() == std::vector<std::string>{"alice@platform|disable api|Api platform/api|on fire"});
  CHECK(w.board->view()->disabled(5));

  SECTION("the same again is no change") {
    CHECK_FALSE(w.put(api(5, "on fire")).changed);
    CHECK(w.published.all.size() == 2);
    CHECK(w.put(api(5, "still on fire")).version == 3);
    CHECK(w.board->all().size() == 1);
  }
  SECTION("it outlives the process, with its version and digest") {
    w.begin();
    const Publication& again = w.published.all.back();
    CHECK(again.version == 2);
    CHECK(again.previous == 0);
    REQUIRE(again.entries->size() == 1);
    CHECK(again.entries->begin()->second->hash == p.entries->begin()->second->hash);
    CHECK(w.board->all()[0].message == "on fire");
    CHECK(w.board->all()[0].actor == "alice@platform");
  }
  SECTION("taking it back says who") {
    auto back = w.board->remove(v1::SWITCH_API, "platform/api", "", "bob", "put out");
    REQUIRE(back.ok());
    CHECK(back->changed);
    CHECK(w.published.all.back().removals == std::vector<EntryKey>{{v1::ENTRY_API_SWITCH, 5}});
    CHECK(w.audit().back() == "bob|enable api|Api platform/api|put out");
    CHECK_FALSE(w.board->remove(v1::SWITCH_API, "platform/api", "", "bob", "")->changed);
    CHECK_FALSE(w.board->view()->any());
  }
  SECTION("an Api of the same name that was made anew takes its place") {
    w.put(api(6));
    CHECK(w.board->all().size() == 1);
    CHECK_FALSE(w.board->view()->disabled(5));
    CHECK(w.board->view()->disabled(6));
    w.begin();
    CHECK(w.board->view()->disabled(6));
  }
}

TEST_CASE("what has run out is gone, and leaves with the next change") {
  World w;
  w.put(block("192.0.2.0/24", 1'800'000'060));
  w.put(block("198.51.100.7/32"));
  CHECK(w.board->all().size() == 2);
  w.clock.set_wall_ns(INT64_C(1'800'000'060'000'000'000));
  REQUIRE(w.board->all().size() == 1);
  CHECK(w.board->all()[0].name == "198.51.100.7/32");
  CHECK(w.published.all.back().entries->size() == 2);  // nodes have seen to it themselves
  CHECK_FALSE(w.board->remove(v1::SWITCH_BLOCK, "192.0.2.0/24", "", "bob", "")->changed);
  w.put(block("203.0.113.0/24"));
  CHECK(w.published.all.back().entries->size() == 2);
  CHECK(w.published.all.back().removals.size() == 1);
  CHECK(w.put(block("192.0.2.0/24", 1'800'000'120)).changed);
  w.begin();
  CHECK(w.board->all().size() == 3);
}

TEST_CASE("there is a most of each kind, which leaves the others alone") {
  World w;
  REQUIRE(w.db->write([&](Connection& db) -> absl::Status {
              for (uint64_t i = 0; i < Switches::kMaxOfKind; ++i) {
                SwitchRow row = block("10.0." + std::to_string(i / 256) + "." + std::to_string(i % 256) + "/32");
                row.uid = i + 100;
                row.body = "\n\x0b" "10.0.0.0/32";
                GW_RETURN_IF_ERROR(put_switch(db, row));
              }
              return set_switches_version(db, 7);
            }).ok());
  w.begin();
  CHECK(w.board->version() == 7);
  auto more = w.board->put(block("203.0.113.0/24"));
  CHECK(more.status().code() == absl::StatusCode::kResourceExhausted);
  CHECK(w.board->version() == 7);
  CHECK(w.put(block("10.0.0.1/32", 1'900'000'000)).changed);  // another end of one that is there
  CHECK(w.put(api(5)).changed);
  REQUIRE(w.board->remove(v1::SWITCH_BLOCK, "10.0.0.2/32", "", "bob", "").ok());
  CHECK(w.put(block("203.0.113.0/24")).changed);
}
