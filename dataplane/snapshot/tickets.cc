#include "dataplane/snapshot/tickets.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace gw {
namespace {

constexpr size_t kMaxTicketBytes = 4096;  // of one entry

// False: the problem is an error in `diagnostics`.
bool read_ticket_key(const EntryKey& key, const std::string& bytes, TicketKey& out, DiagnosticList& diagnostics) {
  ObjectLabel label;
  if (key.kind != v1::ENTRY_TICKET_KEY) {
    diagnostics.error("GW3005", label, "", "an entry of kind " + std::to_string(key.kind) + " does not belong to the ticket keys");
    return false;
  }
  v1::TicketKeyEntry entry;
  if (!parse_entry(key, bytes, entry, label, diagnostics)) return false;
  if (entry.name().size() != out.name.size() || entry.secret().size() != out.secret.size() || entry.not_before() >= entry.not_after()) {
    diagnostics.error("GW3001", label, "", "a ticket key has a name of 16 bytes, a secret of 64, and a beginning before its end");
    return false;
  }
  std::memcpy(out.name.data(), entry.name().data(), out.name.size());
  std::memcpy(out.secret.data(), entry.secret().data(), out.secret.size());
  out.not_before = entry.not_before();
  out.not_after = entry.not_after();
  return true;
}

}  // namespace

const std::shared_ptr<const TicketKeys>& TicketKeys::none() {
  static const std::shared_ptr<const TicketKeys> kNone = std::make_shared<const TicketKeys>();
  return kNone;
}

const TicketKey* TicketKeys::sealing(int64_t wall_s) const {
  auto at = std::find_if(keys_.begin(), keys_.end(), [&](const TicketKey& key) { return key.in_force(wall_s); });
  return at == keys_.end() ? nullptr : &*at;
}

const TicketKey* TicketKeys::opening(std::string_view name, int64_t wall_s) const {
  for (const TicketKey& key : keys_) {
    if (name.size() == key.name.size() && std::memcmp(name.data(), key.name.data(), name.size()) == 0) {
      return wall_s < key.not_after ? &key : nullptr;
    }
  }
  return nullptr;
}

TicketKeysBuilder::TicketKeysBuilder()
    : entries_({.entries = TicketKeys::kMax, .entry_bytes = kMaxTicketBytes, .total_bytes = TicketKeys::kMax * kMaxTicketBytes}),
      keys_(TicketKeys::none()) {}

TicketKeysBuilder::Result TicketKeysBuilder::prepare(const v1::Offer& offer) const {
  Result result;
  StreamState state;
  result.outcome = entries_.prepare(offer, result.delta, state, result.diagnostics);
  if (result.outcome != PrepareOutcome::kReady) return result;
  result.outcome = PrepareOutcome::kRefused;
  auto next = std::make_shared<TicketKeys>();
  next->state_ = state;
  std::map<EntryKey, EntrySet::Bytes> all = entries_.entries();
  for (const auto& [key, bytes] : result.delta) all[key] = bytes;
  for (const auto& [key, bytes] : all) {
    if (bytes && !read_ticket_key(key, *bytes, next->keys_.emplace_back(), result.diagnostics)) return result;
  }
  std::sort(next->keys_.begin(), next->keys_.end(), [](const TicketKey& a, const TicketKey& b) { return a.not_before > b.not_before; });
  result.outcome = PrepareOutcome::kReady;
  result.keys = std::move(next);
  return result;
}

void TicketKeysBuilder::commit(Result result) {
  StreamState state = result.keys->state_;
  keys_ = std::move(result.keys);
  entries_.commit(std::move(result.delta), state);
}

}  // namespace gw
