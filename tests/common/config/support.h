// What the tests of common/config share.
#pragma once

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "common/config/loader.h"
#include "tests/support/source_dir.h"

namespace gw {

inline std::string read_text(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream out;
  out << in.rdbuf();
  return out.str();
}

inline std::filesystem::path golden_folder() {
  return std::filesystem::path(gw::test::source_dir()) / "tests/golden/config";
}

// Files of a folder with an extension, by name.
inline std::vector<std::filesystem::path> files_in(const std::filesystem::path& folder,
                                                   const std::string& extension) {
  std::vector<std::filesystem::path> out;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.path().extension() == extension) out.push_back(entry.path());
  }
  std::sort(out.begin(), out.end());
  return out;
}

// Compares with a file of tests/golden; with GW_UPDATE_GOLDEN set, writes it instead.
inline void check_golden(const std::filesystem::path& path, const std::string& text) {
  if (std::getenv("GW_UPDATE_GOLDEN")) std::ofstream(path, std::ios::binary) << text;
  INFO(path.string());
  CHECK(read_text(path) == text);
}

inline std::string texts(const DiagnosticList& list) {
  std::string out;
  for (const Diagnostic& d : list.items()) out += to_text(d) + "\n";
  return out;
}

// The one object of `text`, which must be without fault.
inline v1::Object load_one(const std::string& text) {
  DiagnosticList diagnostics;
  LoadedFile file = load_yaml(text, "test.yaml", {}, diagnostics);
  INFO(text << texts(diagnostics));
  REQUIRE(diagnostics.empty());
  REQUIRE(file.objects.size() == 1);
  return file.objects[0].object;
}

// Codes of the findings on `text`, in order.
inline std::vector<std::string> codes_of(const std::string& text, const LoadOptions& options = {}) {
  DiagnosticList diagnostics;
  load_yaml(text, "test.yaml", options, diagnostics);
  std::vector<std::string> out;
  for (const Diagnostic& d : diagnostics.items()) out.push_back(d.code());
  return out;
}

using Codes = std::vector<std::string>;

}  // namespace gw
