#include "common/http/headers.h"

#include <catch2/catch.hpp>
#include <string>

namespace gw {
namespace {

struct Case {
  const char* name;
  HeaderId id;
};
constexpr Case kCases[] = {
    {"host", HeaderId::kHost},
    {"connection", HeaderId::kConnection},
    {"content-length", HeaderId::kContentLength},
    {"content-type", HeaderId::kContentType},
    {"transfer-encoding", HeaderId::kTransferEncoding},
    {"te", HeaderId::kTe},
    {"trailer", HeaderId::kTrailer},
    {"upgrade", HeaderId::kUpgrade},
    {"expect", HeaderId::kExpect},
    {"keep-alive", HeaderId::kKeepAlive},
    {"proxy-connection", HeaderId::kProxyConnection},
    {"proxy-authenticate", HeaderId::kProxyAuthenticate},
    {"proxy-authorization", HeaderId::kProxyAuthorization},
    {"proxy", HeaderId::kProxy},
    {"forwarded", HeaderId::kForwarded},
    {"x-forwarded-for", HeaderId::kXForwardedFor},
    {"x-forwarded-proto", HeaderId::kXForwardedProto},
    {"x-forwarded-host", HeaderId::kXForwardedHost},
    {"x-forwarded-port", HeaderId::kXForwardedOther},
    {"x-forwarded-", HeaderId::kXForwardedOther},
    {"x-real-ip", HeaderId::kXRealIp},
    {"x-request-id", HeaderId::kXRequestId},
    {"x-gw-app", HeaderId::kXGateway},
    {"x-gw-", HeaderId::kXGateway},
    {"x-original-url", HeaderId::kXRewrite},
    {"x-rewrite-url", HeaderId::kXRewrite},
    {"x-envoy-original-path", HeaderId::kXRewrite},
    {"traceparent", HeaderId::kTraceparent},
    {"tracestate", HeaderId::kTracestate},
    {"authorization", HeaderId::kAuthorization},
    {"cookie", HeaderId::kCookie},
    {"set-cookie", HeaderId::kSetCookie},
    {"origin", HeaderId::kOrigin},
    {"access-control-request-method", HeaderId::kAccessControlRequestMethod},
    {"access-control-request-headers", HeaderId::kAccessControlRequestHeaders},
    {"accept", HeaderId::kAccept},
    {"user-agent", HeaderId::kUserAgent},
    {"date", HeaderId::kDate},
    {"server", HeaderId::kServer},
    {"via", HeaderId::kVia},
    {"location", HeaderId::kLocation},
    {"retry-after", HeaderId::kRetryAfter},
    {"vary", HeaderId::kVary},
};

TEST_CASE("known header names are found in any case", "[headers]") {
  for (const Case& c : kCases) {
    INFO(c.name);
    std::string name = c.name, upper = name, mixed = name;
    for (size_t i = 0; i < name.size(); ++i) {
      if (name[i] < 'a' || name[i] > 'z') continue;
      upper[i] = static_cast<char>(name[i] - 32);
      if (i == 0 || name[i - 1] == '-') mixed[i] = upper[i];
    }
    CHECK(header_id(name) == c.id);
    CHECK(header_id(upper) == c.id);
    CHECK(header_id(mixed) == c.id);
  }
}

TEST_CASE("a name with one byte more, less or changed is another", "[headers]") {
  for (const Case& c : kCases) {
    if (c.id == HeaderId::kXForwardedOther || c.id == HeaderId::kXGateway) continue;
    std::string name = c.name;
    INFO(name);
    for (size_t i = 0; i < name.size(); ++i) {
      std::string other = name;
      other[i] = static_cast<char>(other[i] == 'q' ? 'j' : 'q');
      CHECK(header_id(other) != c.id);
      // What differs from the name by the bit that tells upper from lower case, without being the letter.
      other[i] = static_cast<char>(name[i] ^ 0x20);
      if (name[i] < 'a' || name[i] > 'z') CHECK(header_id(other) != c.id);
    }
    CHECK(header_id(name + "s") != c.id);
    CHECK(header_id(name.substr(1)) != c.id);
    CHECK(header_id(name.substr(0, name.size() - 1)) != c.id);
  }
  CHECK(header_id("") == HeaderId::kOther);
}

TEST_CASE("case is ignored for letters alone, at every length", "[headers]") {
  for (size_t size = 0; size < 40; ++size) {
    std::string a(size, '\0'), b;
    for (size_t i = 0; i < size; ++i) a[i] = static_cast<char>('a' + i % 26);
    b = a;
    for (char& c : b) c = static_cast<char>(c - 32);
    CHECK(equals_ignore_case(a, b));
    for (size_t i = 0; i < size; ++i) {
      std::string other = b;
      other[i] = '-';
      CHECK_FALSE(equals_ignore_case(a, other));
    }
  }
  for (int x = 0; x < 256; ++x) {
    for (int y = 0; y < 256; ++y) {
      auto lower = [](int c) { return c >= 'A' && c <= 'Z' ? c + 32 : c; };
      std::string a(9, static_cast<char>(x)), b(9, static_cast<char>(y));
      if (equals_ignore_case(a, b) != (lower(x) == lower(y))) FAIL("bytes " << x << " and " << y);
      if (equals_ignore_case({a.data(), 1}, {b.data(), 1}) != (lower(x) == lower(y))) FAIL("short, bytes " << x << " and " << y);
    }
  }
}

}  // namespace
}  // namespace gw
