#include "common/crypto/sealed.h"

#include <openssl/aead.h>
#include <openssl/mem.h>

#include <cstdlib>

#include "common/base/random.h"

namespace gw {
namespace {

constexpr size_t kNonceSize = 12;
constexpr size_t kTagSize = 16;

const uint8_t* octets(std::string_view bytes) { return reinterpret_cast<const uint8_t*>(bytes.data()); }
uint8_t* octets(std::string& bytes, size_t at = 0) { return reinterpret_cast<uint8_t*>(bytes.data()) + at; }

struct AesGcm {
  explicit AesGcm(const SealKey& key) {
    if (EVP_AEAD_CTX_init(&context, EVP_aead_aes_256_gcm(), key.data(), key.size(), kTagSize, nullptr) != 1) std::abort();
  }
  ~AesGcm() { EVP_AEAD_CTX_cleanup(&context); }
  EVP_AEAD_CTX context;
};

}  // namespace

std::string seal(const SealKey& key, std::string_view plain, std::string_view bound) {
  AesGcm aead(key);
  std::string out = secure_random_bytes(kNonceSize);
  out.resize(kNonceSize + plain.size() + kTagSize);
  size_t size = 0;
  if (EVP_AEAD_CTX_seal(&aead.context, octets(out, kNonceSize), &size, plain.size() + kTagSize, octets(out), kNonceSize,
                        octets(plain), plain.size(), octets(bound), bound.size()) != 1) {
    std::abort();  // only for want of memory, or beyond 64 GiB
  }
  return out;
}

std::optional<std::string> unseal(const SealKey& key, std::string_view sealed, std::string_view bound) {
  if (sealed.size() < kNonceSize + kTagSize) return std::nullopt;
  AesGcm aead(key);
  std::string_view body = sealed.substr(kNonceSize);
  std::string out(body.size(), '\0');
  size_t size = 0;
  if (EVP_AEAD_CTX_open(&aead.context, octets(out), &size, out.size(), octets(sealed), kNonceSize, octets(body), body.size(),
                        octets(bound), bound.size()) != 1) {
    return std::nullopt;
  }
  out.resize(size);
  return out;
}

void wipe(void* bytes, size_t size) { OPENSSL_cleanse(bytes, size); }

}  // namespace gw
