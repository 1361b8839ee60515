// A fast hash of short byte strings (multiply and fold, 8 bytes at a time). Not for secrets; callers that take keys from
// outside salt it.
#pragma once

#include <cstdint>
#include <cstring>
#include <string_view>

namespace gw {

inline uint64_t fold_multiply(uint64_t a, uint64_t b) {
  unsigned __int128 m = static_cast<unsigned __int128>(a) * b;
  return static_cast<uint64_t>(m) ^ static_cast<uint64_t>(m >> 64);
}

inline uint64_t hash_bytes(std::string_view text, uint64_t seed) {
  const char* at = text.data();
  size_t left = text.size();
  uint64_t h = seed ^ 0x9e3779b97f4a7c15;
  while (left > 8) {
    uint64_t word;
    std::memcpy(&word, at, 8);
    h = fold_multiply(h ^ word, 0xa0761d6478bd642f);
    at += 8;
    left -= 8;
  }
  uint64_t word = 0;
  if (left >= 4) {  // two overlapping reads
    uint32_t low, high;
    std::memcpy(&low, at, 4);
    std::memcpy(&high, at + left - 4, 4);
    word = (uint64_t{high} << 32) | low;
  } else if (left > 0) {
    word = (uint64_t{static_cast<unsigned char>(at[0])} << 16) | (uint64_t{static_cast<unsigned char>(at[left / 2])} << 8) |
           static_cast<unsigned char>(at[left - 1]);
  }
  return fold_multiply(h ^ word, 0xe7037ed1a0b428db ^ text.size());
}

}  // namespace gw
