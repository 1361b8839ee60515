#include "common/http/uri.h"

#include <catch2/catch.hpp>

using gw::Arena;
using gw::RequestHead;

namespace {
struct Parsed {
  bool ok = false;
  RequestHead head;
  std::string_view why;
};
void parse(Parsed& p, Arena& arena, std::string_view target, std::optional<std::string_view> host,
           gw::Method method = gw::Method::kGet) {
  p.head.method = method;
  p.ok = gw::parse_target(p.head, arena, target, host, p.why);
}
}  // namespace

TEST_CASE("origin form is split into path and query, and copied nowhere") {
  Arena arena;
  Parsed p;
  std::string target = "/a/b?x=1&y", host = "gw.test:8080";
  parse(p, arena, target, host);
  REQUIRE(p.ok);
  CHECK(p.head.target.data() == target.data());
  CHECK(p.head.path == "/a/b");
  CHECK(p.head.query == "x=1&y");
  CHECK(p.head.has_query);
  CHECK(p.head.authority == "gw.test:8080");
  CHECK(p.head.host == "gw.test");
  CHECK(p.head.host.data() == host.data());
}

TEST_CASE("an empty query is there and empty") {
  Arena arena;
  Parsed p;
  parse(p, arena, "/a?", "gw.test");
  REQUIRE(p.ok);
  CHECK(p.head.has_query);
  CHECK(p.head.query.empty());
  CHECK(p.head.target == "/a?");
}

TEST_CASE("hosts are compared in lower case, without port, brackets and final dot") {
  Arena arena;
  const std::pair<const char*, const char*> cases[] = {{"GW.Test", "gw.test"},    {"gw.test.", "gw.test"},
                                                       {"GW.TEST.:443", "gw.test"}, {"[::1]:80", "::1"},
                                                       {"[2001:DB8::1]", "2001:db8::1"}, {"10.0.0.1:0", "10.0.0.1"},
                                                       {"a_b-c.test", "a_b-c.test"}};
  for (auto [host, expected] : cases) {
    Parsed p;
    parse(p, arena, "/", host);
    INFO(host);
    REQUIRE(p.ok);
    CHECK(p.head.host == expected);
    CHECK(p.head.authority == host);
  }
}

TEST_CASE("bad hosts are refused") {
  Arena arena;
  for (std::string_view host :
       {std::string_view(""), std::string_view("gw.test evil.test"), std::string_view("gw.test/admin"),
        std::string_view("gw.test:99999"), std::string_view("gw.test:65536"), std::string_view("gw.test:"),
        std::string_view("gw.test:8a"), std::string_view("gw.test:-1"), std::string_view("user@gw.test"),
        std::string_view("gw.test\0.evil", 13), std::string_view("gw..test"), std::string_view(".gw.test"),
        std::string_view("."), std::string_view("[::1"), std::string_view("[::1]x"), std::string_view("[10.0.0.1]"),
        std::string_view("[gg::1]"), std::string_view("a,b"), std::string_view("a%2eb"), std::string_view("h\xc3\xb6.test"),
        std::string_view(":80"), std::string_view("gw.test:80:80"), std::string_view("::1")}) {
    Parsed p;
    parse(p, arena, "/", host);
    INFO(host);
    CHECK_FALSE(p.ok);
    CHECK_FALSE(p.why.empty());
  }
  Parsed p;
  parse(p, arena, "/", std::string(256, 'a'));
  CHECK_FALSE(p.ok);
}

TEST_CASE("a request without Host has none") {
  Arena arena;
  Parsed p;
  parse(p, arena, "/a", std::nullopt);
  REQUIRE(p.ok);
  CHECK(p.head.host.empty());
  CHECK(p.head.authority.empty());
}

TEST_CASE("the authority of an absolute target replaces Host") {
  Arena arena;
  Parsed p;
  parse(p, arena, "HTTP://Other.Test:81/a?b", "gw.test");
  REQUIRE(p.ok);
  CHECK(p.head.authority == "Other.Test:81");
  CHECK(p.head.host == "other.test");
  CHECK(p.head.target == "/a?b");
  CHECK(p.head.path == "/a");
}

TEST_CASE("an absolute target without a path is the root, or * for OPTIONS") {
  Arena arena;
  Parsed a, b, c;
  parse(a, arena, "http://gw.test", "gw.test");
  REQUIRE(a.ok);
  CHECK(a.head.target == "/");
  parse(b, arena, "https://gw.test?x=1", "gw.test");
  REQUIRE(b.ok);
  CHECK(b.head.target == "/?x=1");
  CHECK(b.head.query == "x=1");
  parse(c, arena, "http://gw.test", "gw.test", gw::Method::kOptions);
  REQUIRE(c.ok);
  CHECK(c.head.target == "*");
}

TEST_CASE("other targets are refused") {
  Arena arena;
  for (const char* target : {"", "a/b", "ftp://gw.test/", "gw.test:80", "http:/gw.test/", "http:///a", "http://u@gw.test/",
                             "http://u:p@gw.test/a", "*x", "http://gw.test#f", "http://gw.test:99999/"}) {
    Parsed p;
    parse(p, arena, target, "gw.test");
    INFO(target);
    CHECK_FALSE(p.ok);
  }
  Parsed p;
  parse(p, arena, "http://gw.test/", "bad host");
  CHECK_FALSE(p.ok);
}

TEST_CASE("the asterisk is for OPTIONS") {
  Arena arena;
  Parsed a, b;
  parse(a, arena, "*", "gw.test");
  CHECK_FALSE(a.ok);
  parse(b, arena, "*", "gw.test", gw::Method::kOptions);
  REQUIRE(b.ok);
  CHECK(b.head.path == "*");
}
