#include "controlplane/push/push_core.h"

#include <catch2/catch.hpp>
#include <optional>

#include "controlplane/snapshot/certificate_needs.h"
#include "dataplane/snapshot/entry.h"
#include "push_support.h"

using namespace gw;
using namespace gw::push_test;

namespace {

constexpr Lineage kLineage = {7};

class Log final : public RolloutLog {
 public:
  void node_state(NodeStateRecord record) override { states.push_back(std::move(record)); }
  void phase(uint64_t version, std::string phase) override { phases.push_back(std::to_string(version) + " " + phase); }
  std::vector<NodeStateRecord> states;
  std::vector<std::string> phases;
};

// A node at the end of a link: takes what it is sent as a real one would, and says what the test tells it to.
class Node final : public NodeLink, public std::enable_shared_from_this<Node> {
 public:
  void send(std::vector<Frame> frames) override {
    for (const Frame& frame : frames) {
      v1::ToNode message;
      REQUIRE(message.ParseFromString(*frame));
      if (message.has_chunk()) {
        ++chunks;
        CHECK(message.chunk().data().size() <= 512 * 1024);
        incoming += message.chunk().data();
        if (!message.chunk().last()) continue;
        v1::Offer offer;
        REQUIRE(offer.ParseFromString(incoming));
        bytes.push_back(incoming.size());
        incoming.clear();
        offers.push_back(std::move(offer));
      } else {
        if (message.has_welcome()) ++welcomes;
        if (message.has_lease()) ++leases;
        if (message.has_activate()) activated.push_back(message.activate().version());
        if (message.has_abort()) aborted.push_back(message.abort().version());
      }
    }
  }
  void close(absl::Status status) override { closed = std::move(status); }

  const v1::Offer* last(v1::Stream stream) const {
    for (auto at = offers.rbegin(); at != offers.rend(); ++at) {
      if (at->stream() == stream) return &*at;
    }
    return nullptr;
  }

  std::string incoming;
  std::vector<v1::Offer> offers;
  std::vector<size_t> bytes;
  std::vector<uint64_t> activated, aborted;
  int chunks = 0, welcomes = 0, leases = 0;
  std::optional<absl::Status> closed;
};

struct World {
  ManualClock clock;
  Log log;
  ConfigPushOptions options;
  Store config{v1::STREAM_CONFIG, kLineage}, directory{v1::STREAM_DIRECTORY, kLineage}, quota{v1::STREAM_QUOTA, kLineage};
  std::optional<PushCore> core;

  World() {
    options.lineage = kLineage;
    options.clock = &clock;
    core.emplace(options, log);
  }
  std::shared_ptr<Node> connect(const std::string& name, std::vector<v1::StreamPosition> have = {},
                                std::vector<std::string> capabilities = {"a", "b"}, Labels labels = {}) {
    auto node = std::make_shared<Node>();
    core->opened(node);
    core->admitted(node, NodeIdentity{name, "", 0});
    v1::FromNode from;
    v1::Hello& hello = *from.mutable_hello();
    hello.set_node(name);
    hello.set_zone("az-a");
    for (auto& p : have) *hello.add_have() = p;
    for (auto& c : capabilities) hello.add_capabilities(c);
    for (auto& [k, v] : labels) {
      v1::Pair& pair = *hello.add_labels();
      pair.set_name(k);
      pair.set_value(v);
    }
    core->received(node, from, nullptr);
    return node;
  }
  void ack(const std::shared_ptr<Node>& node, v1::Stream stream, uint64_t version, v1::NodeState state) {
    v1::FromNode from;
    from.mutable_ack()->set_stream(stream);
    from.mutable_ack()->set_version(version);
    from.mutable_ack()->set_state(state);
    core->received(node, from, nullptr);
  }
  void ack(const std::shared_ptr<Node>& node, uint64_t version, v1::NodeState state) {
    ack(node, v1::STREAM_CONFIG, version, state);
  }
  void heartbeat(const std::shared_ptr<Node>& node) {
    v1::FromNode from;
    from.mutable_heartbeat();
    core->received(node, from, nullptr);
  }
  v1::NodeInfo info(const std::string& name) const {
    for (const v1::NodeInfo& info : core->nodes()) {
      if (info.node() == name) return info;
    }
    FAIL("no node " << name);
    return {};
  }
  // A config of a gateway and `routes` routes of about 1 KiB.
  std::vector<EntryPtr> routes(int n) {
    std::vector<EntryPtr> out = {gateway(1, {}), entry(v1::ENTRY_API, 2, "api", {{v1::ENTRY_GATEWAY, 1}})};
    for (int i = 0; i < n; ++i) out.push_back(route(100 + static_cast<uint64_t>(i), 'x'));
    return out;
  }
  static EntryPtr route(uint64_t uid, char fill) {
    return entry(v1::ENTRY_ROUTE, uid, std::string(1000, fill), {{v1::ENTRY_API, 2}});
  }
};

v1::StreamPosition at(const v1::Offer& offer) {
  v1::StreamPosition out;
  out.set_stream(offer.stream());
  out.set_lineage(offer.lineage());
  out.set_version(offer.version());
  out.set_digest(offer.digest());
  return out;
}

}  // namespace

