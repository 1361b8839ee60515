#include "dataplane/routing/api_router.h"

#include <catch2/catch.hpp>

#include "tests/dataplane/routing/routes.h"

namespace v1 = gw::v1;
using namespace gw::testing;

TEST_CASE("a literal segment beats a parameter, a parameter beats a prefix") {
  std::vector<RouteSpec> r = {{"prefix", "/a/*"}, {"param", "/a/{x}"}, {"literal", "/a/b"}, {"deep", "/a/{x}/c"}, {"root", "/*"}};
  CHECK(winner("/", r, "GET", "/a/b") == "literal");
  CHECK(winner("/", r, "GET", "/a/z") == "param");
  CHECK(winner("/", r, "GET", "/a/z/c") == "deep");
  CHECK(winner("/", r, "GET", "/a/z/d") == "prefix");
  CHECK(winner("/", r, "GET", "/a") == "prefix");
  CHECK(winner("/", r, "GET", "/a/") == "prefix");
  CHECK(winner("/", r, "GET", "/ab") == "root");
}

TEST_CASE("the rank is decided segment by segment from the left") {
  std::vector<RouteSpec> r = {{"early", "/a/b/{y}"}, {"late", "/a/{x}/c"}};
  CHECK(winner("/", r, "GET", "/a/b/c") == "early");
  CHECK(winner("/", r, "GET", "/a/q/c") == "late");
}

TEST_CASE("an exact end beats a prefix end, a longer prefix a shorter one") {
  std::vector<RouteSpec> r = {{"exact", "/a/b"}, {"prefix", "/a/b/*"}, {"short", "/a/*"}};
  CHECK(winner("/", r, "GET", "/a/b") == "exact");
  CHECK(winner("/", r, "GET", "/a/b/c") == "prefix");
  CHECK(winner("/", r, "GET", "/a/c") == "short");
}

TEST_CASE("a route that does not match entirely leaves the request to the next in rank") {
  std::vector<RouteSpec> r = {{"put", "/a/b", {"PUT"}}, {"tenant", "/a/{x}", {}, {{"x-tenant", "1"}}}, {"rest", "/a/*"}};
  CHECK(winner("/", r, "PUT", "/a/b") == "put");
  CHECK(winner("/", r, "GET", "/a/b", {{"X-Tenant", "1"}}) == "tenant");
  CHECK(winner("/", r, "GET", "/a/b", {{"X-Tenant", "2"}}) == "rest");
}

TEST_CASE("prefixes end on segment boundaries, with or without a slash at their end") {
  v1::Match m;
  m.mutable_path()->set_prefix("/a/");
  gw::ApiRouter router("/", {*gw::RouteMatch::compile(m, 0, "t/a")});
  for (auto [target, expected] : std::vector<std::pair<const char*, const char*>>{
           {"/a", "t/a"}, {"/a/", "t/a"}, {"/a/b", "t/a"}, {"/ab", "404"}, {"/", "404"}}) {
    Request r("GET", target);
    INFO(target);
    CHECK(winner(router, r) == expected);
  }
}

TEST_CASE("a parameter takes exactly one segment, and no empty one") {
  std::vector<RouteSpec> r = {{"t", "/files/{name}"}};
  CHECK(winner("/", r, "GET", "/files/x") == "t");
  CHECK(winner("/", r, "GET", "/files/") == "404");
  CHECK(winner("/", r, "GET", "/files") == "404");
  CHECK(winner("/", r, "GET", "/files/x/y") == "404");
  CHECK(winner("/", r, "GET", "/files/x/") == "404");
}

TEST_CASE("an exact path is the whole path") {
  std::vector<RouteSpec> r = {{"a", "/a"}, {"root", "/"}};
  CHECK(winner("/", r, "GET", "/a") == "a");
  CHECK(winner("/", r, "GET", "/a/") == "404");
  CHECK(winner("/", r, "GET", "/") == "root");
  CHECK(winner("/", r, "GET", "/A") == "404");
  CHECK(winner("/", r, "GET", "/a?x=/b") == "a");
}

TEST_CASE("every spelling of a path finds the same route") {
  std::vector<RouteSpec> r = {{"admin", "/admin/*"}, {"cafe", "/caf%C3%A9"}, {"batch", "/users:batch"}, {"all", "/*"}};
  CHECK(winner("/", r, "GET", "/%61dmin") == "admin");
  CHECK(winner("/", r, "GET", "/adm%69n/x") == "admin");
  CHECK(winner("/", r, "GET", "/caf%c3%a9") == "cafe");
  CHECK(winner("/", r, "GET", "/users%3Abatch") == "batch");
  CHECK(winner("/", r, "GET", "/ADMIN") == "all");
}

