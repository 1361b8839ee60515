#include "controlplane/store/usage.h"

#include <cstdio>

#include "common/base/status.h"

namespace gw {
namespace {

absl::Status add_cell(Connection& db, const v1::UsageCell& c) {
  return db.run(
      "INSERT INTO usage_totals (subscription, app, plan, api, route, status_class, hour, requests, units, request_bytes, "
      "response_bytes) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) "
      "ON CONFLICT (subscription, hour, app, plan, api, route, status_class) DO UPDATE SET "
      "requests = usage_totals.requests + excluded.requests, units = usage_totals.units + excluded.units, "
      "request_bytes = usage_totals.request_bytes + excluded.request_bytes, "
      "response_bytes = usage_totals.response_bytes + excluded.response_bytes",
      {uint64_t{c.subscription()}, uint64_t{c.app()}, uint64_t{c.plan()}, uint64_t{c.api()}, uint64_t{c.route()},
       static_cast<int64_t>(c.status_class()), int64_t{c.hour()}, uint64_t{c.requests()}, uint64_t{c.units()},
       uint64_t{c.request_bytes()}, uint64_t{c.response_bytes()}});
}

}  // namespace

absl::StatusOr<UsageApplied> apply_usage_batch(Connection& db, std::string_view node, const v1::UsageBatch& batch,
                                               int64_t now_ms) {
  if (batch.cells_size() > kUsageCellsMax) return invalid_argument("a usage batch has too many cells");
  if (batch.sequence() == 0) return invalid_argument("a usage batch has no sequence");
  UsageApplied out;
  uint64_t boot = batch.boot();
  GW_ASSIGN_OR_RETURN(int64_t noted,
                      db.integer("SELECT sequence FROM usage_positions WHERE node = $1 AND boot = $2", {node, boot}));
  out.sequence = static_cast<uint64_t>(noted);
  if (batch.sequence() <= out.sequence) return out;
  for (const v1::UsageCell& cell : batch.cells()) GW_RETURN_IF_ERROR(add_cell(db, cell));
  GW_RETURN_IF_ERROR(db.run("INSERT INTO usage_positions (node, boot, sequence, at_ms) VALUES ($1, $2, $3, $4) "
                            "ON CONFLICT (node, boot) DO UPDATE SET sequence = excluded.sequence, at_ms = excluded.at_ms",
                            {node, boot, uint64_t{batch.sequence()}, now_ms}));
  out.missing = batch.sequence() - out.sequence - 1;
  out.sequence = batch.sequence();
  out.fresh = true;
  return out;
}

absl::StatusOr<int64_t> used_requests(Connection& db, uint64_t subscription, int64_t from_hour, int64_t to_hour) {
  return db.integer("SELECT SUM(requests) FROM usage_totals WHERE subscription = $1 AND hour >= $2 AND hour < $3",
                    {subscription, from_hour, to_hour});
}

absl::StatusOr<std::vector<uint64_t>> active_subscriptions(Connection& db, int64_t from_hour, int64_t to_hour) {
  std::vector<uint64_t> out;
  GW_RETURN_IF_ERROR(db.query(
      "SELECT DISTINCT subscription FROM usage_totals WHERE hour >= $1 AND hour < $2 AND subscription <> 0",
      {from_hour, to_hour}, [&](const Row& row) {
        out.push_back(row.id(0));
        return absl::OkStatus();
      }));
  return out;
}

absl::Status for_each_total(Connection& db, int64_t from_hour, int64_t to_hour,
                            const std::function<void(const v1::UsageCell&)>& fn) {
  v1::UsageCell cell;
  return db.query(
      "SELECT subscription, app, plan, api, route, status_class, hour, requests, units, request_bytes, response_bytes "
      "FROM usage_totals WHERE hour >= $1 AND hour < $2",
      {from_hour, to_hour}, [&](const Row& row) {
        cell.set_subscription(row.id(0));
        cell.set_app(row.id(1));
        cell.set_plan(row.id(2));
        cell.set_api(row.id(3));
        cell.set_route(row.id(4));
        cell.set_status_class(static_cast<uint32_t>(row.integer(5)));
        cell.set_hour(row.integer(6));
        cell.set_requests(row.id(7));
        cell.set_units(row.id(8));
        cell.set_request_bytes(row.id(9));
        cell.set_response_bytes(row.id(10));
        fn(cell);
        return absl::OkStatus();
      });
}

absl::Status put_usage_name(Connection& db, uint64_t uid, std::string_view kind, std::string_view name) {
  return db.run("INSERT INTO usage_names (uid, kind, name) VALUES ($1, $2, $3) ON CONFLICT (uid) DO NOTHING", {uid, kind, name});
}

absl::StatusOr<std::string> usage_name(Connection& db, uint64_t uid) {
  char hex[20];
  std::snprintf(hex, sizeof hex, "%016llx", static_cast<unsigned long long>(uid));
  std::string out = uid == 0 ? "" : hex;
  GW_RETURN_IF_ERROR(db.query("SELECT name FROM usage_names WHERE uid = $1", {uid}, [&](const Row& row) {
    out = row.text(0);
    return absl::OkStatus();
  }));
  return out;
}

}  // namespace gw
