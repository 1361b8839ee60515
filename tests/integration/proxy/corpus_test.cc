// Every input of the exchange's corpus through a real worker, under what the fuzz target checks.
#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "tests/fuzz/exchange_run.h"
#include "tests/support/source_dir.h"

namespace gw::test {
namespace {

TEST_CASE("Clients and upstreams of the corpus: nothing malformed goes on, every exchange ends", "[proxy]") {
  fuzz::ExchangeRun run;
  size_t inputs = 0;
  for (const auto& entry : std::filesystem::directory_iterator(std::filesystem::path(source_dir()) / "tests/fuzz/corpus/exchange")) {
    std::ifstream file(entry.path(), std::ios::binary);
    std::string bytes{std::istreambuf_iterator<char>(file), {}};
    INFO(entry.path());
    const char* wrong = run.run(bytes);
    CHECK(std::string_view(wrong != nullptr ? wrong : "").empty());
    ++inputs;
  }
  CHECK(inputs > 10);
}

}  // namespace
}  // namespace gw::test
