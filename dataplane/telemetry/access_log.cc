#include "dataplane/telemetry/access_log.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>

#include "common/base/status.h"
#include "dataplane/snapshot/config.h"

namespace gw {
namespace {

constexpr int kStallMs = 1000;

bool is_regular(int fd) {
  struct stat info {};
  return ::fstat(fd, &info) == 0 && S_ISREG(info.st_mode);
}

}  // namespace

AccessLog::AccessLog(AccessLogOptions options) : options_(std::move(options)) {
  targets_.push_back(Target{{}, 1, !is_regular(1)});  // stdout
  thread_ = std::thread([this] { run(); });
}

AccessLog::~AccessLog() {
  {
    std::lock_guard lock(mu_);
    stop_ = true;
  }
  wake_.notify_all();
  thread_.join();
  for (const Target& target : targets_) {
    if (!target.path.empty() && target.fd >= 0) ::close(target.fd);
  }
}

std::string AccessLog::path_of(const AccessLogConfig& config) const {
  if (config.to != AccessLogConfig::To::kFile) return {};
  return config.file.starts_with('/') ? config.file : options_.state_dir + "/" + config.file;
}

uint32_t AccessLog::find_path(const std::string& path) const {
  for (size_t i = 0; i < targets_.size(); ++i) {
    if (targets_[i].path == path) return static_cast<uint32_t>(i);
  }
  return kNowhere;
}

absl::StatusOr<uint32_t> AccessLog::open(const AccessLogConfig& config) {
  if (config.to == AccessLogConfig::To::kNone) return kNowhere;
  std::string path = path_of(config);
  std::lock_guard lock(mu_);
  uint32_t found = find_path(path);
  if (found != kNowhere) return found;
  if (targets_.size() >= kMaxTargets) {
    return resource_exhausted("more than " + std::to_string(kMaxTargets) + " access log files since start");
  }
  int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
  if (fd < 0) return errno_status("access log " + path, errno);
  targets_.push_back(Target{std::move(path), fd, !is_regular(fd)});
  return static_cast<uint32_t>(targets_.size() - 1);
}

uint32_t AccessLog::find(const AccessLogConfig& config) const {
  if (config.to == AccessLogConfig::To::kNone) return kNowhere;
  std::lock_guard lock(mu_);
  uint32_t found = find_path(path_of(config));
  return found != kNowhere ? found : 0;
}

void AccessLog::reopen() {
  {
    std::lock_guard lock(mu_);
    reopen_ = true;
  }
  wake_.notify_all();
}

void AccessLog::sync() {
  std::unique_lock lock(mu_);
  wake_.notify_all();
  idle_.wait(lock, [this] { return queue_.empty() && !busy_ && !reopen_; });
}

uint64_t AccessLog::dropped_lines() const {
  std::lock_guard lock(mu_);
  return dropped_lines_;
}

std::unique_ptr<LogBlock> AccessLog::exchange(std::unique_ptr<LogBlock> full) {
  std::unique_ptr<LogBlock> empty;
  {
    std::lock_guard lock(mu_);
    if (full && full->lines > 0) {
      if (queue_.size() >= options_.queue_max) {
        dropped_lines_ += full->lines;
        empty = std::move(full);
      } else {
        queue_.push_back(std::move(full));
      }
    }
    if (!empty && !free_.empty()) {
      empty = std::move(free_.back());
      free_.pop_back();
    }
  }
  wake_.notify_one();
  if (!empty) empty.reset(new LogBlock);  // not zeroed
  empty->lines = 0;
  empty->used = 0;
  return empty;
}

void AccessLog::run() {
  std::unique_lock lock(mu_);
  while (true) {
    wake_.wait(lock, [this] { return stop_ || reopen_ || !queue_.empty(); });
    if (reopen_) {
      reopen_files();
      reopen_ = false;
    }
    if (queue_.empty()) {
      idle_.notify_all();
      if (stop_) return;
      continue;
    }
    std::unique_ptr<LogBlock> block = std::move(queue_.front());
    queue_.pop_front();
    const Target target = targets_[block->target < targets_.size() ? block->target : 0];
    busy_ = true;
    lock.unlock();
    bool written = write(*block, target.fd, target.may_stall);
    lock.lock();
    busy_ = false;
    if (!written) dropped_lines_ += block->lines;
    if (!written && stop_) {  // nobody reads: do not hold up the end
      for (const auto& waiting : queue_) dropped_lines_ += waiting->lines;
      queue_.clear();
    }
    if (free_.size() < 16) free_.push_back(std::move(block));
    if (queue_.empty()) idle_.notify_all();
  }
}

// REQUIRES: mu_ is held. Rare, and only the writer thread waits for the disk with it.
void AccessLog::reopen_files() {
  for (Target& target : targets_) {
    if (target.path.empty()) continue;
    int fd = ::open(target.path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
    if (fd < 0) continue;  // goes on in the old file
    ::close(target.fd);
    target.fd = fd;
  }
}

bool AccessLog::write(const LogBlock& block, int fd, bool may_stall) const {
  size_t done = 0;
  while (done < block.used) {
    size_t piece = block.used - done;
    if (may_stall) {
      piece = std::min<size_t>(piece, PIPE_BUF);  // what is free when poll says so
      pollfd waiting{fd, POLLOUT, 0};
      if (::poll(&waiting, 1, kStallMs) <= 0) return false;
    }
    ssize_t n = ::write(fd, block.data + done, piece);
    if (n >= 0) done += static_cast<size_t>(n);
    else if (errno != EINTR && errno != EAGAIN) return false;
  }
  return true;
}

void AccessLogBuffer::write(const RequestRecord& r, uint32_t target) {
  if (target >= AccessLog::kMaxTargets) return;
  if (target >= blocks_.size()) blocks_.resize(target + 1);
  std::unique_ptr<LogBlock>& block = blocks_[target];
  if (!block || block->used + kMaxLine > LogBlock::kBytes) {
    block = log_.exchange(std::move(block));
    block->target = target;
  }
  int64_t second = r.wall_ns / 1'000'000'000;
  if (second != second_) {
    second_ = second;
    format_utc(second, time_);
  }
  block->used += format_access_line(r, log_.node(), {time_, 19}, block->data + block->used);
  ++block->lines;
}

void AccessLogBuffer::flush() {
  for (size_t i = 0; i < blocks_.size(); ++i) {
    if (!blocks_[i] || blocks_[i]->lines == 0) continue;
    blocks_[i] = log_.exchange(std::move(blocks_[i]));
    blocks_[i]->target = static_cast<uint32_t>(i);
  }
}

}  // namespace gw
