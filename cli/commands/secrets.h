// Storing a value in a Secret, for secret set and cert rotate.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "cli/session.h"

namespace gw::cli {

// Most bytes of a value; the server takes no more either.
inline constexpr size_t kMaxSecretBytes = 262'144;

// A Secret that is there keeps its metadata and set. `name`: owner/name, or a name of the default owner's.
absl::StatusOr<v1::ApplyResponse> store_secret(Session& session, const std::string& name, std::string value, const std::string& message);

}  // namespace gw::cli
