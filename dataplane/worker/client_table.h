// How many connections each client address has on this node, by Gateway.
//
// Owner: the node; shared by its workers. Any thread: a mutex per shard, taken when a connection comes and when it goes, never
// on a request's way. Bounded by the connections that live: an address without one has no entry.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <unordered_map>

#include "common/http/address.h"

namespace gw {

class ClientTable {
 public:
  // One connection more for `client` on the Gateway; false, and nothing is counted, where it has `limit` already.
  bool add(uint64_t gateway_uid, const IpAddress& client, size_t limit);
  // One that add() has counted is gone.
  void remove(uint64_t gateway_uid, const IpAddress& client);
  // Addresses with a connection.
  size_t size() const;

 private:
  struct Key {
    uint64_t gateway;
    IpAddress client;
    friend bool operator==(const Key&, const Key&) = default;
  };
  struct Hash {
    size_t operator()(const Key& k) const { return static_cast<size_t>(k.client.hash() ^ (k.gateway * 0x9e3779b97f4a7c15)); }
  };
  struct Shard {
    mutable std::mutex mutex;
    std::unordered_map<Key, size_t, Hash> counts;
  };
  static constexpr size_t kShards = 16;

  Shard& shard(const Key& key) { return shards_[(Hash{}(key) >> 17) % kShards]; }

  std::array<Shard, kShards> shards_;
};

}  // namespace gw
