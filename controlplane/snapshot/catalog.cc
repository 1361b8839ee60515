#include "controlplane/snapshot/catalog.h"

#include <algorithm>

#include "controlplane/snapshot/references.h"

namespace gw {

bool shared_with(const v1::Object& object, std::string_view team) {
  if (object.metadata().owner() == team) return true;
  const auto& shared = object.metadata().share_with();
  return std::any_of(shared.begin(), shared.end(), [&](const std::string& t) { return t == "all" || t == team; });
}

const v1::Object* Catalog::find(const ObjectKey& key) const {
  auto found = objects_.find(key);
  return found == objects_.end() ? nullptr : found->second.get();
}

const v1::Object* Catalog::find_uid(uint64_t uid) const {
  auto found = by_uid_.find(uid);
  return found == by_uid_.end() ? nullptr : found->second.get();
}

ObjectPtr Catalog::get(const ObjectKey& key) const {
  auto found = objects_.find(key);
  return found == objects_.end() ? nullptr : found->second;
}

void Catalog::index(const v1::Object& object, bool add) {
  ObjectKey from = key_of(object);
  auto note_in = [&](auto& sets, auto to) {
    if (add) {
      sets[std::move(to)].insert(from);
      return;
    }
    auto at = sets.find(to);
    if (at == sets.end()) return;
    at->second.erase(from);
    if (at->second.empty()) sets.erase(at);
  };
  auto note = [&](ObjectKey to) { note_in(dependents_, std::move(to)); };
  add ? claims_.add(object) : claims_.remove(object);
  for (const v1::AppIdentity& identity : object.app().identities()) note_in(identities_, identity.value());
  if (!from.owner.empty()) note({v1::Object::kTeam, "", from.owner});
  for (const Reference& r : references_of(object)) {
    for (ObjectKey& key : candidates(r.kind, from.owner, r.text)) note(std::move(key));
  }
}

ObjectPtr Catalog::put(ObjectPtr object) {
  ObjectPtr before = erase(key_of(*object));
  index(*object, true);
  by_uid_[object->uid()] = object;
  ++counts_[object->spec_case()];
  ObjectKey key = key_of(*object);
  objects_[std::move(key)] = std::move(object);
  return before;
}

ObjectPtr Catalog::erase(const ObjectKey& key) {
  auto found = objects_.find(key);
  if (found == objects_.end()) return nullptr;
  ObjectPtr before = std::move(found->second);
  objects_.erase(found);
  by_uid_.erase(before->uid());
  --counts_[key.kind];
  index(*before, false);
  return before;
}

std::vector<ObjectKey> Catalog::candidates(Kind kind, std::string_view owner, std::string_view text) {
  std::vector<ObjectKey> out = {named_key(kind, owner, text)};
  bool bare = kind != v1::Object::kTeam && text.find('/') == std::string_view::npos;
  if (bare && owner != kPlatformTeam) out.push_back(named_key(kind, kPlatformTeam, text));
  return out;
}

Catalog::Resolution Catalog::resolve(Kind kind, std::string_view owner, std::string_view text) const {
  Resolution out;
  for (const ObjectKey& key : candidates(kind, owner, text)) {
    const v1::Object* object = find(key);
    if (!object) continue;
    if (kind == v1::Object::kTeam || shared_with(*object, owner)) return {object, nullptr};
    out.withheld = object;
  }
  return out;
}

const v1::Object* Catalog::referenced(const v1::Object& from, Kind kind, std::string_view text) const {
  return resolve(kind, from.metadata().owner(), text).object;
}

const std::set<ObjectKey>& Catalog::dependents(const ObjectKey& key) const {
  static const std::set<ObjectKey> none;
  auto found = dependents_.find(key);
  return found == dependents_.end() ? none : found->second;
}

SecretPtr Catalog::secret(uint64_t uid) const {
  auto found = secrets_.find(uid);
  return found == secrets_.end() ? nullptr : found->second;
}

SecretPtr Catalog::put_secret(uint64_t uid, SecretPtr value) {
  SecretPtr before = secret(uid);
  if (value) {
    secrets_[uid] = std::move(value);
  } else {
    secrets_.erase(uid);
  }
  return before;
}

const std::set<ObjectKey>& Catalog::apps_identified_by(const std::string& value) const {
  static const std::set<ObjectKey> none;
  auto found = identities_.find(value);
  return found == identities_.end() ? none : found->second;
}

void Catalog::for_each(Kind kind, const std::function<void(const v1::Object&)>& fn) const {
  for (auto at = objects_.lower_bound({kind, "", ""}); at != objects_.end() && at->first.kind == kind; ++at) {
    fn(*at->second);
  }
}

void Catalog::for_each(const std::function<void(const ObjectPtr&)>& fn) const {
  for (const auto& [key, object] : objects_) fn(object);
}

size_t Catalog::count(Kind kind) const {
  auto found = counts_.find(kind);
  return found == counts_.end() ? 0 : found->second;
}

std::vector<std::string> Catalog::names_for(Kind kind, std::string_view owner) const {
  std::vector<std::string> out;
  for_each(kind, [&](const v1::Object& o) {
    if (kind == v1::Object::kTeam) {
      out.push_back(o.metadata().name());
    } else if (o.metadata().owner() == owner) {
      out.push_back(o.metadata().name());
    } else if (shared_with(o, owner)) {
      if (o.metadata().owner() == kPlatformTeam) out.push_back(o.metadata().name());
      out.push_back(o.metadata().owner() + "/" + o.metadata().name());
    }
  });
  return out;
}

}  // namespace gw
