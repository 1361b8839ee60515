// The tree against a matcher that looks at every route, on random routes and requests.
#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "common/base/random.h"
#include "tests/dataplane/routing/drawn_routes.h"
#include "tests/fuzz/choices.h"
#include "tests/support/source_dir.h"

using namespace gw;
using namespace gw::testing;

TEST_CASE("the tree finds what a look at every route finds") {
  Maker<FastRandom> make{FastRandom(20240917)};
  int found = 0, method = 0;
  for (int round = 0; round < 1500; ++round) {
    std::string base = make.base();
    std::vector<RouteSpec> specs;
    for (int i = 0, n = static_cast<int>(1 + make.below(30)); i < n; ++i) specs.push_back(make.route(base, i));
    ApiRouter router(base, routes(specs));
    for (int q = 0; q < 60; ++q) {
      auto r = make.request(base);
      if (!r->ok) continue;
      std::string expected = naive(router, *r);
      INFO(base << " " << r->head.method_text << " " << r->head.target);
      REQUIRE(winner(router, *r) == expected);
      found += expected[0] == 't';
      method += expected.substr(0, 3) == "405";
    }
  }
  CHECK(found > 10000);
  CHECK(method > 1000);
}

TEST_CASE("a route found unreachable wins no request") {
  Maker<FastRandom> make{FastRandom(99)};
  size_t unreachable = 0;
  for (int round = 0; round < 400; ++round) {
    std::string base = make.base();
    std::vector<RouteSpec> specs;
    for (int i = 0; i < 25; ++i) specs.push_back(make.route(base, i));
    auto all = routes(specs);
    auto findings = find_overlaps(base, {"a.test", "*.test"}, all);
    unreachable += findings.unreachable.size();
    ApiRouter router(base, all);
    for (int q = 0; q < 100; ++q) {
      auto r = make.request(base);
      if (!r->ok) continue;
      std::string won = winner(router, *r);
      for (auto p : findings.unreachable) REQUIRE(won != all[p.route]->name);
    }
  }
  CHECK(unreachable > 100);
}

TEST_CASE("routes and requests of the corpus: the tree finds what a look at every route finds") {
  size_t inputs = 0;
  for (const auto& entry : std::filesystem::directory_iterator(std::filesystem::path(test::source_dir()) / "tests/fuzz/corpus/routes")) {
    std::ifstream file(entry.path(), std::ios::binary);
    std::string bytes{std::istreambuf_iterator<char>(file), {}};
    INFO(entry.path());
    REQUIRE(compare_with_naive(Maker<fuzz::Choices>(fuzz::Choices(bytes))) == "");
    ++inputs;
  }
  CHECK(inputs > 3);
}
