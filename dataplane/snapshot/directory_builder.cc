#include "dataplane/snapshot/directory_builder.h"

#include <algorithm>
#include <set>

#include "dataplane/snapshot/record_keys.h"

namespace gw {
namespace {

std::string full_name(const v1::ObjectName& n) { return n.owner() + "/" + n.name(); }
std::string text(uint64_t uid) { return std::to_string(uid); }

}  // namespace

// One change of a directory under way: a copy of the one before that shares all it does not touch.
struct DirectoryEdit {
  const EntrySet& held;
  const EntrySet::Delta& delta;
  const Directory& before;
  DiagnosticList& diagnostics;
  std::shared_ptr<Directory> out;
  std::set<uint64_t> apps = {};  // to be made anew
  std::map<uint64_t, std::vector<uint64_t>> new_subscriptions = {};  // by app

  bool run() {
    // What was first: a key may come back under another uid.
    for (const auto& [key, now] : delta) {
      EntrySet::Bytes was = held.find(key);
      if (was && !take_out(key, *was, now == nullptr)) return false;
    }
    for (const auto& [key, now] : delta) {
      if (now && !put(key, *now)) return false;
    }
    for (uint64_t uid : apps) {
      if (!make_app(uid)) return false;
    }
    for (const auto& [key, now] : delta) {
      if (key.kind == v1::ENTRY_KEY && now && !key_has_app(key, *now)) return false;
    }
    return true;
  }

  template <class Entry>
  bool parse(const EntryKey& key, const std::string& from, Entry& entry) {
    label = {};
    return parse_entry(key, from, entry, label, diagnostics);
  }
  bool fail(std::string_view code, std::string_view path, const std::string& what) {
    diagnostics.error(code, label, path, what);
    return false;
  }

  void remake_apps_of(uint64_t consumer) {
    const auto* children = out->consumer_apps_.find(consumer, SameUid{consumer});
    if (children) apps.insert((*children)->apps.begin(), (*children)->apps.end());
  }

  void link_app(uint64_t consumer, uint64_t app, bool there) {
    const auto* known = out->consumer_apps_.find(consumer, SameUid{consumer});
    auto next = std::make_shared<ConsumerApps>(known ? **known : ConsumerApps{consumer, {}});
    auto at = std::lower_bound(next->apps.begin(), next->apps.end(), app);
    bool has = at != next->apps.end() && *at == app;
    if (there && !has) next->apps.insert(at, app);
    if (!there && has) next->apps.erase(at);
    if (next->apps.empty()) {
      out->consumer_apps_.erase(consumer, SameUid{consumer});
    } else {
      out->consumer_apps_.put(consumer, std::move(next), SameUid{consumer});
    }
  }

  bool take_out(const EntryKey& key, const std::string& was, bool gone) {
    if (key.kind == v1::ENTRY_CONSUMER) {
      if (gone) out->consumers_.erase(key.uid, SameUid{key.uid});
      remake_apps_of(key.uid);
    } else if (key.kind == v1::ENTRY_APP) {
      v1::AppEntry entry;
      if (!parse(key, was, entry)) return false;
      link_app(entry.consumer(), key.uid, false);
      for (const v1::AppIdentityEntry& i : entry.identities()) {
        out->identities_.erase(identity_hash(i.policy(), i.value()), SameIdentity{i.policy(), i.value()});
      }
      if (gone) out->apps_.erase(key.uid, SameUid{key.uid});
      apps.insert(key.uid);
    } else if (key.kind == v1::ENTRY_SUBSCRIPTION) {
      v1::SubscriptionEntry entry;
      if (!parse(key, was, entry)) return false;
      out->subscriptions_.erase(key.uid, SameUid{key.uid});
      apps.insert(entry.app());
    } else {
      v1::KeyEntry entry;
      if (!parse(key, was, entry)) return false;
      if (entry.key_id().empty()) {
        out->imported_.erase(sha256_hash(sha_of(entry)), SameUid{key.uid});
      } else {
        out->issued_.erase(key_id_hash(entry.key_id()), SameUid{key.uid});
      }
    }
    return true;
  }

  static Sha256 sha_of(const v1::KeyEntry& entry) {
    Sha256 sha{};
    std::copy_n(entry.sha256().begin(), std::min(entry.sha256().size(), sha.size()), reinterpret_cast<char*>(sha.data()));
    return sha;
  }

