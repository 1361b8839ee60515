// Checks of paths: what is written here is what is matched and forwarded, byte by byte. Internal to
// common/config. Thread-safe.
#pragma once

#include "common/config/formats.h"

namespace gw {

std::optional<FormatFault> check_url_path(std::string_view text);       // /attendees
std::optional<FormatFault> check_path_template(std::string_view text);  // /files/{name}

}  // namespace gw
