// One spool file: a row of tables of usage cells, mapped into memory. Format (native byte order; a file stays on its node):
//
//   page 0      FileHeader
//   table i     TableHeader, then kCells UsageSlots; at 4096 + i * kTableBytes
//
// Only allocated tables own blocks on disk, so that touching one cannot fail. States: kHole -> kFree (allocated) ->
// kActive (owned by the worker) -> kSealed (read by the sender) -> kFree. A state is one word, written last.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "gw/v1/telemetry.pb.h"

namespace gw {

struct UsageSlot {
  uint64_t subscription, app, plan, api, route;
  int64_t hour;
  uint64_t status_class;
  uint64_t requests, units, request_bytes, response_bytes;
  uint64_t spare;
};
static_assert(sizeof(UsageSlot) == 96);

struct UsageTable {
  enum State : uint64_t { kHole = 0, kFree = 1, kActive = 2, kSealed = 3 };
  static constexpr uint32_t kCells = 4096;

  uint64_t state;
  uint64_t sequence;
  uint64_t cells;  // used ones; raised when the key of the last is complete
  uint64_t spare[5];
  UsageSlot slots[kCells];
};

// What was stored before is in memory before what is stored after: enough against a kill, since the page cache outlives
// the process and one thread's stores reach it in their order.
inline void store_order() { __asm__ __volatile__("" ::: "memory"); }

// Owner: the spool. The mutex guards states; the contents of an active table are the worker's, of a sealed one the sender's.
class UsageFile {
 public:
  static constexpr size_t kHeaderBytes = 4096;
  static constexpr size_t kTableBytes = (sizeof(UsageTable) + 4095) / 4096 * 4096;
  static constexpr uint32_t kTablesAhead = 2;  // free tables that maintain() keeps
  static constexpr uint32_t kTablesKept = 8;   // free tables whose blocks are not given back

  // A new file for `boot`, with kTablesAhead free tables. Errors: cannot be made, the disk is full.
  static absl::StatusOr<std::unique_ptr<UsageFile>> create(const std::string& path, uint64_t boot, uint32_t tables);
  // An earlier process's file; its active tables count as sealed. kFailedPrecondition: that process still runs.
  // kDataLoss: not a spool file, or damaged.
  static absl::StatusOr<std::unique_ptr<UsageFile>> open_old(const std::string& path);
  ~UsageFile();
  UsageFile(const UsageFile&) = delete;
  UsageFile& operator=(const UsageFile&) = delete;

  uint64_t boot() const { return boot_; }
  const std::string& path() const { return path_; }

  // For the worker. A free table made active under the next sequence, or null.
  UsageTable* activate();
  void seal(UsageTable& table);

  // For the sender. Calls fn for each sealed table with sequence > after, lowest first, until it returns false.
  void for_each_sealed(uint64_t after, const std::function<bool(const UsageTable&)>& fn) const;
  void release(uint64_t sequence);  // this one and all before it
  absl::Status maintain();
  uint64_t sealed_cells() const;
  uint64_t sealed_tables() const;
  // Whether anything is left in it, sealed or counted into the active table. REQUIRES: the worker has ended.
  bool empty() const;
  // Takes the file away (this object stays usable until it ends).
  void remove();

 private:
  UsageFile() = default;
  absl::Status map(size_t bytes);
  absl::Status allocate(uint32_t index);
  UsageTable& table(uint32_t index) const {
    return *reinterpret_cast<UsageTable*>(base_ + kHeaderBytes + index * kTableBytes);
  }

  std::string path_;
  int fd_ = -1;
  unsigned char* base_ = nullptr;
  size_t bytes_ = 0;
  uint32_t tables_ = 0;
  uint64_t boot_ = 0;
  uint64_t next_sequence_ = 1;
  mutable std::mutex mu_;
};

// As it is sent; `boot` and sequence included.
v1::UsageBatch to_batch(uint64_t boot, const UsageTable& table);

}  // namespace gw
