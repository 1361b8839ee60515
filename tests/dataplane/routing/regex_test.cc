#include <catch2/catch.hpp>

#include "dataplane/routing/route_match.h"

using gw::Regex;

TEST_CASE("a regex matches the whole text") {
  auto r = *Regex::compile("/a+");
  CHECK(r->matches("/aaa"));
  CHECK_FALSE(r->matches("/aaab"));
  CHECK_FALSE(r->matches("x/a"));
  CHECK((*Regex::compile("^/a$"))->matches("/a"));
  CHECK((*Regex::compile("a|b/c"))->matches("b/c"));
  CHECK_FALSE((*Regex::compile("a|b/c"))->matches("a/c"));
  CHECK((*Regex::compile("(?i)/A"))->matches("/a"));
  CHECK((*Regex::compile("(/x)(/y)?"))->matches("/x"));
}

TEST_CASE("a pattern that backtracking engines die of ends at once") {
  auto r = *Regex::compile("^/(a+)+$");
  std::string path = "/" + std::string(20000, 'a') + "!";
  CHECK_FALSE(r->matches(path));
  path.pop_back();
  CHECK(r->matches(path));
}

TEST_CASE("the text that every match begins with is known where it can be") {
  CHECK((*Regex::compile("^/files/[0-9]+$"))->common_prefix() == "/files/");
  CHECK((*Regex::compile("[a-z]+"))->common_prefix().empty());
}

TEST_CASE("an empty pattern is refused") { CHECK_FALSE(Regex::compile("").ok()); }
