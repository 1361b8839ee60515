// What a board of records gives to nodes: the entries of one stream, and their version. One of these per board, under its mutex.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "controlplane/snapshot/publication.h"
#include "controlplane/store/database.h"

namespace gw {

// From owner/name.
void set_name(v1::ObjectName& out, const std::string& full_name);

class RecordStream {
 public:
  RecordStream(v1::Stream stream, const Database& db) : stream_(stream), db_(db) {}

  // What the store holds. Version 0 becomes 1, so that a node of another life is told that there is nothing here.
  void load(EntryTable entries, uint64_t version);
  // Publishes all of it; later versions go there too, until close().
  void open(Publisher& publisher);
  void close() { publisher_ = nullptr; }
  // The next version, once it is in the store. What stands in both goes and comes anew.
  void advance(std::vector<EntryPtr> upserts, std::vector<EntryKey> removals);

  uint64_t version() const { return version_; }
  const std::shared_ptr<const EntryTable>& entries() const { return entries_; }

 private:
  void publish(uint64_t previous, std::vector<EntryPtr> upserts, std::vector<EntryKey> removals);

  const v1::Stream stream_;
  const Database& db_;
  Publisher* publisher_ = nullptr;
  std::shared_ptr<const EntryTable> entries_ = std::make_shared<EntryTable>();
  uint64_t version_ = 0;
};

}  // namespace gw
