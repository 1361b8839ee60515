// Dense indexes for objects, by uid: the places of per-worker counters. An object keeps its index over all snapshots; an
// index is given out anew only after the object and every snapshot that held it are gone, so whoever keeps state by index
// compares the uid as well (two objects never have the same index at the same time).
//
// Thread-safe (a mutex; never used on the request path).
#pragma once

#include <cstdint>
#include <memory>

namespace gw {

enum class IndexSpace : uint8_t { kGateway, kApi, kRoute, kUpstream, kPolicy, kPlan, kCount };

// Holds an index; the last holder's end gives it back. Outlives the registry if need be.
class IndexHold {
 public:
  ~IndexHold();
  IndexHold(const IndexHold&) = delete;
  uint32_t index() const { return index_; }

 private:
  friend class IndexRegistry;
  struct State;
  IndexHold(std::shared_ptr<State> state, IndexSpace space, uint64_t uid, uint32_t index);

  std::shared_ptr<State> state_;
  const IndexSpace space_;
  const uint64_t uid_;
  const uint32_t index_;
};

class IndexRegistry {
 public:
  IndexRegistry();
  // The index of `uid`, the lowest free one if it has none.
  std::shared_ptr<const IndexHold> hold(IndexSpace space, uint64_t uid);
  // One more than the highest index in use.
  uint32_t size(IndexSpace space) const;

 private:
  std::shared_ptr<IndexHold::State> state_;
};

}  // namespace gw
