// What is known of one name and record type, for how long, and when to ask again. No I/O, no clock: the time is given, in
// milliseconds of any monotonic clock. Owner: Discovery.
//
// An answer is used for its TTL within minRefresh and maxRefresh, and asked for again a little before its end (by a random part
// of a tenth of it, so that nodes spread). While nobody can answer, it is used on (stale) until maxStale has passed since its
// end. Where the name is said not to exist, it is used until that has been said for goneAfter, at least twice.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "common/base/random.h"
#include "dataplane/loop/dns_client.h"
#include "dataplane/snapshot/config.h"

namespace gw {

class NameRecord {
 public:
  static constexpr int64_t kWithoutTtlMs = 5'000;      // of an answer without a TTL
  static constexpr int64_t kRetryMs = 1'000;           // after the first failure; doubled for each further one
  static constexpr int64_t kMostRetryMs = 30'000;

  explicit NameRecord(DnsType type) : type_(type) {}

  // True: what is in use has changed.
  bool answered(DnsAnswer answer, const ResolveConfig& rules, int64_t now_ms, FastRandom& random);
  // To be called at next_ms(). True: what is in use has changed: it was too old.
  bool expire(const ResolveConfig& rules, int64_t now_ms);

  // When it is to be asked for.
  int64_t ask_ms() const { return ask_ms_; }
  // When something is to be done: asking (unless `asking` already) or expire(). INT64_MAX: nothing.
  int64_t next_ms(const ResolveConfig& rules, bool asking) const;

  bool ever_answered() const { return answered_; }
  // In use: sorted, bounded, without what is refused. Of the record's type.
  const std::vector<IpAddress>& addresses() const { return addresses_; }
  const std::vector<SrvRecord>& records() const { return records_; }
  bool empty() const { return addresses_.empty() && records_.empty(); }

  // Why the last look-up brought nothing; empty: it did.
  const std::string& problem() const { return problem_; }
  bool last_failed() const { return last_ == DnsAnswer::Result::kFailed; }
  // When what is in use became stale; -1: it has not.
  int64_t stale_since_ms(int64_t now_ms) const { return !empty() && !problem_.empty() && now_ms >= fresh_until_ms_ ? fresh_until_ms_ : -1; }
  // Of the last good answer.
  uint32_t refused() const { return refused_; }
  uint32_t excess() const { return excess_; }

 private:
  void accept(DnsAnswer& answer, const ResolveConfig& rules);
  bool clear();

  const DnsType type_;
  std::vector<IpAddress> addresses_;
  std::vector<SrvRecord> records_;
  std::string problem_;
  DnsAnswer::Result last_ = DnsAnswer::Result::kFailed;
  int64_t fresh_until_ms_ = 0;
  int64_t missing_since_ms_ = -1;  // -1: it was not said to be missing since the last good answer
  int64_t ask_ms_ = 0;
  int failures_ = 0;               // in a row
  uint32_t refused_ = 0, excess_ = 0;
  bool answered_ = false;
};

}  // namespace gw
