#include "common/config/utf8.h"

namespace gw {

size_t utf8_length(std::string_view text) {
  auto byte = [&](size_t i) { return i < text.size() ? static_cast<unsigned char>(text[i]) : 0u; };
  auto continues = [&](size_t i) { return (byte(i) & 0xc0) == 0x80; };
  unsigned first = byte(0);
  if (text.empty()) return 0;
  if (first < 0x80) return 1;
  if (first >= 0xc2 && first <= 0xdf) return continues(1) ? 2 : 0;
  if (first >= 0xe0 && first <= 0xef) {
    unsigned second = byte(1);
    bool good = continues(1) && continues(2) && !(first == 0xe0 && second < 0xa0) &&
                !(first == 0xed && second > 0x9f);
    return good ? 3 : 0;
  }
  if (first >= 0xf0 && first <= 0xf4) {
    unsigned second = byte(1);
    bool good = continues(1) && continues(2) && continues(3) && !(first == 0xf0 && second < 0x90) &&
                !(first == 0xf4 && second > 0x8f);
    return good ? 4 : 0;
  }
  return 0;
}

bool is_utf8(std::string_view text) {
  while (!text.empty()) {
    size_t length = utf8_length(text);
    if (length == 0) return false;
    text.remove_prefix(length);
  }
  return true;
}

std::optional<BadByte> find_bad_byte(std::string_view text) {
  Position at{1, 1};
  for (size_t i = 0; i < text.size();) {
    unsigned char c = static_cast<unsigned char>(text[i]);
    if (c >= 0x80) {
      size_t length = utf8_length(text.substr(i));
      if (length == 0) return BadByte{at, false};
      i += length;
      at.column += static_cast<int>(length);
      continue;
    }
    if ((c < 0x20 && c != '\t' && c != '\n' && c != '\r') || c == 0x7f) return BadByte{at, true};
    ++i;
    ++at.column;
    if (c == '\n') at = {at.line + 1, 1};
  }
  return std::nullopt;
}

}  // namespace gw
