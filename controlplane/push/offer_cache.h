// Offers as frames, encoded once for all the nodes of a group. Owner: the push, on its thread.
#pragma once

#include <cstdint>
#include <map>
#include <tuple>
#include <vector>

#include "controlplane/push/node_link.h"
#include "controlplane/push/versioned_set.h"

namespace gw {

struct EncodedOffer {
  std::vector<Frame> frames;
  size_t bytes = 0;
  bool whole = false;
};

Frame encode(const v1::ToNode& message);

class OfferCache {
 public:
  OfferCache(Lineage lineage, size_t chunk_bytes) : lineage_(lineage), chunk_bytes_(chunk_bytes) {}

  struct What {
    v1::Stream stream = v1::STREAM_UNSPECIFIED;
    uint64_t base = 0;  // 0: whole
    uint64_t version = 0;
    uint64_t needs_directory = 0;
    uint64_t needs_certificates = 0;
    bool activate = false;
  };
  // The reference is good until the next call.
  const EncodedOffer& get(const VersionedSet& set, const What& what);
  // A new version: what was encoded for older ones is not asked for again soon.
  void clear() { cache_.clear(); }

 private:
  static constexpr size_t kMaxKept = 64;
  EncodedOffer make(const VersionedSet& set, const What& what) const;

  using Key = std::tuple<const VersionedSet*, int, uint64_t, uint64_t, bool>;
  const Lineage lineage_;
  const size_t chunk_bytes_;
  std::map<Key, EncodedOffer> cache_;
};

}  // namespace gw
