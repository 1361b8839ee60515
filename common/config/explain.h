// What `gwctl explain` prints, and the JSON Schema: both from the descriptors, their options and
// their comments. Thread-safe.
#pragma once

#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace gw {

// `query` is a kind or a path in one ("Route", "Route.match.path", "Route.spec.match",
// "Policy.config.rateLimit.by"), a code ("GW1004"), a reason ("NO_ROUTE"), or empty (the list of
// kinds). NotFound says what was meant perhaps. The text ends in a newline.
absl::StatusOr<std::string> explain(std::string_view query);

// One JSON Schema (draft 2020-12) for a document of any kind, indented by two.
std::string json_schema();

}  // namespace gw
