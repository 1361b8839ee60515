#include "dataplane/http1/head_parser.h"

#include <catch2/catch.hpp>
#include <string>

namespace gw::http1 {
namespace {

using Side = HeadParser::Side;

HeadResult parse(const std::string& text, Side side = Side::kRequest, HeadLimits limits = {}) {
  HeadParser parser(side);
  return parser.feed(text.data(), text.size(), limits);
}

TEST_CASE("A request's head is taken whole, and the body's first byte is left", "[http1]") {
  std::string text = "POST /a?b=c HTTP/1.1\r\nHost: x\r\nEmpty:\r\nPadded:  v \t\r\n\r\nBODY";
  HeadParser parser(Side::kRequest);
  REQUIRE(parser.feed(text.data(), text.size(), {}) == HeadResult::kComplete);
  CHECK(parser.head_size() == text.size() - 4);
  CHECK(parser.method() == Method::kPost);
  CHECK(parser.target(text.data()) == "/a?b=c");
  CHECK_FALSE(parser.http10());
  HeaderList headers;
  parser.fill(text.data(), headers);
  REQUIRE(headers.size() == 3);
  CHECK(headers.get(HeaderId::kHost) == "x");
  CHECK(headers.find("empty")->value.empty());
  CHECK(headers.find("padded")->value == "v");
}

TEST_CASE("A head that comes byte by byte in a buffer that moves is the same head", "[http1]") {
  std::string text = "GET /path HTTP/1.0\r\nHost: example.com\r\nX-Long-Name: some value\r\nE: \r\n\r\n";
  HeadParser parser(Side::kRequest);
  std::string buffer;
  for (size_t i = 0; i + 1 < text.size(); ++i) {
    buffer = std::string(text.data(), i + 1);  // another place each time
    REQUIRE(parser.feed(buffer.data(), buffer.size(), {}) == HeadResult::kMore);
  }
  REQUIRE(parser.feed(text.data(), text.size(), {}) == HeadResult::kComplete);
  CHECK(parser.http10());
  CHECK(parser.target(text.data()) == "/path");
  HeaderList headers;
  parser.fill(text.data(), headers);
  REQUIRE(headers.size() == 3);
  CHECK(headers.fields()[1].name == "X-Long-Name");
  CHECK(headers.fields()[1].value == "some value");
}

TEST_CASE("Heads that two readers could differ over are refused", "[http1]") {
  for (const char* bad : {
           "GET  / HTTP/1.1\r\nHost: x\r\n\r\n",
           "GET /  HTTP/1.1\r\nHost: x\r\n\r\n",
           "GET\t/ HTTP/1.1\r\nHost: x\r\n\r\n",
           "GET /\r\n\r\n",
           "GET / HTTP/2.0\r\nHost: x\r\n\r\n",
           "GET / HTTP/0.9\r\nHost: x\r\n\r\n",
           "GET / http/1.1\r\nHost: x\r\n\r\n",
           "get / HTTP/1.1\r\nHost: x\r\n\r\n",
           "SOURCE / ICE/1.0\r\nHost: x\r\n\r\n",
           "GET / HTTP/1.1\nHost: x\r\n\r\n",
           "GET / HTTP/1.1\r\nHost: x\n\r\n",
           "GET / HTTP/1.1\r\nHost: x\r\n\n",
           "GET / HTTP/1.1\r\nHost: x\r\nA: b\r\n c\r\n\r\n",
           "GET / HTTP/1.1\r\n Host: x\r\n\r\n",
           "GET / HTTP/1.1\r\nHost : x\r\n\r\n",
           "GET / HTTP/1.1\r\n: x\r\n\r\n",
           "GET / HTTP/1.1\r\nHost: x\r\nNo colon\r\n\r\n",
           "GET / HTTP/1.1\r\nHost: x\r\nA: b\rc\r\n\r\n",
           "GET / HTTP/1.1\r\nHost: x\r\n\rX: y\r\n\r\n",
           "GET / HTTP/1.1\r\nHost: x\r\nA: \x07\r\n\r\n",
           "GET / HTTP/1.1\r\nHost: x\r\nA: \x7f\r\n\r\n",
           "\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n",
       }) {
    INFO(bad);
    CHECK(parse(bad) == HeadResult::kBad);
  }
  using namespace std::string_literals;
  CHECK(parse("GET / HTTP/1.1\r\nHost: x\r\nA: b\0c\r\n\r\n"s) == HeadResult::kBad);
  CHECK(parse("GET /a\0b HTTP/1.1\r\nHost: x\r\n\r\n"s) == HeadResult::kBad);
}

TEST_CASE("One empty line before a request is forgiven", "[http1]") {
  CHECK(parse("\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n") == HeadResult::kComplete);
}

TEST_CASE("A head beyond its limits is too large, also before its end has come", "[http1]") {
  HeadLimits limits{256, 4};
  CHECK(parse("GET / HTTP/1.1\r\nHost: x\r\nA: " + std::string(300, 'a'), Side::kRequest, limits) == HeadResult::kTooLarge);
  CHECK(parse("GET / HTTP/1.1\r\nHost: x\r\nA: " + std::string(300, 'a') + "\r\n\r\n", Side::kRequest, limits) == HeadResult::kTooLarge);
  CHECK(parse("GET / HTTP/1.1\r\nA: 1\r\nB: 2\r\nC: 3\r\nD: 4\r\n\r\n", Side::kRequest, limits) == HeadResult::kComplete);
  CHECK(parse("GET / HTTP/1.1\r\nA: 1\r\nB: 2\r\nC: 3\r\nD: 4\r\nE: 5\r\n\r\n", Side::kRequest, limits) == HeadResult::kTooLarge);
}

TEST_CASE("Responses: with and without reason phrase, and what is not one", "[http1]") {
  std::string text = "HTTP/1.1 204 No Content\r\nA: b\r\n\r\n";
  HeadParser parser(Side::kResponse);
  REQUIRE(parser.feed(text.data(), text.size(), {}) == HeadResult::kComplete);
  CHECK(parser.status() == 204);
  CHECK(parse("HTTP/1.1 200 \r\nA: b\r\n\r\n", Side::kResponse) == HeadResult::kComplete);
  CHECK(parse("HTTP/1.1 200\r\nA: b\r\n\r\n", Side::kResponse) == HeadResult::kComplete);
  CHECK(parse("HTTP/1.0 200 OK\r\n\r\n", Side::kResponse) == HeadResult::kComplete);
  for (const char* bad : {"hello", "HTTP/1.1 1000 X\r\n\r\n", "HTTP/1.1 20 X\r\n\r\n", "HTTP/1.1 099 X\r\n\r\n", "HTTP/2.0 200 OK\r\n\r\n",
                          "HTTP/1.1  200 OK\r\n\r\n", "HTTP/1.1 200 OK\n\n", "HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n", "ICY 200 OK\r\n\r\n"}) {
    INFO(bad);
    CHECK(parse(bad, Side::kResponse) == HeadResult::kBad);
  }
}

}  // namespace
}  // namespace gw::http1

TEST_CASE("the methods that are let in are those that the parser knows, for every version of HTTP") {
  auto parses = [](const std::string& method) {
    std::string text = method + " " + (method == "CONNECT" ? "x:1" : "/") + " HTTP/1.1\r\nHost: x\r\n\r\n";
    gw::http1::HeadParser parser(gw::http1::HeadParser::Side::kRequest);
    return parser.feed(text.data(), text.size(), gw::HeadLimits{8192, 10}) == gw::http1::HeadResult::kComplete;
  };
#define GW_SAME(number, name, text) CHECK(parses(#text) == gw::is_known_method(#text));
  HTTP_ALL_METHOD_MAP(GW_SAME)
#undef GW_SAME
  for (const char* other : {"PSTO", "get", "GETS", "GE", "", "QUERY"}) {
    INFO(other);
    CHECK_FALSE(parses(other));
    CHECK_FALSE(gw::is_known_method(other));
  }
}
