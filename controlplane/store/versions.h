// Versions and the configuration through time. Every function works inside the transaction of its caller.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "controlplane/snapshot/object_key.h"
#include "controlplane/snapshot/publication.h"
#include "controlplane/store/sqlite.h"

namespace gw {

struct VersionRow {
  uint64_t number = 0;
  Lineage lineage{};
  Digest digest{};  // of all config entries
  std::string actor, message, set;
  int64_t created_at_ms = 0;  // wall
  std::string phase;          // offered, activating, active, refused, superseded, no-nodes
  uint64_t undoes = 0;
  uint64_t needs_directory = 0;
  uint64_t needs_certificates = 0;
};

absl::Status insert_version(Connection& db, const VersionRow& row);
absl::StatusOr<std::optional<VersionRow>> find_version(Connection& db, uint64_t number);
absl::StatusOr<std::optional<VersionRow>> latest_version(Connection& db);
// Newest first.
absl::StatusOr<std::vector<VersionRow>> last_versions(Connection& db, int64_t limit);
// The highest version that is or was active everywhere it was meant to be, or on its way to that; 0: none.
absl::StatusOr<uint64_t> last_activated(Connection& db);
absl::Status set_phase(Connection& db, uint64_t version, std::string_view phase);

// Enters a uid for good. A uid that was ever given out is INTERNAL.
absl::Status take_uid(Connection& db, uint64_t uid);

// The object as of `version`: ends the row that stood, begins a new one. Configuration kinds only.
absl::Status put_object(Connection& db, const v1::Object& object, uint64_t version);
absl::Status end_object(Connection& db, uint64_t uid, uint64_t version);
// `version` 0: as they stand now.
absl::StatusOr<std::vector<ObjectPtr>> objects_at(Connection& db, uint64_t version);

struct ObjectStep {
  ObjectPtr before;  // null: created
  ObjectPtr after;   // null: deleted
};
// What a version changed, in order of kind, owner and name.
absl::StatusOr<std::vector<ObjectStep>> steps_of(Connection& db, uint64_t version);
absl::Status put_entry(Connection& db, const EntryData& entry, uint64_t version);
absl::Status end_entry(Connection& db, const EntryKey& key, uint64_t version);
// `version` 0: as they stand now.
absl::StatusOr<EntryTable> entries_at(Connection& db, uint64_t version);

struct Hold {
  std::string set;
  uint64_t version = 0;
  std::string actor;
};
absl::Status put_hold(Connection& db, const Hold& hold, int64_t now_ms);
// False: it was not held.
absl::StatusOr<bool> delete_hold(Connection& db, const std::string& set);
absl::StatusOr<std::vector<Hold>> holds(Connection& db);

// Latest word of each node on a version.
absl::Status put_node_state(Connection& db, const NodeStateRecord& record);
absl::StatusOr<std::vector<NodeStateRecord>> node_states(Connection& db, uint64_t version);
// Forgets those of all versions before `version`.
absl::Status trim_node_states(Connection& db, uint64_t version);

absl::Status put_audit(Connection& db, int64_t now_ms, std::string_view actor, std::string_view action,
                       std::string_view object, std::string_view detail);

}  // namespace gw
