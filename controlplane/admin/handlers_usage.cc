#include <algorithm>
#include <ctime>
#include <map>
#include <unordered_map>

#include "common/base/status.h"
#include "controlplane/admin/admin_handlers.h"
#include "controlplane/store/usage.h"

namespace gw {
namespace {

constexpr size_t kRowsMax = 100'000;

struct Grouping {
  bool app = false, api = false, plan = false, route = false, status = false;
  const char* period = nullptr;  // of strftime
};

absl::StatusOr<Grouping> grouping_of(const v1::UsageRequest& request) {
  Grouping out;
  for (const std::string& by : request.group_by()) {
    if (by == "app") out.app = true;
    else if (by == "api") out.api = true;
    else if (by == "plan") out.plan = true;
    else if (by == "route") out.route = true;
    else if (by == "status") out.status = true;
    else if (by == "hour") out.period = "%Y-%m-%dT%HZ";
    else if (by == "day") out.period = "%Y-%m-%d";
    else if (by == "month") out.period = "%Y-%m";
    else return invalid_argument("usage is not counted by " + by + "; by app, api, plan, route, status, hour, day or month");
  }
  return out;
}

std::string period_text(const char* format, int64_t hour) {
  time_t at = static_cast<time_t>(hour * 3600);
  std::tm utc{};
  gmtime_r(&at, &utc);
  char text[32];
  size_t size = std::strftime(text, sizeof text, format, &utc);
  return std::string(text, size);
}

// Names of uids, asked of the store once each.
class Names {
 public:
  explicit Names(Connection& db) : db_(db) {}
  absl::StatusOr<std::string> of(uint64_t uid) {
    auto at = names_.find(uid);
    if (at != names_.end()) return at->second;
    GW_ASSIGN_OR_RETURN(std::string name, usage_name(db_, uid));
    return names_[uid] = name;
  }

 private:
  Connection& db_;
  std::unordered_map<uint64_t, std::string> names_;
};

}  // namespace

absl::StatusOr<v1::UsageResponse> AdminHandlers::usage(const v1::UsageRequest& request) {
  GW_ASSIGN_OR_RETURN(Grouping grouping, grouping_of(request));
  int64_t to = request.to_hour() > 0 ? request.to_hour() : parts_.engine->now_s() / 3600 + 1;
  std::map<std::vector<std::string>, v1::UsageRow> rows;
  GW_RETURN_IF_ERROR(parts_.engine->db().read([&](Connection& db) -> absl::Status {
    Names names(db);
    std::vector<v1::UsageCell> cells;
    GW_RETURN_IF_ERROR(for_each_total(db, request.from_hour(), to, [&](const v1::UsageCell& c) { cells.push_back(c); }));
    for (const v1::UsageCell& c : cells) {
      GW_ASSIGN_OR_RETURN(std::string app, names.of(c.app()));
      GW_ASSIGN_OR_RETURN(std::string api, names.of(c.api()));
      GW_ASSIGN_OR_RETURN(std::string plan, names.of(c.plan()));
      if (!request.app().empty() && request.app() != app) continue;
      if (!request.api().empty() && request.api() != api) continue;
      if (!request.plan().empty() && request.plan() != plan) continue;
      v1::UsageRow key;
      if (grouping.app) key.set_app(app);
      if (grouping.api) key.set_api(api);
      if (grouping.plan) key.set_plan(plan);
      if (grouping.route) {
        GW_ASSIGN_OR_RETURN(*key.mutable_route(), names.of(c.route()));
      }
      if (grouping.status) key.set_status(std::to_string(c.status_class()) + "xx");
      if (grouping.period) key.set_period(period_text(grouping.period, c.hour()));
      auto [at, fresh] = rows.try_emplace({key.period(), key.app(), key.plan(), key.api(), key.route(), key.status()}, key);
      if (fresh && rows.size() > kRowsMax) return resource_exhausted("too many rows; ask for a shorter time or fewer groups");
      v1::UsageRow& row = at->second;
      row.set_requests(row.requests() + c.requests());
      row.set_units(row.units() + c.units());
      row.set_request_bytes(row.request_bytes() + c.request_bytes());
      row.set_response_bytes(row.response_bytes() + c.response_bytes());
    }
    return absl::OkStatus();
  }));
  v1::UsageResponse out;
  for (auto& [key, row] : rows) *out.add_rows() = std::move(row);
  return out;
}

}  // namespace gw
