#include "controlplane/store/state_dir.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>
#include <functional>
#include <nlohmann/json.hpp>
#include <sstream>

#include "common/base/status.h"

namespace gw {
namespace {

absl::Status write_all(int fd, const std::string& text, const std::string& path) {
  size_t at = 0;
  while (at < text.size()) {
    ssize_t n = ::write(fd, text.data() + at, text.size() - at);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return errno_status("write " + path, errno);
    at += static_cast<size_t>(n);
  }
  return ::fsync(fd) == 0 ? absl::OkStatus() : errno_status("fsync " + path, errno);
}

void sync_dir(const std::string& path) {
  std::string dir = path.substr(0, path.find_last_of('/'));
  int fd = ::open(dir.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return;
  ::fsync(fd);
  ::close(fd);
}

// `text` is asked once the file is there, by its descriptor.
absl::Status write_durably(const std::string& path, unsigned mode, const std::function<std::string(int)>& text) {
  std::string temporary = path + ".new";
  // A file of its own each time, with its own time of birth.
  ::unlink(temporary.c_str());
  int fd = ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
  if (fd < 0) return errno_status("open " + temporary, errno);
  absl::Status status =
      ::fchmod(fd, mode) == 0 ? write_all(fd, text(fd), temporary) : errno_status("chmod " + temporary, errno);
  ::close(fd);
  if (status.ok() && ::rename(temporary.c_str(), path.c_str()) != 0) status = errno_status("rename " + temporary, errno);
  if (!status.ok()) {
    ::unlink(temporary.c_str());
    return status;
  }
  sync_dir(path);
  return absl::OkStatus();
}

// Inode and time of birth (where the file system keeps one); empty when it cannot be asked.
std::string identity_of(int fd) {
  struct statx info {};
  if (::statx(fd, "", AT_EMPTY_PATH, STATX_INO | STATX_BTIME, &info) != 0) return "";
  std::string out = std::to_string(info.stx_ino);
  if (info.stx_mask & STATX_BTIME) {
    out += "@" + std::to_string(info.stx_btime.tv_sec) + "." + std::to_string(info.stx_btime.tv_nsec);
  }
  return out;
}

std::string identity_of(const std::string& path) {
  int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return "";
  std::string out = identity_of(fd);
  ::close(fd);
  return out;
}

}  // namespace

StatePaths::StatePaths(std::string d)
    : dir(std::move(d)),
      database(dir + "/gateway.db"),
      lock(dir + "/lock"),
      lineage(dir + "/lineage.json"),
      admin_token(dir + "/admin.token"),
      address(dir + "/address"),
      master_key(dir + "/master.key"),
      ca(dir + "/ca.pem") {}

absl::StatusOr<StateLock> StateLock::take(const std::string& path) {
  int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) return errno_status("open " + path, errno);
  if (::flock(fd, LOCK_EX | LOCK_NB) != 0) {
    char pid[32] = {};
    ssize_t n = ::pread(fd, pid, sizeof pid - 1, 0);
    ::close(fd);
    std::string who = n > 0 ? " (process " + std::string(pid, static_cast<size_t>(n)) + ")" : "";
    return unavailable(path + " is held by another control plane" + who +
                       "; one runs over a state directory: end it, or give another --state");
  }
  std::string pid = std::to_string(::getpid());
  if (::ftruncate(fd, 0) != 0 || ::pwrite(fd, pid.data(), pid.size(), 0) < 0) {
    absl::Status status = errno_status("write " + path, errno);
    ::close(fd);
    return status;
  }
  return StateLock(fd);
}

StateLock& StateLock::operator=(StateLock&& other) noexcept {
  std::swap(fd_, other.fd_);
  return *this;
}

StateLock::~StateLock() {
  if (fd_ >= 0) ::close(fd_);
}

absl::Status write_file_durably(const std::string& path, const std::string& text, unsigned mode) {
  return write_durably(path, mode, [&](int) { return text; });
}

std::optional<HighWater> read_high_water(const std::string& path) {
  std::ifstream in(path);
  std::stringstream text;
  text << in.rdbuf();
  nlohmann::json json = nlohmann::json::parse(text.str(), nullptr, false);
  if (!json.is_object() || !json["lineage"].is_string() || !json["version"].is_number_unsigned() ||
      !json["directory"].is_number_unsigned() || !json["file"].is_string()) {
    return std::nullopt;
  }
  return HighWater{json["lineage"], json["version"], json["directory"], json["file"] != identity_of(path)};
}

absl::Status write_high_water(const std::string& path, const HighWater& mark) {
  nlohmann::json json = {{"lineage", mark.lineage}, {"version", mark.version}, {"directory", mark.directory}};
  return write_durably(path, 0600, [&](int fd) {
    json["file"] = identity_of(fd);
    return json.dump() + "\n";
  });
}

}  // namespace gw
