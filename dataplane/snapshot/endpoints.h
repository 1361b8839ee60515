// Targets that were added to Upstreams at run time, as a node holds them. Immutable, any thread. A stream of its own beside the
// configuration: a target that comes or goes makes no new snapshot, and no change of the configuration takes one away, but for
// the end of its Upstream.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "common/base/diagnostic.h"
#include "dataplane/snapshot/config.h"
#include "dataplane/snapshot/entry.h"

namespace gw {

struct AddedTarget {
  UpstreamTarget target;
  int64_t expires_at = 0;  // Unix seconds; 0: never

  bool over(int64_t wall_s) const { return expires_at != 0 && expires_at <= wall_s; }
};

class Endpoints {
 public:
  // Most in all; beyond it an offer is refused (GW3006).
  static constexpr size_t kMax = 10'000;

  // There are none. Shared by all, never null.
  static const std::shared_ptr<const Endpoints>& none();

  uint64_t version() const { return state_.version; }
  // By host:port.
  const std::vector<AddedTarget>& of(uint64_t upstream_uid) const;
  size_t size() const { return size_; }
  // Earliest end of one that is not over at `wall_s`, Unix seconds; 0: none ends.
  int64_t next_end(int64_t wall_s) const;

 private:
  friend class EndpointsBuilder;
  StreamState state_;
  std::map<uint64_t, std::vector<AddedTarget>> targets_;  // by upstream
  size_t size_ = 0;
};

// Prepares on the side, then commits, as SwitchesBuilder does. Owner: the agent. One thread.
class EndpointsBuilder {
 public:
  EndpointsBuilder();

  struct Result {
    PrepareOutcome outcome = PrepareOutcome::kRefused;
    DiagnosticList diagnostics;
    std::shared_ptr<const Endpoints> endpoints;  // kReady
    EntrySet::Delta delta;
  };
  Result prepare(const v1::Offer& offer) const;
  // REQUIRES: made by this builder's prepare(), no commit since.
  void commit(Result result);

  const StreamState& state() const { return entries_.state(); }
  // Never null.
  const std::shared_ptr<const Endpoints>& endpoints() const { return endpoints_; }
  v1::Offer whole() const { return entries_.whole(v1::STREAM_ENDPOINTS); }

 private:
  EntrySet entries_;
  std::shared_ptr<const Endpoints> endpoints_;
};

}  // namespace gw
