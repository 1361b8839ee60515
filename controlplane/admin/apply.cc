#include "controlplane/admin/apply.h"

#include <map>
#include <set>

#include "common/base/status.h"
#include "common/config/validate.h"
#include "common/config/writer.h"
#include "controlplane/snapshot/limits.h"

namespace gw {
namespace {

using v1::Change;

// Findings by what they make of the request; the first class that has any decides its status.
struct Findings {
  absl::Status denied;
  DiagnosticList invalid, conflicts;

  absl::Status status() const {
    if (!denied.ok()) return denied;
    if (invalid.has_errors()) return refusal_of(invalid);
    if (conflicts.has_errors()) return to_status(conflicts, absl::StatusCode::kAborted);
    return absl::OkStatus();
  }
  void deny(const absl::Status& status) {
    if (denied.ok()) denied = status;
  }
};

class ApplyBuilder {
 public:
  ApplyBuilder(const v1::ApplyRequest& request, const Caller& caller, Engine& engine, const Catalog& now, ChangeSet& change,
               v1::ApplyResponse& out)
      : request_(request), caller_(caller), engine_(engine), now_(now), change_(change), out_(out) {
    for (const v1::SeenGeneration& seen : request.seen()) {
      seen_[{kind_from_name(seen.kind()), seen.owner(), seen.name()}] = seen.generation();
    }
  }

  absl::Status build() {
    if (static_cast<size_t>(request_.objects_size()) > kObjectsPerApplyMax) {
      found_.invalid.error("GW1601", {}, "", std::to_string(request_.objects_size()) + " objects in one apply; at most " +
                                                 std::to_string(kObjectsPerApplyMax) + " are possible");
      return found_.status();
    }
    if (request_.prune() && request_.set().empty()) {
      found_.invalid.error("GW1211", {}, "", "prune works inside a set").set_cure("name it with --set");
      return found_.status();
    }
    GW_RETURN_IF_ERROR(check_hold());
    for (const v1::Object& object : request_.objects()) add(object);
    if (request_.prune()) prune();
    return found_.status();
  }

 private:
  absl::Status check_hold() {
    if (request_.set().empty()) return absl::OkStatus();
    return engine_.db().read([&](Connection& db) -> absl::Status {
      GW_ASSIGN_OR_RETURN(std::vector<Hold> all, holds(db));
      for (const Hold& hold : all) {
        if (hold.set != request_.set()) continue;
        std::string text = "set " + hold.set + " is held since change " + std::to_string(hold.version) + " by " + hold.actor +
                           " undid one of its changes";
        std::string cure = "mend its source, then `gwctl rollout release " + hold.set + "`";
        if (request_.dry_run()) {
          DiagnosticList warning;
          warning.warning("GW1209", {}, "", text).set_cure(cure);
          *out_.add_diagnostics() = warning.items().front();
        } else {
          found_.conflicts.error("GW1209", {}, "", text).set_cure(cure);
        }
      }
      return absl::OkStatus();
    });
  }

  // As it will be stored, but for uid and generation.
  v1::Object normalized(const v1::Object& sent) const {
    v1::Object object = sent;
    object.clear_uid();
    object.clear_generation();
    object.set_set(request_.set());
    v1::Metadata& metadata = *object.mutable_metadata();
    if (object.has_team()) {
      metadata.clear_owner();
    } else if (metadata.owner().empty()) {
      metadata.set_owner(request_.owner().empty() ? caller_.team : request_.owner());
    }
    return object;
  }

  void add(const v1::Object& sent) {
    v1::Object object = normalized(sent);
    ObjectKey key = key_of(object);
    if (key.kind != v1::Object::kTeam && key.owner.empty()) {
      found_.invalid.error("GW1203", key.label(), "metadata.owner", "the object has no owner, and the token no team")
          .set_cure("write metadata.owner, or give --owner");
      return;
    }
    if (!validate(object, found_.invalid)) return;
    if (object.ByteSizeLong() > kObjectBytesMax) {
      found_.invalid.error("GW1602", key.label(), "", "the object is larger than " + std::to_string(kObjectBytesMax) + " bytes");
      return;
    }
    if (!keys_.insert(key).second) {
      found_.invalid.error("GW1205", key.label(), "", "it is in this apply twice").set_cure("leave one out");
      return;
    }
    if (absl::Status status = may_write(caller_, key); !status.ok()) return found_.deny(status);
    ObjectPtr before = now_.get(key);
    SecretPtr secret;
    if (object.has_secret() && !take_value(key, before.get(), object, secret)) return;
    if (unchanged(before.get(), object, secret)) {
      Change& c = *out_.add_changes();
      c = describe_change(before.get(), before.get());
      return;
    }
    if (before && !before->set().empty() && before->set() != object.set()) {
      std::string by = object.set().empty() ? "this apply names no set" : "this apply is of set " + object.set();
      found_.conflicts.error("GW1206", key.label(), "", "it is managed by set " + before->set() + "; " + by)
          .set_cure("change it there, or apply with --set " + before->set());
      return;
    }
    if (clashes(key, before.get())) return;
    put(key, before, object, std::move(secret));
  }

