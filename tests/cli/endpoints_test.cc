#include <catch2/catch.hpp>

#include "common/base/status.h"
#include "tests/cli/gwctl_run.h"

namespace gw::cli {
namespace {

v1::EndpointInfo endpoint_info(const std::string& address) {
  v1::EndpointInfo out;
  out.set_upstream("platform/up");
  out.set_address(address);
  out.set_weight(2);
  out.set_zone("az-a");
  out.set_actor("ci@platform");
  out.set_since(1'800'000'000);
  out.set_expires_at(1'800'003'600);
  return out;
}

v1::SetEndpointsResponse changed_endpoints(int added, int changed, int removed) {
  v1::SetEndpointsResponse out;
  out.set_upstream("platform/up");
  *out.add_endpoints() = endpoint_info("10.0.0.1:80");
  out.set_added(added);
  out.set_changed(changed);
  out.set_removed(removed);
  out.set_endpoints_version(9);
  out.set_nodes_connected(1);
  return out;
}

v1::RolloutStatus endpoints_on_one() { return rollout(0, "active", {node_rollout("n1", "az-a", v1::ACTIVE)}, true); }

}  // namespace

TEST_CASE("upstream target add sends what the flags say and waits for the nodes") {
  GwctlRun gwctl;
  gwctl.admin.answer("set_endpoints", changed_endpoints(1, 0, 0));
  gwctl.admin.watches.push_back({endpoints_on_one()});
  CHECK(gwctl.run({"upstream", "target", "add", "platform/up", "10.0.0.1:80", "10.0.0.2:80", "--weight", "2", "--zone", "az-a", "--priority",
                   "1", "--expires", "1h", "-m", "scale out"}) == 0);
  CHECK(gwctl.out == "Upstream platform/up: 1 added; 1 endpoint now\n  node n1 (az-a)  in force\nin force on 1/1 nodes in 0.4 s\n");
  auto asked = gwctl.admin.asked<v1::SetEndpointsRequest>("set_endpoints");
  CHECK(asked.upstream() == "platform/up");
  CHECK(asked.change() == v1::ENDPOINT_ADD);
  REQUIRE(asked.targets_size() == 2);
  CHECK(asked.targets(1).url() == "http://10.0.0.2:80");
  CHECK(asked.targets(1).weight() == 2);
  CHECK(asked.targets(1).zone() == "az-a");
  CHECK(asked.targets(1).priority() == 1);
  CHECK(asked.for_seconds() == 3600);
  CHECK(asked.message() == "scale out");
  CHECK(gwctl.admin.asked<v1::WatchRolloutRequest>("watch_rollout").endpoints_version() == 9);
}

TEST_CASE("upstream target remove and set; set of none is said out loud by naming none") {
  GwctlRun gwctl;
  gwctl.admin.answer("set_endpoints", changed_endpoints(0, 0, 1));
  CHECK(gwctl.run({"upstream", "target", "remove", "up", "10.0.0.2:80", "--no-wait"}) == 0);
  CHECK(gwctl.out == "Upstream platform/up: 1 removed; 1 endpoint now\n");
  CHECK(gwctl.admin.asked<v1::SetEndpointsRequest>("set_endpoints").change() == v1::ENDPOINT_REMOVE);
  gwctl.admin.answer("set_endpoints", changed_endpoints(0, 0, 0));
  CHECK(gwctl.run({"upstream", "target", "set", "up", "--no-wait"}) == 0);
  CHECK(gwctl.out == "Upstream platform/up: no change; 1 endpoint now\n");
  auto asked = gwctl.admin.asked<v1::SetEndpointsRequest>("set_endpoints");
  CHECK(asked.change() == v1::ENDPOINT_SET);
  CHECK(asked.targets().empty());
  CHECK(gwctl.run({"upstream", "target", "add", "up"}) == 2);
  CHECK(gwctl.run({"upstream", "target", "add", "up", "10.0.0.1:80", "--weight", "1001"}) == 2);
}

TEST_CASE("upstream target list shows what was added, by whom and until when") {
  GwctlRun gwctl;
  v1::ListEndpointsResponse found;
  found.set_endpoints_version(9);
  *found.add_endpoints() = endpoint_info("10.0.0.1:80");
  gwctl.admin.answer("list_endpoints", found);
  CHECK(gwctl.run({"upstream", "target", "list"}) == 0);
  for (const char* words : {"10.0.0.1:80", "ci@platform", "az-a", "2027-01-15"}) CHECK(gwctl.out.find(words) != std::string::npos);
  CHECK(gwctl.run({"upstream", "target", "list", "-o", "json"}) == 0);
  CHECK(is_golden("target_list.json", gwctl.out));
  gwctl.admin.answer("list_endpoints", v1::ListEndpointsResponse());
  CHECK(gwctl.run({"upstream", "target", "list", "platform/up"}) == 0);
  CHECK(gwctl.out == "no target was added at run time\n");
  CHECK(gwctl.admin.asked<v1::ListEndpointsRequest>("list_endpoints").upstream() == "platform/up");
}

}  // namespace gw::cli
