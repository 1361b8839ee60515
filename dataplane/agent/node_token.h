// The node's own token, in its state directory (`node.token`, mode 0600).
#pragma once

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace gw {

std::string node_token_path(const std::string& state_dir);
// Text of a token file without white space around it. kNotFound: there is none; kInvalidArgument: empty, too long, or
// readable by others (a secret must be 0600).
absl::StatusOr<std::string> read_token_file(const std::string& path);
// The same of text that was read already.
absl::StatusOr<std::string> token_of_text(const std::string& path, std::string_view text);
absl::Status write_node_token(const std::string& state_dir, const std::string& token);

}  // namespace gw
