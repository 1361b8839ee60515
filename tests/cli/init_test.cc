#include <sys/stat.h>

#include <catch2/catch.hpp>
#include <filesystem>

#include "cli/output.h"
#include "common/base/status.h"
#include "tests/cli/gwctl_run.h"

namespace gw::cli {

TEST_CASE("init without a control plane writes a whole set, which lint passes") {
  GwctlRun gwctl;
  gwctl.variables.erase("GW_SERVER");
  const std::string dir = gwctl.directory + "/gw";
  CHECK(gwctl.run({"init", "--upstream", "http://localhost:3000", "--host", "my.localhost", "--dir", dir}) == 0);
  CHECK(gwctl.out == dir + "/team.yaml\n" + dir + "/gateway.yaml\n" + dir + "/upstream.yaml\n" + dir + "/api.yaml\n");
  CHECK(gwctl.err.find("gwctl apply -f") != std::string::npos);
  CHECK(gwctl.run({"lint", dir}) == 0);
  CHECK(gwctl.out == "5 objects, 0 errors, 0 warnings\n");
  CHECK(gwctl.run({"init", "--upstream", "http://localhost:3000", "--host", "my.localhost", "--dir", dir}) == 2);
  CHECK(gwctl.err.find("--force") != std::string::npos);
  CHECK(gwctl.run({"init", "--upstream", "http://localhost:3000", "--host", "my.localhost", "--dir", dir, "--force"}) == 0);
}

TEST_CASE("init refers to the Gateway that the control plane has, and lint still passes") {
  GwctlRun gwctl;
  gwctl.admin.objects = {view("apiVersion: gw/v1\nkind: Team\nmetadata: {name: attendees}\nspec: {title: A}\n"),
                         view("apiVersion: gw/v1\nkind: Gateway\nmetadata: {name: edge, owner: platform, shareWith: [all]}\n"
                              "spec: {nodes: {labels: {}}, listeners: [{name: http, address: 127.0.0.1, port: 8080, protocol: http}]}\n")};
  const std::string dir = gwctl.directory + "/gw";
  CHECK(gwctl.run({"init", "--upstream", "http://localhost:3000", "--host", "my.localhost", "--dir", dir, "--team", "attendees"}) == 0);
  CHECK(gwctl.out == dir + "/upstream.yaml\n" + dir + "/api.yaml\n");
  CHECK(gwctl.read("gw/api.yaml").find("gateways: [platform/edge]") != std::string::npos);
  CHECK(gwctl.run({"lint", dir}) == 0);
}

TEST_CASE("init refuses what cannot work") {
  GwctlRun gwctl;
  const std::string dir = gwctl.directory + "/gw";
  CHECK(gwctl.run({"init", "--upstream", "ftp://localhost:3000", "--host", "my.localhost", "--dir", dir}) == 2);
  CHECK(gwctl.run({"init", "--upstream", "http://localhost:3000", "--host", "my localhost]", "--dir", dir}) == 2);
  CHECK(gwctl.run({"init", "--host", "my.localhost", "--dir", dir}) == 2);
  CHECK_FALSE(std::filesystem::exists(dir));
}

TEST_CASE("lint passes the demonstration and says what is wrong elsewhere with its place") {
  GwctlRun gwctl;
  gwctl.variables.erase("GW_SERVER");
  CHECK(gwctl.run({"lint", "-f", gwctl.file("good.yaml", kDemoObjects)}) == 0);
  CHECK(gwctl.err.empty());
  std::string text = kDemoObjects;
  text.replace(text.find("upstream: legacy"), 16, "upstream: legcy ");
  const std::string file = gwctl.file("dangling.yaml", text);
  gwctl.run({"lint", "-f", file, "-o", "json"});
  CHECK(gwctl.out.find("\"file\": \"" + file + "\"") != std::string::npos);
  text = kDemoObjects;
  text.replace(text.find("prefix: /"), 9, "prefx: / ");
  CHECK(gwctl.run({"lint", "-f", gwctl.file("typo.yaml", text)}) == 1);
  CHECK(gwctl.err.find("did you mean \"prefix\"?") != std::string::npos);
  CHECK(gwctl.out == "4 objects, 1 errors, 0 warnings\n");
  CHECK(gwctl.run({"lint", "-f", gwctl.directory + "/absent.yaml"}) == 2);
}

TEST_CASE("lint finds a route that can never win") {
  GwctlRun gwctl;
  gwctl.variables.erase("GW_SERVER");
  const std::string file = gwctl.file("a.yaml", std::string(kDemoObjects) +
                                                    "---\napiVersion: gw/v1\nkind: Route\nmetadata: {name: never, owner: platform}\n"
                                                    "spec: {api: web, match: {path: {prefix: /}, methods: [GET]}, priority: -1, to: {upstream: legacy}}\n"
                                                    "---\napiVersion: gw/v1\nkind: Route\nmetadata: {name: twin, owner: platform}\n"
                                                    "spec: {api: web, match: {path: {prefix: /}}, priority: -2, to: {upstream: legacy}}\n");
  CHECK(gwctl.run({"lint", "-f", file}) == 1);
  CHECK(gwctl.err.find("Route platform/twin") != std::string::npos);
}

}  // namespace gw::cli
