// All objects as they stand, by name and by uid, and who names whom. A change costs what the object refers to, not what
// there is. Not thread-safe.
#pragma once

#include <functional>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "controlplane/snapshot/claim_index.h"
#include "controlplane/snapshot/object_key.h"
#include "controlplane/snapshot/secret_value.h"

namespace gw {

// Whether objects of `team` may refer to `object`.
bool shared_with(const v1::Object& object, std::string_view team);

class Catalog {
 public:
  // Null when it is not there. The pointer is good until the object changes.
  const v1::Object* find(const ObjectKey& key) const;
  const v1::Object* find_uid(uint64_t uid) const;
  ObjectPtr get(const ObjectKey& key) const;

  // Both return what stood there before, or null.
  ObjectPtr put(ObjectPtr object);
  ObjectPtr erase(const ObjectKey& key);

  // Values of Secrets, by the object's uid. Null: it has none here. put_secret returns what stood there before; null takes it away.
  SecretPtr secret(uint64_t uid) const;
  SecretPtr put_secret(uint64_t uid, SecretPtr value);

  // Every name that the reference could mean, in order: `owner/name`, or the own team's and then the platform's.
  static std::vector<ObjectKey> candidates(Kind kind, std::string_view owner, std::string_view text);

  struct Resolution {
    const v1::Object* object = nullptr;
    // Without object: it exists, but is not shared with the one who asks.
    const v1::Object* withheld = nullptr;
  };
  // What an object of `owner` means by `text`.
  Resolution resolve(Kind kind, std::string_view owner, std::string_view text) const;
  // The same where `from` refers; null when it is not there or not shared.
  const v1::Object* referenced(const v1::Object& from, Kind kind, std::string_view text) const;

  // Objects that name `key`, or would mean it if it were there; and all that a Team owns.
  const std::set<ObjectKey>& dependents(const ObjectKey& key) const;

  // Apps with an identity of this value.
  const std::set<ObjectKey>& apps_identified_by(const std::string& value) const;

  void for_each(Kind kind, const std::function<void(const v1::Object&)>& fn) const;
  void for_each(const std::function<void(const ObjectPtr&)>& fn) const;
  size_t count(Kind kind) const;
  const ClaimIndex& claims() const { return claims_; }
  // Names of a kind that `owner` may use, as it would write them: for "did you mean".
  std::vector<std::string> names_for(Kind kind, std::string_view owner) const;

 private:
  void index(const v1::Object& object, bool add);

  std::map<ObjectKey, ObjectPtr> objects_;
  std::unordered_map<uint64_t, ObjectPtr> by_uid_;
  std::map<ObjectKey, std::set<ObjectKey>> dependents_;
  std::unordered_map<uint64_t, SecretPtr> secrets_;
  std::map<std::string, std::set<ObjectKey>> identities_;  // of Apps, by value
  std::map<Kind, size_t> counts_;
  ClaimIndex claims_;
};

}  // namespace gw
