#include "dataplane/upstream/balancer.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <string>

#include "dataplane/routing/hash.h"

namespace gw {
namespace {

constexpr uint64_t kIdSeed = 0x7461726765743a31;
constexpr int64_t kFullWeight = 1000;    // weights are scaled by it, so that a slow start has steps
constexpr int64_t kLeastShare = 100;     // of kFullWeight, at a slow start's beginning

uint64_t weight_of(const std::vector<Balancer::Member>& members) {
  uint64_t sum = 0;
  for (const auto& m : members) sum += m.target->weight;
  return sum;
}

uint64_t well_weight_of(const std::vector<Balancer::Member>& members) {
  uint64_t sum = 0;
  for (const auto& m : members) sum += m.well ? m.target->weight : 0;
  return sum;
}

}  // namespace

void Balancer::configure(const BalanceConfig& config, const std::vector<Member>& members) {
  ids_.clear();
  ring_.clear();
  uint64_t total = weight_of(members);
  for (const Member& m : members) {
    m.target->id = hash_bytes(m.authority, kIdSeed);
    m.target->current = 0;
    ids_.push_back({m.target->id, m.target});
  }
  std::sort(ids_.begin(), ids_.end());
  if (config.by != BalanceConfig::By::kHash || total == 0) return;
  size_t points = std::min(kRingPointsPerTarget * members.size(), kMaxRingPoints);
  for (const Member& m : members) {
    if (m.target->weight == 0) continue;
    size_t own = std::max<size_t>(1, points * m.target->weight / total);
    for (size_t i = 0; i < own; ++i) ring_.push_back({fold_multiply(m.target->id ^ (i * 0x9e3779b97f4a7c15), 0xd6e8feb86659fd93 + i), m.target});
  }
  std::sort(ring_.begin(), ring_.end());
}

void Balancer::refresh(const BalanceConfig& config, const std::vector<Member>& members, std::string_view own_zone,
                       int64_t now_ns) {
  buckets_.clear();
  groups_.clear();
  share_so_far_ = 0;
  ramping_until_ns_ = 0;
  uint64_t total = weight_of(members), well = well_weight_of(members);
  panic_ = static_cast<double>(well) * 1e6 < static_cast<double>(config.panic_threshold_ppm) * static_cast<double>(total);
  well_weight_ = panic_ ? total : well;
  std::map<uint8_t, std::vector<Member>> priorities;
  for (Member m : members) {
    m.target->group = -1;
    m.well = (m.well || panic_) && m.target->weight > 0;
    if (m.well && m.target->ramp_until_ns > now_ns) ramping_until_ns_ = std::max(ramping_until_ns_, m.target->ramp_until_ns);
    priorities[m.target->priority].push_back(m);
  }
  // Each priority takes what its well targets can; the next ones take the rest; if all together cannot, each takes its part.
  std::vector<std::pair<double, std::vector<Member>>> loads;
  double left = 1, sum = 0;
  for (auto& [priority, group] : priorities) {
    uint64_t all = weight_of(group);
    double able = all == 0 ? 0 : std::min(1.0, kOverprovision * static_cast<double>(well_weight_of(group)) / static_cast<double>(all));
    double load = std::min(left, able);
    left -= load;
    sum += load;
    std::erase_if(group, [](const Member& m) { return !m.well; });
    if (load > 0) loads.push_back({load, std::move(group)});
  }
  double so_far = 0;
  for (auto& [load, group] : loads) {
    for (Member& m : group) m.target->group = static_cast<int16_t>(groups_.size());
    so_far += load / sum;
    groups_.push_back(static_cast<uint32_t>(std::lround(so_far * kShares)));
    if (config.zone_aware) {
      split_by_zone(group, load / sum, own_zone);
    } else {
      add_bucket(group, load / sum);
    }
  }
  if (!buckets_.empty()) buckets_.back().until = kShares;
  if (!groups_.empty()) groups_.back() = kShares;
}

// Each zone's nodes bring the same part of the traffic. A zone with that much capacity keeps its own; what is beyond goes to
// the zones that have room left, in proportion to it.
void Balancer::split_by_zone(const std::vector<Member>& group, double load, std::string_view own_zone) {
  std::map<std::string_view, std::vector<Member>> zones;
  for (const Member& m : group) zones[m.zone].push_back(m);
  auto own = zones.find(own_zone);
  if (own_zone.empty() || own == zones.end() || zones.size() == 1) {
    add_bucket(group, load);
    return;
  }
  double total = static_cast<double>(weight_of(group)), count = static_cast<double>(zones.size());
  auto capacity = [&](const std::vector<Member>& zone) { return static_cast<double>(weight_of(zone)) * count / total; };
  double local = std::min(1.0, capacity(own->second)), room = 0;
  for (const auto& [zone, targets] : zones) {
    if (zone != own_zone) room += std::max(0.0, capacity(targets) - 1);
  }
  if (room <= 0) local = 1;
  add_bucket(own->second, load * local);
  if (local >= 1) return;
  for (const auto& [zone, targets] : zones) {
    double free = std::max(0.0, capacity(targets) - 1);
    if (zone != own_zone && free > 0) add_bucket(targets, load * (1 - local) * free / room);
  }
}

void Balancer::add_bucket(const std::vector<Member>& members, double share) {
  share_so_far_ += share;
  Bucket& bucket = buckets_.emplace_back();
  bucket.until = static_cast<uint32_t>(std::lround(share_so_far_ * kShares));
  for (const Member& m : members) {
    bucket.even = bucket.even && m.target->weight == members.front().target->weight;
    bucket.members.push_back(m.target);
  }
}

int64_t Balancer::weight_now(const BalancerMember& m, int64_t now_ns) const {
  int64_t scale = kFullWeight;
  if (m.ramp_until_ns > now_ns && m.ramp_until_ns > m.ramp_from_ns) {
    double part = static_cast<double>(now_ns - m.ramp_from_ns) / static_cast<double>(m.ramp_until_ns - m.ramp_from_ns);
    scale = std::clamp(static_cast<int64_t>(part * kFullWeight), kLeastShare, kFullWeight);
  }
  return m.weight * scale;
}

BalancerMember* Balancer::pick(const BalanceConfig& config, const BalanceInput& in, size_t in_work, FastRandom& random) {
  if (buckets_.empty()) return nullptr;
  if (in.has_key && config.by == BalanceConfig::By::kHash) return from_ring(config, in, in_work);
  if (in.has_key && config.by == BalanceConfig::By::kCookie) {
    BalancerMember* kept = by_id(in.key);
    if (kept != nullptr && kept->group >= 0 && kept != in.avoid) return kept;
  }
  if (ramping_until_ns_ != 0 && in.now_ns >= ramping_until_ns_) ramping_until_ns_ = 0;
  Bucket* bucket = &buckets_.front();
  if (buckets_.size() > 1) {
    uint32_t at = static_cast<uint32_t>(random.below(kShares));
    for (Bucket& b : buckets_) {
      bucket = &b;
      if (at < b.until) break;
    }
  }
  if (BalancerMember* found = in_bucket(config, *bucket, in, random)) return found;
  for (Bucket& other : buckets_) {
    if (&other == bucket) continue;
    if (BalancerMember* found = in_bucket(config, other, in, random)) return found;
  }
  return in_rotation(in.avoid);
}

// `target` if it is still one of those that take requests; it may be gone.
BalancerMember* Balancer::in_rotation(const BalancerMember* target) const {
  for (const Bucket& bucket : buckets_) {
    for (BalancerMember* m : bucket.members) {
      if (m == target) return m;
    }
  }
  return nullptr;
}

// Null: only the one to avoid is in it.
BalancerMember* Balancer::in_bucket(const BalanceConfig& config, Bucket& bucket, const BalanceInput& in, FastRandom& random) {
  if (bucket.members.size() == 1) return bucket.members.front() == in.avoid ? nullptr : bucket.members.front();
  return config.by == BalanceConfig::By::kLeastRequest ? least(bucket, in, random) : round(bucket, in);
}

// A retry (something is to be avoided) takes nobody's turn: else, of two targets, first tries would all go to the bad one.
BalancerMember* Balancer::round(Bucket& bucket, const BalanceInput& in) {
  if (bucket.even && ramping_until_ns_ == 0) {
    size_t n = bucket.members.size(), next = bucket.cursor + 1 == n ? 0 : bucket.cursor + 1;
    BalancerMember* m = bucket.members[bucket.cursor];
    if (in.avoid == nullptr) bucket.cursor = next;
    return m != in.avoid ? m : bucket.members[next];
  }
  BalancerMember* best = nullptr;
  int64_t total = 0, best_current = 0;
  for (BalancerMember* m : bucket.members) {
    if (m == in.avoid) continue;
    int64_t weight = weight_now(*m, in.now_ns), current = m->current + weight;
    total += weight;
    if (in.avoid == nullptr) m->current = current;
    if (best == nullptr || current > best_current) {
      best = m;
      best_current = current;
    }
  }
  if (in.avoid == nullptr && best != nullptr) best->current -= total;
  return best;
}

BalancerMember* Balancer::least(Bucket& bucket, const BalanceInput& in, FastRandom& random) {
  size_t n = bucket.members.size(), first = random.below(n), second = random.below(n - 1);
  if (second >= first) ++second;
  BalancerMember *a = bucket.members[first], *b = bucket.members[second];
  if (a == in.avoid) return b;
  if (b == in.avoid) return a;
  // (in_work + 1) / weight, without dividing
  return static_cast<int64_t>(a->in_work + 1) * weight_now(*b, in.now_ns) <= static_cast<int64_t>(b->in_work + 1) * weight_now(*a, in.now_ns)
             ? a
             : b;
}

// The first target behind the key on the ring that takes requests of the key's priority and has not more than its part of
// the work already.
BalancerMember* Balancer::from_ring(const BalanceConfig& config, const BalanceInput& in, size_t in_work) {
  int16_t group = 0;
  uint32_t at = static_cast<uint32_t>(in.key & (kShares - 1));
  while (static_cast<size_t>(group) + 1 < groups_.size() && at >= groups_[static_cast<size_t>(group)]) ++group;
  auto from = std::lower_bound(ring_.begin(), ring_.end(), std::pair<uint64_t, BalancerMember*>(in.key, nullptr));
  double even = static_cast<double>(config.max_load_ppm) / 1e6 * static_cast<double>(in_work + 1) / static_cast<double>(std::max<uint64_t>(well_weight_, 1));
  BalancerMember* first = nullptr;
  for (size_t i = 0; i < ring_.size(); ++i, ++from) {
    if (from == ring_.end()) from = ring_.begin();
    BalancerMember* m = from->second;
    if (m->group != group || m == in.avoid) continue;
    if (first == nullptr) first = m;
    if (static_cast<double>(m->in_work) < std::ceil(even * m->weight)) return m;
  }
  if (first != nullptr) return first;
  BalancerMember* last = in_rotation(in.avoid);
  return last != nullptr ? last : buckets_.front().members.front();
}

BalancerMember* Balancer::by_id(uint64_t id) const {
  auto it = std::lower_bound(ids_.begin(), ids_.end(), std::pair<uint64_t, BalancerMember*>(id, nullptr));
  return it != ids_.end() && it->first == id ? it->second : nullptr;
}

}  // namespace gw
