// Which config entries a node holds: those of the Gateways whose node labels it has, and what these need.
//
//   Gateway            its node_labels are among the node's labels
//   Api                it references a Gateway that is held
//   Route              it references an Api that is held
//   Plan               always
//   Upstream, Policy   something that is held references it
//
// Nodes whose labels look the same to every selector seen so far form a group, and share one VersionedSet and its encoded
// offers. A new version costs a group what changed, not what there is. Owner: the push, on its thread.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "controlplane/push/versioned_set.h"
#include "controlplane/snapshot/publication.h"

namespace gw {

using Labels = std::map<std::string, std::string>;

// The entries of `all` that a node with `labels` holds.
EntryTable member_table(const EntryTable& all, const Labels& labels);

class Group {
 public:
  Group(Labels labels, size_t history) : labels_(std::move(labels)), set_(history) {}

  const Labels& labels() const { return labels_; }
  VersionedSet& set() { return set_; }
  const VersionedSet& set() const { return set_; }

 private:
  friend class Groups;
  Labels labels_;  // the part of its nodes' labels that selectors have mentioned
  VersionedSet set_;
};

class Groups {
 public:
  explicit Groups(size_t history) : history_(history) {}

  // What is active, at start-up. REQUIRES: nothing was published.
  void restore(const Publication& active);
  // The next version. `nodes`: the labels of every node. Groups keep their history, also when a selector mentions a label
  // for the first time: then a group whose nodes differ in it is split. REQUIRES: `assign` every node anew afterwards.
  void publish(const Publication& publication, const std::vector<Labels>& nodes);
  // The latest version is active from here on.
  void settle();

  // The group of a node with these labels, made when there is none.
  std::shared_ptr<Group> assign(const Labels& labels);
  // Forgets groups that nobody but this holds.
  void drop_unused();

  uint64_t latest() const { return latest_; }
  std::shared_ptr<const EntryTable> entries() const { return entries_; }
  size_t size() const { return groups_.size(); }

 private:
  using Referrers = std::map<EntryKey, std::set<EntryKey>>;

  Labels relevant(const Labels& labels) const;
  void learn_selectors(const std::vector<EntryPtr>& upserts, const std::vector<Labels>& nodes);
  void update_referrers(const Publication& publication);
  void start_anew(const Publication& publication);
  void advance(Group& group, const Publication& publication) const;

  size_t history_;
  std::map<Labels, std::shared_ptr<Group>> groups_;
  std::set<std::string> mentioned_;  // names of labels in selectors
  Referrers referrers_;
  uint64_t latest_ = 0;
  uint64_t active_ = 0;
  std::shared_ptr<const EntryTable> entries_ = std::make_shared<EntryTable>();         // of latest_
  std::shared_ptr<const EntryTable> active_entries_ = std::make_shared<EntryTable>();  // of active_
};

}  // namespace gw
