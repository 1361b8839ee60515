#include "dataplane/snapshot/entry.h"

#include <algorithm>

#include "common/crypto/digest_sum.h"

namespace gw {
namespace {

std::string text(const EntryKey& key) { return std::string(kind_name(key.kind)) + " entry " + std::to_string(key.uid); }

void too_big(DiagnosticList& diagnostics, const EntryKey& key, std::string_view what) {
  diagnostics.error("GW3006", {}, "", text(key) + ": " + std::string(what));
}

Sha256 hash_of(const EntryKey& key, const std::string& bytes) {
  return entry_hash(static_cast<uint8_t>(key.kind), key.uid, bytes);
}

bool copy_lineage(const std::string& in, Lineage& out) {
  if (in.size() != out.size()) return false;
  std::copy(in.begin(), in.end(), reinterpret_cast<char*>(out.data()));
  return true;
}

}  // namespace

EntrySet::Bytes EntrySet::find(const EntryKey& key) const {
  auto at = entries_.find(key);
  return at == entries_.end() ? nullptr : at->second;
}

PrepareOutcome EntrySet::prepare(const v1::Offer& offer, Delta& delta, StreamState& state, DiagnosticList& diagnostics) const {
  state = {};
  state.version = offer.version();
  if (!copy_lineage(offer.lineage(), state.lineage) || offer.digest().size() != state.digest.size()) {
    diagnostics.error("GW3001", {}, "", "the offer's lineage or digest does not have the right length");
    return PrepareOutcome::kRefused;
  }
  bool whole = offer.base() == 0;
  if (!whole && (offer.base() != state_.version || state.lineage != state_.lineage)) return PrepareOutcome::kMismatch;
  if (whole) {  // against what is held: what the offer does not name goes
    for (const auto& [key, bytes] : entries_) delta.emplace_hint(delta.end(), key, nullptr);
  } else {
    state.digest = state_.digest;
  }
  size_t total = whole ? 0 : bytes_;
  size_t count = whole ? 0 : entries_.size();
  auto drop = [&](const EntryKey& key, const Bytes& bytes) {
    subtract(state.digest, hash_of(key, *bytes));
    total -= bytes->size();
    --count;
  };
  for (const v1::EntryRef& ref : offer.removals()) {
    EntryKey key{ref.kind(), ref.uid()};
    Bytes held = whole ? nullptr : find(key);
    if (held && delta.emplace(key, nullptr).second) drop(key, held);
  }
  for (const v1::Entry& entry : offer.upserts()) {
    EntryKey key{entry.kind(), entry.uid()};
    if (entry.body().size() > limits_.entry_bytes) {
      too_big(diagnostics, key, std::to_string(entry.body().size()) + " bytes; the most is " + std::to_string(limits_.entry_bytes));
      return PrepareOutcome::kRefused;
    }
    Bytes held = find(key);
    auto [at, fresh] = delta.try_emplace(key, nullptr);
    if (!whole && fresh && held) drop(key, held);
    if (at->second) drop(key, at->second);  // named twice: the last counts
    at->second = held && *held == entry.body() ? held : std::make_shared<const std::string>(entry.body());
    add(state.digest, hash_of(key, *at->second));
    total += entry.body().size();
    ++count;
  }
  if (count > limits_.entries || total > limits_.total_bytes) {
    diagnostics.error("GW3006", {}, "",
                      std::to_string(count) + " entries with " + std::to_string(total) + " bytes; the most is " +
                          std::to_string(limits_.entries) + " with " + std::to_string(limits_.total_bytes));
    return PrepareOutcome::kRefused;
  }
  if (!std::equal(state.digest.begin(), state.digest.end(), reinterpret_cast<const uint8_t*>(offer.digest().data()))) {
    return PrepareOutcome::kMismatch;
  }
  std::erase_if(delta, [&](const auto& change) {  // what stays as it is, by pointer
    auto at = entries_.find(change.first);
    return at == entries_.end() ? change.second == nullptr : change.second == at->second;
  });
  return PrepareOutcome::kReady;
}

void EntrySet::commit(Delta delta, const StreamState& state) {
  for (auto& [key, bytes] : delta) {
    auto at = entries_.find(key);
    if (at != entries_.end()) {
      bytes_ -= at->second->size();
      if (!bytes) {
        entries_.erase(at);
        continue;
      }
      bytes_ += bytes->size();
      at->second = std::move(bytes);
    } else if (bytes) {
      bytes_ += bytes->size();
      entries_.emplace(key, std::move(bytes));
    }
  }
  state_ = state;
}

v1::Offer EntrySet::whole(v1::Stream stream) const {
  v1::Offer out;
  out.set_stream(stream);
  out.set_lineage(state_.lineage.data(), state_.lineage.size());
  out.set_version(state_.version);
  out.set_digest(state_.digest.data(), state_.digest.size());
  out.set_activate(true);
  out.mutable_upserts()->Reserve(static_cast<int>(entries_.size()));
  for (const auto& [key, bytes] : entries_) {
    v1::Entry* e = out.add_upserts();
    e->set_kind(key.kind);
    e->set_uid(key.uid);
    e->set_body(*bytes);
  }
  return out;
}

}  // namespace gw
