// Golden findings: each case of findings.txt is laid upon base.yaml as one change.
#include <catch2/catch.hpp>

#include <set>

#include "common/base/diagnostic.h"
#include "controlplane/snapshot/compiler.h"
#include "tests/controlplane/snapshot/yaml_objects.h"

namespace gw {
namespace {

struct Case {
  std::string name, yaml, expected;
};

std::vector<Case> read_cases() {
  std::istringstream in(text_of_file("tests/golden/controlplane/findings.txt"));
  std::vector<Case> out;
  std::string line;
  bool findings = false;
  while (std::getline(in, line)) {
    if (line.rfind("=== ", 0) == 0) {
      out.push_back({line.substr(4), "apiVersion: gw/v1\n", ""});
      findings = false;
    } else if (line == "---") {
      findings = true;
    } else if (line == "+++") {
      out.back().yaml += "---\napiVersion: gw/v1\n";
    } else {
      (findings ? out.back().expected : out.back().yaml) += line + "\n";
    }
  }
  return out;
}

CompileOptions options() {
  CompileOptions out;
  out.now_ms = 1'793'491'200'000;  // 2026-11-01
  out.admin = {{"127.0.0.1", 7901}, {"10.9.9.9", 7902}};
  return out;
}

std::vector<ObjectChange> changes_of(const std::vector<v1::Object>& objects, const Catalog& now, uint64_t& uid) {
  std::vector<ObjectChange> out;
  for (const v1::Object& object : objects) {
    auto copy = std::make_shared<v1::Object>(object);
    const v1::Object* before = now.find(key_of(object));
    copy->set_uid(before ? before->uid() : ++uid);
    out.push_back({key_of(object), nullptr, copy});
  }
  return out;
}

std::string text_of(const DiagnosticList& found) {
  std::string out;
  for (const Diagnostic& d : found.items()) out += to_text(d) + "\n";
  return out;
}

TEST_CASE("findings of the compiler are as they were agreed") {
  std::vector<v1::Object> base = objects_of_yaml(text_of_file("tests/golden/controlplane/base.yaml"));
  for (const Case& c : read_cases()) {
    DYNAMIC_SECTION(c.name) {
      Compiler compiler;
      uint64_t uid = 0;
      Compilation world = compiler.apply(changes_of(base, compiler.catalog(), uid), options());
      REQUIRE(text_of(world.diagnostics) == "");
      compiler.keep();
      if (c.yaml == "apiVersion: gw/v1\n") continue;
      Compilation done = compiler.apply(changes_of(objects_of_yaml(c.yaml), compiler.catalog(), uid), options());
      CHECK(text_of(done.diagnostics) == c.expected);
    }
  }
}

TEST_CASE("every code of a golden finding can be explained") {
  std::set<std::string> codes;
  for (const Case& c : read_cases()) {
    for (size_t at = c.expected.find("GW"); at != std::string::npos; at = c.expected.find("GW", at + 1)) {
      codes.insert(c.expected.substr(at, 6));
    }
  }
  CHECK(codes.size() > 30);
  for (const std::string& code : codes) {
    INFO(code);
    CHECK(find_code(code) != nullptr);
  }
}

}  // namespace
}  // namespace gw
