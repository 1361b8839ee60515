// Bearer tokens: `gwt_<id>_<secret>` for people and pipelines, `gwj_…` to join, `gwn_…` for nodes. Only the id and the
// hash of the secret are kept. Functions work inside the transaction of their caller.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "controlplane/store/sqlite.h"

namespace gw {

struct TokenRow {
  std::string id, name;
  std::string role;  // viewer, editor, admin; join, node
  std::string team;  // of an editor
  std::string sha256;
  int64_t created_at = 0;  // Unix seconds
  int64_t expires_at = 0;  // 0: never
  int64_t revoked_at = 0;
};

struct NewToken {
  std::string text;  // shown once
  TokenRow row;
};
// Draws id and secret; fills in id and sha256 of `row`.
NewToken make_token(TokenRow row);

absl::Status insert_token(Connection& db, const TokenRow& row);
absl::StatusOr<std::vector<TokenRow>> all_tokens(Connection& db);
// False: there is no such token.
absl::StatusOr<bool> revoke_token(Connection& db, const std::string& id, int64_t now);
// UNAUTHENTICATED with the reason: not a token, unknown, wrong, expired, revoked.
absl::StatusOr<TokenRow> check_token(Connection& db, std::string_view text, int64_t now);
// Takes the token of `node` away from its earlier life, if it had one.
absl::Status drop_node_tokens(Connection& db, std::string_view node);
// The token of `node` lets it in no longer. False: it never joined.
absl::StatusOr<bool> revoke_node_tokens(Connection& db, std::string_view node, int64_t now);
// Names of nodes whose token was revoked, and that have not joined anew.
absl::StatusOr<std::vector<std::string>> revoked_node_names(Connection& db);
// Names of nodes whose token is not revoked.
absl::StatusOr<std::vector<std::string>> node_names(Connection& db);

}  // namespace gw
