// Operators' stop switches: what is stopped now, and the version of the stream that nodes get of it. Every function works
// inside the transaction of its caller.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "controlplane/store/sqlite.h"
#include "gw/v1/admin.pb.h"

namespace gw {

struct SwitchRow {
  v1::SwitchKind kind = v1::SWITCH_KIND_UNSPECIFIED;
  std::string name;    // owner/name of the Api or Upstream; the CIDR of a block
  std::string target;  // host:port of a drained target; else empty
  uint64_t uid = 0;    // of the entry
  uint64_t object = 0; // uid of the Api or Upstream; 0: a block
  std::string message;
  int status = 0;            // 0: 503
  int64_t retry_after = 0;   // seconds
  std::string actor;
  int64_t since = 0;       // Unix seconds
  int64_t expires_at = 0;  // Unix seconds; 0: never
  std::string body;        // of the entry, as it was made
};

// In place of the row of the same kind, name and target.
absl::Status put_switch(Connection& db, const SwitchRow& row);
absl::Status delete_switch(Connection& db, const SwitchRow& row);
// By kind, name and target.
absl::StatusOr<std::vector<SwitchRow>> all_switches(Connection& db);
// 0: nothing was ever stopped or taken back.
absl::StatusOr<uint64_t> latest_switches(Connection& db);
absl::Status set_switches_version(Connection& db, uint64_t number);

}  // namespace gw
