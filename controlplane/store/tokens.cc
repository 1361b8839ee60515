#include "controlplane/store/tokens.h"

#include "common/base/random.h"
#include "common/base/status.h"
#include "common/crypto/hex.h"
#include "common/crypto/sha256.h"

namespace gw {
namespace {

constexpr char kColumns[] = "SELECT id, name, role, team, sha256, created_at, expires_at, revoked_at FROM tokens ";
constexpr size_t kIdDigits = 12, kSecretDigits = 64, kPrefixSize = 4;  // "gwt_"

TokenRow read(const Row& row) {
  return {row.text(0), row.text(1), row.text(2), row.text(3), row.text(4), row.integer(5), row.integer(6), row.integer(7)};
}

const char* prefix_of(const std::string& role) { return role == "join" ? "gwj_" : role == "node" ? "gwn_" : "gwt_"; }

absl::StatusOr<std::vector<std::string>> names_of(Connection& db, const char* query) {
  std::vector<std::string> out;
  GW_RETURN_IF_ERROR(db.query(query, {}, [&](const Row& row) {
    out.push_back(row.text(0));
    return absl::OkStatus();
  }));
  return out;
}

std::string hash_of(std::string_view secret) { return std::string(as_view(sha256(secret))); }

}  // namespace

NewToken make_token(TokenRow row) {
  NewToken out;
  std::string secret = to_hex(secure_random_bytes(kSecretDigits / 2));
  row.id = to_hex(secure_random_bytes(kIdDigits / 2));
  row.sha256 = hash_of(secret);
  out.text = prefix_of(row.role) + row.id + "_" + secret;
  out.row = std::move(row);
  return out;
}

absl::Status insert_token(Connection& db, const TokenRow& t) {
  return db.run("INSERT INTO tokens (id, name, role, team, sha256, created_at, expires_at, revoked_at) "
                "VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
                {t.id, t.name, t.role, t.team, Blob{t.sha256}, t.created_at, t.expires_at, t.revoked_at});
}

absl::StatusOr<std::vector<TokenRow>> all_tokens(Connection& db) {
  std::vector<TokenRow> out;
  GW_RETURN_IF_ERROR(db.query(std::string(kColumns) + "ORDER BY created_at, id", {}, [&](const Row& row) {
    out.push_back(read(row));
    return absl::OkStatus();
  }));
  return out;
}

absl::StatusOr<bool> revoke_token(Connection& db, const std::string& id, int64_t now) {
  GW_RETURN_IF_ERROR(db.run("UPDATE tokens SET revoked_at = $2 WHERE id = $1 AND revoked_at = 0", {id, now}));
  if (db.changed() > 0) return true;
  GW_ASSIGN_OR_RETURN(int64_t there, db.integer("SELECT COUNT(*) FROM tokens WHERE id = $1", {id}));
  return there > 0;
}

absl::StatusOr<TokenRow> check_token(Connection& db, std::string_view text, int64_t now) {
  if (text.size() != kPrefixSize + kIdDigits + 1 + kSecretDigits || text[kPrefixSize + kIdDigits] != '_') {
    return unauthenticated(text.empty() ? "a token is needed; `gwctl --token-file FILE` names one" : "this is not a token");
  }
  std::string id(text.substr(kPrefixSize, kIdDigits));
  std::optional<TokenRow> found;
  GW_RETURN_IF_ERROR(db.query(std::string(kColumns) + "WHERE id = $1", {id}, [&](const Row& row) {
    found = read(row);
    return absl::OkStatus();
  }));
  std::string_view secret = text.substr(kPrefixSize + kIdDigits + 1);
  if (!found || !constant_time_equal(found->sha256, hash_of(secret)) || text.substr(0, kPrefixSize) != prefix_of(found->role)) {
    return unauthenticated("the token is not known here; was it made for another control plane?");
  }
  if (found->revoked_at != 0) return unauthenticated("the token " + id + " (" + found->name + ") was revoked");
  if (found->expires_at != 0 && found->expires_at <= now) {
    return unauthenticated("the token " + id + " (" + found->name + ") has expired");
  }
  return *found;
}

absl::Status drop_node_tokens(Connection& db, std::string_view node) {
  return db.run("DELETE FROM tokens WHERE role = 'node' AND name = $1", {node});
}

absl::StatusOr<bool> revoke_node_tokens(Connection& db, std::string_view node, int64_t now) {
  GW_RETURN_IF_ERROR(db.run("UPDATE tokens SET revoked_at = $2 WHERE role = 'node' AND name = $1 AND revoked_at = 0", {node, now}));
  GW_ASSIGN_OR_RETURN(int64_t there, db.integer("SELECT COUNT(*) FROM tokens WHERE role = 'node' AND name = $1", {node}));
  return there > 0;
}

absl::StatusOr<std::vector<std::string>> revoked_node_names(Connection& db) {
  return names_of(db, "SELECT DISTINCT name FROM tokens WHERE role = 'node' AND revoked_at <> 0 ORDER BY name");
}

absl::StatusOr<std::vector<std::string>> node_names(Connection& db) {
  return names_of(db, "SELECT DISTINCT name FROM tokens WHERE role = 'node' AND revoked_at = 0 ORDER BY name");
}

}  // namespace gw
