// Whether bytes are text. Thread-safe.
#pragma once

#include <optional>
#include <string_view>

#include "common/config/positions.h"

namespace gw {

struct BadByte {
  Position position;
  bool control = false;  // a control byte, NUL included; else not UTF-8
};

// The first byte that is not part of well-formed UTF-8 (no overlong forms, no surrogates), or that
// is a control byte other than tab, line feed and carriage return.
std::optional<BadByte> find_bad_byte(std::string_view text);

bool is_utf8(std::string_view text);

// Length of the well-formed UTF-8 character at the front; 0 when there is none.
size_t utf8_length(std::string_view text);

}  // namespace gw
