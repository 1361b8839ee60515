// The control plane's CA, the certificates that it gave to nodes, and what was revoked. Every
// function works inside the transaction of its caller. Times are Unix seconds.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "controlplane/store/master_key.h"
#include "controlplane/store/sqlite.h"

namespace gw {

struct AuthorityRow {
  std::string certificate;  // PEM
  std::string key;          // PEM
  int64_t created_at = 0;
};
// Nothing: there is none yet.
absl::StatusOr<std::optional<AuthorityRow>> find_authority(Connection& db, const MasterKey& key);
// REQUIRES: there is none.
absl::Status insert_authority(Connection& db, const MasterKey& key, const AuthorityRow& row);

struct NodeCertificateRow {
  std::string serial, node;
  int64_t not_before = 0, not_after = 0;
  int64_t revoked_at = 0;
};
absl::Status insert_node_certificate(Connection& db, const NodeCertificateRow& row);
absl::StatusOr<std::optional<NodeCertificateRow>> find_node_certificate(Connection& db,
                                                                        std::string_view serial);
// The one of each node that ends last, by node.
absl::StatusOr<std::vector<NodeCertificateRow>> newest_node_certificates(Connection& db);
// Those of the node that are in force; their number.
absl::StatusOr<int64_t> revoke_node_certificates(Connection& db, std::string_view node,
                                                 int64_t now);
// Forgets those that ended before `before`.
absl::Status prune_node_certificates(Connection& db, int64_t before);

// The join tokens of now do not let `node` in again.
absl::Status refuse_joins(Connection& db, std::string_view node);
absl::StatusOr<bool> join_is_refused(Connection& db, std::string_view node,
                                     std::string_view token_id);
// Forgets tokens that let nobody in any more.
absl::Status prune_refused_joins(Connection& db, int64_t now);

}  // namespace gw