TEST_CASE("a delta sends what changed, and the counter of bytes shows it") {
  World w;
  auto n1 = w.connect("n1");
  w.core->publish(w.config.change(w.routes(2000)));
  w.ack(n1, 1, v1::BUILT);
  w.ack(n1, 1, v1::ACTIVE);
  uint64_t whole = w.info("n1").config_bytes_pushed();
  CHECK(whole > 2'000'000);
  CHECK(n1->chunks > 4);
  CHECK(w.info("n1").offers_whole() == 1);

  w.core->publish(w.config.change({World::route(100, 'y')}));
  uint64_t delta = w.info("n1").config_bytes_pushed() - whole;
  CHECK(delta > 1000);
  CHECK(delta < 2000);
  CHECK(w.info("n1").offers_delta() == 1);
  const v1::Offer& offer = *n1->last(v1::STREAM_CONFIG);
  CHECK(offer.base() == 1);
  CHECK(offer.upserts_size() == 1);
}

TEST_CASE("offers lead a node's own set of entries to the promised digest") {
  World w;
  auto n1 = w.connect("n1");
  EntrySet set;
  size_t taken = 0;
  auto take = [&] {
    for (; taken < n1->offers.size(); ++taken) {
      if (n1->offers[taken].stream() != v1::STREAM_CONFIG) continue;
      EntrySet::Delta delta;
      StreamState state;
      DiagnosticList why;
      REQUIRE(set.prepare(n1->offers[taken], delta, state, why) == PrepareOutcome::kReady);
      w.ack(n1, n1->offers[taken].version(), v1::BUILT);
      REQUIRE(n1->activated.back() == n1->offers[taken].version());
      set.commit(std::move(delta), state);
      w.ack(n1, n1->offers[taken].version(), v1::ACTIVE);
    }
  };
  w.core->publish(w.config.change(w.routes(10)));
  take();
  w.core->publish(w.config.change({World::route(100, 'y')}, {{v1::ENTRY_ROUTE, 101}}));
  take();
  w.core->publish(w.config.change({}, {{v1::ENTRY_ROUTE, 102}}));
  take();
  CHECK(set.entries().size() == 10);
  CHECK(set.state().version == 3);
}

TEST_CASE("a refused version leaves the next delta starting from the active one") {
  World w;
  auto n1 = w.connect("n1");
  w.core->publish(w.config.change(w.routes(3)));
  w.ack(n1, 1, v1::BUILT);
  w.ack(n1, 1, v1::ACTIVE);
  w.core->publish(w.config.change({World::route(100, 'y')}));
  w.ack(n1, 2, v1::REFUSED);
  CHECK(n1->aborted == std::vector<uint64_t>{2});
  w.core->publish(w.config.change({World::route(101, 'z')}));
  const v1::Offer& offer = *n1->last(v1::STREAM_CONFIG);
  CHECK(offer.version() == 3);
  CHECK(offer.base() == 1);
  CHECK(offer.upserts_size() == 2);
}

TEST_CASE("what waits and is overtaken is never offered") {
  World w;
  auto n1 = w.connect("n1");
  w.core->publish(w.config.change(w.routes(3)));
  for (int i = 0; i < 5; ++i) w.core->publish(w.config.change({World::route(100, static_cast<char>('a' + i))}));
  w.ack(n1, 1, v1::BUILT);
  const v1::Offer& offer = *n1->last(v1::STREAM_CONFIG);
  CHECK(offer.version() == 6);
  CHECK(offer.base() == 1);
  CHECK(offer.upserts_size() == 1);
  CHECK(w.log.phases == std::vector<std::string>{"1 offered", "2 offered", "2 superseded", "3 offered", "3 superseded",
                                                "4 offered", "4 superseded", "5 offered", "5 superseded", "6 offered",
                                                "1 activating", "6 offered"});
}

TEST_CASE("all nodes of a group get the same bytes") {
  World w;
  auto n1 = w.connect("n1"), n2 = w.connect("n2");
  w.core->publish(w.config.change(w.routes(3)));
  CHECK(n1->last(v1::STREAM_CONFIG)->SerializeAsString() == n2->last(v1::STREAM_CONFIG)->SerializeAsString());
}

