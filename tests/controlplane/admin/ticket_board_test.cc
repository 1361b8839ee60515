#include "controlplane/admin/ticket_board.h"

#include <catch2/catch.hpp>
#include <deque>

#include "common/base/status.h"
#include "dataplane/snapshot/tickets.h"
#include "controlplane/snapshot/compiler.h"
#include "tests/support/temp_dir.h"

using namespace gw;

namespace {

constexpr int64_t kStart = 1'800'000'000;

class PublishedTickets final : public Publisher {
 public:
  void publish(Publication publication) override {
    std::lock_guard lock(mutex);
    all.push_back(std::move(publication));
  }
  Publication last() {
    std::lock_guard lock(mutex);
    return all.back();
  }
  size_t count() {
    std::lock_guard lock(mutex);
    return all.size();
  }
  std::mutex mutex;
  std::deque<Publication> all;
};

struct TicketWorld {
  test::TempDir dir;
  ManualClock clock;
  std::unique_ptr<Database> db;
  std::unique_ptr<MasterKey> key;
  PublishedTickets published;
  std::unique_ptr<TicketBoard> board;

  TicketWorld() {
    at(0);
    db = *Database::create(dir.path() + "/state", clock);
    key = *MasterKey::create(dir.path() + "/master.key");
    begin();
  }
  void at(int64_t seconds) { clock.set_wall_ns((kStart + seconds) * 1'000'000'000); }
  void begin(int64_t every_s = TicketBoard::kEveryS) {
    board = std::make_unique<TicketBoard>(*db, *key, clock, every_s);
    REQUIRE(board->start(published).ok());
  }
  // As a node has them.
  std::shared_ptr<const TicketKeys> keys() {
    TicketKeysBuilder builder;
    Publication last = published.last();
    auto result = builder.prepare(whole_offer(v1::STREAM_TICKETS, *last.entries, last.version));
    REQUIRE(result.outcome == PrepareOutcome::kReady);
    return result.keys;
  }
};

}  // namespace

TEST_CASE("the first ticket key is good at once; the next is there a minute before it is used") {
  TicketWorld w;
  REQUIRE(w.keys()->keys().size() == 1);
  CHECK(w.keys()->sealing(kStart) != nullptr);
  const int64_t every = TicketBoard::kEveryS, ahead = TicketBoard::kAheadS;
  w.at(every - ahead - 1);
  REQUIRE(w.board->turn().ok());
  CHECK(w.keys()->keys().size() == 1);
  w.at(every - ahead);
  REQUIRE(w.board->turn().ok());
  REQUIRE(w.keys()->keys().size() == 2);
  auto keys = w.keys();
  CHECK(keys->keys()[0].not_before == kStart + every);
  CHECK(keys->sealing(kStart + every - 1)->not_before == kStart);
  CHECK(keys->sealing(kStart + every)->not_before == kStart + every);
  // What the first sealed at last is opened for a day after.
  CHECK(keys->keys()[1].not_after == kStart + every + 3 * every);
  CHECK(w.published.last().previous + 1 == w.published.last().version);
}

TEST_CASE("ticket keys outlive the control plane, and end") {
  TicketWorld w;
  std::string name = w.board->keys().at(0).name;
  uint64_t version = w.board->version();
  w.begin();
  CHECK(w.board->keys().at(0).name == name);
  CHECK(w.board->version() == version);
  CHECK(w.published.last().version == version);
  w.at(10 * 86'400);  // it was away for long
  w.begin();
  REQUIRE(w.board->keys().size() == 1);
  CHECK(w.board->keys().at(0).name != name);
  CHECK(w.keys()->sealing(kStart + 10 * 86'400) != nullptr);
  CHECK(w.board->version() == version + 1);
}

TEST_CASE("a control plane that was away for some hours makes a key ahead, and the old one goes on") {
  TicketWorld w;
  w.at(12 * 3600);
  w.begin();
  REQUIRE(w.board->keys().size() == 2);
  auto keys = w.keys();
  CHECK(keys->keys()[0].not_before == kStart + 12 * 3600 + TicketBoard::kAheadS);
  CHECK(keys->sealing(kStart + 12 * 3600)->not_before == kStart);
}

TEST_CASE("with a short period keys come half of it ahead, and few are kept") {
  TicketWorld w;
  w.begin(4);
  for (int64_t s = 0; s < 100; ++s) {
    w.at(s);
    REQUIRE(w.board->turn().ok());
    REQUIRE(w.keys()->sealing(kStart + s) != nullptr);
    CHECK(w.board->keys().size() <= 6);
  }
  CHECK(w.keys()->sealing(kStart + 99)->not_before >= kStart + 96);
}
