#include "controlplane/push/activation.h"

#include <catch2/catch.hpp>
#include <string>
#include <vector>

using namespace gw;

namespace {

using Lines = std::vector<std::string>;

Lines lines(const ActivationSteps& steps) {
  Lines out;
  for (const ActivationStep& s : steps) {
    std::string v = std::to_string(s.version);
    switch (s.kind) {
      case ActivationStep::Kind::kOffer:
        out.push_back("offer " + s.node + " " + v + (s.activate ? " activate" : "") + (s.whole ? " whole" : ""));
        break;
      case ActivationStep::Kind::kActivate: out.push_back("activate " + s.node + " " + v); break;
      case ActivationStep::Kind::kAbort: out.push_back("abort " + s.node + " " + v); break;
      case ActivationStep::Kind::kSettled: out.push_back("settled " + v); break;
      case ActivationStep::Kind::kPhase: out.push_back("phase " + v + " " + phase_name(s.phase)); break;
    }
  }
  return out;
}

v1::Ack make_ack(uint64_t version, v1::NodeState state) {
  v1::Ack ack;
  ack.set_stream(v1::STREAM_CONFIG);
  ack.set_version(version);
  ack.set_state(state);
  if (state == v1::REFUSED || state == v1::MISMATCH) ack.add_diagnostics()->set_message("why");
  return ack;
}

// Two nodes, version 1 active on both.
struct Fleet {
  Activation a{Activation::Options{}};
  int64_t now = 1000;

  explicit Fleet(bool settled = true) {
    if (!settled) return;
    a.restore(1, now);
    join("n1", 1);
    join("n2", 1);
  }
  Lines publish(uint64_t v) { return lines(a.published(v, now)); }
  Lines join(const std::string& n, uint64_t holds) { return lines(a.joined(n, holds, now)); }
  Lines lose(const std::string& n) { return lines(a.lost(n, now)); }
  Lines ack(const std::string& n, uint64_t v, v1::NodeState s) { return lines(a.acknowledged(n, make_ack(v, s), now)); }
  Lines tick(int64_t ms) {
    now += ms;
    return lines(a.tick(now));
  }
  void activate(uint64_t v) {
    publish(v);
    for (const char* n : {"n1", "n2"}) ack(n, v, v1::BUILT);
    for (const char* n : {"n1", "n2"}) ack(n, v, v1::ACTIVE);
  }
  std::string phase(uint64_t v) const { return phase_name(a.phase(v)); }
};

}  // namespace

TEST_CASE("a version is offered to every node, and activated when all have built it") {
  Fleet f;
  CHECK(f.publish(2) == Lines{"phase 2 offered", "offer n1 2", "offer n2 2"});
  CHECK(f.ack("n1", 2, v1::RECEIVED).empty());
  CHECK(f.ack("n1", 2, v1::BUILT).empty());
  CHECK(f.a.active() == 1);
  CHECK(f.a.target() == 2);
  CHECK(f.ack("n2", 2, v1::BUILT) == Lines{"settled 2", "phase 2 activating", "activate n1 2", "activate n2 2"});
  CHECK(f.a.active() == 2);
  CHECK(f.ack("n2", 2, v1::ACTIVE).empty());
  CHECK_FALSE(f.a.settled(2, v1::WatchRolloutRequest::UNTIL_ACTIVE));
  CHECK(f.ack("n1", 2, v1::ACTIVE) == Lines{"phase 2 active"});
  CHECK(f.a.settled(2, v1::WatchRolloutRequest::UNTIL_ACTIVE));
}

TEST_CASE("a version that one node refuses activates nowhere") {
  Fleet f;
  f.publish(2);
  f.ack("n1", 2, v1::BUILT);
  CHECK(f.ack("n2", 2, v1::REFUSED) == Lines{"abort n1 2", "abort n2 2", "phase 2 refused"});
  CHECK(f.a.active() == 1);
  CHECK(f.a.pending() == 0);
  CHECK(f.a.target() == 1);
  CHECK(f.a.latest() == 2);
  CHECK(f.ack("n1", 2, v1::BUILT).empty());
  CHECK(f.phase(2) == "refused");
  v1::RolloutStatus status = f.a.status(2, f.now);
  REQUIRE(status.nodes_size() == 2);
  CHECK(status.nodes(1).state() == v1::REFUSED);
  REQUIRE(status.nodes(1).diagnostics_size() == 1);
  CHECK(status.nodes(1).diagnostics(0).node() == "n2");
  CHECK(f.a.settled(2, v1::WatchRolloutRequest::UNTIL_DRAINED));

  SECTION("and the next one goes its way") {
    f.activate(3);
    CHECK(f.phase(3) == "active");
    CHECK(f.phase(2) == "refused");
  }
}

