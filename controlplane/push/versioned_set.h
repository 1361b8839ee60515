// One stream's set of entries as a group of nodes holds it, with the steps that led there: makes deltas between any two
// versions that it remembers. Values; one thread (the push's).
#pragma once

#include <cstdint>
#include <deque>
#include <vector>

#include "controlplane/snapshot/publication.h"

namespace gw {

// What an Offer carries.
struct SetDelta {
  uint64_t base = 0;  // 0: the whole set
  uint64_t version = 0;
  std::vector<EntryPtr> upserts;
  std::vector<EntryKey> removals;
  Digest digest{};
};

class VersionedSet {
 public:
  explicit VersionedSet(size_t history = 64) : history_(history) {}

  // Starts anew: nothing is remembered but `table`.
  void reset(uint64_t version, EntryTable table);
  // The step from latest() to `version`. Removals of what is not there are not counted.
  void apply(uint64_t version, const std::vector<EntryPtr>& upserts, const std::vector<EntryKey>& removals);
  // `version` is what nodes will be brought to from now on; whole() of it, and of anything later, can be made.
  // REQUIRES: settled() <= version <= latest().
  void settle(uint64_t version);

  uint64_t latest() const { return latest_; }
  uint64_t settled() const { return settled_; }
  const EntryTable& table() const { return table_; }
  const Digest& digest() const { return digest_; }

  // Whether a delta can start at `version`, and that version has this digest.
  bool holds(uint64_t version, const Digest& digest) const;
  bool holds(uint64_t version) const;
  // From `base` to `version`; the whole set if base is not remembered or newer. REQUIRES: settled() <= version <= latest(),
  // and version was applied or settled.
  SetDelta delta(uint64_t base, uint64_t version) const;
  SetDelta whole(uint64_t version) const { return delta(0, version); }

 private:
  struct Step {
    uint64_t version;
    std::vector<EntryPtr> upserts;
    std::vector<EntryKey> removals;
    Digest digest;  // after it
  };
  void fold_front();
  const Digest* digest_of(uint64_t version) const;

  size_t history_;
  EntryTable table_;  // of latest_
  Digest digest_{};
  uint64_t latest_ = 0;
  EntryTable settled_table_;
  uint64_t settled_ = 0;
  uint64_t start_ = 0;  // version before the first step
  Digest start_digest_{};
  std::deque<Step> steps_;
};

}  // namespace gw
