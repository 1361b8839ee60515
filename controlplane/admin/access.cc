#include "controlplane/admin/access.h"

#include "common/base/diagnostic.h"
#include "common/base/status.h"
#include "controlplane/store/tokens.h"

namespace gw {
namespace {

absl::Status denied(const ObjectLabel& label, std::string_view message, std::string_view cure) {
  DiagnosticList found;
  found.error("GW4001", label, "", message).set_cure(std::string(cure));
  return to_status(found, absl::StatusCode::kPermissionDenied);
}

}  // namespace

absl::StatusOr<Caller> authenticate(Database& db, std::string_view token, const Clock& clock) {
  TokenRow row;
  absl::Status status = db.read([&](Connection& connection) -> absl::Status {
    GW_ASSIGN_OR_RETURN(row, check_token(connection, token, clock.wall_ns() / 1'000'000'000));
    return absl::OkStatus();
  });
  if (absl::IsUnauthenticated(status)) {
    DiagnosticList found;
    found.error("GW4002", {}, "", message_of(status)).set_cure("ask an admin for a token: `gwctl token create`");
    return to_status(found, absl::StatusCode::kUnauthenticated);
  }
  GW_RETURN_IF_ERROR(status);
  if (row.role == "node" || row.role == "join") {
    return denied({}, "a token of role " + row.role + " is for nodes and cannot call the admin API",
                  "use a token of role viewer, editor or admin");
  }
  return Caller{row.name, row.role, row.team, row.id};
}

absl::Status may_write(const Caller& caller, const ObjectKey& key) {
  if (caller.is_admin()) return absl::OkStatus();
  if (caller.role != "editor") {
    return denied(key.label(), "a token of role " + caller.role + " changes nothing", "use a token of role editor or admin");
  }
  if (key.kind == v1::Object::kTeam) return denied(key.label(), "Teams are written by admins", "ask an admin");
  if (key.owner == caller.team) return absl::OkStatus();
  return denied(key.label(), "it belongs to team " + key.owner + ", the token to team " + caller.team,
                "ask team " + key.owner + ", or use a token of theirs");
}

absl::Status must_be_admin(const Caller& caller, std::string_view what) {
  if (caller.is_admin()) return absl::OkStatus();
  return denied({}, std::string(what) + " is for admins; the token's role is " + caller.role, "ask an admin");
}

absl::Status must_write_something(const Caller& caller, std::string_view what) {
  if (caller.is_admin() || caller.role == "editor") return absl::OkStatus();
  return denied({}, std::string(what) + " is not for a token of role " + caller.role, "use a token of role editor or admin");
}

}  // namespace gw
