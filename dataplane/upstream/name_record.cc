#include "dataplane/upstream/name_record.h"

#include <algorithm>
#include <tuple>
#include <utility>

#include "common/http/target_address.h"

namespace gw {

// Takes out what may not be a target, then sorts, so that a name server that shuffles changes nothing, then cuts.
void NameRecord::accept(DnsAnswer& answer, const ResolveConfig& rules) {
  auto bound = [&](auto& list) {
    std::sort(list.begin(), list.end(), [](const auto& a, const auto& b) {
      if constexpr (requires { a.bytes; }) {
        return a.bytes < b.bytes;
      } else {
        return a < b;
      }
    });
    list.erase(std::unique(list.begin(), list.end()), list.end());
    size_t most = static_cast<size_t>(rules.max_targets);
    excess_ = list.size() > most ? static_cast<uint32_t>(list.size() - most) : 0;
    if (list.size() > most) list.resize(most);
  };
  refused_ = static_cast<uint32_t>(std::erase_if(answer.addresses, refused_as_target));
  if (type_ == DnsType::kSrv) {
    bound(answer.records);
  } else {
    bound(answer.addresses);
  }
}

bool NameRecord::clear() {
  if (empty()) return false;
  addresses_.clear();
  records_.clear();
  return true;
}

bool NameRecord::answered(DnsAnswer answer, const ResolveConfig& rules, int64_t now_ms, FastRandom& random) {
  bool first = !std::exchange(answered_, true);
  if (answer.result == DnsAnswer::Result::kFound) {
    accept(answer, rules);
    if (answer.addresses.empty() && answer.records.empty()) {
      answer.result = DnsAnswer::Result::kMissing;
      answer.problem = "every address of the answer is refused";
    }
  }
  last_ = answer.result;
  problem_ = std::move(answer.problem);
  if (answer.result == DnsAnswer::Result::kFound) {
    int64_t ttl_ms = answer.ttl_s == 0 ? kWithoutTtlMs : answer.ttl_s * 1000;
    ttl_ms = std::clamp(ttl_ms, rules.min_refresh_ms, rules.max_refresh_ms);
    failures_ = 0;
    missing_since_ms_ = -1;
    fresh_until_ms_ = now_ms + ttl_ms;
    int64_t early = static_cast<int64_t>(random.below(static_cast<uint64_t>(ttl_ms / 10) + 1));
    ask_ms_ = now_ms + std::max(ttl_ms - early, rules.min_refresh_ms);
    bool changed = addresses_ != answer.addresses || records_ != answer.records;
    addresses_ = std::move(answer.addresses);
    records_ = std::move(answer.records);
    return changed || first;
  }
  int64_t wait_ms = std::min(kRetryMs << std::min(failures_, 10), kMostRetryMs);
  ++failures_;
  if (answer.result == DnsAnswer::Result::kMissing && missing_since_ms_ < 0) missing_since_ms_ = now_ms;
  bool gone = answer.result == DnsAnswer::Result::kMissing && !empty() && now_ms - missing_since_ms_ >= rules.gone_after_ms &&
              (failures_ > 1 || rules.gone_after_ms == 0);
  bool changed = gone && clear();
  if (!empty()) {
    // What is in use waits to be confirmed or to go: not longer than to its end.
    int64_t end_ms = answer.result == DnsAnswer::Result::kMissing ? missing_since_ms_ + rules.gone_after_ms : fresh_until_ms_ + rules.max_stale_ms;
    wait_ms = std::min(wait_ms, std::max<int64_t>(end_ms - now_ms, 1));
  }
  ask_ms_ = now_ms + std::clamp(wait_ms, std::min(rules.min_refresh_ms, kMostRetryMs), std::max(rules.max_refresh_ms, rules.min_refresh_ms));
  return expire(rules, now_ms) || changed || first;
}

bool NameRecord::expire(const ResolveConfig& rules, int64_t now_ms) {
  if (empty() || problem_.empty() || last_ != DnsAnswer::Result::kFailed) return false;
  return now_ms >= fresh_until_ms_ + rules.max_stale_ms && clear();
}

int64_t NameRecord::next_ms(const ResolveConfig& rules, bool asking) const {
  int64_t next = asking ? INT64_MAX : ask_ms_;
  bool fails = !empty() && !problem_.empty() && last_ == DnsAnswer::Result::kFailed;
  return fails ? std::min(next, fresh_until_ms_ + rules.max_stale_ms) : next;
}

}  // namespace gw
