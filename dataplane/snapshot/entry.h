// Entries {kind, uid, bytes} and their digest: what the streams carry (proto/gw/v1/snapshot.proto).
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/diagnostic.h"
#include "gw/v1/config_sync.pb.h"
#include "gw/v1/snapshot.pb.h"

namespace gw {

using Digest = std::array<uint8_t, 32>;  // little-endian sum modulo 2^256
using Lineage = std::array<uint8_t, 16>;

struct EntryKey {
  v1::EntryKind kind = v1::ENTRY_KIND_UNSPECIFIED;
  uint64_t uid = 0;
  friend auto operator<=>(const EntryKey&, const EntryKey&) = default;
};

// Limits of one stream's set; beyond them an offer is refused (GW3006).
struct EntryLimits {
  size_t entries = 4'000'000;
  size_t entry_bytes = 1 << 20;
  size_t total_bytes = size_t{2} << 30;
};

// What a node holds of one stream.
struct StreamState {
  Lineage lineage{};
  uint64_t version = 0;  // 0: nothing yet
  Digest digest{};
};

enum class PrepareOutcome : uint8_t {
  kReady,
  kRefused,   // diagnostics say which object and field
  kMismatch,  // base or digest is not what was promised: ask for the whole
};

// The bytes of one stream's entries, and what an offer would make of them. One thread.
class EntrySet {
 public:
  using Bytes = std::shared_ptr<const std::string>;
  // Changed entries by key; null: removed.
  using Delta = std::map<EntryKey, Bytes>;

  explicit EntrySet(EntryLimits limits = {}) : limits_(limits) {}

  // Works out what `offer` changes and checks base, digest and limits; changes nothing. A removal of what is not there, or
  // an upsert of equal bytes, is no error. For a whole (base 0) the delta is against what is held.
  PrepareOutcome prepare(const v1::Offer& offer, Delta& delta, StreamState& state, DiagnosticList& diagnostics) const;
  // REQUIRES: no commit since the prepare that made `delta`.
  void commit(Delta delta, const StreamState& state);

  const StreamState& state() const { return state_; }
  const std::map<EntryKey, Bytes>& entries() const { return entries_; }
  Bytes find(const EntryKey& key) const;
  size_t bytes() const { return bytes_; }
  // Everything as an Offer with base 0 and `activate`: what last known good stores and a builder starts from.
  v1::Offer whole(v1::Stream stream) const;

 private:
  EntryLimits limits_;
  StreamState state_;
  std::map<EntryKey, Bytes> entries_;
  size_t bytes_ = 0;
};

// Parses an entry's body and refuses what this build does not know: unknown fields and enum values at any depth, an unset
// required oneof, a rule of options.proto `exactly_one` that is broken. `label` gets kind and owner/name as far as known.
// GW3001 unreadable, GW3002 unknown field, GW3003 unknown value, GW3004 unset oneof.
bool parse_entry(const EntryKey& key, const std::string& bytes, google::protobuf::Message& out, ObjectLabel& label,
                 DiagnosticList& diagnostics);

// "Route", "Gateway", …
std::string_view kind_name(v1::EntryKind kind);
// An empty message of the entry's type; null for an unknown kind.
std::unique_ptr<google::protobuf::Message> new_entry(v1::EntryKind kind);

// What a node must understand to hold this entry: `RouteEntry.split`, `Split.stickyBy`, `StickyBy.STICKY_BY_COOKIE` for
// each field that is set and each enum value, at any depth; sorted, without doubles.
std::vector<std::string> capabilities_of(const google::protobuf::Message& entry);
// The same from an entry's bytes; empty where they cannot be read.
std::vector<std::string> capabilities_of(v1::EntryKind kind, std::string_view bytes);
// Everything that this build understands, from the descriptors of all entries. Sorted.
const std::vector<std::string>& all_capabilities();

}  // namespace gw
