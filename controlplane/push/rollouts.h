// What the rest of the control plane may ask of the push: how far a version has come, and which nodes there are. Implemented
// by ConfigPush (config_push.h). Any thread but the push's own; calls return at once.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "controlplane/snapshot/publication.h"
#include "gw/v1/admin.pb.h"

namespace gw {

struct RolloutHeads {
  uint64_t latest = 0;  // newest version published
  uint64_t target = 0;  // the one on its way: pending, or the active one
  uint64_t active = 0;
  std::string latest_phase;  // offered, activating, active, refused, superseded, no-nodes
  uint64_t directory = 0;
  uint64_t switches = 0;
  uint64_t certificates = 0;
};

struct RolloutWatch {
  uint64_t version = 0;            // 0: only the other streams are waited for
  uint64_t directory_version = 0;  // 0: not waited for
  uint64_t switches_version = 0;   // 0: not waited for; else the status tells how far each node is with the switches
  uint64_t endpoints_version = 0;  // the same for the endpoints
  uint64_t certificates_version = 0;  // the same for the certificates; beside a version or the directory it is waited for as well
  v1::WatchRolloutRequest::Until until = v1::WatchRolloutRequest::UNTIL_ACTIVE;
};

class Rollouts {
 public:
  virtual ~Rollouts() = default;

  // Phase and state of each node that is or was asked. Nothing: the version is not among the last kVersionsKept that this
  // process has pushed (ask the store).
  static constexpr size_t kVersionsKept = 256;
  virtual std::optional<v1::RolloutStatus> status(uint64_t version) = 0;

  // Calls `fn` now and after each change, from the push's thread (it must only hand over), the last time with final():
  // refused, superseded, no-nodes, or `until` reached on every node that holds a lease (and the directory applied there).
  // A version that is not known any more (see status) is final at once, with its phase if that is known, else empty.
  using Fn = std::function<void(const v1::RolloutStatus&)>;
  virtual uint64_t watch(const RolloutWatch& what, Fn fn) = 0;
  // After this returns `fn` is not called any more.
  virtual void unwatch(uint64_t id) = 0;

  virtual RolloutHeads heads() = 0;
};

// A node that cannot take an entry.
struct LackingNode {
  std::string node;
  std::string capability;
  std::string object;  // EntryData::object that needs it
};

// What a node with a lease was given of the certificates, and how far it is.
struct CertificateHolder {
  std::string node;
  std::set<EntryKey> entries;
  uint64_t applied = 0;  // version of the stream
};

class NodeDirectory {
 public:
  virtual ~NodeDirectory() = default;
  // Every node that is known, connected or not. connections and usage_unacknowledged are the telemetry's to fill in.
  virtual std::vector<v1::NodeInfo> nodes() = 0;
  // Nodes with a live lease.
  virtual int connected() = 0;
  virtual std::vector<CertificateHolder> certificate_holders() { return {}; }
  // Leased nodes that would have to hold an entry of `entries` which needs a capability that they lack: for apply's exit 8.
  // At most one line per node and capability. `entries`: all config entries as they would be.
  virtual std::vector<LackingNode> lacking(const EntryTable& entries) = 0;
};

}  // namespace gw
