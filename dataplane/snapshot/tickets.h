// Keys that session tickets are sealed and opened with, the same on every node, made and replaced by the control plane.
// Immutable, any thread. A stream of its own.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/diagnostic.h"
#include "dataplane/snapshot/entry.h"

namespace gw {

struct TicketKey {
  std::array<uint8_t, 16> name{};    // stands in the ticket
  std::array<uint8_t, 64> secret{};  // 32 for AES-256, 32 for HMAC-SHA-256
  int64_t not_before = 0;            // Unix seconds
  int64_t not_after = 0;

  bool in_force(int64_t wall_s) const { return not_before <= wall_s && wall_s < not_after; }
};

class TicketKeys {
 public:
  // Most keys; beyond it an offer is refused (GW3006).
  static constexpr size_t kMax = 64;

  // There are none. Shared by all, never null.
  static const std::shared_ptr<const TicketKeys>& none();

  uint64_t version() const { return state_.version; }
  // Newest `not_before` first.
  const std::vector<TicketKey>& keys() const { return keys_; }
  // The newest that is in force: new tickets are sealed with it. Null: none, so no tickets.
  const TicketKey* sealing(int64_t wall_s) const;
  // Of a ticket that carries `name`, if it is still to be opened; null: not, a full handshake follows. One whose `not_before` is
  // ahead opens too: another node's clock may be ahead of this one's.
  const TicketKey* opening(std::string_view name, int64_t wall_s) const;

 private:
  friend class TicketKeysBuilder;
  StreamState state_;
  std::vector<TicketKey> keys_;
};

// Prepares on the side, then commits, as SwitchesBuilder does. Owner: the agent. One thread.
class TicketKeysBuilder {
 public:
  TicketKeysBuilder();

  struct Result {
    PrepareOutcome outcome = PrepareOutcome::kRefused;
    DiagnosticList diagnostics;
    std::shared_ptr<const TicketKeys> keys;  // kReady
    EntrySet::Delta delta;
  };
  Result prepare(const v1::Offer& offer) const;
  // REQUIRES: made by this builder's prepare(), no commit since.
  void commit(Result result);

  const StreamState& state() const { return entries_.state(); }
  // Never null.
  const std::shared_ptr<const TicketKeys>& keys() const { return keys_; }
  v1::Offer whole() const { return entries_.whole(v1::STREAM_TICKETS); }

 private:
  EntrySet entries_;
  std::shared_ptr<const TicketKeys> keys_;
};

}  // namespace gw
