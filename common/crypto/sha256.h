// SHA-256 and comparison without a timing trace, over BoringSSL (which stays behind this header).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace gw {

using Sha256 = std::array<uint8_t, 32>;

Sha256 sha256(std::string_view bytes);
// HMAC (RFC 2104) with SHA-256; a key of any length.
Sha256 hmac_sha256(std::string_view key, std::string_view bytes);

// The digest's bytes as a view; good as long as `digest` is.
inline std::string_view as_view(const Sha256& digest) {
  return {reinterpret_cast<const char*>(digest.data()), digest.size()};
}

// SHA-256 of what arrives in pieces. One thread; copyable: a copy goes on from the same prefix.
class Sha256Stream {
 public:
  Sha256Stream();
  Sha256Stream& update(std::string_view bytes);
  // The digest of all pieces; the stream then starts anew.
  Sha256 finish();

 private:
  static constexpr size_t kStateSize = 128;
  alignas(16) unsigned char state_[kStateSize];
};

// Equal bytes, in a time that depends on the lengths alone.
bool constant_time_equal(std::string_view a, std::string_view b);

}  // namespace gw
