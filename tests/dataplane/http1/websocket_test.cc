#include "dataplane/http1/websocket.h"

#include <catch2/catch.hpp>
#include <functional>

namespace gw::http1 {
namespace {

constexpr const char* kKey = "dGhlIHNhbXBsZSBub25jZQ==";

RequestHead handshake() {
  RequestHead head;
  head.method = Method::kGet;
  head.headers.add("Upgrade", "websocket");
  head.headers.add("Connection", "keep-alive, Upgrade");
  head.headers.add("Sec-WebSocket-Version", "13");
  head.headers.add("Sec-WebSocket-Key", kKey);
  head.headers.add("Sec-WebSocket-Protocol", "chat");
  return head;
}

TEST_CASE("a due handshake gives its key; what belongs to its connection is taken out") {
  RequestHead head = handshake();
  std::string_view key;
  CHECK(take_websocket_handshake(head, false, key).reason == Reason::kNone);
  CHECK(key == kKey);
  CHECK(head.headers.count("sec-websocket-key") == 0);
  CHECK(head.headers.count("sec-websocket-version") == 0);
  CHECK(head.headers.count("sec-websocket-protocol") == 1);
}

TEST_CASE("handshakes that break a rule are 400, another version is 426") {
  struct Bad {
    const char* what;
    std::function<void(RequestHead&)> change;
    bool http10;
    int status;
  };
  const Bad bads[] = {
      {"HTTP/1.0", [](RequestHead&) {}, true, 0},
      {"POST", [](RequestHead& h) { h.method = Method::kPost; }, false, 0},
      {"a body", [](RequestHead& h) { h.has_body = true; }, false, 0},
      {"no Connection: upgrade", [](RequestHead& h) { h.headers.remove(HeaderId::kConnection); }, false, 0},
      {"no version", [](RequestHead& h) { h.headers.remove("sec-websocket-version"); }, false, 0},
      {"two versions", [](RequestHead& h) { h.headers.add("Sec-WebSocket-Version", "13"); }, false, 0},
      {"version 8", [](RequestHead& h) { h.headers.set("Sec-WebSocket-Version", "8"); }, false, 426},
      {"no key", [](RequestHead& h) { h.headers.remove("sec-websocket-key"); }, false, 0},
      {"two keys", [](RequestHead& h) { h.headers.add("Sec-WebSocket-Key", kKey); }, false, 0},
      {"a short key", [](RequestHead& h) { h.headers.set("Sec-WebSocket-Key", "abc"); }, false, 0},
  };
  for (const Bad& bad : bads) {
    INFO(bad.what);
    RequestHead head = handshake();
    bad.change(head);
    std::string_view key;
    ProxyError fault = take_websocket_handshake(head, bad.http10, key);
    CHECK(fault.reason == Reason::kBadRequest);
    CHECK(fault.status == bad.status);
  }
}

TEST_CASE("an upstream agrees with the right value, for WebSocket and nothing else") {
  auto answer = [](const char* upgrade, const char* connection, const char* accept) {
    HeaderList headers;
    if (*upgrade != 0) headers.add("Upgrade", upgrade);
    if (*connection != 0) headers.add("Connection", connection);
    if (*accept != 0) headers.add("Sec-WebSocket-Accept", accept);
    bool agreed = agrees_to_websocket(headers, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    return agreed && headers.count("sec-websocket-accept") == 0;
  };
  CHECK(answer("WebSocket", "upgrade", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
  CHECK_FALSE(answer("", "upgrade", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
  CHECK_FALSE(answer("h2c", "upgrade", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
  CHECK_FALSE(answer("websocket, h2c", "upgrade", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
  CHECK_FALSE(answer("websocket", "", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
  CHECK_FALSE(answer("websocket", "upgrade", ""));
  CHECK_FALSE(answer("websocket", "upgrade", "S3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
}

}  // namespace
}  // namespace gw::http1
