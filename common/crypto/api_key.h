// API keys: `gwk_{live|test}_{key id}_{secret}{checksum}`.
//
// The key id (12 characters) is the index, the secret (43 characters, 256 random bits) what proves, the checksum (6
// characters, CRC-32 of all before it) refuses a typo without a look-up. All in base 62, so that a double click selects the
// whole. At rest there is only SHA-256 of the secret's 43 characters. Thread-safe; parsing allocates nothing.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "common/crypto/sha256.h"

namespace gw {

inline constexpr size_t kApiKeyIdSize = 12;
inline constexpr size_t kApiKeySecretSize = 43;

struct ParsedApiKey {
  bool live = false;
  std::string_view key_id;
  std::string_view secret;
};

struct NewApiKey {
  std::string text;    // shown once
  std::string key_id;
  Sha256 sha256;       // of the secret: what is stored
};

// True when the text begins as an issued key does; it may be broken all the same.
bool looks_like_api_key(std::string_view text);
// Nothing when the form or the checksum is wrong.
std::optional<ParsedApiKey> parse_api_key(std::string_view text);
// In constant time.
bool verify_api_key(const ParsedApiKey& key, const Sha256& stored);
// A new key, from the kernel's random numbers.
NewApiKey generate_api_key(bool live);

// IEEE 802.3 (as zlib's crc32).
uint32_t crc32(std::string_view bytes);

}  // namespace gw
