#include "controlplane/push/offer_cache.h"

#include <string_view>

namespace gw {
namespace {

template <class Bytes>
std::string text(const Bytes& bytes) {
  return {bytes.begin(), bytes.end()};
}

}  // namespace

Frame encode(const v1::ToNode& message) { return std::make_shared<const std::string>(message.SerializeAsString()); }

const EncodedOffer& OfferCache::get(const VersionedSet& set, const What& what) {
  Key key{&set, what.stream, what.base, what.version, what.activate};
  auto at = cache_.find(key);
  if (at != cache_.end()) return at->second;
  if (cache_.size() >= kMaxKept) cache_.clear();
  return cache_.emplace(key, make(set, what)).first->second;
}

EncodedOffer OfferCache::make(const VersionedSet& set, const What& what) const {
  SetDelta delta = set.delta(what.base, what.version);
  v1::Offer offer;
  offer.set_stream(what.stream);
  offer.set_lineage(text(lineage_));
  offer.set_version(what.version);
  offer.set_base(delta.base);
  offer.set_digest(text(delta.digest));
  offer.set_needs_directory(what.needs_directory);
  offer.set_needs_certificates(what.needs_certificates);
  offer.set_activate(what.activate);
  for (const EntryPtr& entry : delta.upserts) {
    v1::Entry& out = *offer.add_upserts();
    out.set_kind(entry->key.kind);
    out.set_uid(entry->key.uid);
    out.set_body(entry->bytes);
  }
  for (const EntryKey& key : delta.removals) {
    v1::EntryRef& out = *offer.add_removals();
    out.set_kind(key.kind);
    out.set_uid(key.uid);
  }
  std::string bytes = offer.SerializeAsString();
  offer.Clear();

  EncodedOffer out;
  out.whole = delta.base == 0;
  std::string_view rest = bytes;
  do {
    std::string_view piece = rest.substr(0, chunk_bytes_);
    rest.remove_prefix(piece.size());
    v1::ToNode message;
    message.mutable_chunk()->set_data(std::string(piece));
    message.mutable_chunk()->set_last(rest.empty());
    out.frames.push_back(encode(message));
    out.bytes += out.frames.back()->size();
  } while (!rest.empty());
  return out;
}

}  // namespace gw
