#pragma once
// Text of configuration and of protocol tokens: ASCII only, whatever the locale.

#include <absl/strings/ascii.h>

#include <string>
#include <string_view>

namespace gw {

inline std::string ascii_lower(std::string_view text) {
  return absl::AsciiStrToLower(absl::string_view(text.data(), text.size()));
}

}  // namespace gw
