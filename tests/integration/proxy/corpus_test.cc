// Every input of the exchange's corpus through a real worker, under what the fuzz target checks.
#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "tests/fuzz/exchange_run.h"
#include "tests/support/source_dir.h"

namespace gw::test {
namespace {

void walk_exchanges(const char* corpus, fuzz::ExchangeRun::Client client) {
  fuzz::ExchangeRun run(client);
  size_t inputs = 0;
  for (const auto& entry : std::filesystem::directory_iterator(std::filesystem::path(source_dir()) / "tests/fuzz/corpus" / corpus)) {
    std::ifstream file(entry.path(), std::ios::binary);
    std::string bytes{std::istreambuf_iterator<char>(file), {}};
    INFO(entry.path());
    const char* wrong = run.run(bytes);
    CHECK(std::string_view(wrong != nullptr ? wrong : "").empty());
    ++inputs;
  }
  CHECK(inputs > 10);
}

TEST_CASE("Clients and upstreams of the corpus: nothing malformed goes on, every exchange ends", "[proxy]") {
  walk_exchanges("exchange", fuzz::ExchangeRun::Client::kHttp1);
}

TEST_CASE("HTTP/2 clients of the corpus: nothing malformed goes on, every exchange ends", "[http2]") {
  walk_exchanges("http2_client", fuzz::ExchangeRun::Client::kHttp2);
}

}  // namespace
}  // namespace gw::test
