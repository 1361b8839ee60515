// Every input of the fuzz targets' corpora, under what the targets check.
#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "tests/fuzz/http1_message.h"
#include "tests/support/source_dir.h"

namespace gw::http1 {
namespace {

void walk(const char* corpus, HeadParser::Side side) {
  size_t inputs = 0;
  for (const auto& entry : std::filesystem::directory_iterator(std::filesystem::path(test::source_dir()) / "tests/fuzz/corpus" / corpus)) {
    std::ifstream file(entry.path(), std::ios::binary);
    std::string bytes{std::istreambuf_iterator<char>(file), {}};
    INFO(entry.path());
    const char* wrong = fuzz::check_http1_message(bytes, side);
    CHECK(std::string_view(wrong != nullptr ? wrong : "").empty());
    // Cut anywhere it must hold as well.
    for (size_t size = 0; size < bytes.size(); ++size) CHECK(fuzz::check_http1_message(bytes.substr(0, size), side) == nullptr);
    ++inputs;
  }
  CHECK(inputs > 10);
}

TEST_CASE("requests of the corpus are one message in one meaning, or refused", "[http1]") { walk("http1_request", HeadParser::Side::kRequest); }
TEST_CASE("responses of the corpus are one message in one meaning, or refused", "[http1]") { walk("http1_response", HeadParser::Side::kResponse); }

}  // namespace
}  // namespace gw::http1
