// What texts must look like (Format of options.proto). Internal to common/config. Thread-safe.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "gw/v1/options.pb.h"

namespace gw {

struct FormatFault {
  std::string what;  // "is not a path: must begin with /"
  std::string cure;  // may be empty
};

// Nothing when `text` fits. Length is not looked at.
std::optional<FormatFault> check_format(v1::Format format, std::string_view text);

// A reference to an object of `kind`: `name` or `owner/name` (Team: a name), or the keyword.
std::optional<FormatFault> check_reference(std::string_view kind, std::string_view keyword,
                                           std::string_view text);

// Text of any field: no control bytes but tab and line feed.
std::optional<FormatFault> check_text(std::string_view text);

}  // namespace gw
