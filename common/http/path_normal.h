// The path rules `normalize` and `raw`; `reject` is uri.h's.
//
// Pure functions; no allocation but from the arena.
#pragma once

#include <cstdint>
#include <string_view>

#include "common/base/arena.h"

namespace gw {

// What becomes of a path that two readers could understand differently.
enum class PathRule : uint8_t {
  kReject,     // 400
  kNormalize,  // RFC 3986 normal form; what stays ambiguous is 400
  kRaw,        // matched and forwarded byte for byte; 400 for NUL and control bytes alone
};

// The normal form of `path` (no query): escapes of unreserved characters decoded (RFC 3986 §6.2.2.2), hexadecimal digits in
// upper case (§6.2.2.1), slashes merged, dot segments removed (§5.2.4); slashes are merged first, as file systems do. The
// path itself where it is normal already. Idempotent; the result keeps the rule `reject` and begins with one slash.
// False: it stays ambiguous (encoded slash or backslash, NUL, overlong UTF-8, encoded twice, dot segment with parameters) or
// is no path at all; `why` is a literal for the client.
bool normalize_path(std::string_view path, Arena& arena, std::string_view& normal, std::string_view& why);

// What is wrong with a path under the rule `raw`, a literal; null: nothing.
const char* raw_path_problem(std::string_view path);

}  // namespace gw
