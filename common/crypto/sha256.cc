#include "common/crypto/sha256.h"

#include <openssl/hmac.h>
#include <openssl/mem.h>
#include <openssl/sha.h>

#include <cstdlib>
#include <cstring>
#include <type_traits>

namespace gw {
namespace {

// The context is plain data, so it is kept as bytes and no BoringSSL type shows in the header.
static_assert(std::is_trivially_copyable_v<SHA256_CTX>);

SHA256_CTX load(const unsigned char* state) {
  SHA256_CTX ctx;
  std::memcpy(&ctx, state, sizeof ctx);
  return ctx;
}

}  // namespace

Sha256 sha256(std::string_view bytes) {
  Sha256 out;
  SHA256(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size(), out.data());
  return out;
}

Sha256 hmac_sha256(std::string_view key, std::string_view bytes) {
  Sha256 out;
  unsigned length = 0;
  if (HMAC(EVP_sha256(), key.data(), key.size(), reinterpret_cast<const uint8_t*>(bytes.data()),
           bytes.size(), out.data(), &length) == nullptr) {
    std::abort();  // only for want of memory
  }
  return out;
}

Sha256Stream::Sha256Stream() {
  static_assert(sizeof(SHA256_CTX) <= kStateSize);
  SHA256_CTX ctx;
  SHA256_Init(&ctx);
  std::memset(state_, 0, sizeof state_);
  std::memcpy(state_, &ctx, sizeof ctx);
}

Sha256Stream& Sha256Stream::update(std::string_view bytes) {
  SHA256_CTX ctx = load(state_);
  SHA256_Update(&ctx, bytes.data(), bytes.size());
  std::memcpy(state_, &ctx, sizeof ctx);
  return *this;
}

Sha256 Sha256Stream::finish() {
  SHA256_CTX ctx = load(state_);
  Sha256 out;
  SHA256_Final(out.data(), &ctx);
  *this = Sha256Stream();
  return out;
}

bool constant_time_equal(std::string_view a, std::string_view b) {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

}  // namespace gw
