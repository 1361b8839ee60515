// Usage, counted so that a killed process loses nothing that was counted.
//
// UsageSpool: the node's spool files in its state directory, one per worker and process, mapped into memory. A file is a
// row of tables; each table is one batch, named (boot, sequence) for ever by the numbers that were written into it before
// its first cell. A table goes free -> active (the worker adds to it) -> sealed (sent, and kept until acknowledged) -> free.
// Files of earlier processes hold sealed tables only; they are sent under their own numbers and removed when acknowledged.
//
// UsageMeter: a worker's end of its file. The counting path is one hash look-up and plain additions in the mapped page:
// no lock, no system call, no atomic. Page cache outlives the process; the order of stores is such that a cell counts only
// when all of its key is there, and bytes are added before requests (usage_file.h).
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "dataplane/telemetry/request_record.h"
#include "gw/v1/telemetry.pb.h"

namespace gw {

class UsageFile;  // usage_file.h

// Owner: the spool. Thread: the worker's, but for what is said to be otherwise.
class UsageMeter {
 public:
  explicit UsageMeter(UsageFile& file);
  ~UsageMeter();

  // Adds a metered record; others are not looked at. What finds no place (the spool's limit, a full disk) is counted as lost.
  void record(const RequestRecord& r);
  // Ends the active table, if anything is in it, so that it can be sent.
  void seal();

  uint64_t lost() const { return lost_; }
  uint64_t events() const { return events_; }

 private:
  struct Key;
  void add(const Key& key, const RequestRecord& r);
  bool next_table();

  UsageFile& file_;
  unsigned char* table_ = nullptr;  // active table, mapped; null: none was free
  std::vector<uint32_t> index_;     // hash -> cell + 1; of the active table, kept outside of the mapping
  uint32_t cells_ = 0;
  int64_t hour_ = 0;
  int64_t hour_end_ns_ = 0;
  uint64_t lost_ = 0;
  uint64_t events_ = 0;
};

struct UsageSpoolOptions {
  std::string dir;  // exists; files `usage-<boot, hex>.spool`
  size_t workers = 1;
  // Most bytes of one worker's file; a table of 4,096 cells takes 384 KiB.
  size_t file_bytes_max = size_t{96} << 20;
};

// A batch as it is sent; `table` and `file` name its place until it is released.
struct SealedBatch {
  uint64_t boot = 0;
  uint64_t sequence = 0;
  v1::UsageBatch batch;
};

// Owner: the node. Thread: any, one at a time; the meters are the workers'.
class UsageSpool {
 public:
  // Creates the files of this process and takes over those that earlier ones left. Errors name file and cure; a damaged old
  // file is set aside as `*.damaged`, never removed.
  static absl::StatusOr<std::unique_ptr<UsageSpool>> open(UsageSpoolOptions options);
  ~UsageSpool();

  UsageMeter& meter(size_t worker);

  // The lowest sealed, unacknowledged batches, at most `max_per_file` of each file, in the order of their sequence.
  std::vector<SealedBatch> sealed(size_t max_per_file) const;
  // The receiver has applied every batch of `boot` up to `sequence`: their places are free again, durably.
  void acknowledged(uint64_t boot, uint64_t sequence);
  // Makes room ahead of need (allocates blocks on disk). Call now and then, off the workers. Error: the disk is full.
  absl::Status maintain();

  // Sealed requests that were not acknowledged, and what old files could not be read (never lost silently).
  uint64_t unacknowledged_batches() const;
  const std::vector<std::string>& problems() const { return problems_; }

 private:
  UsageSpool();

  std::vector<std::unique_ptr<UsageFile>> files_;  // this process's
  std::vector<std::unique_ptr<UsageFile>> old_;
  std::vector<std::unique_ptr<UsageMeter>> meters_;
  std::vector<std::string> problems_;
};

}  // namespace gw
