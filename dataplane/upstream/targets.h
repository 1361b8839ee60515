// Which targets an upstream has on this node: those of the configuration, those that were found, those added at run time. No
// I/O, any thread.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "dataplane/loop/srv_reply.h"
#include "dataplane/snapshot/config.h"

namespace gw {

class Switches;

// What the node knows of an upstream beyond its configuration. Immutable; made by Discovery.
struct FoundTargets {
  // Of targets whose host is a name, by authority.
  std::map<std::string, std::shared_ptr<const NameAddresses>, std::less<>> names;
  // By `discovery.dns` or `.srv`, sorted.
  std::vector<UpstreamTarget> found;
  // Null: there was no answer yet. Else empty: nothing was found.
  std::shared_ptr<const NameAddresses> searched;
  std::vector<UpstreamTarget> endpoints;
};

// Either may be null.
bool same_targets(const FoundTargets* a, const FoundTargets* b);

// For all workers of a node and its prober.
struct TargetsChange {
  uint64_t upstream_uid = 0;
  std::shared_ptr<const FoundTargets> found;  // null: nothing is known any more
};

// host:port, brackets around IPv6.
std::string authority_of(const std::string& host, uint16_t port);

// The static ones first; each host:port once. `found` may be null. Targets that an operator has drained have weight 0. Where a
// search has brought nothing and there is nothing else, its name itself is a target (kAwaited), so that requests wait for its
// answer, and fail by it.
std::vector<UpstreamTarget> merge_targets(const UpstreamConfig& config, const FoundTargets* found, const Switches& switches);

// One target for each SRV record. Priorities keep their order. Weights keep their proportion; 0 is the smallest share there is,
// as RFC 2782 wants, and an even one where all have it.
std::vector<UpstreamTarget> srv_targets(const std::string& name, const std::vector<SrvRecord>& records);

}  // namespace gw