TEST_CASE("a regex is matched whole, on what follows the base path, after paths that say more than the base") {
  std::vector<RouteSpec> r = {{"regex", "~/[a-z]+"}, {"literal", "/api/v1"}, {"sub", "/api/files/*"}, {"all", "/api/*"}};
  CHECK(winner("/api", r, "GET", "/api/abc") == "regex");
  CHECK(winner("/api", r, "GET", "/api/v1") == "literal");
  CHECK(winner("/api", r, "GET", "/api/files") == "sub");
  CHECK(winner("/api", r, "GET", "/api/abc/d") == "all");
  CHECK(winner("/api", r, "GET", "/api/ABC") == "all");
  CHECK(winner("/api", r, "GET", "/api") == "all");
}

TEST_CASE("the prefix that is the base path is the last resort, so that a regex beside it can win") {
  std::vector<RouteSpec> r = {{"split", "/*"}, {"beta", "~^/beta/[a-z]+$", {}, {}, {{"preview", "1"}}, 10}};
  CHECK(winner("/", r, "GET", "/beta/x?preview=1") == "beta");
  CHECK(winner("/", r, "GET", "/beta/x") == "split");
  CHECK(winner("/", r, "GET", "/beta/X?preview=1") == "split");
}

TEST_CASE("of equal paths more conditions win, then priority, then the name") {
  std::vector<RouteSpec> r = {{"b", "/a"},
                              {"a", "/a"},
                              {"high", "/a", {"PUT"}, {}, {}, 5},
                              {"one", "/a", {}, {{"x", "1"}}},
                              {"two", "/a", {}, {{"x", "1"}}, {{"q", "1"}}, -5}};
  CHECK(winner("/", r, "GET", "/a") == "a");
  CHECK(winner("/", r, "PUT", "/a") == "high");
  CHECK(winner("/", r, "PUT", "/a", {{"x", "1"}}) == "one");
  CHECK(winner("/", r, "PUT", "/a?q=1", {{"x", "1"}}) == "two");
}

TEST_CASE("another method's route makes 405 with every method that would do") {
  std::vector<RouteSpec> r = {{"get", "/a", {"GET"}}, {"put", "/a", {"PUT", "PURGE"}}, {"post", "/*", {"POST"}, {{"x", "1"}}}};
  CHECK(winner("/", r, "DELETE", "/a") == "405 GET, HEAD, PUT, PURGE");
  CHECK(winner("/", r, "DELETE", "/a", {{"x", "1"}}) == "405 GET, HEAD, POST, PUT, PURGE");
  CHECK(winner("/", r, "DELETE", "/b") == "404");
  CHECK(winner("/", r, "PURGE", "/a") == "put");
  CHECK(winner("/", r, "purge", "/a") == "405 GET, HEAD, PUT, PURGE");
}

TEST_CASE("GET brings HEAD, HEAD does not bring GET") {
  CHECK(winner("/", {{"g", "/a", {"GET"}}}, "HEAD", "/a") == "g");
  CHECK(winner("/", {{"h", "/a", {"HEAD"}}}, "GET", "/a") == "405 HEAD");
}

TEST_CASE("a CORS preflight is matched by the method that it asks for, another OPTIONS as itself") {
  std::vector<RouteSpec> r = {{"put", "/a", {"PUT"}}, {"options", "/a", {"OPTIONS"}}};
  CHECK(winner("/", r, "OPTIONS", "/a", {{"Origin", "https://x"}, {"Access-Control-Request-Method", "PUT"}}) == "put");
  CHECK(winner("/", r, "OPTIONS", "/a", {{"Access-Control-Request-Method", "PUT"}}) == "options");
  CHECK(winner("/", r, "OPTIONS", "/a", {{"Origin", "https://x"}}) == "options");
  CHECK(winner("/", r, "OPTIONS", "/a", {{"Origin", "https://x"}, {"Access-Control-Request-Method", "GET"}}) ==
        "405 PUT, OPTIONS");
}

TEST_CASE("a route may be for one of the Api's hosts") {
  std::vector<RouteSpec> r = {{"wild", "/a", {}, {}, {}, 0, "*.a.test"}, {"all", "/a"}};
  CHECK(winner("/", r, "GET", "/a", {}, "x.a.test") == "wild");
  CHECK(winner("/", r, "GET", "/a", {}, "a.test") == "all");
}