  bool put(const EntryKey& key, const std::string& now) {
    switch (key.kind) {
      case v1::ENTRY_CONSUMER: {
        v1::ConsumerEntry entry;
        if (!parse(key, now, entry)) return false;
        auto record = std::make_shared<ConsumerRecord>();
        *record = {key.uid, full_name(entry.name()), entry.suspended()};
        out->consumers_.put(key.uid, std::move(record), SameUid{key.uid});
        remake_apps_of(key.uid);
        return true;
      }
      case v1::ENTRY_APP: {
        v1::AppEntry entry;
        if (!parse(key, now, entry)) return false;
        link_app(entry.consumer(), key.uid, true);
        apps.insert(key.uid);
        return put_identities(key.uid, entry);
      }
      case v1::ENTRY_SUBSCRIPTION: {
        v1::SubscriptionEntry entry;
        if (!parse(key, now, entry)) return false;
        auto record = std::make_shared<SubscriptionRecord>();
        *record = {key.uid, full_name(entry.name()), entry.app(), entry.product(), entry.plan()};
        out->subscriptions_.put(key.uid, std::move(record), SameUid{key.uid});
        apps.insert(entry.app());
        new_subscriptions[entry.app()].push_back(key.uid);
        return true;
      }
      case v1::ENTRY_KEY: return put_key(key, now);
      default: return fail("GW3005", "", "an entry of kind " + std::to_string(key.kind) + " does not belong to the directory");
    }
  }

  bool put_identities(uint64_t app, const v1::AppEntry& entry) {
    for (const v1::AppIdentityEntry& i : entry.identities()) {
      uint64_t hash = identity_hash(i.policy(), i.value());
      SameIdentity same{i.policy(), i.value()};
      if (out->identities_.find(hash, same)) {
        return fail("GW3005", "identities", "\"" + i.value() + "\" stands for more than one App");
      }
      auto record = std::make_shared<IdentityRecord>();
      *record = {i.policy(), app, i.value()};
      out->identities_.put(hash, std::move(record), same);
    }
    return true;
  }

  bool put_key(const EntryKey& key, const std::string& now) {
    v1::KeyEntry entry;
    if (!parse(key, now, entry)) return false;
    if (entry.sha256().size() != sizeof(Sha256)) {
      return fail("GW3001", "sha256", "key " + text(key.uid) + ": the hash does not have 32 bytes");
    }
    auto record = std::make_shared<KeyRecord>();
    *record = {key.uid, entry.app(), sha_of(entry), entry.key_id(), entry.live(), entry.expires_at()};
    bool issued = !record->key_id.empty();
    const KeyRecord* taken = issued ? out->issued_key(record->key_id) : out->imported_key(record->sha256);
    if (taken) return fail("GW3005", "keyId", "keys " + text(taken->uid) + " and " + text(key.uid) + " are the same");
    uint64_t hash = issued ? key_id_hash(record->key_id) : sha256_hash(record->sha256);
    (issued ? out->issued_ : out->imported_).put(hash, std::move(record), SameUid{key.uid});
    return true;
  }

  // Subscriptions of an app as they will be, by uid.
  std::vector<std::shared_ptr<const SubscriptionRecord>> subscriptions_of(uint64_t app) const {
    std::set<uint64_t> uids;
    if (const AppRecord* was = before.app(app)) {
      for (const auto& s : was->subscriptions) uids.insert(s->uid);
    }
    auto added = new_subscriptions.find(app);
    if (added != new_subscriptions.end()) uids.insert(added->second.begin(), added->second.end());
    std::vector<std::shared_ptr<const SubscriptionRecord>> list;
    for (uint64_t uid : uids) {
      const auto* s = out->subscriptions_.find(uid, SameUid{uid});
      if (s && (*s)->app == app) list.push_back(*s);
    }
    return list;
  }

