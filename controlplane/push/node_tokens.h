// Join tokens and node tokens, as push and telemetry ask for them. Implemented by the server over the store.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace gw {

// May block on the store: called from a worker thread of push or telemetry, never from a reactor. Thread-safe.
class NodeTokens {
 public:
  virtual ~NodeTokens() = default;
  // Checks a join token, enters `node` among the known ones and makes it a token of its own (replacing an older one).
  // Errors: kUnauthenticated (unknown, expired or revoked, says which), kInvalidArgument (not a node's name).
  virtual absl::StatusOr<std::string> join(std::string_view join_token, std::string_view node) = 0;
  // The name of the node that the token belongs to. kUnauthenticated: unknown or revoked.
  virtual absl::StatusOr<std::string> node_of(std::string_view node_token) = 0;
  // Names of every node that ever joined and was not removed: the true number of nodes.
  virtual std::vector<std::string> known_nodes() = 0;
};

}  // namespace gw
