// Durations and sizes as people write them: `250ms`, `1h30m`, `32KiB`. Thread-safe.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace gw {

// A wrong text's status message is "what is wrong; how to mend it".
// One or more of d, h, m, s, ms, each once, in falling order, without fractions.
absl::StatusOr<int64_t> parse_duration_ms(std::string_view text);
// The shortest text that gives `ms` again: 90000 is "90s", 5400000 "90m", 1500 "1500ms". `ms` >= 0.
std::string format_duration_ms(int64_t ms);

// A whole number of bytes, or of KiB, MiB, GiB, TiB.
absl::StatusOr<int64_t> parse_bytes(std::string_view text);
// The largest unit that divides it: 32768 is "32KiB", 1000 "1000".
std::string format_bytes(int64_t bytes);

// A share in millionths: `5%` is 50000. At most four digits after the point.
absl::StatusOr<int64_t> parse_percent(std::string_view text);
// 50000 is "5%", 5000 "0.5%".
std::string format_percent(int64_t millionths);

}  // namespace gw
