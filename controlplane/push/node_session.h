// What the push knows of one node. A value, on the push's thread.
#pragma once

#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "controlplane/push/groups.h"
#include "controlplane/push/node_link.h"
#include "gw/v1/admin.pb.h"
#include "gw/v1/config_sync.pb.h"

namespace gw {

// One of the streams that are activated at once: all but config.
struct StreamProgress {
  uint64_t sent = 0;  // what the node holds once it has read everything; 0: unknown, the whole is next
  uint64_t applied = 0;
  bool sent_whole = false;  // the last offer was whole
  uint64_t refused = 0;     // version that the node refused last, and why
  std::vector<v1::Diagnostic> why;
};

struct NodeSession {
  std::string name;
  std::shared_ptr<NodeLink> link;  // null: not connected
  bool leased = false;
  int64_t lease_ends_ms = 0;  // monotonic
  int64_t last_seen_wall_ms = 0;
  int64_t certificate_ends = 0;  // Unix seconds, of the one that the link began with; 0: it has none

  // Of its last Hello.
  std::string zone, build, admin;
  Labels labels;
  std::set<std::string> capabilities;
  std::vector<v1::BoundListener> listeners;

  std::shared_ptr<Group> group;
  uint64_t config_base = 0;    // config version that the next offer may start from; 0: the whole is next
  uint64_t config_active = 0;  // as it said
  StreamProgress directory, quota, switches, endpoints, certificates, tickets;
  // Of the certificates stream: what the node's Gateways need, and no more. Shared by nodes that came here by the same steps.
  std::set<EntryKey> needed;
  std::shared_ptr<VersionedSet> certificates_set;

  uint64_t config_bytes_pushed = 0;
  uint64_t offers_whole = 0;
  uint64_t offers_delta = 0;
};

}  // namespace gw
