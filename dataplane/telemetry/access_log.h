// The access log: one JSON line per request.
//
// AccessLogBuffer is a worker's end: a line is formatted by hand into a 64 KiB buffer; no allocation, no lock, no system
// call per line. A full buffer, or one that flush() finds not empty, is handed to AccessLog's writer thread through a
// bounded queue; what does not fit is dropped and counted. Keys, Authorization, cookies and query values are never written.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "dataplane/telemetry/request_record.h"

namespace gw {

struct LogTargetSpec {
  enum class Kind : uint8_t { kNone, kStdout, kFile };
  Kind kind = Kind::kStdout;
  std::string path;  // kFile: absolute, or below the state directory
  friend bool operator==(const LogTargetSpec&, const LogTargetSpec&) = default;
};

struct AccessLogOptions {
  std::string node;
  std::string state_dir;
  // Buffers waiting to be written, all workers together.
  size_t queue_max = 256;
};

struct LogBlock;  // access_log.cc

// Owner: the node; outlives the buffers. Any thread.
class AccessLog {
 public:
  explicit AccessLog(AccessLogOptions options);
  ~AccessLog();  // writes what is queued

  // A number for `target`, the same for the same target; at most 64 targets, the rest shares stdout. Opened at first use,
  // appended to. Call when a snapshot is prepared, so that a file that cannot be opened is an error there.
  absl::Status open(const LogTargetSpec& target, uint32_t& id);
  // Reopens files by name (after logrotate moved them): call on SIGHUP.
  void reopen();
  // Returns when everything queued before is written.
  void sync();

  uint64_t dropped_lines() const;
  const std::string& node() const { return options_.node; }

  // For AccessLogBuffer. Takes the block if the queue has room, and always gives an empty one back.
  std::unique_ptr<LogBlock> exchange(std::unique_ptr<LogBlock> full);

 private:
  struct Target;
  void run();
  void write(const LogBlock& block);

  const AccessLogOptions options_;
  mutable std::mutex mu_;
  std::condition_variable wake_, idle_;
  std::vector<std::unique_ptr<Target>> targets_;
  std::vector<std::unique_ptr<LogBlock>> queue_, free_;
  bool stop_ = false, reopen_ = false, busy_ = false;
  uint64_t dropped_lines_ = 0;
  std::thread thread_;
};

// Owner and thread: the worker.
class AccessLogBuffer {
 public:
  static constexpr size_t kBytes = 65536;
  static constexpr size_t kMaxLine = 8192;  // longer values are cut

  explicit AccessLogBuffer(AccessLog& log);
  ~AccessLogBuffer();  // hands over what is left

  // `target`: from AccessLog::open; UINT32_MAX writes nothing.
  void write(const RequestRecord& r, uint32_t target);
  // Call once a second.
  void flush();

 private:
  AccessLog& log_;
  std::unique_ptr<LogBlock> block_;
  int64_t second_ = -1;       // of the cached time text
  char time_[24];             // 2026-01-15T12:00:00
};

// One line with its newline into `out` (kMaxLine bytes); returns its length. `time`: "2026-01-15T12:00:00".
size_t format_access_line(const RequestRecord& r, std::string_view node, std::string_view time, char* out);

}  // namespace gw
