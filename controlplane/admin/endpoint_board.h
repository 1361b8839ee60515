// Targets that were added to Upstreams at run time. Records in the store with a stream of their own; a configuration version
// never says anything of them. They go with their Upstream.
//
// Owner: the Server. Thread-safe: one change at a time under a mutex. No call waits for a node.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/clock.h"
#include "controlplane/admin/record_stream.h"
#include "controlplane/store/database.h"
#include "controlplane/store/endpoints.h"
#include "gw/v1/admin.pb.h"

namespace gw {

class EndpointBoard {
 public:
  EndpointBoard(Database& db, const Clock& clock) : db_(db), clock_(clock), stream_(v1::STREAM_ENDPOINTS, db) {}

  // Reads what there is, forgets what has no Upstream, and publishes; later changes go there too.
  using Exists = std::function<bool(uint64_t upstream_uid)>;
  absl::Status start(Publisher& publisher, const Exists& exists);
  // From now on nothing is published.
  void stop();

  struct Change {
    v1::EndpointChange kind = v1::ENDPOINT_CHANGE_UNSPECIFIED;
    uint64_t upstream = 0;  // uid
    std::string name;       // owner/name of the Upstream
    size_t max = 0;         // of this Upstream
    std::vector<EndpointRow> targets;  // address, weight, zone, priority, expires_at are looked at
    std::string actor, message;
  };
  struct Outcome {
    int added = 0, changed = 0, removed = 0;
    uint64_t version = 0;  // of the stream, with it
  };
  // All of it in one transaction and one version, or nothing. NOT_FOUND: one to remove is not there. RESOURCE_EXHAUSTED: more
  // than `max` of the Upstream, or Endpoints::kMax in all.
  absl::StatusOr<Outcome> change(const Change& change);
  // Those whose Upstream is gone go.
  absl::Status forget_gone(const Exists& exists);

  // What has not run out, by upstream and address; of one Upstream, or of all (0).
  std::vector<EndpointRow> all(uint64_t upstream = 0) const;
  uint64_t version() const;

 private:
  using Key = std::pair<uint64_t, std::string>;
  struct Step {
    std::map<Key, EndpointRow> puts;
    std::vector<EndpointRow> gone;
  };

  static Key key_of(const EndpointRow& row) { return {row.upstream, row.address}; }
  bool over(const EndpointRow& row) const { return row.expires_at != 0 && row.expires_at <= now_s(); }
  int64_t now_s() const { return clock_.wall_ns() / 1'000'000'000; }
  absl::Status check_room(const Change& change, const Step& step) const;
  absl::Status commit(Step step, const std::string& actor, const std::string& action, const std::string& object, const std::string& message);

  Database& db_;
  const Clock& clock_;
  mutable std::mutex mutex_;
  std::map<Key, EndpointRow> rows_;
  RecordStream stream_;
};

v1::EndpointInfo to_info(const EndpointRow& row);

}  // namespace gw
