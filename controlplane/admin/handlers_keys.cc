#include <algorithm>
#include <set>

#include "common/base/status.h"
#include "common/crypto/api_key.h"
#include "common/crypto/hex.h"
#include "controlplane/admin/admin_handlers.h"

namespace gw {
namespace {

// Most keys in one import, and most that are in force for one App.
constexpr int kImportMax = 100'000;
constexpr size_t kKeysPerAppMax = 1'000;
constexpr int64_t kOverlapMaxS = 366 * 86'400;

v1::KeyInfo info_of(const KeyRow& key) {
  v1::KeyInfo out;
  out.set_id(key.key_id);
  out.set_app(key.app_name);
  out.set_live(key.live);
  out.set_imported(key.imported);
  out.set_created_at(key.created_at);
  out.set_expires_at(key.expires_at);
  out.set_revoked(key.revoked_at != 0);
  return out;
}

absl::StatusOr<const v1::Object*> find_app(const Catalog& now, const Caller& caller, const std::string& name) {
  ObjectKey key = named_key(v1::Object::kApp, caller.team, name);
  if (key.owner.empty()) return invalid_argument("write the App as owner/name");
  const v1::Object* app = now.find(key);
  if (!app) return not_found("there is no App " + key.full_name());
  GW_RETURN_IF_ERROR(may_write(caller, key));
  return app;
}

bool in_force(const KeyRow& key, int64_t now_s) {
  return key.revoked_at == 0 && (key.expires_at == 0 || key.expires_at > now_s);
}

// A key for `app`, of the kind that the App gets.
KeyRow new_key(const v1::Object& app, const NewApiKey& made, int64_t now_s, int64_t ttl_s) {
  KeyRow out;
  out.uid = Engine::draw_uid();
  out.key_id = made.key_id;
  out.app = app.uid();
  out.app_name = key_of(app).full_name();
  out.sha256 = std::string(as_view(made.sha256));
  out.live = app.app().keys() != v1::AppSpec::KEYS_TEST;
  out.created_at = now_s;
  out.expires_at = ttl_s > 0 ? now_s + ttl_s : 0;
  return out;
}

absl::Status check_room(Connection& db, const v1::Object& app, int64_t now_s) {
  GW_ASSIGN_OR_RETURN(std::vector<KeyRow> keys, keys_of(db, app.uid()));
  auto live = std::count_if(keys.begin(), keys.end(), [&](const KeyRow& k) { return in_force(k, now_s); });
  if (static_cast<size_t>(live) < kKeysPerAppMax) return absl::OkStatus();
  return resource_exhausted("App " + key_of(app).full_name() + " has " + std::to_string(live) +
                            " keys in force; revoke those that are not used");
}

absl::StatusOr<KeyRow> known_key(Connection& db, const std::string& id) {
  GW_ASSIGN_OR_RETURN(std::optional<KeyRow> key, find_key(db, id));
  if (!key) return not_found("there is no key " + id);
  return *key;
}

}  // namespace

absl::StatusOr<v1::CreateKeyResponse> AdminHandlers::create_key(const Caller& caller, const v1::CreateKeyRequest& request) {
  if (request.ttl_seconds() < 0) return invalid_argument("a key cannot live for less than no time");
  v1::CreateKeyResponse out;
  GW_ASSIGN_OR_RETURN(Committed done, parts_.engine->commit([&](const Catalog& now, ChangeSet& change) -> absl::Status {
    GW_ASSIGN_OR_RETURN(const v1::Object* app, find_app(now, caller, request.app()));
    int64_t now_s = parts_.engine->now_s();
    GW_RETURN_IF_ERROR(parts_.engine->db().read([&](Connection& db) { return check_room(db, *app, now_s); }));
    NewApiKey made = generate_api_key(app->app().keys() != v1::AppSpec::KEYS_TEST);
    KeyRow row = new_key(*app, made, now_s, request.ttl_seconds());
    out.set_key(made.text);
    *out.mutable_info() = info_of(row);
    change.actor = caller.actor();
    change.new_keys.push_back(std::move(row));
    return absl::OkStatus();
  }));
  out.set_directory_version(done.directory_version);
  return out;
}

absl::StatusOr<v1::ListKeysResponse> AdminHandlers::list_keys(const v1::ListKeysRequest& request) {
  uint64_t app = 0;
  if (!request.app().empty()) {
    ObjectKey key = named_key(v1::Object::kApp, "", request.app());
    parts_.engine->read([&](const Catalog& now) {
      if (const v1::Object* found = now.find(key)) app = found->uid();
    });
    if (app == 0) return not_found("there is no App " + request.app());
  }
  v1::ListKeysResponse out;
  GW_RETURN_IF_ERROR(parts_.engine->db().read([&](Connection& db) -> absl::Status {
    GW_ASSIGN_OR_RETURN(std::vector<KeyRow> keys, keys_of(db, app));
    for (const KeyRow& key : keys) *out.add_keys() = info_of(key);
    return absl::OkStatus();
  }));
  return out;
}

absl::StatusOr<v1::CreateKeyResponse> AdminHandlers::rotate_key(const Caller& caller, const v1::RotateKeyRequest& request) {
  if (request.overlap_seconds() < 0 || request.overlap_seconds() > kOverlapMaxS) {
    return invalid_argument("the overlap must be from 0 to 366 days");
  }
  v1::CreateKeyResponse out;
  GW_ASSIGN_OR_RETURN(Committed done, parts_.engine->commit([&](const Catalog& now, ChangeSet& change) -> absl::Status {
    KeyRow old;
    GW_RETURN_IF_ERROR(parts_.engine->db().read([&](Connection& db) -> absl::Status {
      GW_ASSIGN_OR_RETURN(old, known_key(db, request.id()));
      return absl::OkStatus();
    }));
    int64_t now_s = parts_.engine->now_s();
    const v1::Object* app = now.find_uid(old.app);
    if (!app) return failed_precondition("the App of key " + request.id() + " is gone");
    GW_RETURN_IF_ERROR(may_write(caller, key_of(*app)));
    if (!in_force(old, now_s)) return failed_precondition("key " + request.id() + " is not in force; create a new one");
    NewApiKey made = generate_api_key(app->app().keys() != v1::AppSpec::KEYS_TEST);
    KeyRow row = new_key(*app, made, now_s, 0);
    out.set_key(made.text);
    *out.mutable_info() = info_of(row);
    change.actor = caller.actor();
    change.new_keys.push_back(std::move(row));
    int64_t ends = now_s + request.overlap_seconds();
    if (request.overlap_seconds() == 0) {
      change.revoked_keys.push_back(std::move(old));
    } else if (old.expires_at == 0 || old.expires_at > ends) {
      old.expires_at = ends;
      change.changed_keys.push_back(std::move(old));
    }
    return absl::OkStatus();
  }));
  out.set_directory_version(done.directory_version);
  return out;
}

absl::StatusOr<v1::RevokeKeyResponse> AdminHandlers::revoke_key(const Caller& caller, const v1::RevokeKeyRequest& request) {
  GW_ASSIGN_OR_RETURN(Committed done, parts_.engine->commit([&](const Catalog&, ChangeSet& change) -> absl::Status {
    KeyRow key;
    GW_RETURN_IF_ERROR(parts_.engine->db().read([&](Connection& db) -> absl::Status {
      GW_ASSIGN_OR_RETURN(key, known_key(db, request.id()));
      return absl::OkStatus();
    }));
    GW_RETURN_IF_ERROR(may_write(caller, named_key(v1::Object::kApp, "", key.app_name)));
    change.actor = caller.actor();
    if (key.revoked_at == 0) change.revoked_keys.push_back(std::move(key));
    return absl::OkStatus();
  }));
  v1::RevokeKeyResponse out;
  out.set_directory_version(done.directory_version == 0 ? parts_.engine->directory_version() : done.directory_version);
  return out;
}

absl::StatusOr<v1::ImportKeysResponse> AdminHandlers::import_keys(const Caller& caller, const v1::ImportKeysRequest& request) {
  if (request.keys_size() > kImportMax) {
    return resource_exhausted("at most " + std::to_string(kImportMax) + " keys in one import; split the file");
  }
  v1::ImportKeysResponse out;
  GW_ASSIGN_OR_RETURN(Committed done, parts_.engine->commit([&](const Catalog& now, ChangeSet& change) -> absl::Status {
    DiagnosticList found;
    std::set<std::string> seen;
    int64_t now_s = parts_.engine->now_s();
    GW_RETURN_IF_ERROR(parts_.engine->db().read([&](Connection& db) -> absl::Status {
      for (const v1::ImportedKey& key : request.keys()) {
        auto fail = [&](std::string message) {
          found.error("GW4009", {"App", key.app()}, "", message).set_line(key.line());
        };
        auto app = find_app(now, caller, key.app());
        if (!app.ok() && absl::IsPermissionDenied(app.status())) return app.status();
        if (!app.ok()) {
          fail(message_of(app.status()));
          continue;
        }
        if (key.sha256().size() != 32) {
          fail("a SHA-256 has 64 hexadecimal digits");
          continue;
        }
        GW_ASSIGN_OR_RETURN(std::optional<KeyRow> there, find_key_by_hash(db, key.sha256()));
        if (there && (there->app != (*app)->uid() || there->revoked_at != 0)) {
          fail(there->revoked_at != 0 ? "this key was revoked" : "this key belongs to " + there->app_name);
          continue;
        }
        if (there || !seen.insert(key.sha256()).second) {
          out.set_already_there(out.already_there() + 1);
          continue;
        }
        NewApiKey made;
        made.key_id = to_hex(key.sha256()).substr(0, 16);
        KeyRow row = new_key(**app, made, now_s, 0);
        row.sha256 = key.sha256();
        row.imported = true;
        change.new_keys.push_back(std::move(row));
      }
      return absl::OkStatus();
    }));
    change.actor = caller.actor();
    out.set_imported(static_cast<int>(change.new_keys.size()));
    return found.has_errors() ? to_status(found, absl::StatusCode::kInvalidArgument) : absl::OkStatus();
  }));
  out.set_directory_version(done.directory_version);
  return out;
}

}  // namespace gw
