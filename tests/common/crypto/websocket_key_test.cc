#include "common/crypto/websocket_key.h"

#include <catch2/catch.hpp>

namespace gw {
namespace {

TEST_CASE("the accept value of a key is the one of RFC 6455, section 1.3") {
  CHECK(websocket_accept("dGhlIHNhbXBsZSBub25jZQ==") == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
  CHECK(websocket_accept("x").size() == kWebsocketAcceptSize);
}

TEST_CASE("a key is 16 bytes in base64, and each made one is another") {
  std::string one = make_websocket_key();
  CHECK(is_websocket_key(one));
  CHECK(one != make_websocket_key());
  for (const char* text : {"", "short", "dGhlIHNhbXBsZSBub25jZQ", "dGhlIHNhbXBsZSBub25jZSE=", "dGhlIHNhbXBsZSBub25j!Q==",
                           "dGhlIHNhbXBsZSBub25jZWFi"}) {
    INFO(text);
    CHECK_FALSE(is_websocket_key(text));
  }
}

}  // namespace
}  // namespace gw
