// The access log: one JSON line per request.
//
// AccessLogBuffer is a worker's end: a line is formatted by hand into a 64 KiB block; no allocation, no lock, no system
// call per line. A full block, and once a second one that is not, is handed to AccessLog's writer thread through a bounded
// queue; what does not fit is dropped and counted. Keys, Authorization, cookies and query values are never written.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "absl/status/statusor.h"
#include "dataplane/telemetry/request_record.h"

namespace gw {

struct AccessLogConfig;  // snapshot/config.h

struct AccessLogOptions {
  std::string node;
  std::string state_dir;  // relative file names are below it
  // Blocks waiting to be written, of all workers together.
  size_t queue_max = 256;
};

struct LogBlock {
  static constexpr size_t kBytes = 65536;
  uint32_t target = 0;
  uint32_t lines = 0;
  size_t used = 0;
  char data[kBytes];
};

// Owner: the node; outlives the buffers. Any thread.
class AccessLog {
 public:
  static constexpr uint32_t kNowhere = UINT32_MAX;
  static constexpr size_t kMaxTargets = 64;

  explicit AccessLog(AccessLogOptions options);
  ~AccessLog();  // writes what is queued

  // The target's number for AccessLogBuffer::write, the same for the same target; kNowhere for `none`. A file is opened here,
  // and appended to. Call when a snapshot is prepared: a file that cannot be opened is an error there, with its name.
  absl::StatusOr<uint32_t> open(const AccessLogConfig& config);
  // The same for what open() has accepted before; never fails, costs a look-up under a lock: for when a snapshot is put in
  // force.
  uint32_t find(const AccessLogConfig& config) const;
  // Opens files anew by their names, after they were moved away: call on SIGHUP.
  void reopen();
  // Returns when what was handed over before is written.
  void sync();

  uint64_t dropped_lines() const;
  const std::string& node() const { return options_.node; }

  // For AccessLogBuffer: takes the block if the queue has room (else drops its lines), and gives an empty one back.
  std::unique_ptr<LogBlock> exchange(std::unique_ptr<LogBlock> full);

 private:
  struct Target {
    std::string path;  // empty: stdout
    int fd = 1;
    // A pipe or terminal: written in pieces that cannot block, so that a reader who stalls costs lines and nothing else.
    bool may_stall = false;
  };
  std::string path_of(const AccessLogConfig& config) const;
  uint32_t find_path(const std::string& path) const;
  void run();
  void reopen_files();
  bool write(const LogBlock& block, int fd, bool may_stall) const;

  const AccessLogOptions options_;
  mutable std::mutex mu_;
  std::condition_variable wake_, idle_;
  std::vector<Target> targets_;
  std::deque<std::unique_ptr<LogBlock>> queue_;
  std::vector<std::unique_ptr<LogBlock>> free_;
  bool stop_ = false, reopen_ = false, busy_ = false;
  uint64_t dropped_lines_ = 0;
  std::thread thread_;
};

// Owner and thread: the worker.
class AccessLogBuffer {
 public:
  static constexpr size_t kMaxLine = 16384;  // values are cut so that no line is longer

  explicit AccessLogBuffer(AccessLog& log) : log_(log) {}
  ~AccessLogBuffer() { flush(); }
  AccessLogBuffer(const AccessLogBuffer&) = delete;
  AccessLogBuffer& operator=(const AccessLogBuffer&) = delete;

  // `target`: from AccessLog::open or find.
  void write(const RequestRecord& r, uint32_t target);
  // Hands over what is there. Call once a second, and at the end.
  void flush();

 private:
  AccessLog& log_;
  std::vector<std::unique_ptr<LogBlock>> blocks_;  // by target
  int64_t second_ = -1;  // of time_
  char time_[20] = {};
};

// "2026-01-15T12:00:00" (19 bytes, UTC) for Unix seconds.
void format_utc(int64_t unix_seconds, char* out);
// One line with its newline into `out` (AccessLogBuffer::kMaxLine bytes); returns its length. `time`: format_utc of it.
size_t format_access_line(const RequestRecord& r, std::string_view node, std::string_view time, char* out);

}  // namespace gw
