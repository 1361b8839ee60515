#include "common/config/formats.h"

#include <catch2/catch.hpp>
#include <string>
#include <vector>

namespace gw {
namespace {

struct Case {
  v1::Format format;
  std::vector<std::string> good, bad;
};

TEST_CASE("each format takes what it should and nothing else") {
  const Case cases[] = {
      {v1::NAME,
       {"a", "a-b", "9", "x1", std::string(63, 'a')},
       {"", "-a", "a-", "A", "a_b", "a.b", "a b", "a/b", "ä", std::string(64, 'a')}},
      {v1::HOST_PATTERN,
       {"*", "example.com", "*.example.com", "localhost", "api.conference.localhost", "127.0.0.1",
        "xn--bcher-kva.example", "1and1.com"},
       {"",
        "*.",
        "*.*",
        "a.*.com",
        "*a.com",
        "Example.com",
        "example.com.",
        ".example.com",
        "a..b",
        "-a.com",
        "a-.com",
        "exa_mple.com",
        "example.com:80",
        "http://example.com",
        "example.com/x",
        "bücher.example",
        "a b",
        "[::1]",
        "1.2.3",
        "999.1.1.1",
        "0x7f000001",
        "127.1",
        "017700000001",
        std::string(64, 'a') + ".com",
        std::string(300, 'a')}},
      {v1::URL_PATH,
       {"/", "/a", "/a/b", "/a/", "/a.b", "/...", "/a..b", "/a%20b", "/~a", "/a;b=c", "/a@b:c",
        "/%41"},
       {"",         "a",         "a/b",
        "//",       "/a//b",     "/.",
        "/..",      "/a/../b",   "/a/.",
        "/%2e",     "/%2E%2e/x", "/.%2e",
        "/a%2fb",   "/a%5Cb",    "/a\\b",
        "/a?b",     "/a#b",      "/a b",
        "/a%",      "/a%2",      "/a%zz",
        "/a%00b",   "/a%0d",     "/ü",
        "/a*",      "/{x}",      std::string("/a\0b", 4),
        "http://x/"}},
      {v1::PATH_TEMPLATE,
       {"/files/{name}", "/{a}/{b}", "/{a_1}/x", "/a"},
       {"", "{a}", "/{}", "/{a", "/a}", "/x{a}", "/{a}x", "/{a}/{a}", "/{1}", "/{a-b}", "/{a}/..",
        "/{a}//b", "/{a}{b}", "/{", "/}"}},
      {v1::REGEX,
       {"^/beta/[a-z]+$", "a|b", "(?i)x", "(a+)+$"},
       {"", "(", "[a", "(?=x)", "\\1", "a{1001}", std::string(1'001, 'a')}},
      {v1::TARGET_URL,
       {"http://127.0.0.1:9101", "http://host:80", "http://a.b.c:65535", "http://[::1]:80",
        "http://[2001:db8::1]:8080",
        "https://host:443"},
       {"",
        "host:80",
        "http://",
        "http://host",
        "http://host:",
        "http://host:0",
        "http://host:65536",
        "http://host:080",
        "http://host:80/",
        "http://host:80?x",
        "https://host",
        "file:///etc/passwd",
        "ftp://host:21",
        "HTTP://host:80",
        "http://u@host:80",
        "http://u:p@host:80",
        "http://::1:80",
        "http://[::1:80",
        "http://[127.0.0.1]:80",
        "http://2130706433:80",
        "http://0177.0.0.1:80",
        "http://127.1:80",
        "http://ho st:80",
        "http://HOST:80",
        "http://host:8 0",
        "http://host\r\n:80",
        "http://host:80#x"}},
      {v1::CIDR,
       {"10.0.0.0/8", "10.0.0.1", "10.0.0.1/32", "0.0.0.0/0", "2001:db8::/32", "::1", "::/0"},
       {"", "10.0.0.1/8", "10.0.0.0/33", "10.0.0/8", "10.0.0.0/", "10.0.0.0/08", "localhost",
        "2001:db8::1/32", "::/129", "10.0.0.0/-1", "10.0.0.0 /8"}},
      {v1::IP_ADDRESS,
       {"127.0.0.1", "0.0.0.0", "::", "::1", "2001:db8::1"},
       {"", "localhost", "127.0.0", "[::1]", "127.0.0.1:80", "fe80::1%eth0", "256.0.0.1"}},
      {v1::HEADER_NAME,
       {"x-api-key", "X-Api-Key", "a"},
       {"", "x_api", "a b", "a:", "ä", "a\r", "x(y)"}},
      {v1::HEADER_VALUE,
       {"", "a b", "a\tb", "\"x\"", "ü"},
       {"a\rb", "a\nb", std::string("a\0b", 3), "a\x01", "a\x7f"}},
      {v1::METHOD,
       {"GET", "PURGE", "M-SEARCH", "VERSION2"},
       {"", "get", "Get", "TRACE", "CONNECT", "A B", "GET "}},
      {v1::DATE,
       {"2027-01-15", "2028-02-29", "2000-02-29", "2027-12-31"},
       {"", "2027-1-5", "2027-02-29", "2100-02-29", "2027-13-01", "2027-00-10", "2027-04-31",
        "15.01.2027", "2027-01-15T00:00", "2027/01/15", "abcd-01-01"}},
      {v1::ORIGIN,
       {"*", "https://portal.example.com", "http://localhost:3000", "https://a.b:8443",
        "https://[::1]:8443"},
       {"", "portal.example.com", "https://portal.example.com/", "https://A.com",
        "https://a.com:443", "http://a.com:80", "ftp://a.com", "https://", "https://*.a.com",
        "https://u@a.com", "null", "https://a.com:0"}},
      {v1::HOST_NAME,
       {"a.example.com", "a:80", "[::1]:80", "[::1]", "127.0.0.1:8080"},
       {"", "a:", "a:b", "a/b", "http://a", ":80", "a:80:90", "A.com", "a:65536"}},
      {v1::DNS_NAME,
       {"orders.internal", "orders", "_http._tcp.orders.internal", "orders._tcp.internal"},
       {"", "_", "a._", "_a_b.c", "a_b", "10.0.0.1", "::1", "a:80", "a..b", "A.b", "127.1"}},
      {v1::SERVER_ADDRESS,
       {"10.0.0.2", "10.0.0.2:5353", "[::1]:53", "::1", "[::1]"},
       {"", "ns.test", "10.0.0.2:", "10.0.0.2:0", "10.0.0.2:65536", "10.0.0", "[::1", ":53"}},
  };
  for (const Case& c : cases) {
    for (const std::string& text : c.good) {
      auto fault = check_format(c.format, text);
      INFO(v1::Format_Name(c.format) << " " << text << (fault ? ": " + fault->what : ""));
      CHECK_FALSE(fault);
    }
    for (const std::string& text : c.bad) {
      INFO(v1::Format_Name(c.format) << " " << text);
      auto fault = check_format(c.format, text);
      CHECK(fault);
      if (fault) CHECK_FALSE(fault->what.empty());
    }
  }
}

TEST_CASE("no format takes everything") {
  for (int i = 1; i < v1::Format_ARRAYSIZE; ++i) {
    auto format = static_cast<v1::Format>(i);
    INFO(v1::Format_Name(format));
    CHECK(check_format(format, format == v1::REGEX ? "(" : "\r\n"));
  }
}

TEST_CASE("references are names, with an owner or without") {
  CHECK_FALSE(check_reference("Policy", "", "api-key"));
  CHECK_FALSE(check_reference("Policy", "", "platform/api-key"));
  CHECK_FALSE(check_reference("Policy", "anonymous", "anonymous"));
  CHECK_FALSE(check_reference("Team", "all", "all"));
  for (const char* text : {"", "/", "a/", "/a", "a/b/c", "A", "a b"}) {
    INFO(text);
    CHECK(check_reference("Policy", "", text));
  }
  CHECK(check_reference("Team", "all", "a/b"));
}

TEST_CASE("the cure for a host range is the range that is meant") {
  auto fault = check_format(v1::CIDR, "10.1.2.3/8");
  REQUIRE(fault);
  CHECK(fault->cure == "write 10.0.0.0/8, or the single address");
}

}  // namespace
}  // namespace gw
