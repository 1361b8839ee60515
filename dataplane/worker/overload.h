// One worker's protection from too much work. Four readings against their limits make a stage:
//
//   0  normal
//   1  from 80 % of a limit: responses carry `Connection: close`, so that clients go to other nodes
//   2  from 100 % of the limit on memory, requests or lag: new requests are refused with 503 OVERLOAD and Retry-After, before
//      anything is done for them; by lag alone those that come late in a turn. (Connections make stage 1 alone: at their limit new ones are closed.)
//
// A stage is left when every reading is 10 % below what made it. Limits are a node's, not a Gateway's: memory and cores are
// the machine's, and all Gateways of a node share them. Owner and thread: the worker; no I/O, no clock of its own.
#pragma once

#include <cstddef>
#include <cstdint>

namespace gw {

struct OverloadLimits {
  size_t buffer_bytes = SIZE_MAX;       // in the worker's blocks
  size_t connections = SIZE_MAX;        // of clients
  size_t requests = SIZE_MAX;           // in flight
  int64_t lag_ns = 100'000'000;         // mean length of recent turns of the loop
};

struct OverloadReading {
  size_t buffer_bytes = 0;
  size_t connections = 0;
  size_t requests = 0;
};

class OverloadManager {
 public:
  explicit OverloadManager(const OverloadLimits& limits) : limits_(limits) {}

  // At the end of each turn of the loop: its length, the monotonic time, and how things stand. Returns the stage.
  int turn(int64_t busy_ns, int64_t now_ns, const OverloadReading& reading);

  int stage() const { return stage_; }
  // New requests are taken until the turn has lasted so long: always below stage 2, never where memory or requests have
  // reached their limit. Where the lag alone has, for half of its limit, since refusals cost time, too: with some thousand
  // busy connections a loop that does nothing else would lag by them for ever.
  int64_t admit_ns() const { return admit_ns_; }
  // Moving average over recent turns, halved by about six of them; silence of more than kForgetNs begins anew.
  int64_t lag_ns() const { return lag_ns_; }
  static constexpr int64_t kForgetNs = 200'000'000;

 private:
  int stage_for(const OverloadReading& reading, uint64_t percent_off) const;
  bool full(const OverloadReading& reading, uint64_t percent_off) const;

  const OverloadLimits limits_;
  int64_t lag_ns_ = 0;
  int64_t last_ns_ = 0;
  int64_t admit_ns_ = INT64_MAX;
  int stage_ = 0;
};

}  // namespace gw
