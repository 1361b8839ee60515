// Usage, counted so that a killed process loses nothing that was counted.
//
// UsageSpool: the node's spool files in its state directory, one per worker and process, mapped into memory (usage_file.h).
// Each table of a file is one batch, named (boot, sequence) for ever by the numbers that were written into it before its
// first cell. The worker adds to the active table; sealed ones are sent and kept until they are acknowledged. Files that
// earlier processes left hold sealed tables only; they are sent under their own numbers, and removed when acknowledged.
// (Each file has a boot number of its own, so that workers need no common sequence.)
//
// UsageMeter: a worker's end of its file. The counting path is one hash look-up and plain additions in the mapped page: no
// lock, no system call. The page cache outlives the process; a cell counts only when all of its key is there, and bytes are
// added before the request is, so a kill at any instruction leaves at most that one request uncounted.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "dataplane/telemetry/request_record.h"
#include "dataplane/telemetry/usage_file.h"
#include "gw/v1/telemetry.pb.h"

namespace gw {

// Owner: the spool. Thread: the worker's.
class UsageMeter {
 public:
  explicit UsageMeter(UsageFile& file);
  UsageMeter(const UsageMeter&) = delete;
  UsageMeter& operator=(const UsageMeter&) = delete;

  // Adds a record that is `metered`; others are not looked at. What finds no place (the spool's limit, a full disk) is lost
  // and counted as that.
  void record(const RequestRecord& r);
  // Ends the active table, if anything is in it, so that it can be sent; but not while kSealedAhead tables wait to be
  // acknowledged. False: something is left unsealed.
  static constexpr uint64_t kSealedAhead = 4;
  bool seal();

  uint64_t events() const { return events_; }  // records added or lost
  uint64_t lost() const { return lost_; }

 private:
  static constexpr uint32_t kBuckets = 2 * UsageTable::kCells;

  UsageSlot* find(const UsageSlot& key);
  bool next_table();

  UsageFile& file_;
  UsageTable* table_ = nullptr;                // active; null: none was free
  std::array<uint16_t, kBuckets> buckets_{};   // hash -> slot + 1, of the active table
  int64_t hour_ = 0;
  int64_t hour_start_ns_ = 0;
  uint64_t events_ = 0;
  uint64_t lost_ = 0;
};

struct UsageSpoolOptions {
  std::string dir;  // exists; files `usage-<boot, hex>.spool`
  size_t workers = 1;
  // Most bytes of one worker's file; a table of 4,096 cells takes 388 KiB. Disk is taken as it is needed.
  size_t file_bytes_max = size_t{96} << 20;
  // An earlier process still drains in this directory: its files are left to it, and taken over when it has ended.
  bool beside_another = false;
};

// Owner: the node. One thread at a time (the usage client's); the meters are the workers', who must have ended before the
// spool does.
class UsageSpool {
 public:
  static constexpr size_t kMaxOldFiles = 512;  // more wait on disk for the next start

  // Creates the files of this process and takes over those that earlier ones left. A damaged old file is set aside as
  // `*.damaged` and named in problems(). Errors: another process uses the directory, no room, not writable.
  static absl::StatusOr<std::unique_ptr<UsageSpool>> open(UsageSpoolOptions options);
  ~UsageSpool();  // removes files that have nothing left to send

  UsageMeter& meter(size_t worker) { return *meters_[worker]; }

  // The lowest sealed batches of each boot whose sequence is above that in `sent` (boot -> sequence), in order; at most
  // `max` in all.
  std::vector<v1::UsageBatch> sealed(const std::map<uint64_t, uint64_t>& sent, size_t max) const;
  // The receiver has applied every batch of `boot` up to `sequence`: their places are free again.
  void acknowledged(uint64_t boot, uint64_t sequence);
  // Makes room ahead of need. Call now and then, off the workers. Error: the disk or the spool is full.
  absl::Status maintain();

  uint64_t unacknowledged_batches() const;  // sealed ones
  uint64_t unacknowledged_cells() const;
  const std::vector<std::string>& problems() const { return problems_; }

 private:
  UsageSpool() = default;
  absl::Status take_over(const std::string& dir);
  absl::Status take_over_file(const std::string& path);
  void take_over_left();

  bool beside_another_ = false;
  std::vector<std::string> in_use_;  // paths of another process's files

  std::vector<std::unique_ptr<UsageFile>> files_;  // this process's
  std::vector<std::unique_ptr<UsageFile>> old_;
  std::vector<std::unique_ptr<UsageMeter>> meters_;
  std::vector<std::string> problems_;
};

}  // namespace gw
