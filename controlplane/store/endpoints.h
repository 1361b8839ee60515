// Targets added to Upstreams at run time, and the version of the stream that nodes get of them. Every function works inside the
// transaction of its caller.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "controlplane/store/sqlite.h"

namespace gw {

struct EndpointRow {
  uint64_t upstream = 0;  // uid
  std::string address;    // host:port, as nodes write it
  uint64_t uid = 0;       // of the entry
  std::string name;       // owner/name of the Upstream
  int weight = 1;
  std::string zone;
  int priority = 0;
  std::string actor;
  int64_t since = 0;       // Unix seconds
  int64_t expires_at = 0;  // Unix seconds; 0: never
  std::string body;        // of the entry, as it was made
};

// In place of the row of the same upstream and address.
absl::Status put_endpoint(Connection& db, const EndpointRow& row);
absl::Status delete_endpoint(Connection& db, const EndpointRow& row);
// By upstream and address.
absl::StatusOr<std::vector<EndpointRow>> all_endpoints(Connection& db);
// 0: nothing was ever added.
absl::StatusOr<uint64_t> latest_endpoints(Connection& db);
absl::Status set_endpoints_version(Connection& db, uint64_t number);

}  // namespace gw
