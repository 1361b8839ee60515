// Whole files: what is refused with which words, and what accepted files become when they are
// written back.
#include <set>

#include "common/config/writer.h"
#include "tests/common/config/support.h"
#include "tests/support/source_dir.h"

namespace gw {
namespace {

TEST_CASE("faulty files are refused with place, name and cure") {
  for (const auto& path : files_in(golden_folder() / "refused", ".yaml")) {
    DiagnosticList diagnostics;
    LoadedFile file = load_yaml(read_text(path), path.filename().string(), {}, diagnostics);
    INFO(path.string());
    CHECK(diagnostics.has_errors());
    for (const Diagnostic& d : diagnostics.items()) {
      CHECK(d.line() > 0);
      CHECK(d.column() > 0);
      CHECK(find_code(d.code()) != nullptr);
    }
    auto golden = path;
    check_golden(golden.replace_extension(".txt"), texts(diagnostics));
  }
}

TEST_CASE("a fault is said once") {
  for (const auto& path : files_in(golden_folder() / "refused", ".yaml")) {
    DiagnosticList diagnostics;
    load_yaml(read_text(path), path.filename().string(), {}, diagnostics);
    std::set<std::string> seen;
    for (const Diagnostic& d : diagnostics.items()) {
      INFO(to_text(d));
      if (d.code() == "GW1006") continue;  // said of keys, which have no path of their own
      CHECK(seen.insert(std::to_string(d.line()) + " " + d.kind() + d.object() + " " + d.path())
                .second);
    }
  }
}

TEST_CASE("accepted files are written back in one form, which loads to the same objects") {
  for (const auto& path : files_in(golden_folder() / "accepted", ".yaml")) {
    DiagnosticList diagnostics;
    LoadedFile file = load_yaml(read_text(path), path.filename().string(), {}, diagnostics);
    INFO(path.string() << "\n" << texts(diagnostics));
    CHECK(diagnostics.empty());
    std::vector<v1::Object> objects;
    for (const LoadedObject& loaded : file.objects) objects.push_back(loaded.object);
    std::string written = to_yaml(objects);
    auto golden = path;
    check_golden(golden.replace_extension(".out"), written);

    LoadedFile again = load_yaml(written, "written.yaml", {}, diagnostics);
    INFO(written << texts(diagnostics));
    CHECK(diagnostics.empty());
    REQUIRE(again.objects.size() == objects.size());
    for (size_t i = 0; i < objects.size(); ++i) {
      CHECK(again.objects[i].object.SerializeAsString() == objects[i].SerializeAsString());
    }
  }
}

TEST_CASE("the product's own examples load without a finding") {
  for (const auto& path :
       files_in(std::filesystem::path(gw::test::source_dir()) / "deploy/example", ".yaml")) {
    DiagnosticList diagnostics;
    LoadedFile file = load_yaml(read_text(path), path.filename().string(), {}, diagnostics);
    INFO(texts(diagnostics));
    CHECK(diagnostics.empty());
    CHECK(file.objects.size() >= 10);
  }
}

TEST_CASE(
    "of the format's future parts it is said that this version lacks them, and nothing else") {
  DiagnosticList diagnostics;
  load_yaml(read_text(golden_folder() / "conference.yaml"), "conference.yaml", {}, diagnostics);
  CHECK(diagnostics.items().size() == 15);
  for (const Diagnostic& d : diagnostics.items()) {
    INFO(to_text(d));
    CHECK(d.code() == "GW1010");
  }
}

}  // namespace
}  // namespace gw
