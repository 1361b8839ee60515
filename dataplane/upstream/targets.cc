#include "dataplane/upstream/targets.h"

#include <algorithm>
#include <set>
#include <string_view>
#include <tuple>

#include "dataplane/snapshot/switches.h"

namespace gw {
namespace {

constexpr uint32_t kMostWeight = 1000;   // as `weight` of a target
constexpr size_t kMostPriority = 15;     // as `priority` of a target

class Merger {
 public:
  Merger(const FoundTargets* found, const Switches& switches, uint64_t upstream_uid)
      : found_(found), switches_(switches), upstream_uid_(upstream_uid) {}

  // `twice`: also where its host:port is there already.
  void add(const UpstreamTarget& target, bool twice) {
    if (!seen_.insert(target.authority).second && !twice) return;
    UpstreamTarget& t = out.emplace_back(target);
    if (switches_.drained(upstream_uid_, t.authority)) t.weight = 0;
    if (t.is_address || found_ == nullptr) return;
    auto known = found_->names.find(t.authority);
    if (known != found_->names.end()) t.addresses = known->second;
  }

  std::vector<UpstreamTarget> out;

 private:
  const FoundTargets* found_;
  const Switches& switches_;
  const uint64_t upstream_uid_;
  std::set<std::string, std::less<>> seen_;
};

bool same_addresses(const std::shared_ptr<const NameAddresses>& a, const std::shared_ptr<const NameAddresses>& b) {
  return a == b || (a != nullptr && b != nullptr && *a == *b);
}

bool same_target(const UpstreamTarget& a, const UpstreamTarget& b) {
  return std::tie(a.authority, a.weight, a.zone, a.priority, a.source, a.found_by) ==
         std::tie(b.authority, b.weight, b.zone, b.priority, b.source, b.found_by);
}

}  // namespace

bool same_targets(const FoundTargets* a, const FoundTargets* b) {
  if (a == nullptr || b == nullptr) return a == b;
  return same_addresses(a->searched, b->searched) &&
         std::equal(a->names.begin(), a->names.end(), b->names.begin(), b->names.end(),
                    [](const auto& x, const auto& y) { return x.first == y.first && same_addresses(x.second, y.second); }) &&
         std::equal(a->found.begin(), a->found.end(), b->found.begin(), b->found.end(), same_target) &&
         std::equal(a->endpoints.begin(), a->endpoints.end(), b->endpoints.begin(), b->endpoints.end(), same_target);
}

std::string authority_of(const std::string& host, uint16_t port) {
  bool v6 = host.find(':') != std::string::npos;
  return (v6 ? "[" + host + "]" : host) + ":" + std::to_string(port);
}

std::vector<UpstreamTarget> merge_targets(const UpstreamConfig& config, const FoundTargets* found, const Switches& switches) {
  Merger merger(found, switches, config.uid);
  const DiscoveryConfig& discovery = config.discovery;
  for (const UpstreamTarget& t : config.targets) merger.add(t, true);
  if (found != nullptr) {
    // What was found may still be that of a configuration before this one.
    for (const UpstreamTarget& t : found->found) {
      if (t.found_by == (t.source == UpstreamTarget::Source::kDns ? discovery.dns : discovery.srv)) merger.add(t, false);
    }
    size_t left = discovery.max_endpoints;
    for (const UpstreamTarget& t : found->endpoints) {
      if (left-- == 0) break;
      merger.add(t, false);
    }
  }
  if (merger.out.empty() && discovery.searches()) {
    UpstreamTarget& name = merger.out.emplace_back();
    name.host = name.found_by = discovery.dns.empty() ? discovery.srv : discovery.dns;
    name.port = discovery.port;
    name.authority = discovery.port == 0 ? name.host : authority_of(name.host, discovery.port);
    name.source = UpstreamTarget::Source::kAwaited;
    if (found != nullptr) name.addresses = found->searched;
  }
  return std::move(merger.out);
}

std::vector<UpstreamTarget> srv_targets(const std::string& name, const std::vector<SrvRecord>& records) {
  std::set<uint16_t> priorities;
  uint32_t most = 0;
  bool zero = false;
  for (const SrvRecord& r : records) {
    priorities.insert(r.priority);
    most = std::max<uint32_t>(most, r.weight);
    zero = zero || r.weight == 0;
  }
  bool scale = most > kMostWeight || (zero && most > 0);
  std::vector<UpstreamTarget> out;
  for (const SrvRecord& r : records) {
    UpstreamTarget& t = out.emplace_back();
    t.host = r.host;
    t.port = r.port;
    t.authority = authority_of(r.host, r.port);
    t.source = UpstreamTarget::Source::kSrv;
    t.found_by = name;
    uint32_t weight = scale ? static_cast<uint32_t>(uint64_t{r.weight} * kMostWeight / most) : r.weight;
    t.weight = std::max<uint32_t>(weight, 1);
    auto rank = static_cast<size_t>(std::distance(priorities.begin(), priorities.find(r.priority)));
    t.priority = static_cast<uint8_t>(std::min(rank, kMostPriority));
  }
  return out;
}

}  // namespace gw
