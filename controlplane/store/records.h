// Consumers, Apps, Subscriptions and keys: their current state, and the directory that nodes get of them. Every function
// works inside the transaction of its caller.
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

absl::Status put_record(Connection& db, const v1::Object& object);
absl::Status delete_record(Connection& db, uint64_t uid);
absl::StatusOr<std::vector<ObjectPtr>> all_records(Connection& db);

struct KeyRow {
  uint64_t uid = 0;
  std::string key_id;    // of imported keys: the first 16 hex digits of the hash
  uint64_t app = 0;      // uid
  std::string app_name;  // owner/name
  std::string sha256;    // 32 bytes
  bool live = false;
  bool imported = false;
  int64_t created_at = 0;  // Unix seconds, as the others
  int64_t expires_at = 0;  // 0: never
  int64_t revoked_at = 0;  // 0: not
};
absl::Status insert_key(Connection& db, const KeyRow& key);
absl::Status set_key_expiry(Connection& db, uint64_t uid, int64_t expires_at);
absl::Status revoke_key(Connection& db, uint64_t uid, int64_t now);
absl::StatusOr<std::optional<KeyRow>> find_key(Connection& db, const std::string& key_id);
absl::StatusOr<std::optional<KeyRow>> find_key_by_hash(Connection& db, const std::string& sha256);
// `app` 0: of every App. Newest first.
absl::StatusOr<std::vector<KeyRow>> keys_of(Connection& db, uint64_t app);

absl::Status insert_directory_version(Connection& db, uint64_t number, const Digest& digest, int64_t now_ms,
                                      const std::string& actor);
absl::StatusOr<uint64_t> latest_directory(Connection& db);
absl::Status put_directory_entry(Connection& db, const EntryData& entry, uint64_t version);
absl::Status delete_directory_entry(Connection& db, const EntryKey& key);
absl::StatusOr<EntryTable> directory_entries(Connection& db);

}  // namespace gw
