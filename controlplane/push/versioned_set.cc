#include "controlplane/push/versioned_set.h"

#include <map>

#include "common/crypto/digest_sum.h"

namespace gw {
namespace {

void apply_step(EntryTable& table, const std::vector<EntryPtr>& upserts, const std::vector<EntryKey>& removals) {
  for (const EntryKey& key : removals) table.erase(key);
  for (const EntryPtr& entry : upserts) table[entry->key] = entry;
}

}  // namespace

void VersionedSet::reset(uint64_t version, EntryTable table) {
  table_ = std::move(table);
  digest_ = Digest{};
  for (const auto& [key, entry] : table_) add(digest_, entry->hash);
  settled_table_ = table_;
  latest_ = settled_ = start_ = version;
  start_digest_ = digest_;
  steps_.clear();
}

void VersionedSet::apply(uint64_t version, const std::vector<EntryPtr>& upserts, const std::vector<EntryKey>& removals) {
  for (const EntryKey& key : removals) {
    auto at = table_.find(key);
    if (at == table_.end()) continue;
    subtract(digest_, at->second->hash);
    table_.erase(at);
  }
  for (const EntryPtr& entry : upserts) {
    EntryPtr& place = table_[entry->key];
    if (place) subtract(digest_, place->hash);
    place = entry;
    add(digest_, entry->hash);
  }
  latest_ = version;
  steps_.push_back({version, upserts, removals, digest_});
  while (steps_.size() > history_) {
    if (steps_.front().version <= settled_) {
      start_ = steps_.front().version;
      start_digest_ = steps_.front().digest;
      steps_.pop_front();
    } else if (steps_.size() > 1) {
      fold_front();  // a long row of versions that never became active
    } else {
      break;
    }
  }
}

// The two oldest steps become one: deltas can no longer start or end between them.
void VersionedSet::fold_front() {
  Step first = std::move(steps_.front());
  steps_.pop_front();
  Step& second = steps_.front();
  std::map<EntryKey, EntryPtr> net;
  for (const EntryKey& key : first.removals) net[key] = nullptr;
  for (const EntryPtr& entry : first.upserts) net[entry->key] = entry;
  for (const EntryKey& key : second.removals) net[key] = nullptr;
  for (const EntryPtr& entry : second.upserts) net[entry->key] = entry;
  second.upserts.clear();
  second.removals.clear();
  for (auto& [key, entry] : net) {
    if (entry) second.upserts.push_back(std::move(entry));
    else second.removals.push_back(key);
  }
}

void VersionedSet::settle(uint64_t version) {
  for (const Step& step : steps_) {
    if (step.version > settled_ && step.version <= version) apply_step(settled_table_, step.upserts, step.removals);
  }
  settled_ = version;
}

const Digest* VersionedSet::digest_of(uint64_t version) const {
  if (version == 0) return nullptr;
  if (version == start_) return &start_digest_;
  for (const Step& step : steps_) {
    if (step.version == version) return &step.digest;
  }
  return nullptr;
}

bool VersionedSet::holds(uint64_t version) const { return digest_of(version) != nullptr; }

bool VersionedSet::holds(uint64_t version, const Digest& digest) const {
  const Digest* known = digest_of(version);
  return known != nullptr && *known == digest;
}

SetDelta VersionedSet::delta(uint64_t base, uint64_t version) const {
  SetDelta out;
  out.version = version;
  const Digest* digest = digest_of(version);
  if (digest != nullptr) out.digest = *digest;
  if (base != 0 && base <= version && holds(base)) {
    out.base = base;
    std::map<EntryKey, EntryPtr> net;
    for (const Step& step : steps_) {
      if (step.version <= base || step.version > version) continue;
      for (const EntryKey& key : step.removals) net[key] = nullptr;
      for (const EntryPtr& entry : step.upserts) net[entry->key] = entry;
    }
    for (auto& [key, entry] : net) {
      if (entry) out.upserts.push_back(std::move(entry));
      else out.removals.push_back(key);
    }
    return out;
  }
  if (version == latest_) {
    for (const auto& [key, entry] : table_) out.upserts.push_back(entry);
    return out;
  }
  EntryTable table = settled_table_;
  for (const Step& step : steps_) {
    if (step.version > settled_ && step.version <= version) apply_step(table, step.upserts, step.removals);
  }
  for (const auto& [key, entry] : table) out.upserts.push_back(entry);
  return out;
}

}  // namespace gw
