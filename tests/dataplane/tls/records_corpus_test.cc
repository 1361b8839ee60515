// Every input of the corpus of TLS records, under what the fuzz target checks.
#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "tests/fuzz/tls_records_run.h"
#include "tests/support/source_dir.h"

namespace gw::test {
namespace {

TEST_CASE("Whatever becomes of TLS records on their way, no byte is heard that was not said", "[tls]") {
  size_t inputs = 0;
  for (const auto& entry : std::filesystem::directory_iterator(source_dir() + "/tests/fuzz/corpus/tls_records")) {
    std::ifstream in(entry.path(), std::ios::binary);
    std::string input((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
    INFO(entry.path());
    const char* wrong = fuzz::TlsRecordsRun::run(input);
    CHECK(std::string(wrong == nullptr ? "" : wrong) == "");
    ++inputs;
  }
  CHECK(inputs > 10);
}

}  // namespace
}  // namespace gw::test
