#include "dataplane/snapshot/index_registry.h"

#include <array>
#include <mutex>
#include <set>
#include <unordered_map>

namespace gw {

struct IndexHold::State {
  struct Space {
    std::unordered_map<uint64_t, std::weak_ptr<const IndexHold>> holds;  // by uid
    std::set<uint32_t> free;
    uint32_t next = 0;
  };
  std::mutex mu;
  std::array<Space, static_cast<size_t>(IndexSpace::kCount)> spaces;

  Space& of(IndexSpace space) { return spaces[static_cast<size_t>(space)]; }
};

IndexHold::IndexHold(std::shared_ptr<State> state, IndexSpace space, uint64_t uid, uint32_t index)
    : state_(std::move(state)), space_(space), uid_(uid), index_(index) {}

IndexHold::~IndexHold() {
  std::lock_guard lock(state_->mu);
  auto& space = state_->of(space_);
  space.free.insert(index_);
  // Another hold of the uid may have been made since the last reference to this one went.
  auto at = space.holds.find(uid_);
  if (at != space.holds.end() && at->second.expired()) space.holds.erase(at);
}

IndexRegistry::IndexRegistry() : state_(std::make_shared<IndexHold::State>()) {}

std::shared_ptr<const IndexHold> IndexRegistry::hold(IndexSpace space, uint64_t uid) {
  std::lock_guard lock(state_->mu);
  auto& s = state_->of(space);
  std::weak_ptr<const IndexHold>& known = s.holds[uid];
  if (auto held = known.lock()) return held;
  uint32_t index = s.next;
  if (s.free.empty()) {
    ++s.next;
  } else {
    index = *s.free.begin();
    s.free.erase(s.free.begin());
  }
  std::shared_ptr<const IndexHold> made(new IndexHold(state_, space, uid, index));
  known = made;
  return made;
}

uint32_t IndexRegistry::size(IndexSpace space) const {
  std::lock_guard lock(state_->mu);
  return state_->of(space).next;
}

}  // namespace gw