TEST_CASE("a refusal is final whatever comes before or after it") {
  Fleet f;
  f.publish(2);
  SECTION("first word") { f.ack("n1", 2, v1::REFUSED); }
  SECTION("after the node had built it") {
    f.ack("n1", 2, v1::BUILT);
    f.ack("n1", 2, v1::REFUSED);
  }
  f.ack("n2", 2, v1::BUILT);
  CHECK(f.phase(2) == "refused");
  CHECK(f.a.active() == 1);
}

TEST_CASE("a node is waited for until its lease ends, and not beyond") {
  Fleet f;
  f.publish(2);
  f.ack("n1", 2, v1::BUILT);
  f.a.disconnected("n2");
  CHECK(f.a.pending() == 2);
  CHECK(f.lose("n2") == Lines{"settled 2", "phase 2 activating", "activate n1 2"});
  CHECK(f.ack("n1", 2, v1::ACTIVE) == Lines{"phase 2 active"});
  v1::RolloutStatus status = f.a.status(2, f.now);
  REQUIRE(status.nodes_size() == 2);  // the lost one is named
  CHECK(status.nodes(1).node() == "n2");
  CHECK_FALSE(status.nodes(1).connected());
  CHECK(status.nodes(1).state() == v1::NODE_STATE_UNSPECIFIED);

  SECTION("and is brought to the active version when it comes back") {
    CHECK(f.join("n2", 1) == Lines{"offer n2 2 activate"});
    f.ack("n2", 2, v1::BUILT);
    CHECK(f.ack("n2", 2, v1::ACTIVE).empty());
    CHECK(f.a.status(2, f.now).nodes(1).state() == v1::ACTIVE);
  }
}

TEST_CASE("a node that is lost while a version activates does not keep it from being active") {
  Fleet f;
  f.publish(2);
  f.ack("n1", 2, v1::BUILT);
  f.ack("n2", 2, v1::BUILT);
  f.ack("n1", 2, v1::ACTIVE);
  CHECK(f.phase(2) == "activating");
  CHECK(f.lose("n2") == Lines{"phase 2 active"});
}

TEST_CASE("a newer version waits for the verdict on the one before it") {
  Fleet f;
  f.publish(2);
  CHECK(f.publish(3) == Lines{"phase 3 offered"});
  f.ack("n1", 2, v1::BUILT);
  CHECK(f.ack("n2", 2, v1::BUILT) == Lines{"settled 2", "phase 2 activating", "activate n1 2", "activate n2 2",
                                          "phase 3 offered", "offer n1 3", "offer n2 3"});
  SECTION("active in order") {
    f.ack("n1", 2, v1::ACTIVE);
    f.ack("n1", 3, v1::BUILT);
    f.ack("n2", 3, v1::BUILT);
    f.ack("n1", 3, v1::ACTIVE);
    CHECK(f.phase(2) == "activating");
    CHECK(f.phase(3) == "activating");
    CHECK(f.ack("n2", 2, v1::ACTIVE) == Lines{"phase 2 active"});
    CHECK(f.ack("n2", 3, v1::ACTIVE) == Lines{"phase 3 active"});
  }
}

TEST_CASE("of several that wait only the newest is offered, the others are superseded by it") {
  Fleet f;
  f.publish(2);
  f.publish(3);
  CHECK(f.publish(4) == Lines{"phase 3 superseded", "phase 4 offered"});
  CHECK(f.publish(5) == Lines{"phase 4 superseded", "phase 5 offered"});
  CHECK(f.a.status(3, f.now).superseded_by() == 4);
  CHECK(f.ack("n1", 2, v1::REFUSED) ==
        Lines{"abort n1 2", "abort n2 2", "phase 2 refused", "phase 5 offered", "offer n1 5", "offer n2 5"});
}

TEST_CASE("a version that does not settle is overtaken after a while") {
  Fleet f;
  f.publish(2);
  f.ack("n1", 2, v1::BUILT);
  SECTION("by one that waits") {
    f.publish(3);
    CHECK(f.tick(500).empty());
    CHECK(f.tick(600) == Lines{"phase 2 superseded", "phase 3 offered", "offer n1 3", "offer n2 3"});
  }
  SECTION("by one that comes then") {
    f.tick(1500);
    CHECK(f.publish(3) == Lines{"phase 2 superseded", "phase 3 offered", "offer n1 3", "offer n2 3"});
  }
  CHECK(f.ack("n2", 2, v1::BUILT).empty());  // too late
  CHECK(f.a.active() == 1);
}

