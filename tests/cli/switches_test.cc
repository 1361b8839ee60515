#include <catch2/catch.hpp>

#include "common/base/status.h"
#include "tests/cli/gwctl_run.h"

namespace gw::cli {
namespace {

v1::SwitchInfo stopped(v1::SwitchKind kind, const std::string& name) {
  v1::SwitchInfo out;
  out.set_kind(kind);
  out.set_name(name);
  out.set_actor("alice@platform");
  out.set_since(1'800'000'000);
  return out;
}

v1::SetSwitchResponse answer_of(v1::SwitchInfo info, bool changed = true) {
  v1::SetSwitchResponse out;
  *out.mutable_info() = std::move(info);
  out.set_changed(changed);
  out.set_switches_version(7);
  out.set_nodes_connected(2);
  return out;
}

v1::RolloutStatus everywhere() {
  return rollout(0, "active", {node_rollout("n1", "az-a", v1::ACTIVE), node_rollout("n2", "az-b", v1::ACTIVE)}, true);
}

}  // namespace

TEST_CASE("api disable waits for the nodes, names each, and says how to take it back") {
  GwctlRun gwctl;
  v1::SwitchInfo info = stopped(v1::SWITCH_API, "attendees/attendee-api");
  info.set_message("on fire");
  info.set_retry_after(600);
  gwctl.admin.answer("set_switch", answer_of(info));
  gwctl.admin.watches.push_back({everywhere()});
  CHECK(gwctl.run({"api", "disable", "attendees/attendee-api", "--message", "on fire", "--retry-after", "10m"}) == 0);
  CHECK(gwctl.out ==
        "Api attendees/attendee-api disabled\n  node n1 (az-a)  in force\n  node n2 (az-b)  in force\nin force on 2/2 nodes in 0.4 s\n");
  CHECK(gwctl.err == "undo with: gwctl api enable attendees/attendee-api\n");
  auto asked = gwctl.admin.asked<v1::SetSwitchRequest>("set_switch");
  CHECK(asked.kind() == v1::SWITCH_API);
  CHECK(asked.stop());
  CHECK(asked.message() == "on fire");
  CHECK(asked.retry_after() == 600);
  auto watched = gwctl.admin.asked<v1::WatchRolloutRequest>("watch_rollout");
  CHECK(watched.version() == 0);
  CHECK(watched.switches_version() == 7);
  gwctl.admin.watches.push_back({everywhere()});
  CHECK(gwctl.run({"api", "disable", "attendees/attendee-api", "-o", "json"}) == 0);
  CHECK(is_golden("api_disable.json", gwctl.out));
}

TEST_CASE("drain, undrain, block and unblock say what they did") {
  GwctlRun gwctl;
  v1::SwitchInfo target = stopped(v1::SWITCH_TARGET, "platform/up");
  target.set_target("10.0.0.1:80");
  v1::SetSwitchResponse drained = answer_of(target);
  v1::Diagnostic& last = *drained.add_diagnostics();
  last.set_code("GW2022");
  last.set_severity(v1::Diagnostic::WARNING);
  last.set_message("no target takes requests any more");
  gwctl.admin.answer("set_switch", drained);
  CHECK(gwctl.run({"upstream", "drain", "platform/up", "--target", "10.0.0.1:80", "--no-wait"}) == 0);
  CHECK(gwctl.out == "Upstream platform/up 10.0.0.1:80 drained\n");
  CHECK(gwctl.err.find("GW2022") != std::string::npos);
  CHECK(gwctl.err.find("undo with: gwctl upstream undrain platform/up --target 10.0.0.1:80") != std::string::npos);
  CHECK(gwctl.admin.count("watch_rollout") == 0);
  gwctl.admin.answer("set_switch", answer_of(target, false));
  CHECK(gwctl.run({"upstream", "undrain", "platform/up", "--target", "10.0.0.1:80", "--no-wait"}) == 0);
  CHECK(gwctl.out == "Upstream platform/up 10.0.0.1:80 back in rotation already\n");
  CHECK(gwctl.err.empty());
  CHECK_FALSE(gwctl.admin.asked<v1::SetSwitchRequest>("set_switch").stop());

  v1::SwitchInfo block = stopped(v1::SWITCH_BLOCK, "192.0.2.0/24");
  block.set_expires_at(1'800'003'600);
  gwctl.admin.answer("set_switch", answer_of(block));
  CHECK(gwctl.run({"block", "ip", "192.0.2.0/24", "--for", "1h", "-o", "json", "--no-wait"}) == 0);
  CHECK(is_golden("block_ip.json", gwctl.out));
  CHECK(gwctl.admin.asked<v1::SetSwitchRequest>("set_switch").for_seconds() == 3600);
  CHECK(gwctl.run({"unblock", "ip", "192.0.2.0/24", "--no-wait"}) == 0);
  CHECK(gwctl.err == "undo with: gwctl block ip 192.0.2.0/24\n");
}

TEST_CASE("exit codes tell a node that refused, one that is lost, and nobody there") {
  GwctlRun gwctl;
  gwctl.admin.answer("set_switch", answer_of(stopped(v1::SWITCH_BLOCK, "192.0.2.0/24")));
  gwctl.admin.watches.push_back({rollout(0, "active", {node_rollout("n1", "az-a", v1::ACTIVE), node_rollout("n2", "az-b", v1::RECEIVED, false)}, true)});
  CHECK(gwctl.run({"block", "ip", "192.0.2.0/24"}) == 7);
  CHECK(gwctl.out.find("node n2 (az-b)  lost") != std::string::npos);
  CHECK(gwctl.out.find("in force on 1/2 nodes") != std::string::npos);
  gwctl.admin.watches.push_back({rollout(0, "active", {node_rollout("n1", "az-a", v1::ACTIVE), node_rollout("n2", "az-b", v1::RECEIVED, false)}, true)});
  CHECK(gwctl.run({"block", "ip", "192.0.2.0/24", "--quorum", "1"}) == 0);
  v1::NodeRollout refused = node_rollout("n1", "", v1::REFUSED);
  refused.add_diagnostics()->set_code("GW3006");
  gwctl.admin.watches.push_back({rollout(0, "refused", {refused}, true)});
  CHECK(gwctl.run({"block", "ip", "192.0.2.0/24"}) == 1);
  CHECK(gwctl.out.find("GW3006") != std::string::npos);
  gwctl.admin.watches.push_back({rollout(0, "no-nodes", {}, true)});
  CHECK(gwctl.run({"block", "ip", "192.0.2.0/24"}) == 1);
  CHECK(gwctl.out.find("no node is connected") != std::string::npos);
  gwctl.admin.failures["set_switch"] = permission_denied("blocking clients is for admins");
  CHECK(gwctl.run({"block", "ip", "192.0.2.0/24"}) == 3);
  gwctl.admin.failures["set_switch"] = not_found("Upstream platform/up has no target \"x\"");
  CHECK(gwctl.run({"upstream", "drain", "platform/up", "--target", "x"}) == 4);
  CHECK(gwctl.run({"upstream", "drain", "platform/up"}) == 2);
  CHECK(gwctl.run({"api", "disable", "a/b", "--status", "200"}) == 2);
  CHECK(gwctl.run({"block", "ip", "192.0.2.0/24", "--for", "soon"}) == 2);
  CHECK(gwctl.run({"block", "10.0.0.1"}) == 2);
}

TEST_CASE("switches lists what is stopped, since when and by whom") {
  GwctlRun gwctl;
  v1::ListSwitchesResponse found;
  found.set_switches_version(7);
  gwctl.admin.answer("list_switches", found);
  CHECK(gwctl.run({"switches"}) == 0);
  CHECK(gwctl.out == "nothing is stopped\n");
  v1::SwitchInfo api = stopped(v1::SWITCH_API, "attendees/attendee-api");
  api.set_message("on fire");
  *found.add_switches() = api;
  v1::SwitchInfo target = stopped(v1::SWITCH_TARGET, "platform/up");
  target.set_target("10.0.0.1:80");
  *found.add_switches() = target;
  v1::SwitchInfo block = stopped(v1::SWITCH_BLOCK, "192.0.2.0/24");
  block.set_expires_at(1'800'003'600);
  *found.add_switches() = block;
  gwctl.admin.answer("list_switches", found);
  CHECK(gwctl.run({"switches"}) == 0);
  for (const char* part : {"Api attendees/attendee-api disabled", "Upstream platform/up 10.0.0.1:80 drained", "192.0.2.0/24 blocked",
                           "alice@platform", "on fire", "2027-01-15T09:00:00Z"}) {
    CHECK(gwctl.out.find(part) != std::string::npos);
  }
  CHECK(gwctl.run({"switches", "-o", "json"}) == 0);
  CHECK(is_golden("switches.json", gwctl.out));

  v1::StatusResponse status;
  *status.mutable_switches() = found.switches();
  gwctl.clock.set_wall_ns(INT64_C(1'800'000'180'000'000'000));
  gwctl.admin.answer("status", status);
  CHECK(gwctl.run({"status"}) == 0);
  CHECK(gwctl.out.find("stopped 3") != std::string::npos);
  CHECK(gwctl.out.find("Api attendees/attendee-api disabled") != std::string::npos);
  CHECK(gwctl.out.find("3 min") != std::string::npos);
  for (int i = 0; i < 20; ++i) *status.add_switches() = block;
  gwctl.admin.answer("status", status);
  CHECK(gwctl.run({"status"}) == 0);
  CHECK(gwctl.out.find("and 13 more: gwctl switches") != std::string::npos);
}

TEST_CASE("describe upstream shows its targets as each node reported them") {
  GwctlRun gwctl;
  v1::ObjectView up = view("apiVersion: gw/v1\nkind: Upstream\nmetadata: {name: up, owner: platform}\nspec: {targets: [{url: 'http://10.0.0.1:80'}]}\n");
  for (const char* name : {"n1", "n2"}) {
    v1::NodeTargets& node = *up.add_targets();
    node.set_node(name);
    v1::TargetState& target = *node.add_targets();
    target.set_address("10.0.0.1:80");
    target.set_requests(1234);
    target.set_failures(2);
    target.set_connections_idle(3);
    target.set_connections_busy(1);
    target.set_drained(name == std::string("n2"));
    target.set_source(v1::TARGET_STATIC);
    v1::TargetState& found = *node.add_targets();
    found.set_address("10.0.0.2:80");
    found.set_source(v1::TARGET_DNS);
    found.set_name("u.test");
    v1::NameState& known = *node.add_names();
    known.set_name("u.test");
    known.add_addresses("10.0.0.2");
    known.set_total(3);
    known.set_refresh_in_ms(1'500);
    known.set_excess(4);
    if (name == std::string("n1")) continue;
    known.set_stale_since(1'800'000'000);
    known.set_problem("Could not contact DNS servers");
  }
  gwctl.admin.objects = {up};
  CHECK(gwctl.run({"describe", "upstream", "platform/up"}) == 0);
  CHECK(gwctl.out.find("n1    10.0.0.1:80  static      in rotation     1,234         2     3     1\n") != std::string::npos);
  CHECK(gwctl.out.find("n2    10.0.0.1:80  static      drained         1,234         2     3     1\n") != std::string::npos);
  for (const char* words : {"n1    10.0.0.2:80  dns u.test  in rotation", "n1    u.test  10.0.0.2 and 2 more  asked again in 2 s",
                            "4 beyond maxTargets", "stale since 2027-01-15T08:00:00Z  Could not contact DNS servers; 4 beyond maxTargets"}) {
    INFO(words << "\n" << gwctl.out);
    CHECK(gwctl.out.find(words) != std::string::npos);
  }
  CHECK(gwctl.run({"describe", "upstream", "platform/up", "-o", "json"}) == 0);
  CHECK(is_golden("describe_upstream.json", gwctl.out));
}

}  // namespace gw::cli
