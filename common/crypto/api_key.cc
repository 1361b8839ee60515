#include "common/crypto/api_key.h"

#include <array>

#include "common/base/random.h"

namespace gw {
namespace {

constexpr std::string_view kPrefix = "gwk_";
constexpr std::string_view kDigits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
constexpr size_t kChecksumSize = 6;  // 62^6 > 2^32

constexpr std::array<uint32_t, 256> make_crc_table() {
  std::array<uint32_t, 256> t{};
  for (uint32_t i = 0; i < 256; ++i) {
    uint32_t c = i;
    for (int bit = 0; bit < 8; ++bit) c = c & 1 ? 0xedb88320 ^ (c >> 1) : c >> 1;
    t[i] = c;
  }
  return t;
}
constexpr std::array<uint32_t, 256> kCrc = make_crc_table();

bool is_base62(std::string_view text) {
  for (char c : text) {
    bool ok = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
    if (!ok) return false;
  }
  return true;
}

std::array<char, kChecksumSize> checksum(std::string_view text) {
  std::array<char, kChecksumSize> out;
  uint32_t value = crc32(text);
  for (size_t i = kChecksumSize; i-- > 0; value /= 62) out[i] = kDigits[value % 62];
  return out;
}

// Uniform characters: bytes of 248 and above are thrown away.
std::string random_base62(size_t size) {
  std::string out;
  while (out.size() < size) {
    for (char c : secure_random_bytes(size)) {
      unsigned char u = static_cast<unsigned char>(c);
      if (u < 248 && out.size() < size) out += kDigits[u % 62];
    }
  }
  return out;
}

}  // namespace

uint32_t crc32(std::string_view bytes) {
  uint32_t c = 0xffffffff;
  for (char b : bytes) c = kCrc[(c ^ static_cast<unsigned char>(b)) & 0xff] ^ (c >> 8);
  return c ^ 0xffffffff;
}

bool looks_like_api_key(std::string_view text) { return text.substr(0, kPrefix.size()) == kPrefix; }

std::optional<ParsedApiKey> parse_api_key(std::string_view text) {
  constexpr size_t kKind = 5;  // "live_", "test_"
  constexpr size_t kSize = kPrefix.size() + kKind + kApiKeyIdSize + 1 + kApiKeySecretSize + kChecksumSize;
  if (text.size() != kSize || !looks_like_api_key(text)) return std::nullopt;
  ParsedApiKey out;
  std::string_view rest = text.substr(kPrefix.size());
  std::string_view kind = rest.substr(0, kKind);
  if (kind != "live_" && kind != "test_") return std::nullopt;
  out.live = kind == "live_";
  rest.remove_prefix(kKind);
  out.key_id = rest.substr(0, kApiKeyIdSize);
  if (rest[kApiKeyIdSize] != '_') return std::nullopt;
  rest.remove_prefix(kApiKeyIdSize + 1);
  out.secret = rest.substr(0, kApiKeySecretSize);
  if (!is_base62(out.key_id) || !is_base62(out.secret)) return std::nullopt;
  auto sum = checksum(text.substr(0, kSize - kChecksumSize));
  if (rest.substr(kApiKeySecretSize) != std::string_view(sum.data(), sum.size())) return std::nullopt;
  return out;
}

bool verify_api_key(const ParsedApiKey& key, const Sha256& stored) {
  Sha256 given = sha256(key.secret);
  return constant_time_equal(as_view(given), as_view(stored));
}

NewApiKey generate_api_key(bool live) {
  NewApiKey out;
  out.key_id = random_base62(kApiKeyIdSize);
  std::string secret = random_base62(kApiKeySecretSize);
  out.text = std::string(kPrefix) + (live ? "live_" : "test_") + out.key_id + "_" + secret;
  auto sum = checksum(out.text);
  out.text.append(sum.data(), sum.size());
  out.sha256 = sha256(secret);
  return out;
}

}  // namespace gw
