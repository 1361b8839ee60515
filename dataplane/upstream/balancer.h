// Picks a target: by priority, zone and health first, then by the upstream's rule. No I/O and no clock; worker's thread.
//
// What changes seldom (who is well) is worked out in refresh() into buckets with shares; a pick draws a bucket, if there are
// several, and applies the rule within it.
#pragma once

#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

#include "common/base/random.h"
#include "dataplane/snapshot/config.h"

namespace gw {

// What a balancer knows of a target; the pool's Endpoint is one.
struct BalancerMember {
  uint32_t weight = 1;
  uint8_t priority = 0;
  int64_t ramp_from_ns = 0, ramp_until_ns = 0;  // slow start; 0: full share
  uint32_t in_work = 0;                         // attempts
  // The balancer's own.
  int64_t current = 0;                          // of the smooth round robin
  uint64_t id = 0;                              // of its authority: ring and affinity
  int16_t group = -1;                           // its priority's place while it takes requests; -1: none
};

struct BalanceInput {
  bool has_key = false;
  uint64_t key = 0;                // of `hash`; the cookie's value of `cookie`
  const BalancerMember* avoid = nullptr;  // compared only
  int64_t now_ns = 0;
};

class Balancer {
 public:
  // A priority is filled up to this share of what its well targets would take of it, as 1.4 times their weight.
  static constexpr double kOverprovision = 1.4;
  static constexpr size_t kRingPointsPerTarget = 160;
  static constexpr size_t kMaxRingPoints = 1 << 16;

  struct Member {
    BalancerMember* target = nullptr;
    std::string_view authority, zone;  // good during the call
    bool well = true;
  };

  // Targets or rule have changed: also ids and ring.
  void configure(const BalanceConfig& config, const std::vector<Member>& members);
  // Who is well has changed.
  void refresh(const BalanceConfig& config, const std::vector<Member>& members, std::string_view own_zone, int64_t now_ns);

  // Null: no target takes requests. `in_work`: attempts at all targets.
  BalancerMember* pick(const BalanceConfig& config, const BalanceInput& in, size_t in_work, FastRandom& random);

  // Health is ignored, because too few targets are well.
  bool panicking() const { return panic_; }

 private:
  struct Bucket {
    uint32_t until = 0;   // cumulative share of kShares
    bool even = true;     // all weights are the same
    size_t cursor = 0;
    std::vector<BalancerMember*> members;
  };
  static constexpr uint32_t kShares = 1 << 20;

  void split_by_zone(const std::vector<Member>& group, double load, std::string_view own_zone);
  void add_bucket(const std::vector<Member>& members, double share);
  BalancerMember* in_bucket(const BalanceConfig& config, Bucket& bucket, const BalanceInput& in, FastRandom& random);
  BalancerMember* round(Bucket& bucket, const BalanceInput& in);
  BalancerMember* least(Bucket& bucket, const BalanceInput& in, FastRandom& random);
  BalancerMember* from_ring(const BalanceConfig& config, const BalanceInput& in, size_t in_work);
  BalancerMember* by_id(uint64_t id) const;
  BalancerMember* in_rotation(const BalancerMember* target) const;
  int64_t weight_now(const BalancerMember& m, int64_t now_ns) const;

  std::vector<Bucket> buckets_;
  double share_so_far_ = 0;
  std::vector<uint32_t> groups_;                            // cumulative share of each priority
  std::vector<std::pair<uint64_t, BalancerMember*>> ring_;  // sorted
  std::vector<std::pair<uint64_t, BalancerMember*>> ids_;   // sorted
  uint64_t well_weight_ = 0;
  int64_t ramping_until_ns_ = 0;  // 0: nobody starts slowly
  bool panic_ = false;
};

}  // namespace gw