  // Takes the value out of a Secret; null: there was none, so that the stored one is kept. False: there is none to keep.
  bool take_value(const ObjectKey& key, const v1::Object* before, v1::Object& object, SecretPtr& out) {
    std::string* value = object.mutable_secret()->mutable_value();
    if (!value->empty()) {
      out = SecretValue::make(std::move(*value), engine_.now_ms(), caller_.actor());
      SecretPtr stored = before ? now_.secret(before->uid()) : nullptr;
      if (stored && stored->sha256 == out->sha256) out = nullptr;
    } else if (!before) {
      found_.invalid.error("GW1101", key.label(), "spec.value", "a new Secret needs its value")
          .set_cure("write `value: {file: PATH}`, or `gwctl secret set " + key.full_name() + " --from-file PATH`");
    }
    object.mutable_secret()->clear_value();
    return out || before;
  }

  bool unchanged(const v1::Object* before, const v1::Object& object, const SecretPtr& secret) const {
    if (!before || secret || !same_meaning(*before, object)) return false;
    return before->set() == object.set() || object.set().empty();
  }

  bool clashes(const ObjectKey& key, const v1::Object* before) {
    auto seen = seen_.find(key);
    uint64_t is = before ? before->generation() : 0;
    if (seen == seen_.end() || seen->second == is) return false;
    found_.conflicts
        .error("GW1207", key.label(), "",
               "it changed meanwhile: generation " + std::to_string(seen->second) + " was seen, it is " + std::to_string(is))
        .set_cure("look at it again (`gwctl diff`), then apply");
    return true;
  }

  void put(const ObjectKey& key, const ObjectPtr& before, v1::Object& object, SecretPtr secret) {
    object.set_uid(before ? before->uid() : Engine::draw_uid());
    object.set_generation(before ? before->generation() + 1 : 1);
    auto after = std::make_shared<const v1::Object>(std::move(object));
    Change& c = *out_.add_changes();
    c = describe_change(before.get(), after.get());
    if (after->has_plan()) add_plan_notes(engine_, now_, before.get(), *after, c);
    if (secret && before) {
      SecretPtr stored = now_.secret(before->uid());
      v1::FieldChange& field = *c.add_fields();
      field.set_path("spec.value");
      field.set_before(stored ? "(set) " + stored->summary() : "");
      field.set_after("(set) " + secret->summary());
    }
    change_.objects.push_back({key, before, after, std::move(secret)});
  }

  void prune() {
    now_.for_each([&](const ObjectPtr& object) {
      ObjectKey key = key_of(*object);
      if (object->set() != request_.set() || keys_.contains(key)) return;
      if (absl::Status status = may_write(caller_, key); !status.ok()) return found_.deny(status);
      if (object->metadata().is_protected()) {
        found_.invalid.error("GW1208", key.label(), "metadata.protected", "it is protected, so it is not pruned")
            .set_cure("apply it with `protected: false` first, or put it back into the set");
        return;
      }
      if (clashes(key, object.get())) return;
      *out_.add_changes() = describe_change(object.get(), nullptr);
      change_.objects.push_back({key, object, nullptr, nullptr});
    });
  }