TEST_CASE("a node that comes back gets a delta from what it has, of another lineage the whole") {
  World w;
  auto n1 = w.connect("n1");
  w.core->publish(w.config.change(w.routes(3)));
  w.ack(n1, 1, v1::BUILT);
  w.ack(n1, 1, v1::ACTIVE);
  v1::StreamPosition position = at(*n1->last(v1::STREAM_CONFIG));
  w.core->closed(n1);
  auto other = w.connect("n2");
  w.core->publish(w.config.change({World::route(100, 'y')}));

  SECTION("delta") {
    auto again = w.connect("n1", {position});
    CHECK(again->last(v1::STREAM_CONFIG)->version() == 2);
    CHECK(again->last(v1::STREAM_CONFIG)->base() == 1);
    CHECK_FALSE(again->last(v1::STREAM_CONFIG)->activate());
  }
  SECTION("another lineage") {
    position.set_lineage(std::string(16, 'x'));
    auto again = w.connect("n1", {position});
    CHECK(again->last(v1::STREAM_CONFIG)->base() == 1);  // of the pending one, after ...
    CHECK(again->offers.size() >= 2);
    const v1::Offer& first = *std::find_if(again->offers.begin(), again->offers.end(),
                                           [](const v1::Offer& o) { return o.stream() == v1::STREAM_CONFIG; });
    CHECK(first.base() == 0);  // ... the whole of the active one
    CHECK(first.version() == 1);
    CHECK(first.activate());
  }
  SECTION("another digest") {
    position.set_digest(std::string(32, 'x'));
    auto again = w.connect("n1", {position});
    CHECK(w.info("n1").offers_whole() == 2);
  }
}

TEST_CASE("a mismatch is answered with the whole") {
  World w;
  auto n1 = w.connect("n1");
  w.core->publish(w.config.change(w.routes(3)));
  w.ack(n1, 1, v1::BUILT);
  w.core->publish(w.config.change({World::route(100, 'y')}));
  CHECK(n1->last(v1::STREAM_CONFIG)->base() == 1);
  w.ack(n1, 2, v1::MISMATCH);
  CHECK(n1->last(v1::STREAM_CONFIG)->base() == 0);
  CHECK(n1->last(v1::STREAM_CONFIG)->upserts_size() == 5);
}

TEST_CASE("directory and quota go out at once, as deltas, and are answered for") {
  World w;
  auto n1 = w.connect("n1");
  w.core->publish(w.directory.change({entry(v1::ENTRY_APP, 1, "app")}));
  const v1::Offer* offer = n1->last(v1::STREAM_DIRECTORY);
  REQUIRE(offer);
  CHECK(offer->activate());
  CHECK(offer->base() == 0);
  w.ack(n1, v1::STREAM_DIRECTORY, 1, v1::ACTIVE);
  CHECK(w.info("n1").directory_version() == 1);
  w.core->publish(w.directory.change({entry(v1::ENTRY_KEY, 2, "key")}));
  CHECK(n1->last(v1::STREAM_DIRECTORY)->base() == 1);
  CHECK(n1->last(v1::STREAM_DIRECTORY)->upserts_size() == 1);
  w.ack(n1, v1::STREAM_DIRECTORY, 2, v1::MISMATCH);
  CHECK(n1->last(v1::STREAM_DIRECTORY)->base() == 0);
  size_t sent = n1->offers.size();
  w.ack(n1, v1::STREAM_DIRECTORY, 2, v1::MISMATCH);  // of the whole: no loop
  CHECK(n1->offers.size() == sent);
}

TEST_CASE("the directory that a version needs is offered before it") {
  World w;
  auto n1 = w.connect("n1");
  w.core->publish(w.directory.change({entry(v1::ENTRY_APP, 1, "app")}));
  Publication p = w.config.change(w.routes(1));
  p.needs_directory = 1;
  w.core->publish(std::move(p));
  CHECK(n1->last(v1::STREAM_CONFIG)->needs_directory() == 1);
  auto late = w.connect("n2");
  std::vector<v1::Stream> order;
  for (const v1::Offer& o : late->offers) order.push_back(o.stream());
  CHECK(std::find(order.begin(), order.end(), v1::STREAM_DIRECTORY) < std::find(order.begin(), order.end(), v1::STREAM_CONFIG));
}

