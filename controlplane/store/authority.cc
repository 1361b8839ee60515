#include "controlplane/store/authority.h"

#include "common/base/status.h"

namespace gw {
namespace {

// What the sealed key is bound to; as seal_anew() names it.
constexpr uint64_t kAuthorityUid = 1;
constexpr char kAuthorityPlace[] = "authority 1";
constexpr char kCertificateColumns[] =
    "SELECT serial, node, not_before, not_after, revoked_at FROM node_certificates ";

NodeCertificateRow certificate_row(const Row& row) {
  return {row.text(0), row.text(1), row.integer(2), row.integer(3), row.integer(4)};
}

}  // namespace

absl::StatusOr<std::optional<AuthorityRow>> find_authority(Connection& db, const MasterKey& key) {
  std::optional<AuthorityRow> out;
  GW_RETURN_IF_ERROR(db.query("SELECT certificate, sealed, created_at FROM authority", {},
                              [&](const Row& row) -> absl::Status {
                                GW_ASSIGN_OR_RETURN(std::string opened,
                                                    key.open(row.text(1), kAuthorityPlace));
                                out = AuthorityRow{row.text(0), std::move(opened), row.integer(2)};
                                return absl::OkStatus();
                              }));
  return out;
}

absl::Status insert_authority(Connection& db, const MasterKey& key, const AuthorityRow& row) {
  std::string sealed = key.seal(row.key, kAuthorityPlace);
  return db.run(
      "INSERT INTO authority (uid, certificate, sealed, created_at) VALUES ($1, $2, $3, $4)",
      {kAuthorityUid, row.certificate, Blob{sealed}, row.created_at});
}

absl::Status insert_node_certificate(Connection& db, const NodeCertificateRow& row) {
  return db.run(
      "INSERT INTO node_certificates (serial, node, not_before, not_after, revoked_at) VALUES ($1, "
      "$2, $3, $4, $5)",
      {row.serial, row.node, row.not_before, row.not_after, row.revoked_at});
}

absl::StatusOr<std::optional<NodeCertificateRow>> find_node_certificate(Connection& db,
                                                                        std::string_view serial) {
  std::optional<NodeCertificateRow> out;
  GW_RETURN_IF_ERROR(db.query(std::string(kCertificateColumns) + "WHERE serial = $1", {serial},
                              [&](const Row& row) {
                                out = certificate_row(row);
                                return absl::OkStatus();
                              }));
  return out;
}

absl::StatusOr<std::vector<NodeCertificateRow>> newest_node_certificates(Connection& db) {
  std::vector<NodeCertificateRow> out;
  GW_RETURN_IF_ERROR(
      db.query(std::string(kCertificateColumns) + "ORDER BY node, not_after DESC, not_before DESC",
               {}, [&](const Row& row) {
                 NodeCertificateRow one = certificate_row(row);
                 if (out.empty() || out.back().node != one.node) out.push_back(std::move(one));
                 return absl::OkStatus();
               }));
  return out;
}

absl::StatusOr<int64_t> revoke_node_certificates(Connection& db, std::string_view node,
                                                 int64_t now) {
  GW_RETURN_IF_ERROR(
      db.run("UPDATE node_certificates SET revoked_at = $2 WHERE node = $1 AND revoked_at = 0 AND "
             "not_after > $2",
             {node, now}));
  return db.changed();
}

absl::Status prune_node_certificates(Connection& db, int64_t before) {
  return db.run("DELETE FROM node_certificates WHERE not_after < $1", {before});
}

absl::Status refuse_joins(Connection& db, std::string_view node) {
  return db.run(
      "INSERT INTO refused_joins (node, token) SELECT $1, id FROM tokens WHERE role = 'join' AND "
      "revoked_at = 0 "
      "ON CONFLICT (node, token) DO NOTHING",
      {node});
}

absl::StatusOr<bool> join_is_refused(Connection& db, std::string_view node,
                                     std::string_view token_id) {
  GW_ASSIGN_OR_RETURN(
      int64_t there, db.integer("SELECT COUNT(*) FROM refused_joins WHERE node = $1 AND token = $2",
                                {node, token_id}));
  return there > 0;
}

absl::Status prune_refused_joins(Connection& db, int64_t now) {
  return db.run(
      "DELETE FROM refused_joins WHERE token NOT IN (SELECT id FROM tokens WHERE role = 'join' AND "
      "revoked_at = 0 "
      "AND (expires_at = 0 OR expires_at > $1))",
      {now});
}

}  // namespace gw
