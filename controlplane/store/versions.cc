#include "controlplane/store/versions.h"

#include <algorithm>
#include <cstring>
#include <map>

#include "common/base/status.h"
#include "controlplane/snapshot/emit.h"

namespace gw {
namespace {

constexpr char kVersionColumns[] =
    "SELECT number, lineage, digest, actor, message, set_name, created_at_ms, phase, undoes, needs_directory, needs_certificates FROM versions ";

template <class Array>
std::string_view bytes_of(const Array& array) {
  return {reinterpret_cast<const char*>(array.data()), array.size()};
}

template <class Array>
void read_bytes(const Row& row, int column, Array& out) {
  std::string bytes = row.text(column);
  std::memcpy(out.data(), bytes.data(), std::min(out.size(), bytes.size()));
}

VersionRow read_version(const Row& row) {
  VersionRow v;
  v.number = row.id(0);
  read_bytes(row, 1, v.lineage);
  read_bytes(row, 2, v.digest);
  v.actor = row.text(3);
  v.message = row.text(4);
  v.set = row.text(5);
  v.created_at_ms = row.integer(6);
  v.phase = row.text(7);
  v.undoes = row.id(8);
  v.needs_directory = row.id(9);
  v.needs_certificates = row.id(10);
  return v;
}

absl::StatusOr<ObjectPtr> read_object(const Row& row, int column) {
  auto object = std::make_shared<v1::Object>();
  if (!object->ParseFromString(row.text(column))) return data_loss("an object in the database cannot be read");
  return ObjectPtr(std::move(object));
}

absl::StatusOr<std::vector<VersionRow>> query_versions(Connection& db, const std::string& where, Connection::Values values) {
  std::vector<VersionRow> out;
  GW_RETURN_IF_ERROR(db.query(kVersionColumns + where, values, [&](const Row& row) {
    out.push_back(read_version(row));
    return absl::OkStatus();
  }));
  return out;
}

}  // namespace

absl::Status insert_version(Connection& db, const VersionRow& v) {
  return db.run(
      "INSERT INTO versions (number, lineage, digest, actor, message, set_name, created_at_ms, phase, undoes, "
      "needs_directory, needs_certificates) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
      {v.number, Blob{bytes_of(v.lineage)}, Blob{bytes_of(v.digest)}, v.actor, v.message, v.set, v.created_at_ms, v.phase,
       v.undoes, v.needs_directory, v.needs_certificates});
}

absl::StatusOr<std::optional<VersionRow>> find_version(Connection& db, uint64_t number) {
  GW_ASSIGN_OR_RETURN(std::vector<VersionRow> rows, query_versions(db, "WHERE number = $1", {number}));
  return rows.empty() ? std::nullopt : std::optional(rows.front());
}

absl::StatusOr<std::optional<VersionRow>> latest_version(Connection& db) {
  GW_ASSIGN_OR_RETURN(std::vector<VersionRow> rows, last_versions(db, 1));
  return rows.empty() ? std::nullopt : std::optional(rows.front());
}

absl::StatusOr<std::vector<VersionRow>> last_versions(Connection& db, int64_t limit) {
  return query_versions(db, "ORDER BY number DESC LIMIT $1", {limit});
}

absl::StatusOr<uint64_t> last_activated(Connection& db) {
  GW_ASSIGN_OR_RETURN(int64_t number, db.integer("SELECT MAX(number) FROM versions WHERE phase IN ('active', 'activating')"));
  return static_cast<uint64_t>(number);
}

absl::Status set_phase(Connection& db, uint64_t version, std::string_view phase) {
  return db.run("UPDATE versions SET phase = $2 WHERE number = $1", {version, phase});
}

absl::Status take_uid(Connection& db, uint64_t uid) {
  GW_RETURN_IF_ERROR(db.run("INSERT INTO uids (uid) VALUES ($1) ON CONFLICT DO NOTHING", {uid}));
  return db.changed() == 1 ? absl::OkStatus() : internal_error("a uid was drawn twice; try again");
}

absl::Status end_object(Connection& db, uint64_t uid, uint64_t version) {
  return db.run("UPDATE objects SET to_version = $2 WHERE uid = $1 AND to_version IS NULL", {uid, version});
}

absl::Status put_object(Connection& db, const v1::Object& object, uint64_t version) {
  GW_RETURN_IF_ERROR(end_object(db, object.uid(), version));
  std::string body = object.SerializeAsString();
  return db.run(
      "INSERT INTO objects (uid, kind, owner, name, generation, set_name, from_version, to_version, body) "
      "VALUES ($1, $2, $3, $4, $5, $6, $7, NULL, $8)",
      {uint64_t{object.uid()}, kind_name(object.spec_case()), object.metadata().owner(), object.metadata().name(),
       uint64_t{object.generation()}, object.set(), version, Blob{body}});
}

absl::StatusOr<std::vector<ObjectPtr>> objects_at(Connection& db, uint64_t version) {
  std::vector<ObjectPtr> out;
  auto add = [&](const Row& row) -> absl::Status {
    GW_ASSIGN_OR_RETURN(ObjectPtr object, read_object(row, 0));
    out.push_back(std::move(object));
    return absl::OkStatus();
  };
  if (version == 0) {
    GW_RETURN_IF_ERROR(db.query("SELECT body FROM objects WHERE to_version IS NULL", {}, add));
  } else {
    GW_RETURN_IF_ERROR(db.query(
        "SELECT body FROM objects WHERE from_version <= $1 AND (to_version IS NULL OR to_version > $1)", {version}, add));
  }
  return out;
}

absl::StatusOr<std::vector<ObjectStep>> steps_of(Connection& db, uint64_t version) {
  std::map<ObjectKey, ObjectStep> steps;
  auto collect = [&](const char* sql, ObjectPtr ObjectStep::*side) {
    return db.query(sql, {version}, [&](const Row& row) -> absl::Status {
      GW_ASSIGN_OR_RETURN(ObjectPtr object, read_object(row, 0));
      steps[key_of(*object)].*side = object;
      return absl::OkStatus();
    });
  };
  GW_RETURN_IF_ERROR(collect("SELECT body FROM objects WHERE to_version = $1", &ObjectStep::before));
  GW_RETURN_IF_ERROR(collect("SELECT body FROM objects WHERE from_version = $1", &ObjectStep::after));
  std::vector<ObjectStep> out;
  for (auto& [key, step] : steps) out.push_back(std::move(step));
  return out;
}

absl::Status end_entry(Connection& db, const EntryKey& key, uint64_t version) {
  return db.run("UPDATE entries SET to_version = $3 WHERE kind = $1 AND uid = $2 AND to_version IS NULL",
                {static_cast<int>(key.kind), key.uid, version});
}

absl::Status put_entry(Connection& db, const EntryData& entry, uint64_t version) {
  GW_RETURN_IF_ERROR(end_entry(db, entry.key, version));
  return db.run("INSERT INTO entries (kind, uid, from_version, to_version, object, body) VALUES ($1, $2, $3, NULL, $4, $5)",
                {static_cast<int>(entry.key.kind), entry.key.uid, version, entry.object, Blob{entry.bytes}});
}

absl::StatusOr<EntryTable> entries_at(Connection& db, uint64_t version) {
  EntryTable out;
  auto add = [&](const Row& row) {
    EntryKey key{static_cast<v1::EntryKind>(row.integer(0)), row.id(1)};
    out[key] = make_entry(key, row.text(3), row.text(2));
    return absl::OkStatus();
  };
  if (version == 0) {
    GW_RETURN_IF_ERROR(db.query("SELECT kind, uid, object, body FROM entries WHERE to_version IS NULL", {}, add));
  } else {
    GW_RETURN_IF_ERROR(db.query("SELECT kind, uid, object, body FROM entries "
                                "WHERE from_version <= $1 AND (to_version IS NULL OR to_version > $1)",
                                {version}, add));
  }
  return out;
}

absl::Status put_hold(Connection& db, const Hold& hold, int64_t now_ms) {
  return db.run("INSERT INTO holds (set_name, version, actor, at_ms) VALUES ($1, $2, $3, $4) "
                "ON CONFLICT (set_name) DO UPDATE SET version = excluded.version, actor = excluded.actor, at_ms = excluded.at_ms",
                {hold.set, hold.version, hold.actor, now_ms});
}

absl::StatusOr<bool> delete_hold(Connection& db, const std::string& set) {
  GW_RETURN_IF_ERROR(db.run("DELETE FROM holds WHERE set_name = $1", {set}));
  return db.changed() > 0;
}

absl::StatusOr<std::vector<Hold>> holds(Connection& db) {
  std::vector<Hold> out;
  GW_RETURN_IF_ERROR(db.query("SELECT set_name, version, actor FROM holds ORDER BY set_name", {}, [&](const Row& row) {
    out.push_back({row.text(0), row.id(1), row.text(2)});
    return absl::OkStatus();
  }));
  return out;
}

absl::Status put_node_state(Connection& db, const NodeStateRecord& r) {
  v1::Diagnostics diagnostics;
  for (const v1::Diagnostic& d : r.diagnostics) *diagnostics.add_items() = d;
  std::string bytes = diagnostics.SerializeAsString();
  return db.run(
      "INSERT INTO node_states (version, node, state, diagnostics, build_micros, at_ms) VALUES ($1, $2, $3, $4, $5, $6) "
      "ON CONFLICT (version, node) DO UPDATE SET state = excluded.state, diagnostics = excluded.diagnostics, "
      "build_micros = CASE WHEN excluded.build_micros > 0 THEN excluded.build_micros ELSE node_states.build_micros END, "
      "at_ms = excluded.at_ms",
      {r.version, r.node, static_cast<int>(r.state), Blob{bytes}, r.build_micros, r.at_ms});
}

absl::StatusOr<std::vector<NodeStateRecord>> node_states(Connection& db, uint64_t version) {
  std::vector<NodeStateRecord> out;
  GW_RETURN_IF_ERROR(db.query(
      "SELECT node, state, diagnostics, build_micros, at_ms FROM node_states WHERE version = $1 ORDER BY node", {version},
      [&](const Row& row) {
        NodeStateRecord r;
        r.version = version;
        r.node = row.text(0);
        r.state = static_cast<v1::NodeState>(row.integer(1));
        v1::Diagnostics diagnostics;
        if (diagnostics.ParseFromString(row.text(2))) r.diagnostics = {diagnostics.items().begin(), diagnostics.items().end()};
        r.build_micros = row.integer(3);
        r.at_ms = row.integer(4);
        out.push_back(std::move(r));
        return absl::OkStatus();
      }));
  return out;
}

absl::Status trim_node_states(Connection& db, uint64_t version) {
  return db.run("DELETE FROM node_states WHERE version < $1", {version});
}

absl::Status put_audit(Connection& db, int64_t now_ms, std::string_view actor, std::string_view action, std::string_view object,
                       std::string_view detail) {
  return db.run("INSERT INTO audit (id, at_ms, actor, action, object, detail) "
                "VALUES ((SELECT COALESCE(MAX(id), 0) + 1 FROM audit), $1, $2, $3, $4, $5)",
                {now_ms, actor, action, object, detail});
}

}  // namespace gw
