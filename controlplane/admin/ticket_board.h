// Keys of session tickets: made here, so that a session that began on one node goes on on any. A new one every period (eight hours);
// each opens tickets for three periods after the last that it can have sealed. Kept in the store, sealed under the master key; a stream of
// their own.
//
// Owner: the Server. One thread of its own; thread-safe.
#pragma once

#include <algorithm>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "common/base/clock.h"
#include "controlplane/admin/record_stream.h"
#include "controlplane/store/database.h"
#include "controlplane/store/secrets.h"

namespace gw {

class TicketBoard {
 public:
  static constexpr int64_t kEveryS = 8 * 3600, kEverySMin = 2, kEverySMax = 7 * 86'400;
  // A key seals from its beginning, which lies so far ahead that every node has it by then; with short periods half of one.
  static constexpr int64_t kAheadS = 60;

  TicketBoard(Database& db, const MasterKey& key, const Clock& clock, int64_t every_s = kEveryS)
      : db_(db), key_(key), clock_(clock), every_s_(every_s), stream_(v1::STREAM_TICKETS, db) {}
  ~TicketBoard() { stop(); }

  // Reads the keys, makes the one that is due, publishes; later ones go there too.
  absl::Status start(Publisher& publisher);
  // From now on nothing is made or published.
  void stop();

  // Makes the key that is due and forgets those that have ended.
  absl::Status turn();
  std::vector<TicketKeyRow> keys() const;
  uint64_t version() const;

 private:
  void run();
  absl::Status turn_locked();
  int64_t ahead_s() const { return std::min(kAheadS, every_s_ / 2); }
  TicketKeyRow make_key(int64_t not_before) const;
  int64_t now_s() const { return clock_.wall_ns() / 1'000'000'000; }

  Database& db_;
  const MasterKey& key_;
  const Clock& clock_;
  const int64_t every_s_;
  mutable std::mutex mutex_;
  std::condition_variable wake_;
  bool stopping_ = false;
  std::vector<TicketKeyRow> keys_;  // by beginning
  RecordStream stream_;
  std::thread thread_;
};

}  // namespace gw
