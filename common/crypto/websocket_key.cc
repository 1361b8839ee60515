#include "common/crypto/websocket_key.h"

#include <openssl/base64.h>
#include <openssl/sha.h>

#include "common/base/random.h"

namespace gw {
namespace {

constexpr std::string_view kWebsocketGuid = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
constexpr size_t kKeyBytes = 16;

std::string base64(const uint8_t* bytes, size_t size) {
  uint8_t text[64];
  size_t length = EVP_EncodeBlock(text, bytes, size);
  return {reinterpret_cast<const char*>(text), length};
}

}  // namespace

std::string make_websocket_key() {
  uint8_t bytes[kKeyBytes];
  secure_random(bytes, sizeof bytes);
  return base64(bytes, sizeof bytes);
}

bool is_websocket_key(std::string_view text) {
  uint8_t bytes[24];
  size_t length = 0;
  return text.size() == 24 &&
         EVP_DecodeBase64(bytes, &length, sizeof bytes, reinterpret_cast<const uint8_t*>(text.data()), text.size()) == 1 &&
         length == kKeyBytes;
}

std::string websocket_accept(std::string_view key) {
  SHA_CTX state;
  SHA1_Init(&state);
  SHA1_Update(&state, key.data(), key.size());
  SHA1_Update(&state, kWebsocketGuid.data(), kWebsocketGuid.size());
  uint8_t digest[SHA_DIGEST_LENGTH];
  SHA1_Final(digest, &state);
  return base64(digest, sizeof digest);
}

}  // namespace gw
