#include <catch2/catch.hpp>

#include "tests/dataplane/routing/routes.h"

using namespace gw::testing;

namespace {
// "overlap a b" and "unreachable b by a", in order.
std::vector<std::string> findings(const std::string& base, const std::vector<RouteSpec>& specs,
                                  const std::vector<std::string>& hosts = {"a.test"}) {
  auto all = routes(specs);
  auto found = gw::find_overlaps(base, hosts, all);
  std::vector<std::string> out;
  for (auto p : found.overlaps) out.push_back("overlap " + all[p.route]->name + " " + all[p.other]->name);
  for (auto p : found.unreachable) out.push_back("unreachable " + all[p.route]->name + " by " + all[p.other]->name);
  return out;
}
using Found = std::vector<std::string>;
}  // namespace

TEST_CASE("two routes that only their names order overlap") {
  CHECK(findings("/", {{"b", "/a"}, {"a", "/a"}}) == Found{"overlap a b"});
  CHECK(findings("/", {{"b", "/a/{x}"}, {"a", "/a/{y}"}}) == Found{"overlap a b"});
  CHECK(findings("/", {{"b", "/a/*"}, {"a", "/a/*", {"GET"}}}) == Found{"overlap a b"});
  CHECK(findings("/", {{"b", "/a", {}, {{"x", "1"}}}, {"a", "/a", {}, {{"y", "1"}}}}) == Found{"overlap a b"});
  CHECK(findings("/", {{"b", "~/a+"}, {"a", "~/a*"}}) == Found{"overlap a b"});
}

TEST_CASE("what something else orders, or nothing can match both of, is no overlap") {
  CHECK(findings("/", {{"b", "/a"}, {"a", "/a/*"}}).empty());
  CHECK(findings("/", {{"b", "/a/b"}, {"a", "/a/{x}"}}).empty());
  CHECK(findings("/", {{"b", "/a", {"PUT"}}, {"a", "/a", {"GET"}}}).empty());
  CHECK(findings("/", {{"b", "/a", {}, {{"x", "1"}}}, {"a", "/a", {}, {{"x", "2"}}}}).empty());
  CHECK(findings("/", {{"b", "/a", {}, {{"x", "1"}}}, {"a", "/a"}}).empty());
  CHECK(findings("/", {{"b", "/a", {"GET"}, {}, {}, 1}, {"a", "/a"}}).empty());
  CHECK(findings("/", {{"b", "~/a/[0-9]+"}, {"a", "~/b/[0-9]+"}}).empty());
  CHECK(findings("/", {{"b", "/a", {}, {}, {}, 0, "x.test"}, {"a", "/a", {}, {}, {}, 0, "y.test"}}, {"x.test", "y.test"}).empty());
}

TEST_CASE("a route that another takes everything from is unreachable") {
  CHECK(findings("/", {{"low", "/a"}, {"high", "/a", {}, {}, {}, 1}}) == Found{"unreachable low by high"});
  CHECK(findings("/", {{"low", "/a", {"GET"}}, {"high", "/a", {"GET", "PUT"}, {}, {}, 1}}) == Found{"unreachable low by high"});
  CHECK(findings("/", {{"low", "/a", {}, {{"x", "1"}}}, {"high", "/a", {}, {{"x", "1"}}, {}, 1}}) ==
        Found{"unreachable low by high"});
  CHECK(findings("/", {{"regex", "~/files/[0-9]+"}, {"prefix", "/files/*"}}) == Found{"unreachable regex by prefix"});
  CHECK(findings("/api", {{"regex", "~/files/[0-9]+"}, {"prefix", "/api/files/*"}}) == Found{"unreachable regex by prefix"});
}

TEST_CASE("several routes together may take everything from one") {
  CHECK(findings("/", {{"low", "/a", {"GET", "PUT"}}, {"get", "/a", {"GET"}, {}, {}, 1}, {"put", "/a", {"PUT"}, {}, {}, 1}}) ==
        Found{"unreachable low by put"});
  CHECK(findings("/", {{"low", "/a"}, {"x", "/a", {}, {}, {}, 1, "x.test"}}, {"x.test", "y.test"}).empty());
}

TEST_CASE("a route that keeps something for itself is reachable") {
  CHECK(findings("/", {{"low", "/a"}, {"high", "/a", {"GET"}, {}, {}, 1}}).empty());
  CHECK(findings("/", {{"low", "/a"}, {"high", "/a", {}, {{"x", "1"}}}}).empty());
  CHECK(findings("/", {{"regex", "~/beta/[a-z]+"}, {"all", "/*"}}).empty());
  CHECK(findings("/", {{"regex", "~/file.*"}, {"prefix", "/files/*"}}).empty());
}

TEST_CASE("findings are limited") {
  std::vector<RouteSpec> same;
  for (int i = 0; i < 50; ++i) same.push_back({"r" + std::to_string(i), "/a"});
  CHECK(gw::find_overlaps("/", {"a"}, routes(same), 10).overlaps.size() == 10);
}
