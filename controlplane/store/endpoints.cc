#include "controlplane/store/endpoints.h"

#include "common/base/status.h"

namespace gw {

absl::Status put_endpoint(Connection& db, const EndpointRow& e) {
  GW_RETURN_IF_ERROR(delete_endpoint(db, e));
  return db.run("INSERT INTO endpoints (upstream, address, uid, name, weight, zone, priority, actor, since, expires_at, body) "
                "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
                {e.upstream, e.address, e.uid, e.name, e.weight, e.zone, e.priority, e.actor, e.since, e.expires_at, Blob{e.body}});
}

absl::Status delete_endpoint(Connection& db, const EndpointRow& e) {
  return db.run("DELETE FROM endpoints WHERE upstream = $1 AND address = $2", {e.upstream, e.address});
}

absl::StatusOr<std::vector<EndpointRow>> all_endpoints(Connection& db) {
  std::vector<EndpointRow> out;
  GW_RETURN_IF_ERROR(db.query(
      "SELECT upstream, address, uid, name, weight, zone, priority, actor, since, expires_at, body FROM endpoints "
      "ORDER BY upstream, address",
      {}, [&](const Row& row) {
        out.push_back({row.id(0), row.text(1), row.id(2), row.text(3), static_cast<int>(row.integer(4)), row.text(5),
                       static_cast<int>(row.integer(6)), row.text(7), row.integer(8), row.integer(9), row.text(10)});
        return absl::OkStatus();
      }));
  return out;
}

absl::StatusOr<uint64_t> latest_endpoints(Connection& db) {
  GW_ASSIGN_OR_RETURN(int64_t number, db.integer("SELECT MAX(number) FROM endpoints_version"));
  return static_cast<uint64_t>(number);
}

absl::Status set_endpoints_version(Connection& db, uint64_t number) {
  GW_RETURN_IF_ERROR(db.run("DELETE FROM endpoints_version"));
  return db.run("INSERT INTO endpoints_version (number) VALUES ($1)", {number});
}

}  // namespace gw
