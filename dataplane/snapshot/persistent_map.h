// An immutable map from a 64-bit hash to shared records, with cheap changed copies: 64 x 64 leaves, of which a change
// copies one (and two arrays of 64 pointers). Reads take no lock; any thread.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace gw {

template <class Record>
class PersistentMap {
 public:
  using Ptr = std::shared_ptr<const Record>;

  PersistentMap() = default;
  // A copy shares everything, and owns nothing that it could change in place. REQUIRES: `other` is changed no more.
  PersistentMap(const PersistentMap& other) : root_(other.root_), size_(other.size_) {}
  PersistentMap(PersistentMap&&) = default;
  PersistentMap& operator=(PersistentMap&&) = default;

  size_t size() const { return size_; }

  // The record of `hash` for which `same(record)` holds, or null.
  template <class Same>
  const Ptr* find(uint64_t hash, Same&& same) const {
    hash = mix(hash);
    const std::vector<Item>* leaf = leaf_of(hash);
    if (!leaf) return nullptr;
    auto at = std::lower_bound(leaf->begin(), leaf->end(), hash, [](const Item& i, uint64_t h) { return i.hash < h; });
    for (; at != leaf->end() && at->hash == hash; ++at) {
      if (same(*at->record)) return &at->record;
    }
    return nullptr;
  }

  // Puts `record`, in place of the one for which `same` holds.
  template <class Same>
  void put(uint64_t hash, Ptr record, Same&& same) {
    hash = mix(hash);
    std::vector<Item>& leaf = own_leaf(hash);
    auto at = std::lower_bound(leaf.begin(), leaf.end(), hash, [](const Item& i, uint64_t h) { return i.hash < h; });
    for (auto it = at; it != leaf.end() && it->hash == hash; ++it) {
      if (same(*it->record)) {
        it->record = std::move(record);
        return;
      }
    }
    leaf.insert(at, Item{hash, std::move(record)});
    ++size_;
  }

  // False: there is none.
  template <class Same>
  bool erase(uint64_t hash, Same&& same) {
    hash = mix(hash);
    if (!leaf_of(hash)) return false;
    std::vector<Item>& leaf = own_leaf(hash);
    auto at = std::lower_bound(leaf.begin(), leaf.end(), hash, [](const Item& i, uint64_t h) { return i.hash < h; });
    for (; at != leaf.end() && at->hash == hash; ++at) {
      if (same(*at->record)) {
        leaf.erase(at);
        --size_;
        return true;
      }
    }
    return false;
  }

 private:
  static constexpr size_t kFan = 64;
  struct Item {
    uint64_t hash;
    Ptr record;
  };
  // `edit` names the map that made the part and may change it in place; it is compared, never followed.
  using Edit = std::shared_ptr<const char>;
  struct Leaf {
    Edit edit;
    std::vector<Item> items;  // by hash
  };
  template <class Child>
  struct Fork {
    Edit edit;
    std::array<std::shared_ptr<Child>, kFan> child;
  };
  using Branch = Fork<Leaf>;
  using Root = Fork<Branch>;

  static uint64_t mix(uint64_t h) {
    h ^= h >> 32;
    h *= 0xd6e8feb86659fd93;
    h ^= h >> 32;
    return h;
  }
  static size_t high(uint64_t h) { return h >> 58; }
  static size_t low(uint64_t h) { return (h >> 52) & 63; }

  const std::vector<Item>* leaf_of(uint64_t h) const {
    if (!root_) return nullptr;
    const auto& branch = root_->child[high(h)];
    if (!branch) return nullptr;
    const auto& leaf = branch->child[low(h)];
    return leaf ? &leaf->items : nullptr;
  }

  template <class Part>
  Part& own(std::shared_ptr<Part>& part) {
    if (!part || part->edit != edit_) {
      part = part ? std::make_shared<Part>(*part) : std::make_shared<Part>();
      part->edit = edit_;
    }
    return *part;
  }

  // A leaf that only this map has: copies what it shares.
  std::vector<Item>& own_leaf(uint64_t h) {
    if (!edit_) edit_ = std::make_shared<const char>();
    return own(own(own(root_).child[high(h)]).child[low(h)]).items;
  }

  Edit edit_;
  std::shared_ptr<Root> root_;
  size_t size_ = 0;
};

}  // namespace gw
