// Objects from YAML, for tests.
#pragma once

#include <catch2/catch.hpp>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "common/config/loader.h"
#include "gw/v1/resources.pb.h"
#include "tests/support/source_dir.h"

namespace gw {

inline std::vector<v1::Object> objects_of_yaml(const std::string& text) {
  DiagnosticList found;
  LoadedFile file = load_yaml(text, "test.yaml", LoadOptions(), found);
  for (const Diagnostic& d : found.items()) INFO(to_text(d));
  for (const Diagnostic& d : found.items()) CHECK(to_text(d) == "");
  std::vector<v1::Object> out;
  for (LoadedObject& loaded : file.objects) out.push_back(std::move(loaded.object));
  return out;
}

inline std::string text_of_file(const std::string& path) {
  std::ifstream in(gw::test::source_dir() + "/" + path);
  REQUIRE(in.good());
  std::stringstream out;
  out << in.rdbuf();
  return out.str();
}

}  // namespace gw
