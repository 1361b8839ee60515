// Last known good on the node's disk: everything of every stream, so that a node starts without the control plane.
//
// Two slots in the state directory, written in turn: last_good.0 and last_good.1. A write goes to a file beside the older
// slot, is synced, renamed over it, and the directory is synced; so whatever happens in the middle of a write, the newer
// slot stays whole. Each slot: magic, generation, length, SHA-256 of all that follows the magic but itself, payload (for each
// stream: number as u32, length as u64, a serialized Offer with base 0). Numbers are little-endian.
//
// Values; a store is for one thread at a time.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "gw/v1/config_sync.pb.h"

namespace gw {

// Whole offers, by stream.
using LastGood = std::map<v1::Stream, v1::Offer>;

std::string encode_last_good(const LastGood& content, uint64_t generation);
// kDataLoss: not what was written, says what.
absl::StatusOr<LastGood> decode_last_good(std::string_view bytes, uint64_t* generation);

// A seed: the bytes of a slot, or one serialized Offer (the whole of one stream). Errors name the file.
absl::StatusOr<LastGood> read_seed(const std::string& path);

class LastGoodStore {
 public:
  static constexpr uint64_t kMaxBytes = uint64_t{4} << 30;

  explicit LastGoodStore(std::string dir) : dir_(std::move(dir)) {}

  struct Loaded {
    std::optional<LastGood> content;  // of the newest slot that is whole; nothing: none is, or there is none
    std::string problem;              // slots that were not, and why; empty: all well
  };
  // Also finds out which slot is the older. Call once, first.
  Loaded load();
  // Durable when it returns. On error the slot in force is the one before.
  absl::Status save(const LastGood& content);

 private:
  std::string slot_path(int slot) const;

  const std::string dir_;
  uint64_t generation_ = 0;  // newest on disk
  int next_slot_ = 0;
};

// Writes `bytes` beside `path`, syncs, renames over it, syncs the directory. Mode 0600.
absl::Status write_durably(const std::string& path, std::string_view bytes);
absl::StatusOr<std::string> read_whole(const std::string& path, uint64_t max_bytes);

}  // namespace gw
