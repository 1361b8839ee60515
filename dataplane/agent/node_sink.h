// What the agent asks of the node that it configures. Implemented by dataplane/node; tests use a fake.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "gw/v1/config_sync.pb.h"

namespace gw {

class Snapshot;   // dataplane/snapshot
class Directory;  // dataplane/snapshot
class QuotaView;  // dataplane/snapshot
class Switches;   // dataplane/snapshot
class Endpoints;  // dataplane/snapshot
class CertificateTable;  // dataplane/snapshot
class TicketKeys;        // dataplane/snapshot

// All calls come from the agent's thread, one after another. The sink outlives ConfigAgent::stop().
//
// Order for one version: prepare, then either activate or abandon. A version is prepared only after the one before it was
// activated or abandoned.
class NodeSink {
 public:
  virtual ~NodeSink() = default;

  // Makes ready for `snapshot` whatever may fail: opens its listening sockets, on every worker, without serving from them
  // yet. On failure nothing is left open, and the status carries Diagnostics (gw::to_status) that name listener, address
  // and port: the version is refused with them. May block for as long as binding takes.
  virtual absl::Status prepare(std::shared_ptr<const Snapshot> snapshot) = 0;

  // Puts the prepared snapshot into force. Returns when every worker routes new requests by it. When the last exchange on
  // the snapshot before it has ended (at once, if there is none), the node calls ConfigAgent::drained with *that* one's
  // version.
  virtual void activate(std::shared_ptr<const Snapshot> snapshot) = 0;

  // The prepared version will not be activated: closes what only it needs.
  virtual void abandon(uint64_t version) = 0;

  // In force on every worker when these return.
  virtual void directory(std::shared_ptr<const Directory> directory) = 0;
  virtual void quota(std::shared_ptr<const QuotaView> quota) = 0;
  virtual void switches(std::shared_ptr<const Switches> switches) = 0;
  virtual void endpoints(std::shared_ptr<const Endpoints> endpoints) = 0;
  virtual void tickets(std::shared_ptr<const TicketKeys> keys) = 0;
  // The same, unless they cannot be served from: then the status carries Diagnostics, the version is refused with them, and what
  // was there before stays in force.
  virtual absl::Status certificates(std::shared_ptr<const CertificateTable> table) = 0;

  // What is bound now, for Hello and Ack.
  virtual std::vector<v1::BoundListener> listeners() = 0;
};

}  // namespace gw
