#include "dataplane/worker/client_table.h"

namespace gw {

bool ClientTable::add(uint64_t gateway_uid, const IpAddress& client, size_t limit) {
  Key key{gateway_uid, client};
  Shard& s = shard(key);
  std::lock_guard lock(s.mutex);
  auto at = s.counts.try_emplace(key, 0).first;
  if (at->second >= limit) {
    if (at->second == 0) s.counts.erase(at);
    return false;
  }
  ++at->second;
  return true;
}

void ClientTable::remove(uint64_t gateway_uid, const IpAddress& client) {
  Key key{gateway_uid, client};
  Shard& s = shard(key);
  std::lock_guard lock(s.mutex);
  auto at = s.counts.find(key);
  if (at != s.counts.end() && --at->second == 0) s.counts.erase(at);
}

size_t ClientTable::size() const {
  size_t out = 0;
  for (const Shard& s : shards_) {
    std::lock_guard lock(s.mutex);
    out += s.counts.size();
  }
  return out;
}

}  // namespace gw
