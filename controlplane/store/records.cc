#include "controlplane/store/records.h"

#include "common/base/status.h"
#include "controlplane/snapshot/emit.h"

namespace gw {
namespace {

constexpr char kKeyColumns[] =
    "SELECT uid, key_id, app, app_name, sha256, live, imported, created_at, expires_at, revoked_at FROM keys ";

absl::StatusOr<std::vector<KeyRow>> query_keys(Connection& db, const std::string& where, Connection::Values values) {
  std::vector<KeyRow> out;
  GW_RETURN_IF_ERROR(db.query(kKeyColumns + where, values, [&](const Row& row) {
    out.push_back({row.id(0), row.text(1), row.id(2), row.text(3), row.text(4), row.integer(5) != 0, row.integer(6) != 0,
                   row.integer(7), row.integer(8), row.integer(9)});
    return absl::OkStatus();
  }));
  return out;
}

absl::StatusOr<std::optional<KeyRow>> first(absl::StatusOr<std::vector<KeyRow>> rows) {
  if (!rows.ok()) return rows.status();
  return rows->empty() ? std::nullopt : std::optional(rows->front());
}

}  // namespace

absl::Status put_record(Connection& db, const v1::Object& object) {
  std::string body = object.SerializeAsString();
  return db.run(
      "INSERT INTO records (uid, kind, owner, name, generation, set_name, body) VALUES ($1, $2, $3, $4, $5, $6, $7) "
      "ON CONFLICT (uid) DO UPDATE SET generation = excluded.generation, set_name = excluded.set_name, body = excluded.body",
      {uint64_t{object.uid()}, kind_name(object.spec_case()), object.metadata().owner(), object.metadata().name(),
       uint64_t{object.generation()}, object.set(), Blob{body}});
}

absl::Status delete_record(Connection& db, uint64_t uid) { return db.run("DELETE FROM records WHERE uid = $1", {uid}); }

absl::StatusOr<std::vector<ObjectPtr>> all_records(Connection& db) {
  std::vector<ObjectPtr> out;
  GW_RETURN_IF_ERROR(db.query("SELECT body FROM records", {}, [&](const Row& row) -> absl::Status {
    auto object = std::make_shared<v1::Object>();
    if (!object->ParseFromString(row.text(0))) return data_loss("a record in the database cannot be read");
    out.push_back(std::move(object));
    return absl::OkStatus();
  }));
  return out;
}

absl::Status insert_key(Connection& db, const KeyRow& k) {
  return db.run(
      "INSERT INTO keys (uid, key_id, app, app_name, sha256, live, imported, created_at, expires_at, revoked_at) "
      "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
      {k.uid, k.key_id, k.app, k.app_name, Blob{k.sha256}, k.live, k.imported, k.created_at, k.expires_at, k.revoked_at});
}

absl::Status set_key_expiry(Connection& db, uint64_t uid, int64_t expires_at) {
  return db.run("UPDATE keys SET expires_at = $2 WHERE uid = $1", {uid, expires_at});
}

absl::Status revoke_key(Connection& db, uint64_t uid, int64_t now) {
  return db.run("UPDATE keys SET revoked_at = $2 WHERE uid = $1 AND revoked_at = 0", {uid, now});
}

absl::StatusOr<std::optional<KeyRow>> find_key(Connection& db, const std::string& key_id) {
  return first(query_keys(db, "WHERE key_id = $1", {key_id}));
}

absl::StatusOr<std::optional<KeyRow>> find_key_by_hash(Connection& db, const std::string& sha256) {
  return first(query_keys(db, "WHERE sha256 = $1", {Blob{sha256}}));
}

absl::StatusOr<std::vector<KeyRow>> keys_of(Connection& db, uint64_t app) {
  return app == 0 ? query_keys(db, "ORDER BY created_at DESC, key_id", {})
                  : query_keys(db, "WHERE app = $1 ORDER BY created_at DESC, key_id", {app});
}

absl::Status insert_directory_version(Connection& db, uint64_t number, const Digest& digest, int64_t now_ms,
                                      const std::string& actor) {
  std::string_view bytes(reinterpret_cast<const char*>(digest.data()), digest.size());
  return db.run("INSERT INTO directory_versions (number, digest, created_at_ms, actor) VALUES ($1, $2, $3, $4)",
                {number, Blob{bytes}, now_ms, actor});
}

absl::StatusOr<uint64_t> latest_directory(Connection& db) {
  GW_ASSIGN_OR_RETURN(int64_t number, db.integer("SELECT MAX(number) FROM directory_versions"));
  return static_cast<uint64_t>(number);
}

absl::Status put_directory_entry(Connection& db, const EntryData& e, uint64_t version) {
  return db.run("INSERT INTO directory_entries (kind, uid, version, object, body) VALUES ($1, $2, $3, $4, $5) "
                "ON CONFLICT (kind, uid) DO UPDATE SET version = excluded.version, object = excluded.object, body = excluded.body",
                {static_cast<int>(e.key.kind), e.key.uid, version, e.object, Blob{e.bytes}});
}

absl::Status delete_directory_entry(Connection& db, const EntryKey& key) {
  return db.run("DELETE FROM directory_entries WHERE kind = $1 AND uid = $2", {static_cast<int>(key.kind), key.uid});
}

absl::StatusOr<EntryTable> directory_entries(Connection& db) {
  EntryTable out;
  GW_RETURN_IF_ERROR(db.query("SELECT kind, uid, object, body FROM directory_entries", {}, [&](const Row& row) {
    EntryKey key{static_cast<v1::EntryKind>(row.integer(0)), row.id(1)};
    out[key] = make_entry(key, row.text(3), row.text(2));
    return absl::OkStatus();
  }));
  return out;
}

}  // namespace gw
