#include <algorithm>

#include "common/base/status.h"
#include "controlplane/admin/admin_handlers.h"
#include "controlplane/store/tokens.h"

namespace gw {
namespace {

constexpr int64_t kTtlMaxS = 10 * 366 * int64_t{86'400};
constexpr size_t kTokensMax = 10'000;

v1::TokenInfo info_of(const TokenRow& t) {
  v1::TokenInfo out;
  out.set_id(t.id);
  out.set_name(t.name);
  out.set_role(t.role);
  out.set_team(t.team);
  out.set_created_at(t.created_at);
  out.set_expires_at(t.expires_at);
  out.set_revoked(t.revoked_at != 0);
  return out;
}

absl::Status check_request(const v1::CreateTokenRequest& r, const Catalog& now) {
  static const std::string roles[] = {"viewer", "editor", "admin", "join"};
  if (std::find(std::begin(roles), std::end(roles), r.role()) == std::end(roles)) {
    return invalid_argument("there is no role " + r.role() + "; roles are viewer, editor, admin, and join for nodes");
  }
  if (r.role() == "editor" && r.team().empty()) return invalid_argument("an editor's token needs a team");
  if (!r.team().empty() && !now.find({v1::Object::kTeam, "", r.team()})) {
    std::string meant = did_you_mean(r.team(), now.names_for(v1::Object::kTeam, ""));
    return not_found("there is no Team " + r.team() + (meant.empty() ? "" : "; did you mean " + meant + "?"));
  }
  if (r.name().empty() || r.name().size() > 100) return invalid_argument("a token needs a name of at most 100 bytes");
  if (r.ttl_seconds() < 0 || r.ttl_seconds() > kTtlMaxS) return invalid_argument("a token lives for at most ten years");
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<v1::CreateTokenResponse> AdminHandlers::create_token(const Caller& caller, const v1::CreateTokenRequest& request) {
  GW_RETURN_IF_ERROR(must_be_admin(caller, "making tokens"));
  absl::Status fine;
  parts_.engine->read([&](const Catalog& now) { fine = check_request(request, now); });
  GW_RETURN_IF_ERROR(fine);
  TokenRow row;
  row.name = request.name();
  row.role = request.role();
  row.team = request.team();
  row.created_at = parts_.engine->now_s();
  row.expires_at = request.ttl_seconds() > 0 ? row.created_at + request.ttl_seconds() : 0;
  NewToken made = make_token(std::move(row));
  GW_RETURN_IF_ERROR(parts_.engine->db().write([&](Connection& db) -> absl::Status {
    GW_ASSIGN_OR_RETURN(int64_t count, db.integer("SELECT COUNT(*) FROM tokens WHERE revoked_at = 0"));
    if (static_cast<size_t>(count) >= kTokensMax) return resource_exhausted("there are too many tokens; revoke some");
    GW_RETURN_IF_ERROR(insert_token(db, made.row));
    return put_audit(db, parts_.engine->now_ms(), caller.actor(), "create token", made.row.id,
                     made.row.role + " " + made.row.team + " " + made.row.name);
  }));
  v1::CreateTokenResponse out;
  out.set_token(made.text);
  if (made.row.role == "join") out.set_ca(parts_.ca);
  *out.mutable_info() = info_of(made.row);
  return out;
}

absl::StatusOr<v1::ListTokensResponse> AdminHandlers::list_tokens(const Caller& caller) {
  GW_RETURN_IF_ERROR(must_be_admin(caller, "listing tokens"));
  v1::ListTokensResponse out;
  GW_RETURN_IF_ERROR(parts_.engine->db().read([&](Connection& db) -> absl::Status {
    GW_ASSIGN_OR_RETURN(std::vector<TokenRow> all, all_tokens(db));
    for (const TokenRow& t : all) *out.add_tokens() = info_of(t);
    return absl::OkStatus();
  }));
  return out;
}

absl::StatusOr<v1::RevokeTokenResponse> AdminHandlers::revoke_token(const Caller& caller, const v1::RevokeTokenRequest& request) {
  GW_RETURN_IF_ERROR(must_be_admin(caller, "revoking tokens"));
  GW_RETURN_IF_ERROR(parts_.engine->db().write([&](Connection& db) -> absl::Status {
    GW_ASSIGN_OR_RETURN(bool there, gw::revoke_token(db, request.id(), parts_.engine->now_s()));
    if (!there) return not_found("there is no token " + request.id());
    return put_audit(db, parts_.engine->now_ms(), caller.actor(), "revoke token", request.id(), "");
  }));
  return v1::RevokeTokenResponse();
}

}  // namespace gw
