#include "dataplane/snapshot/directory.h"

#include <algorithm>
#include <cstring>

#include "dataplane/routing/hash.h"
#include "dataplane/snapshot/record_keys.h"

namespace gw {

const SubscriptionRecord* AppRecord::covering(const std::vector<uint64_t>& products) const {
  for (const auto& s : subscriptions) {
    if (std::binary_search(products.begin(), products.end(), s->product)) return s.get();
  }
  return nullptr;
}

namespace {
template <class Record>
const Record* by_uid(const PersistentMap<Record>& map, uint64_t uid) {
  const auto* found = map.find(uid, SameUid{uid});
  return found ? found->get() : nullptr;
}
}  // namespace

const AppRecord* Directory::app(uint64_t uid) const { return by_uid(apps_, uid); }
const ConsumerRecord* Directory::consumer(uint64_t uid) const { return by_uid(consumers_, uid); }
const SubscriptionRecord* Directory::subscription(uint64_t uid) const { return by_uid(subscriptions_, uid); }

const KeyRecord* Directory::issued_key(std::string_view key_id) const {
  const auto* found = issued_.find(key_id_hash(key_id), [&](const KeyRecord& k) { return k.key_id == key_id; });
  return found ? found->get() : nullptr;
}

const KeyRecord* Directory::imported_key(const Sha256& sha256) const {
  const auto* found = imported_.find(sha256_hash(sha256), [&](const KeyRecord& k) {
    return constant_time_equal(as_view(k.sha256), as_view(sha256));
  });
  return found ? found->get() : nullptr;
}

const AppRecord* Directory::identified(uint64_t policy, std::string_view value) const {
  const auto* found = identities_.find(identity_hash(policy, value), SameIdentity{policy, value});
  return found ? app((*found)->app) : nullptr;
}

const QuotaView::Exhausted* QuotaView::exhausted(uint64_t subscription, int64_t wall_ns) const {
  if (exhausted_.size() == 0) return nullptr;
  const auto* found = exhausted_.find(subscription, [&](const Exhausted& e) { return e.subscription == subscription; });
  if (!found || wall_ns >= (*found)->resets_at * 1'000'000'000) return nullptr;
  return found->get();
}

}  // namespace gw
