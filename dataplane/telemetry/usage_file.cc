#include "dataplane/telemetry/usage_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <vector>

#include "common/base/status.h"

namespace gw {
namespace {

constexpr char kMagic[8] = {'G', 'W', 'U', 'S', 'A', 'G', 'E', '1'};

struct FileHeader {
  char magic[8];
  uint32_t table_bytes;
  uint32_t cells;
  uint32_t tables;
  uint32_t spare;
  uint64_t boot;
};
static_assert(sizeof(FileHeader) <= UsageFile::kHeaderBytes);

}  // namespace

absl::Status UsageFile::map(size_t bytes) {
  void* base = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd_, 0);
  if (base == MAP_FAILED) return errno_status("map " + path_, errno);
  base_ = static_cast<unsigned char*>(base);
  bytes_ = bytes;
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<UsageFile>> UsageFile::create(const std::string& path, uint64_t boot, uint32_t tables) {
  std::unique_ptr<UsageFile> file(new UsageFile);
  file->path_ = path;
  file->boot_ = boot;
  file->tables_ = std::max(tables, kTablesAhead);
  file->fd_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (file->fd_ < 0) return errno_status("create " + path, errno);
  if (::flock(file->fd_, LOCK_EX | LOCK_NB) != 0) return errno_status("lock " + path, errno);
  size_t bytes = kHeaderBytes + file->tables_ * kTableBytes;
  if (::ftruncate(file->fd_, static_cast<off_t>(bytes)) != 0) return errno_status("size " + path, errno);
  int error = ::posix_fallocate(file->fd_, 0, kHeaderBytes);
  if (error != 0) return errno_status("write " + path, error);
  GW_RETURN_IF_ERROR(file->map(bytes));
  FileHeader header{};
  header.table_bytes = kTableBytes;
  header.cells = UsageTable::kCells;
  header.tables = file->tables_;
  header.boot = boot;
  std::memcpy(file->base_ + sizeof kMagic, reinterpret_cast<char*>(&header) + sizeof kMagic, sizeof header - sizeof kMagic);
  store_order();
  std::memcpy(file->base_, kMagic, sizeof kMagic);
  GW_RETURN_IF_ERROR(file->maintain());
  return file;
}

absl::StatusOr<std::unique_ptr<UsageFile>> UsageFile::open_old(const std::string& path) {
  std::unique_ptr<UsageFile> file(new UsageFile);
  file->path_ = path;
  file->fd_ = ::open(path.c_str(), O_RDWR | O_CLOEXEC);
  if (file->fd_ < 0) return errno_status("open " + path, errno);
  if (::flock(file->fd_, LOCK_EX | LOCK_NB) != 0) {
    return failed_precondition(path + ": in use by another process; give each node a state directory of its own");
  }
  struct stat info {};
  if (::fstat(file->fd_, &info) != 0) return errno_status("stat " + path, errno);
  size_t bytes = static_cast<size_t>(info.st_size);
  FileHeader header{};
  // Its process ended before anything could be counted in it.
  static constexpr char kNoMagic[sizeof kMagic] = {};
  ssize_t got = ::pread(file->fd_, &header, sizeof header, 0);
  if (got <= 0 || std::memcmp(header.magic, kNoMagic, sizeof kNoMagic) == 0) return file;
  if (bytes < kHeaderBytes || got != static_cast<ssize_t>(sizeof header) ||
      std::memcmp(header.magic, kMagic, sizeof kMagic) != 0) {
    return data_loss(path + ": not a usage spool");
  }
  if (header.table_bytes != kTableBytes || header.cells != UsageTable::kCells || header.boot == 0 ||
      bytes < kHeaderBytes + size_t{header.tables} * kTableBytes) {
    return data_loss(path + ": damaged usage spool, or one of another version");
  }
  file->boot_ = header.boot;
  file->tables_ = header.tables;
  GW_RETURN_IF_ERROR(file->map(bytes));
  for (uint32_t i = 0; i < file->tables_; ++i) {
    UsageTable& table = file->table(i);  // reading a hole gives zeros: kHole
    if (table.state > UsageTable::kSealed || table.cells > UsageTable::kCells) {
      return data_loss(path + ": damaged usage spool (table " + std::to_string(i) + ")");
    }
    if (table.state == UsageTable::kActive) table.state = table.cells > 0 ? UsageTable::kSealed : UsageTable::kFree;
  }
  return file;
}

UsageFile::~UsageFile() {
  if (base_ != nullptr) ::munmap(base_, bytes_);
  if (fd_ >= 0) ::close(fd_);
}

UsageTable* UsageFile::activate() {
  std::lock_guard lock(mu_);
  auto first = [this](UsageTable::State state) {
    for (uint32_t i = 0; i < tables_; ++i) {
      if (table(i).state == state) return i;
    }
    return tables_;
  };
  uint32_t index = first(UsageTable::kFree);
  if (index == tables_) {
    // maintain() did not keep up: a system call here is rare, and a request that goes uncounted costs money.
    index = first(UsageTable::kHole);
    if (index == tables_ || !allocate(index).ok()) return nullptr;
  }
  UsageTable& t = table(index);
  t.cells = 0;
  t.sequence = next_sequence_++;
  store_order();
  t.state = UsageTable::kActive;
  return &t;
}

void UsageFile::seal(UsageTable& t) {
  std::lock_guard lock(mu_);
  store_order();
  t.state = UsageTable::kSealed;
}

void UsageFile::for_each_sealed(uint64_t after, const std::function<bool(const UsageTable&)>& fn) const {
  std::vector<const UsageTable*> found;
  {
    std::lock_guard lock(mu_);
    for (uint32_t i = 0; i < tables_; ++i) {
      const UsageTable& t = table(i);
      if (t.state == UsageTable::kSealed && t.sequence > after) found.push_back(&t);
    }
  }
  std::sort(found.begin(), found.end(), [](const UsageTable* a, const UsageTable* b) { return a->sequence < b->sequence; });
  for (const UsageTable* t : found) {
    if (!fn(*t)) return;
  }
}

void UsageFile::release(uint64_t sequence) {
  std::lock_guard lock(mu_);
  uint32_t free = 0;
  for (uint32_t i = 0; i < tables_; ++i) {
    UsageTable& t = table(i);
    if (t.state == UsageTable::kSealed && t.sequence <= sequence) t.state = UsageTable::kFree;
    if (t.state != UsageTable::kFree || ++free <= kTablesKept) continue;
    t.state = UsageTable::kHole;
    off_t at = static_cast<off_t>(kHeaderBytes + i * kTableBytes);
    // Where the file system cannot, the blocks stay; allocate() finds them again.
    ::fallocate(fd_, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, at, static_cast<off_t>(kTableBytes));
  }
}

absl::Status UsageFile::allocate(uint32_t index) {
  int error = ::posix_fallocate(fd_, static_cast<off_t>(kHeaderBytes + index * kTableBytes),
                                static_cast<off_t>(kTableBytes));
  if (error != 0) return errno_status("no room for usage in " + path_, error);
  return absl::OkStatus();
}

absl::Status UsageFile::maintain() {
  std::lock_guard lock(mu_);
  uint32_t free = 0;
  for (uint32_t i = 0; i < tables_ && free < kTablesAhead; ++i) {
    if (table(i).state == UsageTable::kFree) ++free;
  }
  for (uint32_t i = 0; i < tables_ && free < kTablesAhead; ++i) {
    if (table(i).state != UsageTable::kHole) continue;
    GW_RETURN_IF_ERROR(allocate(i));
    table(i).state = UsageTable::kFree;
    ++free;
  }
  if (free == 0) {
    return resource_exhausted(path_ + ": the usage spool is full; requests go uncounted until the control plane takes it");
  }
  return absl::OkStatus();
}

uint64_t UsageFile::sealed_cells() const {
  uint64_t cells = 0;
  for_each_sealed(0, [&](const UsageTable& t) {
    cells += t.cells;
    return true;
  });
  return cells;
}

uint64_t UsageFile::sealed_tables() const {
  uint64_t tables = 0;
  for_each_sealed(0, [&](const UsageTable&) {
    ++tables;
    return true;
  });
  return tables;
}

bool UsageFile::empty() const {
  std::lock_guard lock(mu_);
  for (uint32_t i = 0; i < tables_; ++i) {
    const UsageTable& t = table(i);
    if (t.state == UsageTable::kSealed || (t.state == UsageTable::kActive && t.cells > 0)) return false;
  }
  return true;
}

void UsageFile::remove() { ::unlink(path_.c_str()); }

v1::UsageBatch to_batch(uint64_t boot, const UsageTable& table) {
  v1::UsageBatch out;
  out.set_boot(boot);
  out.set_sequence(table.sequence);
  for (uint64_t i = 0; i < table.cells; ++i) {
    const UsageSlot& slot = table.slots[i];
    v1::UsageCell& cell = *out.add_cells();
    cell.set_subscription(slot.subscription);
    cell.set_app(slot.app);
    cell.set_plan(slot.plan);
    cell.set_api(slot.api);
    cell.set_route(slot.route);
    cell.set_status_class(static_cast<uint32_t>(slot.status_class));
    cell.set_hour(slot.hour);
    cell.set_requests(slot.requests);
    cell.set_units(slot.units);
    cell.set_request_bytes(slot.request_bytes);
    cell.set_response_bytes(slot.response_bytes);
  }
  return out;
}

}  // namespace gw
