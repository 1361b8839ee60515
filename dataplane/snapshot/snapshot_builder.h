// Builds snapshots from the `config` stream, on the side: prepare() makes all that an offer asks for or says what is wrong
// with it, and changes nothing; commit() makes the prepared state the one that the next offer starts from. The node and the
// control plane (dry load of every version) use the same class.
//
// Owner: the agent, or the compiler's user. One thread; the snapshots it makes are for any thread.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include "common/base/diagnostic.h"
#include "dataplane/snapshot/entry.h"
#include "dataplane/snapshot/index_registry.h"
#include "dataplane/snapshot/snapshot.h"

namespace gw {

// What one prepare() did.
struct BuildStats {
  size_t entries_changed = 0;
  size_t routes_built = 0;     // RouteConfigs decoded and compiled
  size_t routes_resolved = 0;  // Routes with limits and chains made (one per gateway that serves it)
  size_t routes_shared = 0;    // Routes taken over from the snapshot before
  size_t apis_built = 0;       // path trees
  size_t policies_built = 0;
  size_t upstreams_built = 0;
  int64_t micros = 0;
  size_t bytes = 0;            // Snapshot::memory_bytes
};

struct BuilderOptions {
  EntryLimits limits{.entries = 1'000'000, .entry_bytes = 1 << 20, .total_bytes = size_t{1} << 30};
  // Makes a policy in place of the registry; null from it: the registry's. For tests.
  std::function<std::unique_ptr<Policy>(const Policy::Info&, const v1::PolicyEntry&)> make_policy;
};

class SnapshotBuilder {
 public:
  explicit SnapshotBuilder(std::shared_ptr<IndexRegistry> indexes = std::make_shared<IndexRegistry>(),
                           BuilderOptions options = {});
  ~SnapshotBuilder();

  class Prepared;  // opaque; may be dropped
  struct Result {
    PrepareOutcome outcome = PrepareOutcome::kRefused;
    DiagnosticList diagnostics;
    std::shared_ptr<const Snapshot> snapshot;  // kReady
    BuildStats stats;
    std::shared_ptr<Prepared> prepared;        // kReady: for commit()
  };

  Result prepare(const v1::Offer& offer) const;
  // REQUIRES: made by this builder's prepare(), no commit since.
  void commit(Result result);

  const StreamState& state() const;
  // As of the last commit; null before the first.
  const std::shared_ptr<const Snapshot>& snapshot() const;
  // Base 0, for last known good.
  v1::Offer whole() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace gw
