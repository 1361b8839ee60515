#include <catch2/catch.hpp>

#include "common/http/uri.h"

using gw::Arena;

TEST_CASE("a parameter is found by its decoded name, with its decoded value") {
  Arena arena;
  std::string_view value;
  CHECK(gw::query_find("a=1&b=2", "b", arena, value));
  CHECK(value == "2");
  CHECK(gw::query_find("%61pi-key=x%20y+z%2", "api-key", arena, value));
  CHECK(value == "x y z%2");
  CHECK(gw::query_find("flag&x", "flag", arena, value));
  CHECK(value.empty());
  CHECK(gw::query_find("a=b=c", "a", arena, value));
  CHECK(value == "b=c");
  CHECK_FALSE(gw::query_find("ab=1&xa=2", "a", arena, value));
  CHECK_FALSE(gw::query_find("", "a", arena, value));
}

TEST_CASE("the first of several counts, and all are counted") {
  Arena arena;
  std::string_view value;
  size_t count = 0;
  CHECK(gw::query_find("k=1&k=2&%6b=3", "k", arena, value, &count));
  CHECK(value == "1");
  CHECK(count == 3);
  CHECK_FALSE(gw::query_find("a=1", "k", arena, value, &count));
  CHECK(count == 0);
}

TEST_CASE("a parameter is taken out in every spelling, and the rest keeps its bytes") {
  Arena arena;
  CHECK(gw::query_without("a=1&key=s&b=%20", "key", arena) == "a=1&b=%20");
  CHECK(gw::query_without("key=s", "key", arena).empty());
  CHECK(gw::query_without("%6bey=s&a", "key", arena) == "a");
  std::string query = "a=1&b=2";
  CHECK(gw::query_without(query, "key", arena).data() == query.data());
}

TEST_CASE("a cookie is found in any Cookie field") {
  gw::HeaderList headers;
  headers.add("Cookie", "a=1; b=2");
  headers.add("cookie", "gw-sticky=x;c=3");
  CHECK(gw::cookie_find(headers, "b") == "2");
  CHECK(gw::cookie_find(headers, "gw-sticky") == "x");
  CHECK(gw::cookie_find(headers, "sticky").empty());
  CHECK(gw::cookie_find(headers, "d").empty());
}