TEST_CASE("header and query conditions compare the first occurrence") {
  v1::Match m = path_match("/a");
  auto* h = m.add_headers();
  h->set_name("Content-Type");
  h->set_prefix("image/");
  auto* q = m.add_query();
  q->set_name("debug");
  q->set_present(false);
  auto* x = m.add_headers();
  x->set_name("x-id");
  x->set_regex("[0-9]+");
  gw::ApiRouter router("/", {*gw::RouteMatch::compile(m, 0, "t/a")});
  auto won = [&](const std::string& target, std::vector<std::pair<std::string, std::string>> headers) {
    Request r("GET", target, std::move(headers));
    return winner(router, r);
  };
  CHECK(won("/a", {{"content-type", "image/png"}, {"X-Id", "12"}}) == "t/a");
  CHECK(won("/a", {{"content-type", "image/png"}, {"X-Id", "12x"}}) == "404");
  CHECK(won("/a", {{"content-type", "text/plain"}, {"X-Id", "12"}}) == "404");
  CHECK(won("/a?debug", {{"content-type", "image/png"}, {"X-Id", "12"}}) == "404");
  CHECK(won("/a", {{"x-id", "12"}, {"content-type", "text/x"}, {"content-type", "image/png"}}) == "404");
}

TEST_CASE("what cannot be compiled is named by its field") {
  auto error = [](const v1::Match& m) {
    auto r = gw::RouteMatch::compile(m, 0, "t/a");
    REQUIRE_FALSE(r.ok());
    return std::string(r.status().message().data(), r.status().message().size());
  };
  v1::Match m = path_match("~(");
  CHECK_THAT(error(m), Catch::StartsWith("match.path.regex: "));
  m = path_match("~a)(b");
  CHECK_THAT(error(m), Catch::StartsWith("match.path.regex: "));
  m = path_match("~" + std::string(1001, 'a'));
  CHECK_THAT(error(m), Catch::Contains("1001 bytes"));
  m = path_match("~((a{100}){100}){100}");
  CHECK_THAT(error(m), Catch::StartsWith("match.path.regex: "));
  m = path_match("/a/../b");
  CHECK_THAT(error(m), Catch::StartsWith("match.path.exact: "));
  m = path_match("/a{x}");
  CHECK_THAT(error(m), Catch::StartsWith("match.path.template: "));
  m = path_match("/a");
  m.mutable_path()->set_prefix("/b");
  CHECK_THAT(error(m), Catch::StartsWith("match.path: exactly one"));
  m = path_match("/a");
  m.add_headers()->set_name("x");
  CHECK_THAT(error(m), Catch::StartsWith("match.headers.x: exactly one"));
}

TEST_CASE("a route outside of the base path never matches") {
  CHECK(winner("/api", {{"o", "/other/*"}}, "GET", "/api/x") == "404");
  CHECK(winner("/api", {{"o", "/{x}/y"}}, "GET", "/api/y") == "404");
}

TEST_CASE("10,000 routes stay below 300 bytes of tree each") {
  std::vector<std::shared_ptr<const gw::RouteMatch>> many;
  for (int i = 0; i < 10000; ++i) many.push_back(route({"r" + std::to_string(i), "/v1/items" + std::to_string(i) + "/*"}));
  gw::ApiRouter router("/v1", many);
  CHECK(router.memory_bytes() / 10000 < 300);
  CHECK(router.memory_bytes() / 10000 + many[0]->memory_bytes() < 1024);
}

TEST_CASE("a gRPC service takes its methods and nothing beside them, a method itself alone") {
  auto compiled = [](const std::string& service, const std::string& method) {
    v1::Match match;
    match.mutable_path()->mutable_grpc()->set_service(service);
    match.mutable_path()->mutable_grpc()->set_method(method);
    return gw::RouteMatch::compile(match, 0, "t/r");
  };
  auto all = compiled("shop.v1.Cart", "");
  REQUIRE(all.ok());
  CHECK((*all)->grpc == "shop.v1.Cart");
  CHECK((*all)->path_matches("", "/shop.v1.Cart/Get"));
  CHECK((*all)->path_matches("", "/shop.v1.Cart/Put"));
  CHECK_FALSE((*all)->path_matches("", "/shop.v1.CartToo/Get"));
  CHECK_FALSE((*all)->path_matches("", "/shop.v1/Cart/Get"));
  auto one = compiled("shop.v1.Cart", "Get");
  REQUIRE(one.ok());
  CHECK((*one)->grpc == "shop.v1.Cart/Get");
  CHECK((*one)->path_matches("", "/shop.v1.Cart/Get"));
  CHECK_FALSE((*one)->path_matches("", "/shop.v1.Cart/Get/x"));
  CHECK_FALSE((*one)->path_matches("", "/shop.v1.Cart/GetAll"));
  CHECK(gw::ranks_before(**one, **all, ""));
  CHECK(compiled("Cart", "Get_2").ok());
  for (const char* bad : {"", ".", "..", "a..b", ".a", "a.", "a/b", "a b", "a%2eb"}) CHECK_FALSE(compiled(bad, "Get").ok());
  for (const char* bad : {"a.b", "a/b", "/a", "a b"}) CHECK_FALSE(compiled("Cart", bad).ok());
}
