#include "controlplane/admin/record_stream.h"

#include <algorithm>
#include <utility>

namespace gw {

void set_name(v1::ObjectName& out, const std::string& full_name) {
  size_t slash = full_name.find('/');
  out.set_owner(full_name.substr(0, slash));
  out.set_name(full_name.substr(slash + 1));
}

void RecordStream::load(EntryTable entries, uint64_t version) {
  entries_ = std::make_shared<EntryTable>(std::move(entries));
  version_ = std::max<uint64_t>(version, 1);
}

void RecordStream::open(Publisher& publisher) {
  publisher_ = &publisher;
  publish(0, {}, {});
}

void RecordStream::advance(std::vector<EntryPtr> upserts, std::vector<EntryKey> removals) {
  auto entries = std::make_shared<EntryTable>(*entries_);
  for (const EntryKey& key : removals) entries->erase(key);
  for (const EntryPtr& entry : upserts) (*entries)[entry->key] = entry;
  entries_ = std::move(entries);
  ++version_;
  publish(version_ - 1, std::move(upserts), std::move(removals));
}

void RecordStream::publish(uint64_t previous, std::vector<EntryPtr> upserts, std::vector<EntryKey> removals) {
  if (publisher_ == nullptr) return;
  Publication out;
  out.stream = stream_;
  out.lineage = db_.lineage();
  out.version = version_;
  out.previous = previous;
  out.entries = entries_;
  out.upserts = std::move(upserts);
  out.removals = std::move(removals);
  publisher_->publish(std::move(out));
}

}  // namespace gw
