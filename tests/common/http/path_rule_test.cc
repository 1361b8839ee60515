#include <catch2/catch.hpp>

#include "common/http/uri.h"

TEST_CASE("plain paths hold") {
  for (const char* path : {"/", "/a", "/a/", "/a/b.c", "/.well-known/x", "/...", "/a..b", "/..a", "/a/b;v=1", "/%41", "/caf%C3%A9",
                           "/%e2%82%ac", "/%f0%9f%98%80", "/a%20b", "/a%25", "/a%2541", "/a:b@c!$&'()*+,;=~_-", "/%e9", "/.%41",
                           "/a%3fb", "/;x", "/%ff", "/~user", "/a|b", "/{x}"}) {
    INFO(path);
    CHECK(gw::path_problem(path) == nullptr);
  }
}

TEST_CASE("dot segments are refused in every spelling") {
  for (const char* path : {"/.", "/..", "/a/./b", "/a/../b", "/../../admin", "/%2e", "/%2E%2e/admin", "/public/%2e%2e/admin",
                           "/public/.%2E/admin", "/public/%2e./admin", "/a/..;/b", "/a/..;x=1/b", "/a/.;/b", "/a/%2e%2e%3b/b",
                           "/a/..%3Bx", "/a/.."}) {
    INFO(path);
    CHECK(gw::path_problem(path) != nullptr);
  }
}

TEST_CASE("what hides slashes, dots or NUL is refused") {
  for (const char* path : {"/public%2f..%2fadmin", "/a%2Fb", "/public\\..\\admin", "/public%5c..%5cadmin", "/a%5Cb", "/x%00.html",
                           "/public/%252e%252e/admin", "/a%252fb", "/a%255Cb", "/a%2500", "/a%25252fb", "/a%2525252e",
                           "/%c0%ae%c0%ae/admin", "/%C1%9c", "/%e0%80%ae", "/%E0%9F%BF", "/%f0%80%80%ae", "/%f8%80%80%80%ae",
                           "//admin", "/a//b", "/a//", "/a#b", "/a b", "/a\tb", "/a\x7f", "/\xc3\xa9", "/%zz%1", "/a%", "/a%2",
                           "/a%u002e", "", "a"}) {
    INFO(path);
    CHECK(gw::path_problem(path) != nullptr);
  }
  CHECK(gw::path_problem(std::string_view("/a\0b", 4)) != nullptr);
}

TEST_CASE("queries may hold what paths may not, but no raw control byte, space or fragment") {
  gw::Arena arena;
  std::string_view why;
  auto ok = [&](std::string_view target) {
    gw::RequestHead head;
    return gw::parse_target(head, arena, target, "gw.test", why);
  };
  CHECK(ok("/a?u=/../b//c\\%00%zz%2f?"));
  CHECK_FALSE(ok("/a?b c"));
  CHECK_FALSE(ok("/a?b#c"));
  CHECK_FALSE(ok("/a?b\nc"));
  CHECK_FALSE(ok("/a?\x80"));
}

TEST_CASE("every spelling of a path that an upstream could read the same compares the same") {
  gw::Arena arena;
  CHECK(gw::decoded_path(std::string_view("/%61dmin"), arena) == "/admin");
  CHECK(gw::decoded_path(std::string_view("/caf%c3%a9"), arena) == gw::decoded_path(std::string_view("/caf%C3%A9"), arena));
  std::string plain = "/plain";
  CHECK(gw::decoded_path(std::string_view(plain), arena).data() == plain.data());
}

TEST_CASE("a prefix takes whole segments, in any spelling") {
  CHECK(gw::prefix_length("/a/b", "/a") == 2);
  CHECK(gw::prefix_length("/a", "/a") == 2);
  CHECK(gw::prefix_length("/%61/b", "/a") == 4);
  CHECK(gw::prefix_length("/ab", "/a") == std::string_view::npos);
  CHECK(gw::prefix_length("/", "/a") == std::string_view::npos);
  CHECK(gw::prefix_length("/x", "") == 0);
}

// A reader that decodes as often as it likes and then resolves dot segments must end where the gateway matched: what passes
// the rule has no dot segment, empty segment or backslash after any number of decodings.
TEST_CASE("what passes the path rule stays below its first segment however often it is decoded") {
  uint64_t state = 42;
  auto next = [&](uint64_t bound) {
    state = state * 6364136223846793005ULL + 1442695040888963407ULL;
    return (state >> 33) % bound;
  };
  const std::string pieces[] = {"/", ".", "..", "%", "25", "2e", "2f", "5c", "00", "%2e", "%25", ";", "a", "%61", "%c0", "%ae", "\\", "%32", "%35", "e"};
  int passed = 0;
  for (int round = 0; round < 200000; ++round) {
    std::string path = "/s";
    for (uint64_t i = 0, n = 1 + next(8); i < n; ++i) path += pieces[next(std::size(pieces))];
    if (gw::path_problem(path)) continue;
    ++passed;
    for (std::string text = path, last; text != last;) {
      last = text;
      text = gw::decoded_path(text);
      bool safe = text.find("//") == std::string::npos && text.find('\\') == std::string::npos &&
                  (text + "/").find("/../") == std::string::npos && (text + "/").find("/./") == std::string::npos &&
                  text.find('\0') == std::string::npos;
      INFO(path << " read as " << text);
      REQUIRE(safe);
    }
  }
  CHECK(passed > 1000);
}
