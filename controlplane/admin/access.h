// Who calls, and what they may do. Tokens carry a role and a team: a viewer reads, an editor writes what its team owns, an
// admin writes everything. Thread-safe.
#pragma once

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/clock.h"
#include "controlplane/snapshot/object_key.h"
#include "controlplane/store/database.h"

namespace gw {

struct Caller {
  std::string name, role, team, token_id;

  bool is_admin() const { return role == "admin"; }
  // "alice@platform": what history and audit say.
  std::string actor() const { return team.empty() ? name : name + "@" + team; }
};

// The caller behind a bearer token of the admin API. UNAUTHENTICATED: unknown, expired, revoked; PERMISSION_DENIED: the token
// is a node's or one to join with.
absl::StatusOr<Caller> authenticate(Database& db, std::string_view token, const Clock& clock);

// PERMISSION_DENIED, with a finding that names object and cure.
absl::Status may_write(const Caller& caller, const ObjectKey& key);
absl::Status must_be_admin(const Caller& caller, std::string_view what);
absl::Status must_write_something(const Caller& caller, std::string_view what);

}  // namespace gw
