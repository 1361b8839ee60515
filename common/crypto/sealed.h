// Sealing of values at rest: AES-256-GCM with a random nonce. What is sealed is bound to where it belongs (`bound`), so that a
// value that was put into another place does not open. Thread-safe.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace gw {

using SealKey = std::array<uint8_t, 32>;

// Nonce (12 bytes), ciphertext, tag (16 bytes). One key seals at most 2^32 values.
std::string seal(const SealKey& key, std::string_view plain, std::string_view bound);
// Nothing: another key, another place, or not what was sealed.
std::optional<std::string> unseal(const SealKey& key, std::string_view sealed, std::string_view bound);

// Overwrites memory that held a secret.
void wipe(void* bytes, size_t size);
inline void wipe(SealKey& key) { wipe(key.data(), key.size()); }

}  // namespace gw
