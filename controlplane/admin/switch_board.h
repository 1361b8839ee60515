// Operators' stop switches: which Apis are disabled, which targets drained, which clients blocked. Records in the store with a
// stream of their own; a configuration version never says anything of them, so that no apply and no undo changes one.
//
// Owner: the Server. Thread-safe: one change at a time under a mutex. No call waits for a node.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <tuple>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/clock.h"
#include "controlplane/admin/record_stream.h"
#include "controlplane/store/database.h"
#include "controlplane/store/switches.h"
#include "dataplane/snapshot/switches.h"

namespace gw {

class SwitchBoard {
 public:
  SwitchBoard(Database& db, const Clock& clock) : db_(db), clock_(clock), stream_(v1::STREAM_SWITCHES, db) {}

  // Reads what is stopped and publishes it; later changes go there too.
  absl::Status start(Publisher& publisher);
  // From now on nothing is published.
  void stop();

  struct Change {
    SwitchRow row;        // as it is now, or was
    bool changed = false; // false: it was so already
    uint64_t version = 0; // of the stream, with it
  };
  // Stops what `row` names: kind, name, target, object, message, status, retry_after, actor, expires_at are looked at.
  // RESOURCE_EXHAUSTED: as many of that kind are stopped as can be (Switches::kMaxOfKind).
  absl::StatusOr<Change> put(SwitchRow row);
  // Takes it back; changed is false when it was not stopped.
  absl::StatusOr<Change> remove(v1::SwitchKind kind, const std::string& name, const std::string& target, const std::string& actor,
                                const std::string& message);

  // What has not run out, by kind, name and target.
  std::vector<SwitchRow> all() const;
  uint64_t version() const;
  // The same as nodes hold it, for explain.
  std::shared_ptr<const Switches> view() const;

 private:
  using Key = std::tuple<int, std::string, std::string>;
  static Key key_of(const SwitchRow& row) { return {row.kind, row.name, row.target}; }
  bool over(const SwitchRow& row) const { return row.expires_at != 0 && row.expires_at <= now_s(); }
  int64_t now_s() const { return clock_.wall_ns() / 1'000'000'000; }
  absl::Status commit(const std::vector<SwitchRow>& puts, const std::vector<SwitchRow>& removals, const char* action,
                      const SwitchRow& about);

  Database& db_;
  const Clock& clock_;
  mutable std::mutex mutex_;
  std::map<Key, SwitchRow> rows_;
  RecordStream stream_;
};

v1::SwitchInfo to_info(const SwitchRow& row);

}  // namespace gw