TEST_CASE("each time a version is overtaken the next one is given longer") {
  Fleet f;
  f.publish(2);
  f.publish(3);
  f.tick(1100);
  CHECK(f.a.pending() == 3);
  f.publish(4);
  CHECK(f.tick(1500).empty());
  f.tick(600);
  CHECK(f.a.pending() == 4);
  f.ack("n1", 4, v1::BUILT);
  f.ack("n2", 4, v1::BUILT);
  f.publish(5);
  f.publish(6);
  f.tick(1100);  // a verdict was reached: patience is as before
  CHECK(f.a.pending() == 6);
}

TEST_CASE("nothing is left pending after a burst of versions") {
  Fleet f;
  uint64_t last = 40;
  for (uint64_t v = 2; v <= last; ++v) {
    f.publish(v);
    if (v % 3 != 0) continue;
    uint64_t pending = f.a.pending();
    f.ack("n1", pending, v1::BUILT);
    f.ack("n2", pending, v1::BUILT);
    f.ack("n1", pending, v1::ACTIVE);
    f.ack("n2", pending, v1::ACTIVE);
  }
  while (f.a.pending() != 0) {
    uint64_t pending = f.a.pending();
    for (const char* n : {"n1", "n2"}) f.ack(n, pending, v1::BUILT);
    for (const char* n : {"n1", "n2"}) f.ack(n, pending, v1::ACTIVE);
  }
  CHECK(f.a.active() == last);
  for (uint64_t v = 2; v < last; ++v) {
    INFO(v);
    CHECK((f.phase(v) == "active" || f.phase(v) == "superseded"));
  }
  CHECK(f.phase(last) == "active");
}

TEST_CASE("with no nodes a version says so, and goes its way when one joins") {
  Fleet f(false);
  CHECK(f.publish(1) == Lines{"phase 1 no-nodes"});
  CHECK(f.a.settled(1, v1::WatchRolloutRequest::UNTIL_ACTIVE));
  CHECK(f.publish(2) == Lines{"phase 1 superseded", "phase 2 no-nodes"});
  CHECK(f.join("n1", 0) == Lines{"offer n1 2", "phase 2 offered"});
  CHECK(f.ack("n1", 2, v1::BUILT) == Lines{"settled 2", "phase 2 activating", "activate n1 2"});
  CHECK(f.ack("n1", 2, v1::ACTIVE) == Lines{"phase 2 active"});
}

TEST_CASE("when the last node is lost the pending version is without nodes") {
  Fleet f;
  f.publish(2);
  f.publish(3);
  f.lose("n1");
  CHECK(f.lose("n2") == Lines{"phase 2 no-nodes", "phase 2 superseded", "phase 3 no-nodes"});
  CHECK(f.join("n1", 1) == Lines{"offer n1 3", "phase 3 offered"});
}

TEST_CASE("a node that joins is brought to the active version and offered the pending one") {
  Fleet f;
  f.activate(2);
  f.publish(3);
  CHECK(f.join("n3", 0) == Lines{"offer n3 2 activate", "offer n3 3"});
  f.ack("n1", 3, v1::BUILT);
  CHECK(f.ack("n2", 3, v1::BUILT).empty());  // the new one is waited for
  f.ack("n3", 2, v1::BUILT);
  f.ack("n3", 2, v1::ACTIVE);
  CHECK(f.a.active() == 2);
  CHECK(f.ack("n3", 3, v1::BUILT).front() == "settled 3");
}

TEST_CASE("a node that comes back must build the pending version again") {
  Fleet f;
  f.publish(2);
  f.ack("n1", 2, v1::BUILT);
  f.a.disconnected("n1");
  CHECK(f.join("n1", 1) == Lines{"offer n1 2"});
  CHECK(f.ack("n2", 2, v1::BUILT).empty());
  CHECK(f.ack("n1", 2, v1::BUILT).front() == "settled 2");
}

TEST_CASE("a node that left after it had built is no obstacle within its lease") {
  Fleet f;
  f.publish(2);
  f.ack("n1", 2, v1::BUILT);
  f.a.disconnected("n1");
  CHECK(f.ack("n2", 2, v1::BUILT) == Lines{"settled 2", "phase 2 activating", "activate n2 2"});
  f.ack("n2", 2, v1::ACTIVE);
  CHECK(f.phase(2) == "activating");
  CHECK(f.join("n1", 1) == Lines{"offer n1 2 activate"});
  CHECK(f.ack("n1", 2, v1::ACTIVE) == Lines{"phase 2 active"});
}

TEST_CASE("a mismatch is answered with the whole, a second one is a refusal") {
  Fleet f;
  f.publish(2);
  CHECK(f.ack("n1", 2, v1::MISMATCH) == Lines{"offer n1 2 whole"});
  SECTION("then built") {
    f.ack("n2", 2, v1::BUILT);
    CHECK(f.ack("n1", 2, v1::BUILT).front() == "settled 2");
  }
  SECTION("then not again") {
    CHECK(f.ack("n1", 2, v1::MISMATCH) == Lines{"abort n1 2", "abort n2 2", "phase 2 refused"});
  }
  SECTION("while catching up") {
    f.a.disconnected("n2");
    f.join("n2", 0);
    CHECK(f.ack("n2", 1, v1::MISMATCH) == Lines{"offer n2 1 activate whole"});
  }
}

