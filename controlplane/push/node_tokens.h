// Who a node is, as push and telemetry ask: join tokens, node tokens and certificates. Implemented by the server over the store.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace gw {

// What a node shows with a call.
struct NodeCredentials {
  std::string token;
  std::string certificate;  // PEM, of its end of a TLS connection, which has checked that it is of our CA; empty: it showed none
};

struct NodeIdentity {
  std::string node;
  std::string serial;            // of its certificate
  int64_t certificate_ends = 0;  // Unix seconds; 0: it has none
};

// What a node gets: its token at a join, PEM where it sent a signing request.
struct NodeGrant {
  std::string token, certificate, ca;
};

// May block on the store: called from a worker thread of push or telemetry, never from a reactor. Thread-safe.
class NodeTokens {
 public:
  virtual ~NodeTokens() = default;
  // Checks a join token, enters `node` among the known ones, makes it a token of its own (replacing an older one), and a
  // certificate if `signing_request` is not empty. Errors: kUnauthenticated (unknown, expired or revoked, says which),
  // kInvalidArgument (not a node's name, or no signing request).
  virtual absl::StatusOr<NodeGrant> join(std::string_view join_token, std::string_view node, std::string_view signing_request) = 0;
  // A further certificate for a node that is let in. Errors: those of node_of(), kInvalidArgument (no signing request).
  virtual absl::StatusOr<NodeGrant> renew(const NodeCredentials& credentials, std::string_view signing_request) = 0;
  // The node that token and certificate belong to. kUnauthenticated: one of them is missing, unknown, expired or revoked;
  // kPermissionDenied: they are of two nodes.
  virtual absl::StatusOr<NodeIdentity> node_of(const NodeCredentials& credentials) = 0;
  // Names of every node that ever joined and was not removed: the true number of nodes.
  virtual std::vector<std::string> known_nodes() = 0;
};

}  // namespace gw
