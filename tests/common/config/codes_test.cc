#include <set>

#include "tests/common/config/support.h"
#include "tests/support/source_dir.h"

namespace gw {
namespace {

namespace fs = std::filesystem;

// Codes in quotes in our sources: "GW1004".
std::set<std::string> codes_in_sources() {
  std::set<std::string> out;
  for (const char* folder : {"common", "dataplane", "controlplane", "cli"}) {
    fs::path root = fs::path(gw::test::source_dir()) / folder;
    if (!fs::exists(root)) continue;
    for (const auto& entry :
         fs::recursive_directory_iterator(root, fs::directory_options::follow_directory_symlink)) {
      if (entry.path().extension() != ".cc" && entry.path().extension() != ".h") continue;
      if (entry.path().filename() == "codes.cc") continue;
      std::string text = read_text(entry.path());
      for (size_t at = text.find("\"GW"); at != std::string::npos; at = text.find("\"GW", at + 1)) {
        std::string code = text.substr(at + 1, 6);
        bool digits =
            code.size() == 6 && code.find_first_not_of("0123456789", 2) == std::string::npos;
        if (digits && text[at + 7] == '"') out.insert(code);
      }
    }
  }
  return out;
}

TEST_CASE("every code that a program can say has a text") {
  std::set<std::string> used = codes_in_sources();
  CHECK(used.size() > 20);
  for (const std::string& code : used) {
    INFO(code);
    CHECK(find_code(code) != nullptr);
  }
}

TEST_CASE("codes are in order, once each, with title and explanation") {
  std::string_view before;
  for (const CodeInfo& info : all_codes()) {
    INFO(info.code);
    CHECK(info.code > before);
    before = info.code;
    CHECK_FALSE(info.title.empty());
    CHECK(info.explanation.size() > 20);
    CHECK(info.explanation.back() == '.');
  }
}

}  // namespace
}  // namespace gw
