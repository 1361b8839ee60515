// JSON values as YAML text. Internal to common/config. Thread-safe.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace gw {

// As it stands in YAML: plain where every reader takes it for this very text, else in double
// quotes.
std::string yaml_scalar(std::string_view text);
// Any value on one line: {a: b, c: [d, e]}.
std::string yaml_flow(const nlohmann::ordered_json& value);
// A mapping as a block, two spaces a level, ending in a newline. Short lists of scalars stay on one
// line.
std::string yaml_block(const nlohmann::ordered_json& mapping);

}  // namespace gw
