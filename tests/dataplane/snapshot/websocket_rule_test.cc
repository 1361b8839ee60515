#include "dataplane/snapshot/websocket_rule.h"

#include <catch2/catch.hpp>

namespace gw {
namespace {

bool allowed(const WebSocketRule& rule, const char* origin, const char* authority = "gw.test") {
  RequestHead head;
  head.authority = authority;
  if (origin != nullptr) head.headers.add("Origin", origin);
  return origin_allowed(rule, head);
}

TEST_CASE("without a list, pages of the request's own host and port may open a WebSocket") {
  WebSocketRule rule;
  CHECK(allowed(rule, nullptr));
  CHECK(allowed(rule, "https://gw.test"));
  CHECK(allowed(rule, "http://GW.test"));
  CHECK(allowed(rule, "https://gw.test:443"));
  CHECK(allowed(rule, "https://gw.test:8443", "gw.test:8443"));
  CHECK(allowed(rule, "http://[::1]:8080", "[::1]:8080"));
  CHECK_FALSE(allowed(rule, "https://evil.test"));
  CHECK_FALSE(allowed(rule, "https://gw.test.evil.test"));
  CHECK_FALSE(allowed(rule, "https://gw.test:8443"));
  CHECK_FALSE(allowed(rule, "http://gw.test:443"));
  CHECK_FALSE(allowed(rule, "null"));
  CHECK_FALSE(allowed(rule, ""));
}

TEST_CASE("a list names who may; its own host is not in it by itself") {
  WebSocketRule rule{{"https://app.test", "http://localhost:3000"}, 1};
  CHECK(allowed(rule, "https://app.test"));
  CHECK(allowed(rule, "http://localhost:3000"));
  CHECK_FALSE(allowed(rule, "http://app.test"));
  CHECK_FALSE(allowed(rule, "https://gw.test"));
  CHECK_FALSE(allowed(rule, "null"));
  CHECK(allowed(WebSocketRule{{"*"}, 1}, "null"));
}

TEST_CASE("several Origin fields never pass") {
  RequestHead head;
  head.authority = "gw.test";
  head.headers.add("Origin", "https://gw.test");
  head.headers.add("Origin", "https://gw.test");
  CHECK_FALSE(origin_allowed(WebSocketRule{{"*"}, 1}, head));
}

}  // namespace
}  // namespace gw
