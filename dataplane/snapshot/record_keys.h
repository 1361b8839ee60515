// How the directory's maps are keyed: for directory.cc and directory_builder.cc.
#pragma once

#include <cstdint>
#include <cstring>
#include <string_view>

#include "common/crypto/sha256.h"
#include "dataplane/routing/hash.h"
#include "dataplane/snapshot/directory.h"

namespace gw {

struct SameUid {
  uint64_t uid;
  template <class Record>
  bool operator()(const Record& r) const {
    return r.uid == uid;
  }
};

inline uint64_t key_id_hash(std::string_view key_id) { return hash_bytes(key_id, 0x6b6579); }

inline uint64_t sha256_hash(const Sha256& sha256) {
  uint64_t h;
  std::memcpy(&h, sha256.data(), sizeof h);
  return h;
}

inline uint64_t identity_hash(uint64_t policy, std::string_view value) { return hash_bytes(value, policy); }
struct SameIdentity {
  uint64_t policy;
  std::string_view value;
  bool operator()(const IdentityRecord& r) const { return r.policy == policy && r.value == value; }
};

}  // namespace gw
