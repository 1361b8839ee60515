#include "controlplane/store/migrations.h"

#include "common/base/status.h"

namespace gw {

absl::Status migrate(Connection& db, const std::vector<Migration>& migrations) {
  GW_RETURN_IF_ERROR(db.script("CREATE TABLE IF NOT EXISTS schema_version (number BIGINT PRIMARY KEY, name TEXT NOT NULL)"));
  GW_ASSIGN_OR_RETURN(int64_t at, db.integer("SELECT MAX(number) FROM schema_version"));
  int64_t last = migrations.empty() ? 0 : migrations.back().number;
  if (at > last) {
    return failed_precondition("the database has schema " + std::to_string(at) + ", this program knows up to " +
                               std::to_string(last) + ": run the newer gw-controlplane that wrote it");
  }
  for (const Migration& m : migrations) {
    if (m.number <= at) continue;
    absl::Status status = db.transaction([&]() -> absl::Status {
      GW_RETURN_IF_ERROR(db.script(m.sql));
      return db.run("INSERT INTO schema_version (number, name) VALUES ($1, $2)", {m.number, m.name});
    });
    if (!status.ok()) return make_status(status.code(), "migration " + m.name + ": " + message_of(status));
  }
  return absl::OkStatus();
}

}  // namespace gw
