// Operators' stop switches as a node holds them: Apis that are disabled, targets that are drained, clients that are blocked.
// Immutable, any thread. A stream of its own beside the configuration: what an operator stops makes no new snapshot, and no
// change of the configuration starts it again.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/diagnostic.h"
#include "common/http/address.h"
#include "dataplane/snapshot/entry.h"

namespace gw {

struct DisabledApi {
  uint64_t uid = 0;          // of the Api
  std::string detail;        // of the answer: "the Api is switched off: MESSAGE"
  int status = 503;          // 400 to 599
  std::string retry_after;   // seconds, decimal; empty: no Retry-After
};

struct DrainedTarget {
  uint64_t upstream = 0;   // uid
  std::string authority;   // host:port, as UpstreamTarget::authority
  friend auto operator<=>(const DrainedTarget&, const DrainedTarget&) = default;
};

struct BlockedClients {
  Cidr cidr;
  int64_t expires_at = 0;  // Unix seconds; 0: never
  std::string detail;      // of the answer: "the client's address is blocked: MESSAGE"
};

class Switches {
 public:
  // Most of each kind; beyond it an offer is refused (GW3006).
  static constexpr size_t kMaxOfKind = 10'000;
  // Longest message, in bytes.
  static constexpr size_t kMaxMessage = 200;

  // Nothing is stopped. Shared by all, never null.
  static const std::shared_ptr<const Switches>& none();

  uint64_t version() const { return state_.version; }
  const Lineage& lineage() const { return state_.lineage; }
  const Digest& digest() const { return state_.digest; }

  // Whether a request must be looked at at all: an Api is disabled or clients are blocked.
  bool any() const { return !apis_.empty() || !ranges_.empty(); }
  // Null: the Api is on. O(log n).
  const DisabledApi* disabled(uint64_t api_uid) const;
  // Null: not blocked at `wall_ns`. Of several blocks the one that lasts longest. O(log n).
  const BlockedClients* blocked(const IpAddress& client, int64_t wall_ns) const;
  // Sorted by upstream and authority.
  const std::vector<DrainedTarget>& drained() const { return drained_; }
  bool drained(uint64_t upstream_uid, std::string_view authority) const;

  size_t apis() const { return apis_.size(); }
  size_t blocks() const { return blocks_.size(); }

 private:
  friend class SwitchesBuilder;
  // Addresses first to last (inclusive) have blocks_[block] as their longest-lasting one.
  struct Range {
    std::array<uint8_t, 16> first, last;
    uint32_t block;
  };
  void index_blocks();

  StreamState state_;
  std::vector<DisabledApi> apis_;       // by uid
  std::vector<DrainedTarget> drained_;  // sorted
  std::vector<BlockedClients> blocks_;
  std::vector<Range> ranges_;  // sorted, disjoint
};

// Prepares on the side, then commits, as DirectoryBuilder does. Owner: the agent. One thread.
class SwitchesBuilder {
 public:
  SwitchesBuilder();

  struct Result {
    PrepareOutcome outcome = PrepareOutcome::kRefused;
    DiagnosticList diagnostics;
    std::shared_ptr<const Switches> switches;  // kReady
    EntrySet::Delta delta;
  };
  Result prepare(const v1::Offer& offer) const;
  // REQUIRES: made by this builder's prepare(), no commit since.
  void commit(Result result);

  const StreamState& state() const { return entries_.state(); }
  // Never null.
  const std::shared_ptr<const Switches>& switches() const { return switches_; }
  v1::Offer whole() const { return entries_.whole(v1::STREAM_SWITCHES); }

 private:
  EntrySet entries_;
  std::shared_ptr<const Switches> switches_;
};

}  // namespace gw
