// Bytes as lower-case hexadecimal text, and back.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace gw {

std::string to_hex(std::string_view bytes);
// Takes either case; nothing for an odd length or any other character.
std::optional<std::string> from_hex(std::string_view text);

}  // namespace gw
