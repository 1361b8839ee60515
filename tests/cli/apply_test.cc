#include <catch2/catch.hpp>

#include "cli/output.h"
#include "common/base/diagnostic.h"
#include "common/base/status.h"
#include "tests/cli/gwctl_run.h"

namespace gw::cli {
namespace {

v1::RolloutStatus active_everywhere(uint64_t version) {
  return rollout(version, "active", {node_rollout("n1", "az-a", v1::ACTIVE), node_rollout("n2", "az-b", v1::ACTIVE)}, true);
}

DiagnosticList one_error(const std::string& path) {
  DiagnosticList out;
  out.error("GW1201", {"Route", "platform/all"}, path, "no Upstream platform/legcy").set_cure("did you mean \"legacy\"?");
  return out;
}

}  // namespace

TEST_CASE("apply sends what the files hold, with owner, set and message") {
  GwctlRun gwctl;
  gwctl.admin.answer("apply", plan_change());
  gwctl.admin.watches.push_back({active_everywhere(142)});
  gwctl.file("gw/a.yaml", kDemoObjects);
  gwctl.file("gw/more/b.yml", "apiVersion: gw/v1\nkind: Consumer\nmetadata: {name: acme}\nspec: {title: Acme}\n");
  gwctl.file("gw/notes.txt", "not configuration");
  CHECK(gwctl.run({"apply", "-f", gwctl.directory + "/gw", "--set", "repo", "--prune", "-m", "halve it", "--owner", "platform"}) == 0);
  auto request = gwctl.admin.asked<v1::ApplyRequest>("apply");
  CHECK(request.objects_size() == 6);
  CHECK(request.owner() == "platform");
  CHECK(request.set() == "repo");
  CHECK(request.prune());
  CHECK(request.message() == "halve it");
  CHECK_FALSE(request.dry_run());
  CHECK(gwctl.admin.endpoint.token == "gwt_test");
}

TEST_CASE("apply reads standard input") {
  GwctlRun gwctl;
  gwctl.admin.answer("apply", plan_change());
  gwctl.admin.watches.push_back({active_everywhere(142)});
  gwctl.input = kDemoObjects;
  CHECK(gwctl.run({"apply", "-f", "-"}) == 0);
  CHECK(gwctl.admin.asked<v1::ApplyRequest>("apply").objects_size() == 5);
}

TEST_CASE("the JSON of apply is kept") {
  GwctlRun gwctl;
  gwctl.admin.answer("apply", plan_change());
  gwctl.admin.watches.push_back({active_everywhere(142)});
  CHECK(gwctl.run({"apply", "-f", gwctl.file("a.yaml", kDemoObjects), "-o", "json"}) == 0);
  CHECK(is_golden("apply.json", gwctl.out));
  CHECK(Json::parse(gwctl.out)["version"] == 142);
}

TEST_CASE("--no-wait says what was offered and does not wait; with no node it exits 1") {
  GwctlRun gwctl;
  const std::string file = gwctl.file("a.yaml", kDemoObjects);
  v1::ApplyResponse response = plan_change();
  gwctl.admin.answer("apply", response);
  CHECK(gwctl.run({"apply", "-f", file, "--no-wait"}) == 0);
  CHECK(gwctl.out.find("version 142 offered\n") != std::string::npos);
  CHECK(gwctl.admin.count("watch_rollout") == 0);
  response.set_nodes_connected(0);
  gwctl.admin.answer("apply", response);
  CHECK(gwctl.run({"apply", "-f", file, "--no-wait"}) == 1);
  CHECK(gwctl.err.find("no node is connected") != std::string::npos);
}

TEST_CASE("an apply that changes nothing waits for nothing") {
  GwctlRun gwctl;
  v1::ApplyResponse response = plan_change();
  response.set_version(0);
  response.mutable_changes()->DeleteSubrange(0, 1);
  gwctl.admin.answer("apply", response);
  CHECK(gwctl.run({"apply", "-f", gwctl.file("a.yaml", kDemoObjects)}) == 0);
  CHECK(gwctl.out == "nothing changes: 1 unchanged\n");
  CHECK(gwctl.admin.count("watch_rollout") == 0);
}

TEST_CASE("records alone make no version: the directory is waited for") {
  GwctlRun gwctl;
  v1::ApplyResponse response = plan_change();
  response.set_version(0);
  response.set_directory_version(9);
  gwctl.admin.answer("apply", response);
  gwctl.admin.watches.push_back({active_everywhere(0)});
  CHECK(gwctl.run({"apply", "-f", gwctl.file("a.yaml", kDemoObjects)}) == 0);
  CHECK(gwctl.admin.asked<v1::WatchRolloutRequest>("watch_rollout").directory_version() == 9);
  CHECK(gwctl.err.find("undo") == std::string::npos);
}

TEST_CASE("a file that does not load is refused with its place, and nothing is sent") {
  GwctlRun gwctl;
  const std::string file = gwctl.file("a.yaml", "apiVersion: gw/v1\nkind: Upstream\nmetadata: {name: legacy}\nspec: {targts: []}\n");
  CHECK(gwctl.run({"apply", "-f", file}) == 8);
  CHECK(gwctl.err.find(file + ":4:") == 0);
  CHECK(gwctl.err.find("did you mean \"targets\"?") != std::string::npos);
  CHECK(gwctl.admin.calls.empty());
  CHECK(gwctl.run({"apply", "-f", gwctl.directory + "/absent.yaml"}) == 2);
  CHECK(gwctl.err.find("absent.yaml") != std::string::npos);
}

TEST_CASE("what the server says of an object lands on its line in the file") {
  GwctlRun gwctl;
  const std::string file = gwctl.file("a.yaml", kDemoObjects);
  gwctl.admin.failures["apply"] = to_status(one_error("spec.to.upstream"), absl::StatusCode::kInvalidArgument);
  CHECK(gwctl.run({"apply", "-f", file}) == 8);
  CHECK(gwctl.err == file + ":24:61: error GW1201: Route platform/all: spec.to.upstream: no Upstream platform/legcy; did you mean \"legacy\"?\n");
}

TEST_CASE("a conflict is exit 5, a missing right 3") {
  GwctlRun gwctl;
  const std::string file = gwctl.file("a.yaml", kDemoObjects);
  gwctl.admin.failures["apply"] = aborted("Plan platform/free was changed meanwhile");
  CHECK(gwctl.run({"apply", "-f", file}) == 5);
  CHECK(gwctl.err == "gwctl: Plan platform/free was changed meanwhile\n");
  gwctl.admin.failures["apply"] = permission_denied("role viewer may not apply");
  CHECK(gwctl.run({"apply", "-f", file}) == 3);
}

TEST_CASE("plan shows consequences and exits 0; diff shows fields and exits 1") {
  GwctlRun gwctl;
  const std::string file = gwctl.file("a.yaml", kDemoObjects);
  gwctl.admin.answer("apply", plan_change());
  CHECK(gwctl.run({"plan", "-f", file}) == 0);
  CHECK(gwctl.out.find("Plan platform/free  changed  quota.requests 10000 -> 5000") == 0);
  CHECK(gwctl.admin.asked<v1::ApplyRequest>("apply").dry_run());
  CHECK(gwctl.run({"plan", "-f", file, "--exit-code"}) == 1);
  CHECK(gwctl.run({"plan", "-f", file, "-o", "json"}) == 0);
  CHECK(is_golden("plan.json", gwctl.out));
  CHECK(gwctl.run({"plan", "-f", file, "-o", "name"}) == 0);
  CHECK(gwctl.out == "plan/platform/free\n");
  CHECK(gwctl.run({"diff", "-f", file}) == 1);
  CHECK(gwctl.out == "Plan platform/free changed\n- spec.quota.requests: 10000\n+ spec.quota.requests: 5000\n");
  CHECK(gwctl.run({"diff", "-f", file, "--exit-zero"}) == 0);
}

TEST_CASE("a kept plan is applied with the generations that it saw") {
  GwctlRun gwctl;
  const std::string file = gwctl.file("a.yaml", kDemoObjects);
  const std::string plan = gwctl.directory + "/plan.json";
  v1::WhoAmIResponse who;
  who.set_lineage("aa01");
  gwctl.admin.answer("who_am_i", who);
  gwctl.admin.answer("apply", plan_change());
  CHECK(gwctl.run({"plan", "-f", file, "--out", plan, "--set", "repo", "--owner", "platform"}) == 0);
  CHECK(gwctl.err.find("gwctl apply --plan") != std::string::npos);
  auto planned = gwctl.admin.asked<v1::ApplyRequest>("apply");
  gwctl.admin.watches.push_back({active_everywhere(142)});
  CHECK(gwctl.run({"apply", "--plan", plan, "-m", "as planned"}) == 0);
  auto sent = gwctl.admin.asked<v1::ApplyRequest>("apply");
  CHECK_FALSE(sent.dry_run());
  CHECK(sent.set() == "repo");
  CHECK(sent.owner() == "platform");
  CHECK(sent.message() == "as planned");
  REQUIRE(sent.objects_size() == planned.objects_size());
  for (int i = 0; i < sent.objects_size(); ++i) CHECK(sent.objects(i).SerializeAsString() == planned.objects(i).SerializeAsString());
  REQUIRE(sent.seen_size() == 2);
  CHECK(sent.seen(0).name() == "free");
  CHECK(sent.seen(0).generation() == 6);  // changed to 7
  CHECK(sent.seen(1).generation() == 3);  // unchanged

  who.set_lineage("bb02");
  gwctl.admin.answer("who_am_i", who);
  CHECK(gwctl.run({"apply", "--plan", plan}) == 5);
  CHECK(gwctl.run({"apply", "--plan", gwctl.file("junk.json", "{\"a\": 1}")}) == 8);
  CHECK(gwctl.run({"apply", "--plan", gwctl.file("junk2.json", "not json")}) == 8);
  CHECK(gwctl.run({"apply", "--plan", gwctl.directory + "/absent.json"}) == 2);
}

TEST_CASE("delete finds the owner of a bare name, and asks before it deletes a record") {
  GwctlRun gwctl;
  gwctl.admin.answer("remove", plan_change());
  gwctl.admin.objects = {view("apiVersion: gw/v1\nkind: Upstream\nmetadata: {name: legacy, owner: platform}\nspec: {targets: [{url: \"http://127.0.0.1:1\"}]}\n")};
  gwctl.admin.watches.push_back({active_everywhere(142)});
  CHECK(gwctl.run({"delete", "upstream", "legacy", "-m", "gone"}) == 0);
  auto request = gwctl.admin.asked<v1::DeleteRequest>("remove");
  REQUIRE(request.ids_size() == 1);
  CHECK(request.ids(0).owner() == "platform");
  CHECK(request.message() == "gone");
  CHECK(gwctl.run({"delete", "upstream", "legcy"}) == 4);
  CHECK(gwctl.run({"delete", "upstream"}) == 2);
  gwctl.admin.calls.clear();
  CHECK(gwctl.run({"delete", "app", "platform/acme-mobile"}) == 2);
  CHECK(gwctl.err.find("cannot be undone; say it again with -y") != std::string::npos);
  CHECK(gwctl.admin.count("remove") == 0);
  gwctl.admin.watches.push_back({active_everywhere(142)});
  CHECK(gwctl.run({"delete", "app/platform/acme-mobile", "-y"}) == 0);
  CHECK(gwctl.admin.asked<v1::DeleteRequest>("remove").ids(0).kind() == "App");
}

TEST_CASE("delete -f deletes what the files name") {
  GwctlRun gwctl;
  gwctl.admin.answer("remove", plan_change());
  gwctl.admin.watches.push_back({active_everywhere(142)});
  CHECK(gwctl.run({"delete", "-f", gwctl.file("a.yaml", kDemoObjects)}) == 0);
  CHECK(gwctl.admin.asked<v1::DeleteRequest>("remove").ids_size() == 5);
}

TEST_CASE("undo says what it made, how to undo that, and that the set is held") {
  GwctlRun gwctl;
  v1::ApplyResponse response = plan_change();
  response.set_version(143);
  gwctl.admin.answer("undo", response);
  v1::HistoryResponse history;
  history.add_versions()->set_version(142);
  history.mutable_versions(0)->set_set("repo");
  gwctl.admin.answer("history", history);
  gwctl.admin.watches.push_back({active_everywhere(143)});
  CHECK(gwctl.run({"rollout", "undo", "142", "-m", "too early"}) == 0);
  CHECK(gwctl.admin.asked<v1::UndoRequest>("undo").version() == 142);
  CHECK(gwctl.err.find("undo with: gwctl rollout undo 143\n") != std::string::npos);
  CHECK(gwctl.err.find("gwctl rollout release repo") != std::string::npos);
  gwctl.admin.answer("release_set", v1::ReleaseSetResponse());
  CHECK(gwctl.run({"rollout", "release", "repo"}) == 0);
  CHECK(gwctl.admin.asked<v1::ReleaseSetRequest>("release_set").set() == "repo");
}

TEST_CASE("-q leaves data and errors") {
  GwctlRun gwctl;
  gwctl.admin.answer("apply", plan_change());
  gwctl.admin.watches.push_back({active_everywhere(142)});
  CHECK(gwctl.run({"apply", "-q", "-f", gwctl.file("a.yaml", kDemoObjects)}) == 0);
  CHECK(gwctl.err.empty());
  CHECK_FALSE(gwctl.out.empty());
}

TEST_CASE("progress is for terminals, and never reaches standard output") {
  GwctlRun gwctl;
  gwctl.env.err_is_terminal = true;
  gwctl.admin.answer("apply", plan_change());
  gwctl.admin.watches.push_back({rollout(142, "offered", {node_rollout("n1", "", v1::BUILT)}, false), active_everywhere(142)});
  CHECK(gwctl.run({"apply", "-f", gwctl.file("a.yaml", kDemoObjects)}) == 0);
  CHECK(gwctl.err.find("\r") != std::string::npos);
  CHECK(gwctl.out.find("\r") == std::string::npos);
  CHECK(gwctl.out.find("\x1b") == std::string::npos);
}

}  // namespace gw::cli
