// Percent escapes, for uri.cc and query.cc.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace gw::internal {

constexpr std::array<int8_t, 256> make_hex_table() {
  std::array<int8_t, 256> t{};
  for (int c = 0; c < 256; ++c) t[c] = -1;
  for (int c = 0; c < 10; ++c) t['0' + c] = static_cast<int8_t>(c);
  for (int c = 0; c < 6; ++c) t['a' + c] = t['A' + c] = static_cast<int8_t>(10 + c);
  return t;
}
inline constexpr std::array<int8_t, 256> kHex = make_hex_table();

inline unsigned char at(std::string_view s, size_t i) { return static_cast<unsigned char>(s[i]); }

// Value of the escape at s[i] == '%', or -1.
inline int escape(std::string_view s, size_t i) {
  if (i + 2 >= s.size()) return -1;
  int high = kHex[at(s, i + 1)], low = kHex[at(s, i + 2)];
  return high < 0 || low < 0 ? -1 : high * 16 + low;
}

// Decodes into `out`, which is as long as `in`; returns the length. A bad escape stays as it is.
inline size_t decode(std::string_view in, char* out, bool plus_is_space) {
  size_t n = 0;
  for (size_t i = 0; i < in.size(); ++i) {
    int value = in[i] == '%' ? escape(in, i) : -1;
    if (value >= 0) {
      out[n++] = static_cast<char>(value);
      i += 2;
    } else {
      out[n++] = plus_is_space && in[i] == '+' ? ' ' : in[i];
    }
  }
  return n;
}

}  // namespace gw::internal
