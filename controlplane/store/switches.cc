#include "controlplane/store/switches.h"

#include "common/base/status.h"

namespace gw {

absl::Status put_switch(Connection& db, const SwitchRow& s) {
  GW_RETURN_IF_ERROR(delete_switch(db, s));
  return db.run("INSERT INTO switches (kind, name, target, uid, object, message, status, retry_after, actor, since, expires_at, body) "
                "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
                {static_cast<int>(s.kind), s.name, s.target, s.uid, s.object, s.message, s.status, s.retry_after, s.actor, s.since,
                 s.expires_at, Blob{s.body}});
}

absl::Status delete_switch(Connection& db, const SwitchRow& s) {
  return db.run("DELETE FROM switches WHERE kind = $1 AND name = $2 AND target = $3", {static_cast<int>(s.kind), s.name, s.target});
}

absl::StatusOr<std::vector<SwitchRow>> all_switches(Connection& db) {
  std::vector<SwitchRow> out;
  GW_RETURN_IF_ERROR(db.query(
      "SELECT kind, name, target, uid, object, message, status, retry_after, actor, since, expires_at, body FROM switches "
      "ORDER BY kind, name, target",
      {}, [&](const Row& row) {
        out.push_back({static_cast<v1::SwitchKind>(row.integer(0)), row.text(1), row.text(2), row.id(3), row.id(4), row.text(5),
                       static_cast<int>(row.integer(6)), row.integer(7), row.text(8), row.integer(9), row.integer(10), row.text(11)});
        return absl::OkStatus();
      }));
  return out;
}

absl::StatusOr<uint64_t> latest_switches(Connection& db) {
  GW_ASSIGN_OR_RETURN(int64_t number, db.integer("SELECT MAX(number) FROM switches_version"));
  return static_cast<uint64_t>(number);
}

absl::Status set_switches_version(Connection& db, uint64_t number) {
  GW_RETURN_IF_ERROR(db.run("DELETE FROM switches_version"));
  return db.run("INSERT INTO switches_version (number) VALUES ($1)", {number});
}

}  // namespace gw
