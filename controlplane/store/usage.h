// Metered use: each batch of a node once, in the transaction that raises the totals. Functions work inside the transaction
// of their caller.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "controlplane/store/sqlite.h"
#include "gw/v1/telemetry.pb.h"

namespace gw {

// Most cells of one batch.
inline constexpr int kUsageCellsMax = 100'000;

struct UsageApplied {
  uint64_t sequence = 0;  // highest that is noted for (node, boot)
  bool fresh = false;     // false: the batch had been applied before, nothing changed
  uint64_t missing = 0;   // batches between the one before and this, which this database never saw
};
absl::StatusOr<UsageApplied> apply_usage_batch(Connection& db, std::string_view node, const v1::UsageBatch& batch,
                                               int64_t now_ms);

// Requests of a subscription in hours [from, to).
absl::StatusOr<int64_t> used_requests(Connection& db, uint64_t subscription, int64_t from_hour, int64_t to_hour);
// Subscriptions with use in hours [from, to).
absl::StatusOr<std::vector<uint64_t>> active_subscriptions(Connection& db, int64_t from_hour, int64_t to_hour);

// Every total of hours [from, to) as a cell.
absl::Status for_each_total(Connection& db, int64_t from_hour, int64_t to_hour,
                            const std::function<void(const v1::UsageCell&)>& fn);

// Names of what usage speaks of; kept when the object is gone.
absl::Status put_usage_name(Connection& db, uint64_t uid, std::string_view kind, std::string_view name);
// "owner/name", or the uid in hexadecimal.
absl::StatusOr<std::string> usage_name(Connection& db, uint64_t uid);

}  // namespace gw
