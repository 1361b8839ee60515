// Entries and nodes for tests of the push.
#pragma once

#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "common/base/clock.h"
#include "common/base/status.h"
#include "common/crypto/digest_sum.h"
#include "controlplane/push/node_link.h"
#include "controlplane/snapshot/publication.h"

namespace gw::push_test {

inline EntryPtr entry(v1::EntryKind kind, uint64_t uid, const std::string& bytes, std::vector<EntryKey> references = {},
                      std::vector<std::string> capabilities = {}) {
  auto out = std::make_shared<EntryData>();
  out->key = {kind, uid};
  out->bytes = bytes;
  out->hash = entry_hash(static_cast<uint8_t>(kind), uid, bytes);
  out->references = std::move(references);
  out->capabilities = std::move(capabilities);
  out->object = "Object " + std::to_string(uid);
  return out;
}

inline EntryPtr gateway(uint64_t uid, std::vector<std::pair<std::string, std::string>> labels,
                        std::vector<EntryKey> references = {}) {
  v1::GatewayEntry body;
  for (const auto& [name, value] : labels) {
    v1::Pair& pair = *body.add_node_labels();
    pair.set_name(name);
    pair.set_value(value);
  }
  return entry(v1::ENTRY_GATEWAY, uid, body.SerializeAsString(), std::move(references));
}

// Keeps a stream's set as the store does, and makes its publications.
class Store {
 public:
  explicit Store(v1::Stream stream, Lineage lineage = {7}) : stream_(stream), lineage_(lineage) {}

  Publication change(std::vector<EntryPtr> upserts, std::vector<EntryKey> removals = {}) {
    EntryTable table = *entries_;
    for (const EntryKey& key : removals) table.erase(key);
    for (const EntryPtr& e : upserts) table[e->key] = e;
    entries_ = std::make_shared<EntryTable>(std::move(table));
    Publication p = whole();
    p.previous = version_++;
    p.version = version_;
    p.upserts = std::move(upserts);
    p.removals = std::move(removals);
    return p;
  }
  Publication whole() const {
    Publication p;
    p.stream = stream_;
    p.lineage = lineage_;
    p.version = version_;
    p.entries = entries_;
    return p;
  }
  const EntryTable& entries() const { return *entries_; }

 private:
  const v1::Stream stream_;
  const Lineage lineage_;
  uint64_t version_ = 0;
  std::shared_ptr<const EntryTable> entries_ = std::make_shared<EntryTable>();
};

}  // namespace gw::push_test
