#include "common/crypto/base64.h"

#include <openssl/base64.h>

#include <cstdint>

namespace gw {

std::string to_base64(std::string_view bytes) {
  std::string out((bytes.size() + 2) / 3 * 4 + 1, '\0');  // BoringSSL ends it with a NUL
  out.resize(EVP_EncodeBlock(reinterpret_cast<uint8_t*>(out.data()), reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()));
  return out;
}

std::optional<std::string> from_base64(std::string_view text) {
  std::string dense;
  dense.reserve(text.size());
  for (char c : text) {
    if (c != ' ' && c != '\t' && c != '\r' && c != '\n') dense += c;
  }
  std::string out(dense.size() / 4 * 3, '\0');
  size_t size = 0;
  if (EVP_DecodeBase64(reinterpret_cast<uint8_t*>(out.data()), &size, out.size(), reinterpret_cast<const uint8_t*>(dense.data()), dense.size()) != 1) {
    return std::nullopt;
  }
  out.resize(size);
  return out;
}

}  // namespace gw