TEST_CASE("each node's share follows the number of leased nodes") {
  World w;
  auto share = [](const std::shared_ptr<Node>& n) {
    const v1::Offer* offer = n->last(v1::STREAM_QUOTA);
    REQUIRE(offer);
    v1::ShareEntry out;
    for (const v1::Entry& e : offer->upserts()) {
      if (e.kind() == v1::ENTRY_SHARE) REQUIRE(out.ParseFromString(e.body()));
    }
    return out.active_nodes();
  };
  auto n1 = w.connect("n1");
  CHECK(share(n1) == 1);
  auto n2 = w.connect("n2");
  CHECK(share(n1) == 2);
  CHECK(share(n2) == 2);
  w.core->closed(n2);
  CHECK(share(n1) == 2);  // its lease goes on
  w.clock.advance_ms(6'000);
  w.heartbeat(n1);
  w.clock.advance_ms(6'000);
  w.core->tick();
  CHECK(share(n1) == 1);
  SECTION("beside what the store publishes") {
    w.core->publish(w.quota.change({entry(v1::ENTRY_QUOTA_STATE, 9, "used up")}));
    CHECK(n1->last(v1::STREAM_QUOTA)->upserts_size() == 1);
    CHECK(n1->last(v1::STREAM_QUOTA)->upserts(0).uid() == 9);
    w.core->publish(w.quota.change({}, {{v1::ENTRY_QUOTA_STATE, 9}}));
    CHECK(n1->last(v1::STREAM_QUOTA)->removals_size() == 1);
    auto n3 = w.connect("n3");
    CHECK(share(n3) == 2);
  }
}

TEST_CASE("a lease that is not renewed ends, and with it the link") {
  World w;
  auto n1 = w.connect("n1"), n2 = w.connect("n2");
  w.core->publish(w.config.change(w.routes(1)));
  w.ack(n1, 1, v1::BUILT);
  for (int i = 0; i < 5; ++i) {
    w.clock.advance_ms(2'000);
    w.heartbeat(n1);
    w.core->tick();
  }
  CHECK(n1->leases == 5);
  REQUIRE(n2->closed);
  CHECK(message_of(*n2->closed).find("lease") != std::string::npos);
  CHECK(n1->activated == std::vector<uint64_t>{1});
  CHECK_FALSE(n1->closed);
  CHECK(w.core->leased() == 1);
  CHECK_FALSE(w.info("n2").connected());
}

TEST_CASE("a goodbye ends the lease at once") {
  World w;
  auto n1 = w.connect("n1"), n2 = w.connect("n2");
  w.core->publish(w.config.change(w.routes(1)));
  w.ack(n1, 1, v1::BUILT);
  v1::FromNode bye;
  bye.mutable_goodbye();
  w.core->received(n2, bye, nullptr);
  REQUIRE(n2->closed);
  CHECK(n2->closed->ok());
  CHECK(n1->activated == std::vector<uint64_t>{1});
}

TEST_CASE("strangers are turned away") {
  World w;
  auto node = std::make_shared<Node>();
  w.core->opened(node);
  v1::FromNode hello;
  hello.mutable_hello()->set_node("n1");
  SECTION("no valid token, also when Hello came before the answer") {
    bool read_on = false;
    w.core->received(node, hello, [&] { read_on = true; });
    CHECK_FALSE(read_on);
    w.core->admitted(node, unauthenticated("unknown token"));
    CHECK(node->closed->code() == absl::StatusCode::kUnauthenticated);
    CHECK(w.core->nodes().empty());
  }
  SECTION("another node's token") {
    w.core->admitted(node, NodeIdentity{"n2", "", 0});
    w.core->received(node, hello, nullptr);
    CHECK(node->closed->code() == absl::StatusCode::kPermissionDenied);
  }
  SECTION("no Hello") {
    w.core->admitted(node, NodeIdentity{"n1", "", 0});
    v1::FromNode beat;
    beat.mutable_heartbeat();
    w.core->received(node, beat, nullptr);
    CHECK(node->closed->code() == absl::StatusCode::kInvalidArgument);
  }
  SECTION("but Hello before the answer is heard after it") {
    bool read_on = false;
    w.core->received(node, hello, [&] { read_on = true; });
    w.core->admitted(node, NodeIdentity{"n1", "", 0});
    CHECK(read_on);
    CHECK(node->welcomes == 1);
  }
}

TEST_CASE("a link ends with the certificate that it began with, and its lease goes on") {
  World w;
  auto node = std::make_shared<Node>();
  w.core->opened(node);
  w.core->admitted(node, NodeIdentity{"n1", "ab", w.clock.wall_ns() / 1'000'000'000 + 5});
  v1::FromNode hello;
  hello.mutable_hello()->set_node("n1");
  w.core->received(node, hello, nullptr);
  w.clock.advance_ms(4'000);
  w.core->tick();
  CHECK_FALSE(node->closed);
  w.clock.advance_ms(1'000);
  w.core->tick();
  REQUIRE(node->closed);
  CHECK(node->closed->code() == absl::StatusCode::kUnavailable);
  CHECK(w.core->leased() == 1);
}

TEST_CASE("a node that is let in no longer loses link and lease at once, even before its Hello") {
  World w;
  auto node = w.connect("n1");
  auto other = w.connect("n2");
  auto guest = std::make_shared<Node>();
  w.core->opened(guest);
  w.core->admitted(guest, NodeIdentity{"n1", "", 0});
  w.core->end_node("n1", unauthenticated("revoked"));
  REQUIRE(node->closed);
  CHECK(node->closed->code() == absl::StatusCode::kUnauthenticated);
  REQUIRE(guest->closed);
  CHECK_FALSE(other->closed);
  CHECK(w.core->leased() == 1);
  v1::FromNode hello;
  hello.mutable_hello()->set_node("n1");
  w.core->received(guest, hello, nullptr);
  CHECK(guest->welcomes == 0);
  w.core->end_node("nobody", unauthenticated("revoked"));
}

TEST_CASE("a second connection of a node takes the place of the first") {
  World w;
  auto first = w.connect("n1");
  auto second = w.connect("n1");
  REQUIRE(first->closed);
  w.core->closed(first);
  CHECK(w.info("n1").connected());
  w.core->publish(w.config.change(w.routes(1)));
  CHECK(first->last(v1::STREAM_CONFIG) == nullptr);
  CHECK(second->last(v1::STREAM_CONFIG) != nullptr);
  w.ack(first, 1, v1::BUILT);  // a late word over the old one counts for nothing
  CHECK(second->activated.empty());
}

TEST_CASE("a node that lacks what an entry needs is named before the version is made") {
  World w;
  auto n1 = w.connect("n1", {}, {"a", "b"});
  auto n2 = w.connect("n2", {}, {"a"});
  auto n3 = w.connect("n3", {}, {"a"}, {{"tier", "inner"}});
  EntryTable entries;
  for (const EntryPtr& e : {gateway(1, {{"tier", "inner"}}), entry(v1::ENTRY_API, 2, "", {{v1::ENTRY_GATEWAY, 1}}, {"a"}),
                            entry(v1::ENTRY_ROUTE, 3, "", {{v1::ENTRY_API, 2}}, {"b"})}) {
    entries[e->key] = e;
  }
  auto lacking = w.core->lacking(entries);
  REQUIRE(lacking.size() == 1);  // n2 lacks it too, but would not hold the entry
  CHECK(lacking[0].node == "n3");
  CHECK(lacking[0].capability == "b");
  CHECK(lacking[0].object == "Object 3");
}

TEST_CASE("watchers are told of each change until the verdict") {
  World w;
  auto n1 = w.connect("n1"), n2 = w.connect("n2");
  w.core->publish(w.directory.change({entry(v1::ENTRY_APP, 1, "app")}));
  std::vector<v1::RolloutStatus> told;
  w.core->watch({.version = 1, .directory_version = 1}, [&](const v1::RolloutStatus& s) { told.push_back(s); });
  REQUIRE(told.size() == 1);  // not published yet: it is on its way
  CHECK_FALSE(told.back().final());
  w.core->publish(w.config.change(w.routes(1)));
  CHECK(told.back().phase() == "offered");
  w.ack(n1, 1, v1::BUILT);
  w.ack(n2, 1, v1::BUILT);
  CHECK(told.back().phase() == "activating");
  w.ack(n1, 1, v1::ACTIVE);
  w.ack(n2, 1, v1::ACTIVE);
  CHECK(told.back().phase() == "active");
  CHECK_FALSE(told.back().final());  // the directory is not there yet
  w.ack(n1, v1::STREAM_DIRECTORY, 1, v1::ACTIVE);
  w.ack(n2, v1::STREAM_DIRECTORY, 1, v1::ACTIVE);
  CHECK(told.back().final());
  size_t n = told.size();
  w.ack(n1, 1, v1::PERSISTED);
  CHECK(told.size() == n);
  CHECK(told.back().nodes(0).zone() == "az-a");
  CHECK(w.log.states.size() == 5);
  CHECK(w.log.phases == std::vector<std::string>{"1 offered", "1 activating", "1 active"});
}

TEST_CASE("after a restart nodes go on from what they hold") {
  World before;
  auto old = before.connect("n1");
  before.core->publish(before.config.change(before.routes(3)));
  v1::StreamPosition position = at(*old->last(v1::STREAM_CONFIG));

  World w;
  w.core->restore(before.config.whole());
  w.core->expect("n1");
  CHECK(w.core->heads().active == 1);
  auto n1 = w.connect("n1", {position});
  CHECK(n1->last(v1::STREAM_CONFIG) == nullptr);
  w.core->publish(before.config.change({World::route(100, 'y')}));
  CHECK(n1->last(v1::STREAM_CONFIG)->base() == 1);
  CHECK(w.info("n1").offers_whole() == 0);

  SECTION("also from a pending version that was activated when the last life ended") {
    v1::StreamPosition ahead = at(*n1->last(v1::STREAM_CONFIG));
    World after;
    after.core->restore([&] {
      Store s(v1::STREAM_CONFIG, kLineage);
      return s.change(after.routes(3));
    }());
    Store s(v1::STREAM_CONFIG, kLineage);
    s.change(after.routes(3));
    after.core->publish(s.change({World::route(100, 'y')}));
    auto again = after.connect("n1", {ahead});
    CHECK(again->last(v1::STREAM_CONFIG) == nullptr);
    CHECK(after.core->heads().active == 2);
    CHECK(after.core->heads().latest_phase == "active");
  }
}

TEST_CASE("a known node that has not come back holds its lease from before") {
  World w;
  w.core->expect("n1");
  w.core->publish(w.config.change(w.routes(1)));
  CHECK(w.core->status(1)->phase() == "offered");
  w.clock.advance_ms(10'001);
  w.core->tick();
  CHECK(w.core->status(1)->phase() == "no-nodes");
  CHECK(w.core->status(1)->nodes_size() == 1);
}

TEST_CASE("switches are sent at once, and waited for node by node") {
  World w;
  Store switches(v1::STREAM_SWITCHES, kLineage);
  auto block = [](uint64_t uid) { return entry(v1::ENTRY_BLOCK, uid, "block " + std::to_string(uid)); };
  auto n1 = w.connect("n1"), n2 = w.connect("n2");
  CHECK(n1->last(v1::STREAM_SWITCHES) == nullptr);
  std::vector<v1::RolloutStatus> told;
  w.core->watch({.switches_version = 1}, [&](const v1::RolloutStatus& s) { told.push_back(s); });
  CHECK(told.back().phase() == "offered");  // the store has it, the push does not yet
  w.core->publish(switches.change({block(1)}));
  REQUIRE(n1->last(v1::STREAM_SWITCHES));
  CHECK(n1->last(v1::STREAM_SWITCHES)->activate());
  CHECK(n1->last(v1::STREAM_SWITCHES)->base() == 0);
  w.ack(n1, v1::STREAM_SWITCHES, 1, v1::ACTIVE);
  CHECK(told.back().phase() == "offered");
  REQUIRE(told.back().nodes_size() == 2);
  CHECK(told.back().nodes(0).state() == v1::ACTIVE);
  CHECK(told.back().nodes(1).state() == v1::NODE_STATE_UNSPECIFIED);
  CHECK_FALSE(told.back().final());

  SECTION("until every node has it") {
    w.ack(n2, v1::STREAM_SWITCHES, 1, v1::ACTIVE);
    CHECK(told.back().phase() == "active");
    CHECK(told.back().final());
    CHECK(w.info("n2").switches_version() == 1);
    w.core->publish(switches.change({block(2)}, {{v1::ENTRY_BLOCK, 1}}));
    CHECK(n1->last(v1::STREAM_SWITCHES)->base() == 1);
    CHECK(n1->last(v1::STREAM_SWITCHES)->removals_size() == 1);
    w.ack(n1, v1::STREAM_SWITCHES, 2, v1::MISMATCH);
    CHECK(n1->last(v1::STREAM_SWITCHES)->base() == 0);
    CHECK(n1->last(v1::STREAM_SWITCHES)->upserts_size() == 1);
    // A node that comes back with what it has on its disk needs nothing.
    auto n3 = w.connect("n3", {at(*n1->last(v1::STREAM_SWITCHES))});
    CHECK(n3->last(v1::STREAM_SWITCHES) == nullptr);
    CHECK(w.info("n3").switches_version() == 2);
  }
  SECTION("a node that refuses is named") {
    v1::FromNode from;
    from.mutable_ack()->set_stream(v1::STREAM_SWITCHES);
    from.mutable_ack()->set_version(1);
    from.mutable_ack()->set_state(v1::REFUSED);
    from.mutable_ack()->add_diagnostics()->set_code("GW3006");
    w.core->received(n2, from, nullptr);
    CHECK(told.back().phase() == "refused");
    CHECK(told.back().final());
    CHECK(told.back().nodes(1).state() == v1::REFUSED);
    CHECK(told.back().nodes(1).diagnostics(0).code() == "GW3006");
  }
  SECTION("a lost one is named, and not waited for beyond its lease") {
    w.core->closed(n2);
    CHECK_FALSE(told.back().final());
    w.clock.advance_ms(9'000);
    w.heartbeat(n1);
    w.clock.advance_ms(1'001);
    w.core->tick();
    CHECK(told.back().final());
    REQUIRE(told.back().nodes_size() == 2);
    CHECK_FALSE(told.back().nodes(1).connected());
    CHECK(told.back().nodes(0).state() == v1::ACTIVE);
  }
}

TEST_CASE("endpoints are sent at once on a stream of their own, and waited for") {
  World w;
  Store endpoints(v1::STREAM_ENDPOINTS, kLineage);
  auto n1 = w.connect("n1");
  w.core->publish(endpoints.change({entry(v1::ENTRY_ENDPOINT, 1, "x")}));
  v1::RolloutStatus told;
  w.core->watch({.endpoints_version = 1}, [&](const v1::RolloutStatus& s) { told = s; });
  CHECK_FALSE(told.final());
  REQUIRE(n1->last(v1::STREAM_ENDPOINTS));
  CHECK(n1->last(v1::STREAM_ENDPOINTS)->activate());
  w.ack(n1, v1::STREAM_ENDPOINTS, 1, v1::ACTIVE);
  CHECK(told.final());
  CHECK(told.phase() == "active");
  CHECK(w.info("n1").endpoints_version() == 1);
  CHECK(w.info("n1").switches_version() == 0);
  auto n2 = w.connect("n2", {at(*n1->last(v1::STREAM_ENDPOINTS))});
  CHECK(n2->last(v1::STREAM_ENDPOINTS) == nullptr);
  CHECK(w.info("n2").endpoints_version() == 1);
}

TEST_CASE("switches without a node are stored, which the watch says") {
  World w;
  Store switches(v1::STREAM_SWITCHES, kLineage);
  w.core->publish(switches.change({entry(v1::ENTRY_BLOCK, 1, "x")}));
  v1::RolloutStatus told;
  w.core->watch({.switches_version = 1}, [&](const v1::RolloutStatus& s) { told = s; });
  CHECK(told.phase() == "no-nodes");
  CHECK(told.final());
  CHECK(w.core->heads().switches == 1);
}

namespace {

const std::vector<std::string> kSpeaksCertificates = {"a", "b", "CertificateEntry.keyPairs", "TicketKeyEntry.secret"};

std::shared_ptr<const CertificateNeeds> needs(std::vector<std::pair<std::string, std::set<uint64_t>>> by_zone) {
  CertificateNeeds out;
  uint64_t gateway = 1;
  for (auto& [zone, uids] : by_zone) {
    GatewayNeeds& need = out[{v1::ENTRY_GATEWAY, gateway++}];
    if (!zone.empty()) need.labels["zone"] = zone;
    for (uint64_t uid : uids) need.entries.insert({v1::ENTRY_CERTIFICATE, uid});
  }
  return std::make_shared<const CertificateNeeds>(std::move(out));
}

std::set<uint64_t> uids_of(const v1::Offer* offer) {
  std::set<uint64_t> out;
  if (offer) {
    for (const v1::Entry& e : offer->upserts()) out.insert(e.uid());
  }
  return out;
}

struct CertificateWorld : World {
  Store certificates{v1::STREAM_CERTIFICATES, kLineage};

  void publish(Publication p, std::shared_ptr<const CertificateNeeds> of) {
    p.needs = std::move(of);
    core->publish(std::move(p));
  }
  std::shared_ptr<Node> join(const std::string& name, const std::string& zone, std::vector<v1::StreamPosition> have = {}) {
    return connect(name, std::move(have), kSpeaksCertificates, {{"zone", zone}});
  }
};

}  // namespace

TEST_CASE("a node is sent the certificates that its Gateways need, and no others") {
  CertificateWorld w;
  auto of = needs({{"a", {1, 2}}, {"b", {2, 3}}});
  auto n1 = w.join("n1", "a");
  w.publish(w.certificates.change({entry(v1::ENTRY_CERTIFICATE, 1, "one"), entry(v1::ENTRY_CERTIFICATE, 2, "two"), entry(v1::ENTRY_CERTIFICATE, 3, "three"),
                                   entry(v1::ENTRY_CERTIFICATE, 4, "four")}),
            of);
  CHECK(uids_of(n1->last(v1::STREAM_CERTIFICATES)) == std::set<uint64_t>{1, 2});
  auto n2 = w.join("n2", "b"), n3 = w.join("n3", "c");
  CHECK(uids_of(n2->last(v1::STREAM_CERTIFICATES)) == std::set<uint64_t>{2, 3});
  CHECK(uids_of(n3->last(v1::STREAM_CERTIFICATES)).empty());
  for (auto& n : {n1, n2, n3}) w.ack(n, v1::STREAM_CERTIFICATES, 1, v1::ACTIVE);

  SECTION("a rotation goes out as a difference, and every node comes to the new version") {
    v1::RolloutStatus told;
    w.core->watch({.certificates_version = 2}, [&](const v1::RolloutStatus& s) { told = s; });
    w.publish(w.certificates.change({entry(v1::ENTRY_CERTIFICATE, 1, "anew")}), of);
    CHECK(n1->last(v1::STREAM_CERTIFICATES)->base() == 1);
    CHECK(uids_of(n1->last(v1::STREAM_CERTIFICATES)) == std::set<uint64_t>{1});
    CHECK(n2->last(v1::STREAM_CERTIFICATES)->version() == 2);
    CHECK(uids_of(n2->last(v1::STREAM_CERTIFICATES)).empty());
    for (auto& n : {n1, n2, n3}) w.ack(n, v1::STREAM_CERTIFICATES, 2, v1::ACTIVE);
    CHECK(told.final());
    CHECK(told.phase() == "active");
    CHECK(w.info("n1").certificates_version() == 2);
    auto holders = w.core->certificate_holders();
    REQUIRE(holders.size() == 3);
    CHECK(holders[0].entries.contains({v1::ENTRY_CERTIFICATE, 1}));
    CHECK(holders[0].applied == 2);
    CHECK_FALSE(holders[1].entries.contains({v1::ENTRY_CERTIFICATE, 1}));
  }
  SECTION("who needs what changes with a version of its own") {
    w.publish(w.certificates.change({}), needs({{"a", {2}}, {"b", {2, 3}}, {"c", {1}}}));
    REQUIRE(n1->last(v1::STREAM_CERTIFICATES)->removals_size() == 1);
    CHECK(n1->last(v1::STREAM_CERTIFICATES)->removals(0).uid() == 1);
    CHECK(uids_of(n3->last(v1::STREAM_CERTIFICATES)) == std::set<uint64_t>{1});
  }
  SECTION("a node that comes back with what it had is sent nothing") {
    const v1::Offer had = *n1->last(v1::STREAM_CERTIFICATES);
    w.core->closed(n1);
    auto again = w.join("n1", "a", {at(had)});
    CHECK(again->last(v1::STREAM_CERTIFICATES) == nullptr);
    w.core->closed(again);
    auto moved = w.join("n1", "b", {at(had)});  // it runs another Gateway now
    REQUIRE(moved->last(v1::STREAM_CERTIFICATES));
    CHECK(moved->last(v1::STREAM_CERTIFICATES)->base() == 0);
    CHECK(uids_of(moved->last(v1::STREAM_CERTIFICATES)) == std::set<uint64_t>{2, 3});
  }
}

TEST_CASE("a node keeps the certificates of the active configuration while a newer one is on its way") {
  CertificateWorld w;
  auto before = needs({{"", {1}}}), after = needs({{"", {2}}});
  w.publish(w.certificates.change({entry(v1::ENTRY_CERTIFICATE, 1, "one"), entry(v1::ENTRY_CERTIFICATE, 2, "two")}), before);
  auto n1 = w.join("n1", "a");
  Publication config = w.config.change(w.routes(1));
  config.needs = before;
  config.needs_certificates = 1;
  w.core->publish(config);
  CHECK(n1->last(v1::STREAM_CONFIG)->needs_certificates() == 1);
  for (v1::NodeState state : {v1::RECEIVED, v1::BUILT, v1::ACTIVE}) w.ack(n1, 1, state);

  w.publish(w.certificates.change({}), after);
  CHECK(uids_of(n1->last(v1::STREAM_CERTIFICATES)) == std::set<uint64_t>{2});
  CHECK(n1->last(v1::STREAM_CERTIFICATES)->removals_size() == 0);
  Publication next = w.config.change({entry(v1::ENTRY_ROUTE, 100, "other")});
  next.needs = after;
  next.needs_certificates = 2;
  w.core->publish(next);
  CHECK(n1->last(v1::STREAM_CONFIG)->needs_certificates() == 2);
  for (v1::NodeState state : {v1::RECEIVED, v1::BUILT, v1::ACTIVE}) w.ack(n1, 2, state);
  w.publish(w.certificates.change({}), after);  // whatever comes next takes it away
  REQUIRE(n1->last(v1::STREAM_CERTIFICATES)->removals_size() == 1);
  CHECK(n1->last(v1::STREAM_CERTIFICATES)->removals(0).uid() == 1);
}

TEST_CASE("older nodes are neither sent certificates nor waited for") {
  CertificateWorld w;
  Store tickets(v1::STREAM_TICKETS, kLineage);
  auto old = w.connect("old");
  auto n1 = w.join("n1", "a");
  w.publish(w.certificates.change({entry(v1::ENTRY_CERTIFICATE, 1, "one")}), needs({{"", {1}}}));
  w.core->publish(tickets.change({entry(v1::ENTRY_TICKET_KEY, 1, "t")}));
  CHECK(old->last(v1::STREAM_CERTIFICATES) == nullptr);
  CHECK(old->last(v1::STREAM_TICKETS) == nullptr);
  REQUIRE(n1->last(v1::STREAM_TICKETS));
  v1::RolloutStatus told;
  w.core->watch({.certificates_version = 1}, [&](const v1::RolloutStatus& s) { told = s; });
  CHECK_FALSE(told.final());
  w.ack(n1, v1::STREAM_CERTIFICATES, 1, v1::ACTIVE);
  CHECK(told.final());
  CHECK(told.nodes_size() == 1);
}
