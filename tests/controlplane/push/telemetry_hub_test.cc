#include "controlplane/telemetry/telemetry_hub.h"

#include <catch2/catch.hpp>
#include <condition_variable>
#include <map>
#include <mutex>
#include <set>

#include "common/base/status.h"

using namespace gw;

namespace {

class Tokens final : public NodeTokens {
 public:
  absl::StatusOr<NodeGrant> join(std::string_view, std::string_view, std::string_view) override { return unauthenticated("no"); }
  absl::StatusOr<NodeGrant> renew(const NodeCredentials&, std::string_view) override { return unauthenticated("no"); }
  absl::StatusOr<NodeIdentity> node_of(const NodeCredentials& shown) override {
    if (shown.token == "t1") return NodeIdentity{"n1", "", ends};
    return unauthenticated("unknown token");
  }
  int64_t ends = 0;
  std::vector<std::string> known_nodes() override { return {"n1"}; }
};

class Usage final : public UsageSink {
 public:
  absl::StatusOr<uint64_t> apply_usage(std::string_view node, const v1::UsageBatch& batch) override {
    if (fail) return unavailable("database is locked");
    uint64_t& seen = highest[{std::string(node), batch.boot()}];
    if (batch.sequence() > seen) {
      seen = batch.sequence();
      for (const v1::UsageCell& cell : batch.cells()) total += cell.requests();
    }
    return seen;
  }
  bool fail = false;
  uint64_t total = 0;
  std::map<std::pair<std::string, uint64_t>, uint64_t> highest;
};

class Link final : public ReportLink {
 public:
  void send(const v1::ReportAck& ack) override { acks.push_back(ack); }
  void close(absl::Status status) override { closed = std::move(status); }
  std::vector<v1::ReportAck> acks;
  absl::Status closed;
};

v1::NodeReport batch(const std::string& node, uint64_t sequence, uint64_t requests) {
  v1::NodeReport report;
  report.set_node(node);
  report.mutable_usage()->set_boot(5);
  report.mutable_usage()->set_sequence(sequence);
  report.mutable_usage()->add_cells()->set_requests(requests);
  return report;
}

// The hub's thread has done all that was posted when stop() returns: what it did is looked at then.
struct HubWorld {
  Tokens tokens;
  Usage usage;
  ManualClock clock;
  TelemetryHub hub{tokens, usage, clock};
  std::shared_ptr<Link> link = std::make_shared<Link>();
  int read_on = 0;

  void report(v1::NodeReport r) {
    hub.received(link, std::move(r), [this] { ++read_on; });
  }
};

}  // namespace

TEST_CASE("batches are applied once and acknowledged") {
  HubWorld w;
  w.hub.start();
  w.hub.opened(w.link, {"t1", ""});
  w.report(batch("n1", 1, 10));
  w.report(batch("n1", 2, 20));
  w.report(batch("n1", 1, 10));
  w.hub.stop();
  CHECK(w.usage.total == 30);
  REQUIRE(w.link->acks.size() == 3);
  CHECK(w.link->acks[2].sequence() == 2);
  CHECK(w.link->acks[2].boot() == 5);
  CHECK(w.read_on == 3);
}

TEST_CASE("a batch that could not be applied is not acknowledged, and ends the stream") {
  HubWorld w;
  w.usage.fail = true;
  w.hub.start();
  w.hub.opened(w.link, {"t1", ""});
  w.report(batch("n1", 1, 10));
  w.report(batch("n1", 2, 10));
  w.hub.stop();
  CHECK(w.link->acks.empty());
  CHECK(w.link->closed.code() == absl::StatusCode::kUnavailable);
}

TEST_CASE("reports need the token of the node that they speak for") {
  HubWorld w;
  w.hub.start();
  SECTION("unknown token") {
    w.hub.opened(w.link, {"t9", ""});
    w.report(batch("n1", 1, 10));
    w.hub.stop();
    CHECK(w.link->closed.code() == absl::StatusCode::kUnauthenticated);
  }
  SECTION("another node") {
    w.hub.opened(w.link, {"t1", ""});
    w.report(batch("n2", 1, 10));
    w.hub.stop();
    CHECK(w.link->closed.code() == absl::StatusCode::kPermissionDenied);
  }
  CHECK(w.usage.total == 0);
}

TEST_CASE("a stream of reports ends with the certificate that it began with") {
  HubWorld w;
  w.tokens.ends = 1'800'000'000;
  w.clock.set_wall_ns(INT64_C(1'799'999'999'000'000'000));
  w.hub.start();
  w.hub.opened(w.link, {"t1", "a certificate"});
  w.report(batch("n1", 1, 10));
  w.hub.stop();
  CHECK(w.usage.total == 10);
  CHECK(w.link->closed == unavailable("the control plane is stopping"));
  HubWorld late;
  late.tokens.ends = 1'800'000'000;
  late.clock.set_wall_ns(INT64_C(1'800'000'000'000'000'000));
  late.hub.start();
  late.hub.opened(late.link, {"t1", "a certificate"});
  late.report(batch("n1", 1, 10));
  late.hub.stop();
  CHECK(late.usage.total == 0);
  CHECK(message_of(late.link->closed).find("certificate") != std::string::npos);
}

TEST_CASE("the reports of a node that is let in no longer end at once") {
  HubWorld w;
  w.hub.start();
  w.hub.opened(w.link, {"t1", ""});
  w.hub.end_node("n2", unauthenticated("revoked"));
  w.report(batch("n1", 1, 10));
  w.hub.end_node("n1", unauthenticated("revoked"));
  w.report(batch("n1", 2, 10));
  w.hub.stop();
  CHECK(w.usage.total == 10);
  CHECK(w.link->closed == unauthenticated("revoked"));
}

TEST_CASE("the last metrics of a node are remembered") {
  HubWorld w;
  w.hub.start();
  w.hub.opened(w.link, {"t1", ""});
  v1::NodeReport report;
  report.set_node("n1");
  report.mutable_metrics()->set_connections(3);
  report.mutable_metrics()->set_usage_unacknowledged(4);
  report.mutable_metrics()->set_overload_stage(2);
  w.report(report);
  w.hub.stop();
  v1::NodeInfo info;
  info.set_node("n1");
  w.hub.complete(info);
  CHECK(info.connections() == 3);
  CHECK(info.usage_unacknowledged() == 4);
  CHECK(info.overload_stage() == 2);
}
