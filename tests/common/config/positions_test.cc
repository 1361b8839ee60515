#include "common/config/positions.h"

#include "tests/common/config/support.h"

namespace gw {
namespace {

const char kText[] =
    "# comment\n"
    "apiVersion: gw/v1\n"
    "kind: Route\n"
    "metadata:\n"
    "  name: r\n"
    "  owner: team\n"
    "  labels: {a.b/c: x, a: y}\n"
    "spec:\n"
    "  api: shop\n"
    "  match:\n"
    "    path:\n"
    "      prefix: /x\n"
    "    headers: {x-a: {exact: b}}\n"
    "  to:\n"
    "    split:\n"
    "      - {upstream: a, weight: 1}\n"
    "      - upstream: b\n"
    "        weight: 2\n";

LoadedFile load() {
  DiagnosticList diagnostics;
  LoadedFile file = load_yaml(kText, "r.yaml", {}, diagnostics);
  INFO(texts(diagnostics));
  REQUIRE(file.objects.size() == 1);
  return file;
}

TEST_CASE(
    "a path leads to the place of its value, or of its key where the value is a mapping or list") {
  PositionMap map = load().objects[0].positions;
  CHECK(map.find("") == Position{2, 1});
  CHECK(map.find("kind") == Position{3, 7});
  CHECK(map.find("spec") == Position{8, 1});
  CHECK(map.find("spec.api") == Position{9, 8});
  CHECK(map.find("spec.match.path") == Position{11, 5});
  CHECK(map.find("spec.match.path.prefix") == Position{12, 15});
  CHECK(map.find("spec.match.headers.x-a.exact") == Position{13, 28});
  CHECK(map.find("spec.to.split[0]") == Position{16, 9});
  CHECK(map.find("spec.to.split[1].weight") == Position{18, 17});
  CHECK(map.find("metadata.labels[\"a.b/c\"]") == Position{7, 19});
  CHECK(map.find("metadata.labels.a.b/c") == Position{7, 19});
  CHECK(map.find("metadata.labels.a") == Position{7, 25});
}

TEST_CASE("a path that was not written leads to its nearest parent") {
  PositionMap map = load().objects[0].positions;
  CHECK(map.find("spec.match.path.exact.deeper") == Position{11, 5});
  CHECK(map.find("spec.timeouts.request") == Position{8, 1});
  CHECK(map.find("spec.to.split[7].upstream") == Position{15, 5});
  CHECK(map.find("spec.to.split[x]") == Position{15, 5});
  CHECK(map.find("spec.to.split[") == Position{15, 5});
  CHECK(map.find("spec.api.x") == Position{9, 8});
  CHECK(map.find("spec.") == Position{8, 1});
  CHECK(map.find("status") == Position{2, 1});
  CHECK(PositionMap().find("spec") == Position{});
}

TEST_CASE("the tree lives as long as a position map needs it") {
  PositionMap map;
  {
    LoadedFile file = load();
    map = file.objects[0].positions;
  }
  CHECK(map.find("spec.api") == Position{9, 8});
}

TEST_CASE("a finding from elsewhere gets its place by kind, name and path") {
  std::vector<LoadedFile> files;
  files.push_back(load());
  Diagnostic d;
  d.set_kind("Route");
  d.set_object("team/r");
  d.set_path("spec.api");
  CHECK(place(d, files));
  CHECK(d.file() == "r.yaml");
  CHECK(d.line() == 9);
  CHECK(d.column() == 8);

  Diagnostic other;
  other.set_kind("Route");
  other.set_object("other/r");
  CHECK_FALSE(place(other, files));
  CHECK(other.line() == 0);
}

TEST_CASE("an object without owner is the default owner's") {
  DiagnosticList diagnostics;
  std::vector<LoadedFile> files;
  files.push_back(
      load_yaml("apiVersion: gw/v1\nkind: Team\nmetadata: {name: a}\n", "t.yaml", {}, diagnostics));
  Diagnostic d;
  d.set_kind("Team");
  d.set_object("platform/a");
  CHECK_FALSE(place(d, files));
  CHECK(place(d, files, "platform"));
  CHECK(d.line() == 1);
}

}  // namespace
}  // namespace gw
