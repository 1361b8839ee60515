// What the store hands to the push: one stream's new set of entries, and how it differs from the one before. Values are
// immutable and shared; any thread.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "dataplane/snapshot/entry.h"
#include "gw/v1/config_sync.pb.h"
#include "gw/v1/snapshot.pb.h"

namespace gw {

// An entry as it was made: its bytes never change.
struct EntryData {
  EntryKey key;
  std::string bytes;
  Digest hash;                           // SHA-256(kind, uid, bytes)
  std::vector<EntryKey> references;      // entries that it needs: which Gateways an entry belongs to follows from these
  std::vector<std::string> capabilities; // what a node must understand
  std::string object;                    // "Route attendees/attendees", for messages
};
using EntryPtr = std::shared_ptr<const EntryData>;
using EntryTable = std::map<EntryKey, EntryPtr>;

struct GatewayNeeds;
using CertificateNeeds = std::map<EntryKey, GatewayNeeds>;  // certificate_needs.h

struct Publication {
  v1::Stream stream = v1::STREAM_UNSPECIFIED;
  Lineage lineage{};
  uint64_t version = 0;
  uint64_t previous = 0;  // version that upserts and removals start from; 0 at start-up
  std::shared_ptr<const EntryTable> entries;
  std::vector<EntryPtr> upserts;
  std::vector<EntryKey> removals;
  uint64_t needs_directory = 0;  // config: directory version that nodes must have first
  uint64_t needs_certificates = 0;  // config: the same of the certificates
  // config, certificates: who needs what, with this version's configuration. Null: nobody anything.
  std::shared_ptr<const CertificateNeeds> needs;
};

// Implemented by push; called by the server after the store's transaction has committed, in version order per stream.
// Returns at once.
class Publisher {
 public:
  virtual ~Publisher() = default;
  virtual void publish(Publication publication) = 0;
};

struct NodeStateRecord {
  std::string node;
  uint64_t version = 0;
  v1::NodeState state = v1::NODE_STATE_UNSPECIFIED;
  std::vector<v1::Diagnostic> diagnostics;
  int64_t build_micros = 0;
  int64_t at_ms = 0;  // wall
};

// Implemented by the server over the store: keeps states and phases. Called from push's threads; must only queue.
class RolloutLog {
 public:
  virtual ~RolloutLog() = default;
  virtual void node_state(NodeStateRecord record) = 0;
  // phase: offered, activating, active, refused, superseded, no-nodes.
  virtual void phase(uint64_t version, std::string phase) = 0;
};

}  // namespace gw
