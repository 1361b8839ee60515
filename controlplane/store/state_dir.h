// The state directory: which files are in it, the lock that lets one control plane run over it, and the high-water mark
// beside the database by which a restored backup is told from the database that it was taken of.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace gw {

struct StatePaths {
  explicit StatePaths(std::string dir);
  std::string dir, database, lock, lineage, admin_token, address, master_key, ca;
};

// Held for as long as the object lives. Movable.
class StateLock {
 public:
  // UNAVAILABLE, naming the other process, when another control plane holds it.
  static absl::StatusOr<StateLock> take(const std::string& path);
  StateLock(StateLock&& other) noexcept : fd_(other.fd_) { other.fd_ = -1; }
  StateLock& operator=(StateLock&& other) noexcept;
  ~StateLock();

 private:
  explicit StateLock(int fd) : fd_(fd) {}
  int fd_ = -1;
};

// The highest numbers that were ever acknowledged in a lineage. Written after each commit that raises one of them; it may
// lag behind the database by the last commit, never run ahead of it. The file also says which file it is (inode and time of
// birth), so that a state directory that was copied, or overwritten by an earlier copy of itself, is told from the original.
struct HighWater {
  std::string lineage;  // 32 hex digits
  uint64_t version = 0;
  uint64_t directory = 0;
  bool copied = false;  // set by read_high_water: the file is not the one that was written
};

// Nothing: there is no file, or it is not readable as one.
std::optional<HighWater> read_high_water(const std::string& path);
absl::Status write_high_water(const std::string& path, const HighWater& mark);

// Written whole or not at all, and on the disk when it returns OK. `mode` as in chmod.
absl::Status write_file_durably(const std::string& path, const std::string& text, unsigned mode);

}  // namespace gw
