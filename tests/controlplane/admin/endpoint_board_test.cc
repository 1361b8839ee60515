#include "controlplane/admin/endpoint_board.h"

#include <catch2/catch.hpp>
#include <deque>
#include <set>

#include "common/base/status.h"
#include "controlplane/snapshot/compiler.h"
#include "dataplane/snapshot/endpoints.h"
#include "tests/support/temp_dir.h"

using namespace gw;

namespace {

class EndpointsPublished final : public Publisher {
 public:
  void publish(Publication publication) override { all.push_back(std::move(publication)); }
  std::deque<Publication> all;
};

struct EndpointWorld {
  test::TempDir dir;
  ManualClock clock;
  std::unique_ptr<Database> db;
  EndpointsPublished published;
  std::unique_ptr<EndpointBoard> board;
  std::set<uint64_t> upstreams{1, 2};

  EndpointWorld() {
    clock.set_wall_ns(INT64_C(1'800'000'000'000'000'000));
    auto made = Database::create(dir.path() + "/state", clock);
    INFO(message_of(made.status()));
    REQUIRE(made.ok());
    db = *std::move(made);
    begin();
  }
  EndpointBoard::Exists exists() {
    return [this](uint64_t uid) { return upstreams.contains(uid); };
  }
  void begin() {
    board = std::make_unique<EndpointBoard>(*db, clock);
    REQUIRE(board->start(published, exists()).ok());
  }
  absl::StatusOr<EndpointBoard::Outcome> change(v1::EndpointChange kind, std::vector<std::string> addresses, uint64_t upstream = 1,
                                                int64_t expires_at = 0, int weight = 1) {
    EndpointBoard::Change c;
    c.kind = kind;
    c.upstream = upstream;
    c.name = "platform/u" + std::to_string(upstream);
    c.max = 3;
    c.actor = "ci@platform";
    for (const std::string& a : addresses) {
      EndpointRow row;
      row.address = a;
      row.expires_at = expires_at;
      row.weight = weight;
      c.targets.push_back(row);
    }
    return board->change(c);
  }
  std::vector<std::string> addresses(uint64_t upstream = 0) {
    std::vector<std::string> out;
    for (const EndpointRow& row : board->all(upstream)) out.push_back(row.address);
    return out;
  }
};

using Addresses = std::vector<std::string>;

}  // namespace

TEST_CASE("endpoints are added, changed, set and removed, each in one version with its difference", "[endpoints]") {
  EndpointWorld w;
  CHECK(w.published.all.back().stream == v1::STREAM_ENDPOINTS);
  CHECK(w.published.all.back().version == 1);
  auto added = w.change(v1::ENDPOINT_ADD, {"a:1", "b:1"});
  REQUIRE(added.ok());
  CHECK(added->added == 2);
  CHECK(added->version == 2);
  CHECK(w.published.all.back().previous == 1);
  CHECK(w.published.all.back().upserts.size() == 2);
  auto again = w.change(v1::ENDPOINT_ADD, {"a:1"});
  CHECK(again->added + again->changed == 0);
  CHECK(again->version == 2);
  CHECK(w.change(v1::ENDPOINT_ADD, {"a:1"}, 1, 0, 5)->changed == 1);
  auto set = w.change(v1::ENDPOINT_SET, {"b:1", "c:1"});
  CHECK(set->added == 1);
  CHECK(set->removed == 1);
  CHECK(w.published.all.back().removals.size() == 1);
  CHECK(w.addresses() == Addresses{"b:1", "c:1"});
  w.change(v1::ENDPOINT_ADD, {"z:1"}, 2).value();
  CHECK(w.change(v1::ENDPOINT_SET, {})->removed == 2);
  CHECK(w.addresses() == Addresses{"z:1"});
  CHECK(w.change(v1::ENDPOINT_REMOVE, {"z:1"}, 2)->removed == 1);
  CHECK(w.board->all().empty());
}

TEST_CASE("what cannot be done changes nothing", "[endpoints]") {
  EndpointWorld w;
  w.change(v1::ENDPOINT_ADD, {"a:1"}).value();
  size_t versions = w.published.all.size();
  CHECK(w.change(v1::ENDPOINT_REMOVE, {"a:1", "b:1"}).status().code() == absl::StatusCode::kNotFound);
  CHECK(w.change(v1::ENDPOINT_ADD, {"b:1", "c:1", "d:1"}).status().code() == absl::StatusCode::kResourceExhausted);
  CHECK(w.change(v1::ENDPOINT_SET, {"b:1", "b:1"}).status().code() == absl::StatusCode::kInvalidArgument);
  CHECK(w.addresses() == Addresses{"a:1"});
  CHECK(w.published.all.size() == versions);
  // In place of others there is room.
  CHECK(w.change(v1::ENDPOINT_SET, {"b:1", "c:1", "d:1"}).ok());
}

TEST_CASE("endpoints outlive a restart; those that have run out or lost their Upstream go", "[endpoints]") {
  EndpointWorld w;
  w.change(v1::ENDPOINT_ADD, {"a:1"}, 1, 1'800'000'010).value();
  w.change(v1::ENDPOINT_ADD, {"b:1"}, 1).value();
  w.change(v1::ENDPOINT_ADD, {"c:1"}, 2).value();
  w.begin();
  CHECK(w.board->version() == 4);
  CHECK(w.addresses() == Addresses{"a:1", "b:1", "c:1"});
  CHECK(w.published.all.back().previous == 0);
  CHECK(w.published.all.back().entries->size() == 3);
  w.clock.set_wall_ns(INT64_C(1'800'000'010'000'000'000));
  CHECK(w.addresses() == Addresses{"b:1", "c:1"});
  w.change(v1::ENDPOINT_ADD, {"d:1"}).value();
  CHECK(w.published.all.back().entries->size() == 3);
  w.upstreams.erase(2);
  REQUIRE(w.board->forget_gone(w.exists()).ok());
  CHECK(w.addresses() == Addresses{"b:1", "d:1"});
  w.upstreams.clear();
  w.begin();
  CHECK(w.board->all().empty());
}

TEST_CASE("nodes can read what the board makes", "[endpoints]") {
  EndpointWorld w;
  w.change(v1::ENDPOINT_ADD, {"10.0.0.1:80", "[2001:db8::1]:81"}, 1, 1'900'000'000, 0).value();
  EndpointsBuilder builder;
  auto built = builder.prepare(whole_offer(v1::STREAM_ENDPOINTS, *w.published.all.back().entries, 2));
  REQUIRE(built.endpoints);
  REQUIRE(built.endpoints->of(1).size() == 2);
  CHECK(built.endpoints->of(1)[0].target.authority == "10.0.0.1:80");
  CHECK(built.endpoints->of(1)[0].target.weight == 0);
  CHECK(built.endpoints->of(1)[1].target.authority == "[2001:db8::1]:81");
  CHECK(built.endpoints->of(1)[1].expires_at == 1'900'000'000);
}
