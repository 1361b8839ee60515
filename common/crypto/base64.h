// Base64 (RFC 4648 §4), with padding.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace gw {

std::string to_base64(std::string_view bytes);
// Line breaks and spaces are passed over; nothing for any other character, or wrong padding.
std::optional<std::string> from_base64(std::string_view text);

}  // namespace gw
