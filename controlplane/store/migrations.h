// The schema's steps, embedded from migrations/*.sql. A database is brought up by applying those that it has not seen, in
// order, each in a transaction of its own; they are never edited once released.
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "controlplane/store/sqlite.h"

namespace gw {

struct Migration {
  int number = 0;
  std::string name;
  std::string sql;
};

const std::vector<Migration>& embedded_migrations();

// Brings `db` up to the last of `migrations`. A database that is newer than that is refused untouched.
absl::Status migrate(Connection& db, const std::vector<Migration>& migrations);

}  // namespace gw
