#include "controlplane/push/groups.h"

#include <algorithm>

#include "gw/v1/snapshot.pb.h"

namespace gw {
namespace {

bool is_leaf(v1::EntryKind kind) { return kind == v1::ENTRY_UPSTREAM || kind == v1::ENTRY_POLICY; }

// Selector of a gateway's entry. One that cannot be read selects nothing: the node would refuse it anyway.
bool read_selector(const EntryData& entry, Labels& out) {
  v1::GatewayEntry gateway;
  if (!gateway.ParseFromString(entry.bytes)) return false;
  for (const v1::Pair& label : gateway.node_labels()) out[label.name()] = label.value();
  return true;
}

bool selects(const EntryData& gateway, const Labels& labels) {
  Labels wanted;
  if (!read_selector(gateway, wanted)) return false;
  return std::all_of(wanted.begin(), wanted.end(), [&](const auto& want) {
    auto at = labels.find(want.first);
    return at != labels.end() && at->second == want.second;
  });
}

// Whether an entry that is no leaf is held, given which entries of the kinds before it are.
template <class Held>
bool holds_branch(const EntryData& entry, const Labels& labels, Held&& held) {
  auto references_held = [&](v1::EntryKind kind) {
    return std::any_of(entry.references.begin(), entry.references.end(),
                       [&](const EntryKey& key) { return key.kind == kind && held(key); });
  };
  switch (entry.key.kind) {
    case v1::ENTRY_GATEWAY: return selects(entry, labels);
    case v1::ENTRY_API: return references_held(v1::ENTRY_GATEWAY);
    case v1::ENTRY_ROUTE: return references_held(v1::ENTRY_API);
    default: return true;
  }
}

}  // namespace

EntryTable member_table(const EntryTable& all, const Labels& labels) {
  EntryTable out;
  auto held = [&](const EntryKey& key) { return out.count(key) > 0; };
  std::set<EntryKey> needed;
  for (const auto& [key, entry] : all) {  // in order of kind: Gateway, Api, Route, …
    if (is_leaf(key.kind) || !holds_branch(*entry, labels, held)) continue;
    out.emplace(key, entry);
    for (const EntryKey& reference : entry->references) {
      if (is_leaf(reference.kind)) needed.insert(reference);
    }
  }
  for (const EntryKey& key : needed) {
    auto at = all.find(key);
    if (at != all.end()) out.emplace(key, at->second);
  }
  return out;
}

Labels Groups::relevant(const Labels& labels) const {
  Labels out;
  for (const auto& [name, value] : labels) {
    if (mentioned_.count(name) > 0) out.emplace(name, value);
  }
  return out;
}

void Groups::start_anew(const Publication& publication) {
  referrers_.clear();
  for (const auto& [key, entry] : *publication.entries) {
    for (const EntryKey& reference : entry->references) referrers_[reference].insert(key);
    Labels selector;
    if (key.kind == v1::ENTRY_GATEWAY && read_selector(*entry, selector)) {
      for (const auto& [name, value] : selector) mentioned_.insert(name);
    }
  }
  entries_ = publication.entries;
  latest_ = publication.version;
}

void Groups::restore(const Publication& active) {
  start_anew(active);
  active_ = active.version;
  active_entries_ = active.entries;
}

// A selector with a new label: each node's group becomes a copy of the group that it was in, under the longer name.
void Groups::learn_selectors(const std::vector<EntryPtr>& upserts, const std::vector<Labels>& nodes) {
  std::set<std::string> names = mentioned_;
  for (const EntryPtr& entry : upserts) {
    Labels selector;
    if (entry->key.kind != v1::ENTRY_GATEWAY || !read_selector(*entry, selector)) continue;
    for (const auto& [name, value] : selector) names.insert(name);
  }
  if (names == mentioned_) return;
  std::map<Labels, std::shared_ptr<Group>> renamed;
  for (const Labels& labels : nodes) {
    std::shared_ptr<Group> old = assign(labels);
    std::swap(names, mentioned_);
    Labels key = relevant(labels);
    std::swap(names, mentioned_);
    if (renamed.count(key) > 0) continue;
    auto copy = std::make_shared<Group>(*old);
    copy->labels_ = key;
    renamed.emplace(std::move(key), std::move(copy));
  }
  groups_ = std::move(renamed);
  mentioned_ = std::move(names);
}

void Groups::update_referrers(const Publication& publication) {
  auto forget = [&](const EntryKey& key) {
    auto at = entries_->find(key);
    if (at == entries_->end()) return;
    for (const EntryKey& reference : at->second->references) {
      auto users = referrers_.find(reference);
      if (users == referrers_.end()) continue;
      users->second.erase(key);
      if (users->second.empty()) referrers_.erase(users);
    }
  };
  for (const EntryKey& key : publication.removals) forget(key);
  for (const EntryPtr& entry : publication.upserts) {
    forget(entry->key);
    for (const EntryKey& reference : entry->references) referrers_[reference].insert(entry->key);
  }
}

void Groups::publish(const Publication& publication, const std::vector<Labels>& nodes) {
  if (publication.previous == 0 || publication.previous != latest_) {
    groups_.clear();  // not the next version: no history leads here
    start_anew(publication);
    return;
  }
  learn_selectors(publication.upserts, nodes);
  update_referrers(publication);
  entries_ = publication.entries;
  latest_ = publication.version;
  for (auto& [labels, group] : groups_) advance(*group, publication);
}

// Kind by kind, so that what decides about an entry is decided before it; only what the change can have touched is looked at.
void Groups::advance(Group& group, const Publication& publication) const {
  const EntryTable& before = group.set_.table();
  std::map<EntryKey, bool> decided;
  auto held = [&](const EntryKey& key) {
    auto at = decided.find(key);
    return at != decided.end() ? at->second : before.count(key) > 0;
  };
  std::set<EntryKey> branches, leaves;
  auto touch = [&](const EntryKey& key) { (is_leaf(key.kind) ? leaves : branches).insert(key); };
  for (const EntryPtr& entry : publication.upserts) touch(entry->key);
  for (const EntryKey& key : publication.removals) touch(key);
  auto touch_leaves_of = [&](const EntryTable& table, const EntryKey& key) {
    auto at = table.find(key);
    if (at == table.end()) return;
    for (const EntryKey& reference : at->second->references) {
      if (is_leaf(reference.kind)) leaves.insert(reference);
    }
  };

  std::vector<EntryPtr> upserts;
  std::vector<EntryKey> removals;
  auto decide = [&](const EntryKey& key, bool member) {
    decided[key] = member;
    auto old = before.find(key);
    if (!member) {
      if (old != before.end()) removals.push_back(key);
      return;
    }
    const EntryPtr& entry = entries_->at(key);
    if (old == before.end() || old->second != entry) upserts.push_back(entry);
  };

  while (!branches.empty()) {
    EntryKey key = *branches.begin();
    branches.erase(branches.begin());
    auto at = entries_->find(key);
    bool was = before.count(key) > 0;
    bool is = at != entries_->end() && holds_branch(*at->second, group.labels_, held);
    if (!was && !is) continue;
    decide(key, is);
    touch_leaves_of(before, key);
    touch_leaves_of(*entries_, key);
    if (was == is) continue;
    auto users = referrers_.find(key);
    if (users == referrers_.end()) continue;
    for (const EntryKey& user : users->second) {
      if (user.kind > key.kind) touch(user);
    }
  }
  for (const EntryKey& key : leaves) {
    auto users = referrers_.find(key);
    bool is = entries_->count(key) > 0 && users != referrers_.end() &&
              std::any_of(users->second.begin(), users->second.end(), held);
    decide(key, is);
  }
  group.set_.apply(publication.version, upserts, removals);
}

void Groups::settle() {
  active_ = latest_;
  active_entries_ = entries_;
  for (auto& [labels, group] : groups_) group->set_.settle(latest_);
}

std::shared_ptr<Group> Groups::assign(const Labels& labels) {
  Labels key = relevant(labels);
  auto at = groups_.find(key);
  if (at != groups_.end()) return at->second;
  auto group = std::make_shared<Group>(key, history_);
  EntryTable now = member_table(*entries_, key);
  if (active_ == 0 || active_ == latest_) {
    group->set_.reset(latest_, std::move(now));
  } else {
    EntryTable active = member_table(*active_entries_, key);
    std::vector<EntryPtr> upserts;
    std::vector<EntryKey> removals;
    for (const auto& [entry_key, entry] : now) {
      auto old = active.find(entry_key);
      if (old == active.end() || old->second->hash != entry->hash) upserts.push_back(entry);
    }
    for (const auto& [entry_key, entry] : active) {
      if (now.count(entry_key) == 0) removals.push_back(entry_key);
    }
    group->set_.reset(active_, std::move(active));
    group->set_.apply(latest_, upserts, removals);
  }
  groups_.emplace(std::move(key), group);
  return group;
}

void Groups::drop_unused() {
  for (auto at = groups_.begin(); at != groups_.end();) {
    at = at->second.use_count() == 1 ? groups_.erase(at) : std::next(at);
  }
}

}  // namespace gw
