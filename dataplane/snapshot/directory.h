// Who calls: consumers, apps, subscriptions and keys. Immutable, any thread; versions share all that did not change (a new
// key copies one leaf of a persistent map). A stream of its own beside the configuration: a sign-up makes no new snapshot.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "common/crypto/sha256.h"
#include "dataplane/snapshot/entry.h"
#include "dataplane/snapshot/persistent_map.h"

namespace gw {

struct ConsumerRecord {
  uint64_t uid = 0;
  std::string name;  // owner/name
  bool suspended = false;
};

struct SubscriptionRecord {
  uint64_t uid = 0;
  std::string name;  // owner/name
  uint64_t app = 0;
  uint64_t product = 0;
  uint64_t plan = 0;
};

struct AppRecord {
  uint64_t uid = 0;
  std::string name;  // owner/name
  std::shared_ptr<const ConsumerRecord> consumer;
  bool app_suspended = false;
  bool live = false;
  std::vector<std::shared_ptr<const SubscriptionRecord>> subscriptions;  // by uid

  bool suspended() const { return app_suspended || consumer->suspended; }
  // The subscription to one of `products` (sorted), or null.
  const SubscriptionRecord* covering(const std::vector<uint64_t>& products) const;
};

// The apps of a consumer, for the builder: they are made anew when it changes.
struct ConsumerApps {
  uint64_t uid = 0;            // of the consumer
  std::vector<uint64_t> apps;  // sorted
};

// A key whose app is gone is refused like one that does not exist.
struct KeyRecord {
  uint64_t uid = 0;
  uint64_t app = 0;
  Sha256 sha256{};
  std::string key_id;  // empty: imported
  bool live = false;
  int64_t expires_at = 0;  // Unix seconds; 0: never
};

// Who an App is to a policy that knows callers by other things than keys.
struct IdentityRecord {
  uint64_t policy = 0;
  uint64_t app = 0;
  std::string value;
};

class Directory {
 public:
  uint64_t version() const { return state_.version; }
  const Lineage& lineage() const { return state_.lineage; }
  const Digest& digest() const { return state_.digest; }

  const AppRecord* app(uint64_t uid) const;
  const ConsumerRecord* consumer(uint64_t uid) const;
  const SubscriptionRecord* subscription(uint64_t uid) const;
  const KeyRecord* issued_key(std::string_view key_id) const;
  const KeyRecord* imported_key(const Sha256& sha256) const;
  // The App that `value` stands for to the policy; null: none.
  const AppRecord* identified(uint64_t policy, std::string_view value) const;

  size_t apps() const { return apps_.size(); }
  size_t keys() const { return issued_.size() + imported_.size(); }

 private:
  friend class DirectoryBuilder;
  friend struct DirectoryEdit;
  StreamState state_;
  PersistentMap<ConsumerRecord> consumers_;
  PersistentMap<ConsumerApps> consumer_apps_;
  PersistentMap<AppRecord> apps_;
  PersistentMap<SubscriptionRecord> subscriptions_;
  PersistentMap<KeyRecord> issued_;    // by key id
  PersistentMap<KeyRecord> imported_;  // by SHA-256
  PersistentMap<IdentityRecord> identities_;  // by policy and value
};

// What plans need from the control plane: how many nodes share a rate, and whose quota is used up.
class QuotaView {
 public:
  struct Exhausted {
    uint64_t subscription = 0;
    int64_t resets_at = 0;  // Unix seconds; from then on the entry means nothing
    int64_t limit = 0;
  };

  uint64_t version() const { return state_.version; }
  const Lineage& lineage() const { return state_.lineage; }
  const Digest& digest() const { return state_.digest; }
  // At least 1.
  uint32_t active_nodes() const { return active_nodes_; }
  // Null: not exhausted at `wall_ns`.
  const Exhausted* exhausted(uint64_t subscription, int64_t wall_ns) const;
  // The control plane cannot be asked (its lease has run out): plans fall back to their onFailure.
  bool stale() const { return stale_; }

 private:
  friend class QuotaBuilder;
  StreamState state_;
  uint32_t active_nodes_ = 1;
  bool stale_ = false;
  PersistentMap<Exhausted> exhausted_;
};

}  // namespace gw
