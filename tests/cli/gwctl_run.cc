#include "tests/cli/gwctl_run.h"

#include <stdlib.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>

#include "common/config/loader.h"
#include "tests/support/source_dir.h"

namespace gw::cli {

GwctlRun::GwctlRun() {
  std::string pattern = std::filesystem::temp_directory_path() / "gwctl-test-XXXXXX";
  directory = ::mkdtemp(pattern.data());
  variables = {{"HOME", directory}, {"GW_SERVER", "127.0.0.1:7443"}, {"GW_TOKEN_FILE", file("token", "gwt_test\n")}};
  env.directory = directory;
  env.clock = &clock;
  env.variable = [this](const std::string& name) {
    auto found = variables.find(name);
    return found == variables.end() ? std::string() : found->second;
  };
  env.sleep = [this](int64_t ms) { clock.advance_ms(ms); };
  env.connect = [this](const Endpoint& endpoint) {
    admin.endpoint = endpoint;
    return make_fake_admin(admin);
  };
}

GwctlRun::~GwctlRun() {
  std::error_code error;
  std::filesystem::remove_all(directory, error);
}

int GwctlRun::run(const std::vector<std::string>& args) {
  std::istringstream in(input);
  std::ostringstream out_stream, err_stream;
  env.in = &in;
  env.out = &out_stream;
  env.err = &err_stream;
  int code = run_gwctl(env, args);
  out = out_stream.str();
  err = err_stream.str();
  return code;
}

std::string GwctlRun::file(const std::string& name, const std::string& text) {
  std::filesystem::path path = std::filesystem::path(directory) / name;
  std::filesystem::create_directories(path.parent_path());
  std::ofstream(path, std::ios::binary) << text;
  return path;
}

std::string GwctlRun::read(const std::string& name) const {
  std::ifstream file(std::filesystem::path(directory) / name, std::ios::binary);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

bool is_golden(const std::string& name, const std::string& text) {
  const std::string path = gw::test::source_dir() + "/tests/golden/cli/" + name;
  if (::getenv("GW_UPDATE_GOLDEN") != nullptr) {
    std::ofstream(path, std::ios::binary) << text;
    return true;
  }
  std::ifstream file(path, std::ios::binary);
  std::stringstream golden;
  golden << file.rdbuf();
  if (golden.str() == text) return true;
  WARN(name << " should be\n" << golden.str() << "\nand is\n" << text);
  return false;
}

v1::NodeRollout node_rollout(const std::string& node, const std::string& zone, v1::NodeState state, bool connected) {
  v1::NodeRollout out;
  out.set_node(node);
  out.set_zone(zone);
  out.set_state(state);
  out.set_connected(connected);
  return out;
}

v1::RolloutStatus rollout(uint64_t version, const std::string& phase, std::vector<v1::NodeRollout> nodes, bool final, double seconds) {
  v1::RolloutStatus out;
  out.set_version(version);
  out.set_phase(phase);
  for (v1::NodeRollout& n : nodes) *out.add_nodes() = std::move(n);
  out.set_final(final);
  out.set_seconds(seconds);
  return out;
}

v1::ApplyResponse plan_change() {
  v1::ApplyResponse out;
  out.set_version(142);
  out.set_nodes_connected(4);
  v1::Change& plan = *out.add_changes();
  plan.set_action(v1::Change::CHANGED);
  plan.set_kind("Plan");
  plan.set_owner("platform");
  plan.set_name("free");
  plan.set_generation(7);
  v1::FieldChange& field = *plan.add_fields();
  field.set_path("spec.quota.requests");
  field.set_before("10000");
  field.set_after("5000");
  plan.add_notes("12 apps");
  v1::Change& same = *out.add_changes();
  same.set_action(v1::Change::UNCHANGED);
  same.set_kind("Api");
  same.set_owner("attendees");
  same.set_name("attendee-api");
  same.set_generation(3);
  return out;
}

v1::ObjectView view(const std::string& yaml) {
  DiagnosticList diagnostics;
  LoadedFile loaded = load_yaml(yaml, "view.yaml", {}, diagnostics);
  INFO((diagnostics.empty() ? "" : to_text(diagnostics.items()[0])));
  REQUIRE(loaded.objects.size() == 1);
  v1::ObjectView out;
  *out.mutable_object() = loaded.objects[0].object;
  return out;
}

const char kDemoObjects[] =
    "apiVersion: gw/v1\nkind: Team\nmetadata: {name: platform}\nspec: {title: Platform}\n---\n"
    "apiVersion: gw/v1\nkind: Gateway\nmetadata: {name: edge, owner: platform, shareWith: [all]}\n"
    "spec: {nodes: {labels: {}}, listeners: [{name: http, address: 127.0.0.1, port: 8080, protocol: http}]}\n---\n"
    "apiVersion: gw/v1\nkind: Upstream\nmetadata: {name: legacy, owner: platform}\nspec: {targets: [{url: \"http://127.0.0.1:9101\"}]}\n---\n"
    "apiVersion: gw/v1\nkind: Api\nmetadata: {name: web, owner: platform}\n"
    "spec: {title: Web, version: \"1.0\", hosts: [www.localhost], basePath: /, auth: [anonymous]}\n---\n"
    "apiVersion: gw/v1\nkind: Route\nmetadata: {name: all, owner: platform}\n"
    "spec: {api: web, match: {path: {prefix: /}}, to: {upstream: legacy}}\n";

}  // namespace gw::cli
