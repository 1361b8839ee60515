// Every input of the corpus of upstreams' answers, under what the fuzz target checks.
#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "tests/fuzz/http2_answer_run.h"
#include "tests/support/source_dir.h"

namespace gw::test {
namespace {

TEST_CASE("Whatever an HTTP/2 upstream answers, the exchange gets what HTTP/1 can say, and an end", "[http2]") {
  size_t inputs = 0;
  for (const auto& entry : std::filesystem::directory_iterator(source_dir() + "/tests/fuzz/corpus/http2_answer")) {
    std::ifstream in(entry.path(), std::ios::binary);
    std::string input((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
    INFO(entry.path());
    const char* wrong = fuzz::Http2AnswerRun::run(input);
    CHECK(std::string(wrong == nullptr ? "" : wrong) == "");
    ++inputs;
  }
  CHECK(inputs > 10);
}

}  // namespace
}  // namespace gw::test