TEST_CASE("a mismatch of a version that was overtaken is of no interest") {
  Fleet f;
  f.publish(2);
  f.publish(3);
  f.tick(1500);
  CHECK(f.ack("n1", 2, v1::MISMATCH).empty());
}

TEST_CASE("a node that cannot be brought to the active version is asked again, and blocks nobody") {
  Fleet f;
  f.lose("n2");
  f.join("n2", 0);
  CHECK(f.ack("n2", 1, v1::REFUSED).empty());
  CHECK(f.a.status(1, f.now).nodes(1).state() == v1::REFUSED);
  CHECK(f.a.active() == 1);
  CHECK(f.tick(4000).empty());
  CHECK(f.tick(1500) == Lines{"offer n2 1 activate"});
  CHECK(f.tick(10'000).empty());
  f.ack("n2", 1, v1::ACTIVE);
  CHECK(f.a.status(1, f.now).nodes(1).state() == v1::ACTIVE);
}

TEST_CASE("after a restart, nodes that hold the pending version have answered for it") {
  Fleet f(false);
  f.a.restore(1, f.now);
  f.a.expected("n1");
  f.a.expected("n2");
  CHECK(f.publish(2) == Lines{"phase 2 offered"});  // both may still hold a lease
  CHECK(f.join("n1", 2).empty());
  CHECK(f.join("n2", 2) ==
        Lines{"settled 2", "phase 2 activating", "activate n1 2", "activate n2 2", "phase 2 active"});
}

TEST_CASE("after a restart, a node that is ahead of the active version is not taken back while a newer one is pending") {
  Fleet f(false);
  f.a.restore(1, f.now);
  f.publish(3);
  CHECK(f.join("n1", 2) == Lines{"offer n1 3", "phase 3 offered"});
  SECTION("but it is when that one is refused") {
    CHECK(f.ack("n1", 3, v1::REFUSED) == Lines{"abort n1 3", "phase 3 refused", "offer n1 1 activate"});
  }
}

TEST_CASE("persisted and drained are waited for on every leased node") {
  Fleet f;
  f.activate(2);
  using W = v1::WatchRolloutRequest;
  CHECK(f.a.settled(2, W::UNTIL_ACTIVE));
  CHECK_FALSE(f.a.settled(2, W::UNTIL_PERSISTED));
  f.ack("n1", 2, v1::PERSISTED);
  CHECK_FALSE(f.a.settled(2, W::UNTIL_PERSISTED));
  f.ack("n2", 2, v1::PERSISTED);
  CHECK(f.a.settled(2, W::UNTIL_PERSISTED));
  CHECK_FALSE(f.a.settled(2, W::UNTIL_DRAINED));
  f.ack("n1", 2, v1::DRAINED);
  CHECK(f.a.status(2, f.now).nodes(0).state() == v1::DRAINED);
  CHECK(f.a.status(2, f.now).nodes(1).state() == v1::PERSISTED);
  SECTION("or until they are lost") {
    f.lose("n2");
    CHECK(f.a.settled(2, W::UNTIL_DRAINED));
  }
  SECTION("a later version's word counts for the earlier one") {
    f.activate(3);
    f.ack("n2", 3, v1::DRAINED);
    CHECK(f.a.settled(2, W::UNTIL_DRAINED));
    CHECK_FALSE(f.a.settled(3, W::UNTIL_DRAINED));
  }
}

TEST_CASE("old versions are forgotten, never those in use") {
  Activation::Options options;
  options.versions_kept = 4;
  Activation a(options);
  a.restore(1, 0);
  a.joined("n1", 1, 0);
  for (uint64_t v = 2; v <= 20; ++v) {
    a.published(v, 0);
    if (v % 2 == 0) a.acknowledged("n1", make_ack(a.pending(), v1::REFUSED), 0);
  }
  CHECK(a.knows(1));
  CHECK(a.knows(a.latest()));
  CHECK(a.knows(20));
  CHECK_FALSE(a.knows(5));
}

TEST_CASE("a node that is not known any more is named no more") {
  Fleet f;
  f.activate(2);
  f.a.forget("n2");  // holds a lease: stays
  CHECK(f.a.status(2, f.now).nodes_size() == 2);
  f.lose("n2");
  f.a.forget("n2");
  CHECK(f.a.status(2, f.now).nodes_size() == 1);
}
