// The control plane's database in its state directory. One connection writes, under a mutex and one transaction at a time;
// a few others read. What write() acknowledged is on the disk. Thread-safe.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/clock.h"
#include "controlplane/snapshot/publication.h"
#include "controlplane/store/sqlite.h"
#include "controlplane/store/state_dir.h"

namespace gw {

class Database {
 public:
  using Fn = std::function<absl::Status(Connection&)>;
  // Most connections that read at once; further readers wait.
  static constexpr size_t kReadersMax = 8;

  // Makes directory and database, with a new lineage. ALREADY_EXISTS when there is one.
  static absl::StatusOr<std::unique_ptr<Database>> create(const std::string& dir, const Clock& clock);
  // NOT_FOUND (run init), UNAVAILABLE (another control plane has it), DATA_LOSS (damaged; the file is left as it is),
  // FAILED_PRECONDITION (written by a newer program).
  static absl::StatusOr<std::unique_ptr<Database>> open(const std::string& dir, const Clock& clock);

  // One transaction: all of `fn`, durably, or nothing. RESOURCE_EXHAUSTED on a full disk.
  absl::Status write(const Fn& fn);
  // One consistent state.
  absl::Status read(const Fn& fn);

  // Changes only in renew_lineage().
  Lineage lineage() const;
  // What was found at open(): not empty when a backup had been restored, and the lineage is new.
  const std::string& restored_notice() const { return restored_notice_; }
  // Declares this database another life of itself: a version with a new lineage, beyond the numbers that nodes may know.
  absl::Status renew_lineage(const std::string& why, uint64_t version_at_least, uint64_t directory_at_least);

  const StatePaths& paths() const { return paths_; }

 private:
  Database(StatePaths paths, StateLock lock, const Clock& clock)
      : paths_(std::move(paths)), lock_(std::move(lock)), clock_(clock) {}
  absl::Status check_undamaged();
  absl::Status connect(bool create);
  absl::Status recognize();
  absl::Status keep_high_water(bool force);
  absl::StatusOr<HighWater> numbers(Connection& db) const;

  const StatePaths paths_;
  StateLock lock_;
  const Clock& clock_;
  std::string restored_notice_;

  std::mutex write_mutex_;
  std::unique_ptr<Connection> writer_;
  HighWater mark_;  // as in the file; under write_mutex_

  mutable std::mutex lineage_mutex_;
  Lineage lineage_{};

  std::mutex read_mutex_;
  std::condition_variable reader_free_;
  std::vector<std::unique_ptr<Connection>> readers_;
  size_t readers_made_ = 0;
};

}  // namespace gw
