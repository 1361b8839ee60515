#pragma once

#include <string_view>

namespace gw {

std::string_view build_version();  // 0.1.0
std::string_view build_commit();   // short hash, or "unknown"

}  // namespace gw
