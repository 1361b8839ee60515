#include "cli/rollout_wait.h"

#include <catch2/catch.hpp>

#include "common/base/status.h"
#include "tests/cli/gwctl_run.h"

namespace gw::cli {
namespace {

using State = v1::NodeState;

// apply of one file over the fake; the watches are in place.
int apply(GwctlRun& gwctl, std::vector<std::string> more = {}) {
  std::vector<std::string> args = {"apply", "-f", gwctl.file("a.yaml", kDemoObjects)};
  args.insert(args.end(), more.begin(), more.end());
  gwctl.admin.answer("apply", plan_change());
  return gwctl.run(args);
}

}  // namespace

TEST_CASE("apply waits and says the verdict by zone, and how to undo it") {
  GwctlRun gwctl;
  gwctl.admin.watches.push_back({rollout(142, "offered", {node_rollout("n1", "az-a", State::RECEIVED), node_rollout("n2", "az-b", State::BUILT)}, false),
                                 rollout(142, "active", {node_rollout("n1", "az-a", State::ACTIVE), node_rollout("n2", "az-b", State::PERSISTED)}, true)});
  CHECK(apply(gwctl) == 0);
  CHECK(gwctl.out == "Plan platform/free  changed  quota.requests 10000 -> 5000\n                             (12 apps)\n1 unchanged\n"
                     "version 142 offered   built 2/2   activated   az-a 1/1  az-b 1/1   active in 0.4 s\n");
  CHECK(gwctl.err == "undo with: gwctl rollout undo 142\n");
}

TEST_CASE("a refused version exits 1 and names node, object, field and cure") {
  GwctlRun gwctl;
  v1::NodeRollout bad = node_rollout("n2", "az-b", State::REFUSED);
  v1::Diagnostic& d = *bad.add_diagnostics();
  d.set_severity(Diagnostic::ERROR);
  d.set_code("GW3010");
  d.set_kind("Gateway");
  d.set_object("platform/edge");
  d.set_path("spec.listeners[0].port");
  d.set_message("127.0.0.1:8080 is taken on this node");
  gwctl.admin.watches.push_back({rollout(142, "refused", {node_rollout("n1", "az-a", State::BUILT), bad}, true)});
  CHECK(apply(gwctl) == 1);
  CHECK(gwctl.out.find("  node n2 (az-b) refused: error GW3010: Gateway platform/edge: spec.listeners[0].port: 127.0.0.1:8080 is taken on this node\n") != std::string::npos);
  CHECK(gwctl.err.find("undo") == std::string::npos);  // nothing was changed anywhere
}

TEST_CASE("no node connected: stored, said so, exit 1") {
  GwctlRun gwctl;
  gwctl.admin.watches.push_back({rollout(142, "no-nodes", {}, true)});
  CHECK(apply(gwctl) == 1);
  CHECK(gwctl.out.find("stored; no node is connected") != std::string::npos);
}

TEST_CASE("a lost node is named; the quorum decides, else exit 7") {
  std::vector<v1::NodeRollout> nodes = {node_rollout("n1", "az-a", State::ACTIVE), node_rollout("n2", "az-b", State::RECEIVED, false)};
  GwctlRun gwctl;
  gwctl.admin.watches.push_back({rollout(142, "active", nodes, true)});
  CHECK(apply(gwctl) == 7);
  CHECK(gwctl.out.find("  node n2 (az-b) lost: it holds no lease; last state received\n") != std::string::npos);
  gwctl.admin.watches.push_back({rollout(142, "active", nodes, true)});
  CHECK(apply(gwctl, {"--quorum", "1"}) == 0);
  gwctl.admin.watches.push_back({rollout(142, "active", nodes, true)});
  CHECK(apply(gwctl, {"--quorum", "50%"}) == 0);
  gwctl.admin.watches.push_back({rollout(142, "active", nodes, true)});
  CHECK(apply(gwctl, {"--quorum", "51%"}) == 7);
}

TEST_CASE("a quorum does not wait for the rest") {
  GwctlRun gwctl;
  gwctl.admin.watches.push_back({rollout(142, "activating", {node_rollout("n1", "", State::ACTIVE), node_rollout("n2", "", State::BUILT)}, false)});
  CHECK(apply(gwctl, {"--quorum", "1"}) == 0);
  CHECK(gwctl.admin.count("watch_rollout") == 1);
}

TEST_CASE("a superseded version is followed to the one that contains it") {
  GwctlRun gwctl;
  v1::RolloutStatus overtaken = rollout(142, "superseded", {}, true);
  overtaken.set_superseded_by(144);
  gwctl.admin.watches.push_back({overtaken});
  gwctl.admin.watches.push_back({rollout(144, "active", {node_rollout("n1", "", State::ACTIVE)}, true)});
  CHECK(apply(gwctl) == 0);
  CHECK(gwctl.admin.asked<v1::WatchRolloutRequest>("watch_rollout").version() == 144);
  CHECK(gwctl.err.find("version 142 superseded by 144") != std::string::npos);
}

TEST_CASE("waiting goes on over a restart of the control plane") {
  GwctlRun gwctl;
  gwctl.admin.watches = {{rollout(142, "offered", {node_rollout("n1", "", State::RECEIVED)}, false)}, {}, {rollout(142, "active", {node_rollout("n1", "", State::ACTIVE)}, true)}};
  gwctl.admin.watch_ends = {unavailable("reset"), unavailable("refused"), absl::OkStatus()};
  CHECK(apply(gwctl) == 0);
  CHECK(gwctl.admin.count("watch_rollout") == 3);
}

TEST_CASE("a control plane that stays away ends in exit 6 with the version said") {
  GwctlRun gwctl;
  for (int i = 0; i < 400; ++i) {
    gwctl.admin.watches.emplace_back();
    gwctl.admin.watch_ends.push_back(unavailable("refused"));
  }
  CHECK(apply(gwctl, {"--timeout", "10s"}) == 6);
  CHECK(gwctl.out.find("version 142 offered") != std::string::npos);
  CHECK(gwctl.out.find("the control plane went away") != std::string::npos);
}

TEST_CASE("time that runs out is exit 7 and names who is behind") {
  GwctlRun gwctl;
  gwctl.admin.watches.push_back({rollout(142, "offered", {node_rollout("n1", "az-a", State::BUILT), node_rollout("n2", "az-b", State::RECEIVED)}, false)});
  gwctl.admin.watch_ends.push_back(deadline_exceeded("late"));
  CHECK(apply(gwctl, {"--timeout", "1s"}) == 7);
  CHECK(gwctl.out.find("node n2 (az-b) behind: received") != std::string::npos);
  CHECK(gwctl.err.find("gwctl rollout status 142") != std::string::npos);
}

TEST_CASE("--until asks for more than active") {
  GwctlRun gwctl;
  gwctl.admin.watches.push_back({rollout(142, "active", {node_rollout("n1", "", State::DRAINED)}, true)});
  CHECK(apply(gwctl, {"--until", "drained"}) == 0);
  CHECK(gwctl.admin.asked<v1::WatchRolloutRequest>("watch_rollout").until() == v1::WatchRolloutRequest::UNTIL_DRAINED);
  CHECK(gwctl.out.find("drained in 0.4 s") != std::string::npos);
  CHECK(apply(gwctl, {"--until", "sunset"}) == 2);
}

TEST_CASE("what a restarted control plane no longer follows is looked up in its history") {
  GwctlRun gwctl;
  gwctl.admin.watches.push_back({rollout(142, "", {}, true)});
  v1::HistoryResponse history;
  v1::VersionInfo& info = *history.add_versions();
  info.set_version(142);
  info.set_phase("active");
  *info.add_nodes() = node_rollout("n1", "az-a", State::ACTIVE);
  gwctl.admin.answer("history", history);
  CHECK(apply(gwctl) == 0);
  CHECK(gwctl.out.find("az-a 1/1") != std::string::npos);
}

}  // namespace gw::cli