  bool make_app(uint64_t uid) {
    EntryKey key{v1::ENTRY_APP, uid};
    auto changed = delta.find(key);
    EntrySet::Bytes now = changed != delta.end() ? changed->second : held.find(key);
    auto subscriptions = subscriptions_of(uid);
    if (!now) {
      if (subscriptions.empty()) return true;
      label = {"Subscription", subscriptions[0]->name};
      return fail("GW3005", "app", "there is no app with uid " + text(uid));
    }
    v1::AppEntry entry;
    if (!parse(key, *now, entry)) return false;
    const auto* consumer = out->consumers_.find(entry.consumer(), SameUid{entry.consumer()});
    if (!consumer) return fail("GW3005", "consumer", "there is no consumer with uid " + text(entry.consumer()));
    auto record = std::make_shared<AppRecord>();
    *record = {uid, full_name(entry.name()), *consumer, entry.suspended(), entry.live(), std::move(subscriptions)};
    out->apps_.put(uid, std::move(record), SameUid{uid});
    return true;
  }

  bool key_has_app(const EntryKey& key, const std::string& now) {
    v1::KeyEntry entry;
    if (!parse(key, now, entry)) return false;
    if (out->app(entry.app())) return true;
    return fail("GW3005", "app", "key " + text(key.uid) + ": there is no app with uid " + text(entry.app()));
  }

  ObjectLabel label = {};
};

DirectoryBuilder::DirectoryBuilder(EntryLimits limits) : entries_(limits), directory_(std::make_shared<Directory>()) {}

DirectoryBuilder::Result DirectoryBuilder::prepare(const v1::Offer& offer) const {
  Result result;
  StreamState state;
  result.outcome = entries_.prepare(offer, result.delta, state, result.diagnostics);
  if (result.outcome != PrepareOutcome::kReady) return result;
  auto next = std::make_shared<Directory>(*directory_);
  next->state_ = state;
  DirectoryEdit edit{entries_, result.delta, *directory_, result.diagnostics, next};
  if (!edit.run()) {
    result.outcome = PrepareOutcome::kRefused;
    return result;
  }
  result.directory = std::move(next);
  return result;
}

void DirectoryBuilder::commit(Result result) {
  StreamState state = result.directory->state_;
  directory_ = std::move(result.directory);
  entries_.commit(std::move(result.delta), state);
}

QuotaBuilder::QuotaBuilder(EntryLimits limits) : entries_(limits), quota_(std::make_shared<QuotaView>()) {}

QuotaBuilder::Result QuotaBuilder::prepare(const v1::Offer& offer) const {
  Result result;
  StreamState state;
  result.outcome = entries_.prepare(offer, result.delta, state, result.diagnostics);
  if (result.outcome != PrepareOutcome::kReady) return result;
  result.outcome = PrepareOutcome::kRefused;
  auto next = std::make_shared<QuotaView>(*quota_);
  next->state_ = state;
  for (const auto& [key, now] : result.delta) {
    ObjectLabel label;
    auto same = [uid = key.uid](const QuotaView::Exhausted& e) { return e.subscription == uid; };
    if (key.kind == v1::ENTRY_SHARE) {
      v1::ShareEntry entry;
      if (now && !parse_entry(key, *now, entry, label, result.diagnostics)) return result;
      next->active_nodes_ = std::max<uint32_t>(1, entry.active_nodes());
    } else if (key.kind == v1::ENTRY_QUOTA_STATE) {
      v1::QuotaStateEntry entry;
      if (now && !parse_entry(key, *now, entry, label, result.diagnostics)) return result;
      if (now && entry.exhausted()) {
        auto record = std::make_shared<QuotaView::Exhausted>();
        *record = {key.uid, entry.resets_at(), entry.limit()};
        next->exhausted_.put(key.uid, std::move(record), same);
      } else {
        next->exhausted_.erase(key.uid, same);
      }
    } else {
      result.diagnostics.error("GW3005", {}, "", "an entry of kind " + std::to_string(key.kind) + " does not belong to the quota stream");
      return result;
    }
  }
  result.outcome = PrepareOutcome::kReady;
  result.quota = std::move(next);
  return result;
}

void QuotaBuilder::commit(Result result) {
  StreamState state = result.quota->state_;
  entries_.commit(std::move(result.delta), state);
  // The offer came from the control plane, but whether it can be asked is the caller's to say.
  auto next = std::make_shared<QuotaView>(*result.quota);
  next->stale_ = stale_;
  quota_ = std::move(next);
}

std::shared_ptr<const QuotaView> QuotaBuilder::with_stale(bool stale) {
  if (stale_ != stale) {
    stale_ = stale;
    auto next = std::make_shared<QuotaView>(*quota_);
    next->stale_ = stale;
    quota_ = std::move(next);
  }
  return quota_;
}

}  // namespace gw
