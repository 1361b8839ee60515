// Makes offers of one stream from entries that a test puts and removes: whole, or the delta since the last offer.
#pragma once

#include <map>
#include <string>

#include "common/crypto/digest_sum.h"
#include "dataplane/snapshot/entry.h"

namespace gw::testing {

class StreamMaker {
 public:
  explicit StreamMaker(v1::Stream stream) : stream_(stream) { lineage_.fill(7); }

  void put(v1::EntryKind kind, uint64_t uid, const google::protobuf::Message& entry) {
    put_bytes(kind, uid, entry.SerializeAsString());
  }
  void put_bytes(v1::EntryKind kind, uint64_t uid, std::string bytes) {
    EntryKey key{kind, uid};
    remove(kind, uid);
    add(digest_, entry_hash(static_cast<uint8_t>(kind), uid, bytes));
    entries_[key] = std::move(bytes);
    changed_[key] = true;
  }
  void remove(v1::EntryKind kind, uint64_t uid) {
    EntryKey key{kind, uid};
    auto at = entries_.find(key);
    if (at == entries_.end()) return;
    subtract(digest_, entry_hash(static_cast<uint8_t>(kind), uid, at->second));
    entries_.erase(at);
    changed_[key] = true;
  }

  v1::Offer whole() {
    v1::Offer out = head(0);
    for (const auto& [key, bytes] : entries_) upsert(out, key, bytes);
    return out;
  }
  v1::Offer delta() {
    v1::Offer out = head(version_);
    for (const auto& [key, was] : changed_before_) {
      auto at = entries_.find(key);
      if (at != entries_.end()) {
        upsert(out, key, at->second);
      } else {
        auto* r = out.add_removals();
        r->set_kind(key.kind);
        r->set_uid(key.uid);
      }
    }
    return out;
  }
  uint64_t version() const { return version_; }

 private:
  v1::Offer head(uint64_t base) {
    v1::Offer out;
    ++version_;
    changed_before_ = std::move(changed_);
    changed_.clear();
    out.set_stream(stream_);
    out.set_lineage(lineage_.data(), lineage_.size());
    out.set_version(version_);
    out.set_base(base);
    out.set_digest(digest_.data(), digest_.size());
    return out;
  }
  static void upsert(v1::Offer& out, const EntryKey& key, const std::string& bytes) {
    auto* e = out.add_upserts();
    e->set_kind(key.kind);
    e->set_uid(key.uid);
    e->set_body(bytes);
  }

  v1::Stream stream_;
  Lineage lineage_;
  DigestSum digest_{};
  std::map<EntryKey, std::string> entries_;
  std::map<EntryKey, bool> changed_, changed_before_;
  uint64_t version_ = 0;
};

}  // namespace gw::testing
