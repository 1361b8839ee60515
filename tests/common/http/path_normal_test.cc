#include "common/http/path_normal.h"

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "common/http/uri.h"
#include "tests/support/source_dir.h"

using namespace gw;

namespace {

// "!": refused.
std::string normal(std::string_view path) {
  Arena arena;
  std::string_view out, why;
  return normalize_path(path, arena, out, why) ? std::string(out) : "!";
}

// What holds of every input.
void check_normal(std::string_view path) {
  std::string once = normal(path);
  INFO(path << " is normalised to " << once);
  if (once == "!") return;
  REQUIRE(normal(once) == once);
  REQUIRE(path_problem(once) == nullptr);
  REQUIRE((once + "/").find("/../") == std::string::npos);
  REQUIRE(once.find("//") == std::string::npos);
  REQUIRE(once.size() <= path.size());
}

}  // namespace

TEST_CASE("normalize gives RFC 3986's normal form, slashes merged") {
  for (auto [from, to] : {std::pair<const char*, const char*>{"/", "/"}, {"/a/b", "/a/b"}, {"/a/", "/a/"}, {"/a/./b", "/a/b"},
                          {"/a/../b", "/b"}, {"/a/b/..", "/a/"}, {"/a/b/.", "/a/b/"}, {"/..", "/"}, {"/../../x", "/x"},
                          {"//", "/"}, {"//a///b//", "/a/b/"}, {"/a//../b", "/b"}, {"/%61%2D%2e%5f%7E", "/a-._~"},
                          {"/a/%2e%2E/b", "/b"}, {"/a/.%2e/b", "/b"}, {"/caf%c3%a9", "/caf%C3%A9"}, {"/a%20b", "/a%20b"},
                          {"/a%3fb", "/a%3Fb"}, {"/...", "/..."}, {"/.well-known", "/.well-known"}, {"/a/b/../../c", "/c"},
                          {"/a%25", "/a%25"}, {"/a;v=1/b", "/a;v=1/b"}, {"/./.", "/"}, {"/mid/content=5/../6", "/mid/6"}}) {
    INFO(from);
    CHECK(normal(from) == to);
  }
}

TEST_CASE("normalize refuses what stays ambiguous") {
  for (std::string_view path : {"/a%2fb", "/a%5Cb", "/a\\b", "/a%00", "/%c0%ae%c0%ae/x", "/%252e%252e/x", "/a%252fb", "/..;/x", "/%zz",
                                "/%2", "/%%32e/x", "/%2%65/x", "/a b", "/\xc3\xa9", "/a#b", "", "a", "/a\x7f"}) {
    INFO(path);
    CHECK(normal(path) == "!");
  }
  CHECK(normal(std::string_view("/a\0b", 4)) == "!");
}

TEST_CASE("normalize is idempotent and leaves no dot segment, over generated paths") {
  uint64_t state = 7;
  auto next = [&](uint64_t bound) {
    state = state * 6364136223846793005ULL + 1442695040888963407ULL;
    return (state >> 33) % bound;
  };
  const std::string pieces[] = {"/", "/", ".", "..", "%", "25", "2e", "2E", "2f", "5c", "%2e", "%2E", "%25", ";", "a", "%61", "%7e", "%c3%a9", "%c0", "%ae", "\\"};
  int kept = 0;
  for (int round = 0; round < 200000; ++round) {
    std::string path = "/";
    for (uint64_t i = 0, n = 1 + next(9); i < n; ++i) path += pieces[next(std::size(pieces))];
    check_normal(path);
    kept += normal(path) != "!";
  }
  CHECK(kept > 10000);
}

TEST_CASE("every input of the normaliser's fuzz corpus keeps its promises") {
  size_t count = 0;
  for (const auto& entry : std::filesystem::directory_iterator(std::filesystem::path(test::source_dir()) / "tests/fuzz/corpus/path_normal")) {
    std::stringstream text;
    text << std::ifstream(entry.path()).rdbuf();
    check_normal(text.str());
    ++count;
  }
  CHECK(count >= 8);
}

TEST_CASE("raw refuses NUL and control bytes alone") {
  for (std::string_view path : {"/", "/a//b", "/a/../b", "/%2e%2e/", "/a%2fb", "/a\\b", "/%zz", "/%c0%ae", "/\xc3\xa9", "/%0a"}) {
    INFO(path);
    CHECK(raw_path_problem(path) == nullptr);
  }
  for (std::string_view path : {"", "a", "/a%00b", "/a\x01", "/a\x7f", "/a b", "/a#b", "/a\tb"}) {
    INFO(path);
    CHECK(raw_path_problem(path) != nullptr);
  }
  CHECK(raw_path_problem(std::string_view("/a\0b", 4)) != nullptr);
}

TEST_CASE("what is matched is what is forwarded, under each rule") {
  Arena arena;
  auto take = [&](std::string_view target, PathRule rule) {
    RequestHead head;
    std::string_view why;
    if (!parse_target(head, arena, target, "gw.test", why, rule)) return std::string("!");
    CHECK(head.target.substr(0, head.path.size()) == head.path);
    return std::string(matched_path(head, arena)) + " " + std::string(head.target);
  };
  CHECK(take("/a/%2e%2e//b%20?q=/../x", PathRule::kNormalize) == "/b  /b%20?q=/../x");
  CHECK(take("/plain?q", PathRule::kNormalize) == "/plain /plain?q");
  CHECK(take("http://gw.test/a/./b", PathRule::kNormalize) == "/a/b /a/b");
  CHECK(take("/a%2fb", PathRule::kNormalize) == "!");
  CHECK(take("/a/../%2f//b?x", PathRule::kRaw) == "/a/../%2f//b /a/../%2f//b?x");
  CHECK(take("/a%00", PathRule::kRaw) == "!");
  CHECK(take("/a?b c", PathRule::kRaw) == "!");
  CHECK(take("/a/../b", PathRule::kReject) == "!");
  CHECK(take("/%61?x", PathRule::kReject) == "/a /%61?x");
}
