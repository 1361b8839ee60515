// Kinds as people write them: `route`, `Routes`, `Route` are one; `get pods` is answered with what it is called here.
#pragma once

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "gw/v1/admin.pb.h"

namespace gw::cli {

// "routes" -> "Route"; fails with exit code 2 and a suggestion.
absl::StatusOr<std::string> parse_kind(std::string_view word);
// "owner/name", or "name" under `default_owner`; fails with exit code 2.
absl::StatusOr<v1::ObjectId> parse_object_id(std::string_view kind, std::string_view name, std::string_view default_owner);
// "owner/name"; just the name where there is no owner (Team).
std::string object_name(std::string_view owner, std::string_view name);

}  // namespace gw::cli