  const v1::ApplyRequest& request_;
  const Caller& caller_;
  Engine& engine_;
  const Catalog& now_;
  ChangeSet& change_;
  v1::ApplyResponse& out_;
  Findings found_;
  std::map<ObjectKey, uint64_t> seen_;
  std::set<ObjectKey> keys_;
};

}  // namespace

absl::Status build_apply(const v1::ApplyRequest& request, const Caller& caller, Engine& engine, const Catalog& now,
                         ChangeSet& change, v1::ApplyResponse& out) {
  change.actor = caller.actor();
  change.message = request.message();
  change.set = request.set();
  change.dry_run = request.dry_run();
  return ApplyBuilder(request, caller, engine, now, change, out).build();
}

absl::Status build_delete(const v1::DeleteRequest& request, const Caller& caller, const Catalog& now, ChangeSet& change,
                          v1::ApplyResponse& out) {
  change.actor = caller.actor();
  change.message = request.message();
  change.dry_run = request.dry_run();
  DiagnosticList missing;
  Findings found;
  std::set<ObjectKey> keys;
  for (const v1::ObjectId& id : request.ids()) {
    ObjectKey key = key_of(id);
    if (key.kind == v1::Object::kTeam) key.owner.clear();
    if (key.owner.empty() && key.kind != v1::Object::kTeam) key.owner = caller.team;
    if (!keys.insert(key).second) continue;
    ObjectPtr object = now.get(key);
    if (!object) {
      missing.error("GW1212", {id.kind(), key.full_name()}, "", "there is no such object");
      continue;
    }
    if (absl::Status status = may_write(caller, key); !status.ok()) found.deny(status);
    if (object->metadata().is_protected()) {
      found.invalid.error("GW1208", key.label(), "metadata.protected", "it is protected")
          .set_cure("apply it with `protected: false` first");
    }
    v1::Change& c = *out.add_changes();
    c = describe_change(object.get(), nullptr);
    if (!object->set().empty()) c.add_notes("set " + object->set() + " manages it: its next apply makes it anew");
    change.objects.push_back({key, object, nullptr, nullptr});
  }
  GW_RETURN_IF_ERROR(found.status());
  return missing.has_errors() ? to_status(missing, absl::StatusCode::kNotFound) : absl::OkStatus();
}

namespace {

// What has become of the object since the step, in words; empty when nothing has.
std::string changed_since(const ObjectStep& step, const v1::Object* current) {
  if (step.after && !current) return "it was deleted since";
  if (step.after && current->uid() != step.after->uid()) return "it was deleted and made anew since";
  if (step.after && current->generation() != step.after->generation()) {
    return "it changed since: generation " + std::to_string(step.after->generation()) + " was made then, it is " +
           std::to_string(current->generation());
  }
  if (!step.after && current) return "it was made anew since";
  return "";
}

}  // namespace

absl::Status build_undo(const v1::UndoRequest& request, const Caller& caller, Engine& engine, const Catalog& now,
                        ChangeSet& change, v1::ApplyResponse& out) {
  std::vector<ObjectStep> steps;
  std::optional<VersionRow> row;
  GW_RETURN_IF_ERROR(engine.db().read([&](Connection& db) -> absl::Status {
    GW_ASSIGN_OR_RETURN(row, find_version(db, request.version()));
    GW_ASSIGN_OR_RETURN(steps, steps_of(db, request.version()));
    return absl::OkStatus();
  }));
  if (!row) return not_found("there is no version " + std::to_string(request.version()));
  if (steps.empty()) return failed_precondition("version " + std::to_string(request.version()) + " changed no object");
  change.actor = caller.actor();
  change.message = request.message().empty() ? "undo " + std::to_string(request.version()) : request.message();
  change.undoes = request.version();
  change.hold = row->set;
  Findings found;
  for (const ObjectStep& step : steps) {
    ObjectKey key = key_of(step.before ? *step.before : *step.after);
    ObjectPtr current = now.get(key);
    if (absl::Status status = may_write(caller, key); !status.ok()) found.deny(status);
    if (std::string since = changed_since(step, current.get()); !since.empty()) {
      found.conflicts.error("GW1210", key.label(), "", since).set_cure("undo the later changes first, or apply what it should be");
      continue;
    }
    if (!step.before && current->metadata().is_protected()) {
      found.invalid.error("GW1208", key.label(), "metadata.protected", "it is protected, and undoing would delete it")
          .set_cure("apply it with `protected: false` first");
      continue;
    }
    ObjectPtr after;
    if (step.before) {
      auto restored = std::make_shared<v1::Object>(*step.before);
      restored->set_generation((step.after ? step.after->generation() : step.before->generation()) + 1);
      after = std::move(restored);
    }
    *out.add_changes() = describe_change(current.get(), after.get());
    change.objects.push_back({key, current, after, nullptr});
  }
  return found.status();
}

v1::Change describe_change(const v1::Object* before, const v1::Object* after) {
  const v1::Object& object = after ? *after : *before;
  v1::Change out;
  out.set_action(before == after ? v1::Change::UNCHANGED
                 : !before       ? v1::Change::CREATED
                 : !after        ? v1::Change::DELETED
                                 : v1::Change::CHANGED);
  out.set_kind(std::string(kind_name(object.spec_case())));
  out.set_owner(object.metadata().owner());
  out.set_name(object.metadata().name());
  out.set_uid(object.uid());
  out.set_generation(object.generation());
  if (out.action() != v1::Change::CHANGED) return out;
  for (v1::FieldChange& field : field_changes(*before, *after)) *out.add_fields() = std::move(field);
  if (before->set() != after->set()) {
    v1::FieldChange& field = *out.add_fields();
    field.set_path("set");
    field.set_before(before->set());
    field.set_after(after->set());
  }
  return out;
}

}  // namespace gw
