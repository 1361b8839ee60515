// The pool's targets: which there are, and which of them are well.

#include <algorithm>
#include <iterator>
#include <utility>

#include "dataplane/snapshot/snapshot.h"
#include "dataplane/upstream/endpoint.h"
#include "dataplane/upstream/pool.h"

namespace gw {

using http1::ClientSession;

namespace {

std::vector<Balancer::Member> members_of(const UpstreamState& upstream) {
  std::vector<Balancer::Member> out;
  out.reserve(upstream.endpoints.size());
  for (const auto& e : upstream.endpoints) out.push_back({e.get(), e->target.authority, e->target.zone, e->well()});
  return out;
}

}  // namespace

UpstreamState& UpstreamPool::state_of(const UpstreamConfig& config) {
  if (config.index >= upstreams_.size()) upstreams_.resize(config.index + 1);
  std::unique_ptr<UpstreamState>& slot = upstreams_[config.index];
  if (slot == nullptr || slot->uid != config.uid) {
    if (slot != nullptr) {
      for (auto& endpoint : slot->endpoints) retire(std::move(endpoint));
    }
    if (slot != nullptr) index_of_.erase(slot->uid);
    slot = std::make_unique<UpstreamState>();
    slot->uid = config.uid;
    index_of_[config.uid] = config.index;
  }
  if (slot->config == nullptr) {
    // The exchange may have begun under an earlier snapshot.
    const UpstreamConfig* now = snapshot_ != nullptr ? snapshot_->upstream(config.index) : nullptr;
    update(*slot, now != nullptr && now->uid == config.uid ? *now : config);
  }
  return *slot;
}

UpstreamState* UpstreamPool::find(uint64_t uid) {
  auto at = index_of_.find(uid);
  return at == index_of_.end() ? nullptr : upstreams_[at->second].get();
}

void UpstreamPool::update(UpstreamState& upstream, const UpstreamConfig& config) {
  bool first = upstream.config == nullptr;
  std::vector<std::unique_ptr<Endpoint>> before = std::move(upstream.endpoints);
  upstream.endpoints.clear();
  upstream.config = config.shared_from_this();
  auto known = found_.find(config.uid);
  const FoundTargets* found = known == found_.end() ? nullptr : known->second.get();
  for (UpstreamTarget& target : merge_targets(config, found, *switches_)) {
    bool awaited = target.source == UpstreamTarget::Source::kAwaited;
    auto kept = std::find_if(before.begin(), before.end(), [&](const auto& e) {
      return e && e->target.authority == target.authority && e->proxy_protocol == config.proxy_protocol &&
             e->protocol == config.protocol && e->speaks_tls == config.tls.has_value() && (e->target.source == UpstreamTarget::Source::kAwaited) == awaited;
    });
    bool is_new = kept == before.end();
    std::unique_ptr<Endpoint> endpoint = is_new ? std::make_unique<Endpoint>() : std::move(*kept);
    endpoint->upstream = &upstream;
    endpoint->proxy_protocol = config.proxy_protocol;
    endpoint->protocol = config.protocol;
    endpoint->speaks_tls = config.tls.has_value();
    use_tls(*endpoint, tls_of(config.uid));
    if (is_new && config.protocol != v1::UpstreamSpec::PROTOCOL_HTTP1) {
      endpoint->shared = std::make_unique<SharedConnections>();
      endpoint->shared->in_use = config.protocol == v1::UpstreamSpec::PROTOCOL_HTTP2;
    }
    adopt(*endpoint, std::move(target), is_new && !first, config.balance);
    upstream.endpoints.push_back(std::move(endpoint));
  }
  for (auto& endpoint : upstream.endpoints) {
    if (endpoint->target.is_address || endpoint->target.addresses != nullptr) resolved(*endpoint);
  }
  for (auto& endpoint : before) {
    if (endpoint == nullptr) continue;
    rehome(*endpoint, upstream);
    retire(std::move(endpoint));
  }
  if (!config.breaker) upstream.breaker.reset();
  if (!config.passive) {
    for (auto& endpoint : upstream.endpoints) endpoint->outlier = OutlierDetector();
  }
  refresh(upstream, true);
  wake(upstream);
}

void UpstreamPool::adopt(Endpoint& endpoint, UpstreamTarget target, bool is_new, const BalanceConfig& balance) {
  endpoint.target = std::move(target);
  endpoint.zone_index = zone_index(endpoint.target.zone);
  endpoint.weight = endpoint.target.weight;
  endpoint.priority = endpoint.target.priority;
  endpoint.probe_failed = probe_failed_.contains({endpoint.upstream->uid, endpoint.target.authority});
  if (!endpoint.upstream->config->active) endpoint.probe_failed = false;
  if (balance.slow_start_ms == 0) {
    endpoint.ramp_until_ns = 0;
  } else if (is_new) {
    endpoint.ramp_from_ns = options_.clock->mono_ns();
    endpoint.ramp_until_ns = endpoint.ramp_from_ns + balance.slow_start_ms * 1'000'000;
  }
}

uint32_t UpstreamPool::zone_index(const std::string& zone) {
  auto it = std::find(zones_.begin(), zones_.end(), zone);
  if (it == zones_.end()) it = zones_.insert(it, zone);
  uint32_t index = static_cast<uint32_t>(it - zones_.begin());
  options_.stats->name_zone(index, zone);
  return index;
}

void UpstreamPool::refresh(UpstreamState& upstream, bool targets_changed) {
  std::vector<Balancer::Member> members = members_of(upstream);
  const BalanceConfig& balance = upstream.config->balance;
  if (targets_changed) upstream.balancer.configure(balance, members);
  upstream.balancer.refresh(balance, members, options_.zone, options_.clock->mono_ns());
  upstream.next_return_ns = 0;
  for (const auto& e : upstream.endpoints) {
    int64_t until = e->outlier.ejected_until_ns();
    if (until != 0 && (upstream.next_return_ns == 0 || until < upstream.next_return_ns)) upstream.next_return_ns = until;
  }
}

void UpstreamPool::return_ejected(UpstreamState& upstream, int64_t now_ns) {
  int64_t slow_start_ms = upstream.config->balance.slow_start_ms;
  for (auto& e : upstream.endpoints) {
    if (!e->ejected() || e->outlier.ejected_until_ns() > now_ns) continue;
    e->outlier.come_back(now_ns);
    e->ramp_from_ns = now_ns;
    e->ramp_until_ns = slow_start_ms == 0 ? 0 : now_ns + slow_start_ms * 1'000'000;
  }
  refresh(upstream, false);
}

void UpstreamPool::retire(std::unique_ptr<Endpoint> endpoint) {
  endpoint->upstream = nullptr;
  for (auto& [session, timeout_ms] : std::exchange(endpoint->waiting, {})) session->connect_failed("the target is gone");
  while (endpoint->idle.head != nullptr) endpoint->idle.head->close();
  for (ClientSession* s = endpoint->busy.head; s != nullptr; s = s->next) s->retire();
  if (endpoint->shared != nullptr) retire_shared(*endpoint);
  if (endpoint->connections() > 0 || endpoint->in_work > 0) retired_.push_back(std::move(endpoint));
}

void UpstreamPool::configure(const Snapshot& snapshot) {
  const Snapshot* before = std::exchange(snapshot_, &snapshot);
  if (before != nullptr && &before->upstreams() == &snapshot.upstreams()) return;
  for (uint32_t i = 0; i < upstreams_.size(); ++i) {
    const UpstreamConfig* config = snapshot.upstream(i);
    // Two lists side by side: what did not change is not touched.
    if (config != nullptr && before != nullptr && before->upstream(i) == config) continue;
    std::unique_ptr<UpstreamState>& upstream = upstreams_[i];
    if (upstream == nullptr) continue;
    if (config != nullptr) {
      if (upstream->uid == config->uid && upstream->config.get() != config) update(*upstream, *config);
      continue;
    }
    // Exchanges that wait keep the snapshot that they started with, and the upstream's state with it.
    if (!upstream->waiting.empty()) continue;
    for (auto& endpoint : upstream->endpoints) retire(std::move(endpoint));
    index_of_.erase(upstream->uid);
    upstream.reset();
  }
}

void UpstreamPool::configure(std::shared_ptr<const Switches> switches) {
  std::vector<DrainedTarget> changed;
  std::set_symmetric_difference(switches->drained().begin(), switches->drained().end(), switches_->drained().begin(),
                                switches_->drained().end(), std::back_inserter(changed));
  switches_ = std::move(switches);
  uint64_t last = 0;  // they are in order of upstreams
  for (const DrainedTarget& target : changed) {
    if (target.upstream == last) continue;
    last = target.upstream;
    UpstreamState* upstream = find(last);
    if (upstream != nullptr && upstream->config != nullptr) update(*upstream, *upstream->config);
  }
}

void UpstreamPool::apply(const TargetsChange& change) {
  if (change.found == nullptr) {
    found_.erase(change.upstream_uid);
  } else {
    found_[change.upstream_uid] = change.found;
  }
  UpstreamState* upstream = find(change.upstream_uid);
  if (upstream != nullptr && upstream->config != nullptr) update(*upstream, *upstream->config);
}

void UpstreamPool::apply(const HealthChange& change) {
  std::pair<uint64_t, std::string> key(change.upstream_uid, change.authority);
  if (change.what == HealthChange::What::kProbeFailed) probe_failed_.insert(key);
  if (change.what == HealthChange::What::kProbeGood) probe_failed_.erase(key);
  UpstreamState* upstream = find(change.upstream_uid);
  if (upstream == nullptr) return;
  for (auto& endpoint : upstream->endpoints) {
    if (endpoint->target.authority != change.authority) continue;
    if (change.what == HealthChange::What::kEjected) {
      if (!upstream->config->passive) continue;
      endpoint->outlier.set_out_until(change.until_ns);
    } else {
      bool failed = change.what == HealthChange::What::kProbeFailed && upstream->config->active.has_value();
      if (endpoint->probe_failed && !failed && upstream->config->balance.slow_start_ms > 0) {
        endpoint->ramp_from_ns = options_.clock->mono_ns();
        endpoint->ramp_until_ns = endpoint->ramp_from_ns + upstream->config->balance.slow_start_ms * 1'000'000;
      }
      endpoint->probe_failed = failed;
      // Probes know better than requests of some time ago.
      if (!failed && endpoint->ejected()) endpoint->outlier.come_back(options_.clock->mono_ns());
    }
    // Kept connections to a target that is out would be the first to be used when it is back, and may be dead.
    if (!endpoint->well()) close_idle(*endpoint);
  }
  refresh(*upstream, false);
}

bool UpstreamPool::may_eject(const UpstreamState& upstream, const Endpoint& endpoint, const PassiveHealthConfig& config) const {
  uint64_t total = 0, out = 0;
  for (const auto& e : upstream.endpoints) {
    total += e->weight;
    if (e->ejected()) out += e->weight;
  }
  if (out == 0) return upstream.endpoints.size() > 1 || config.max_ejected_ppm == 1'000'000;
  return (out + endpoint.weight) * 1'000'000 <= static_cast<uint64_t>(config.max_ejected_ppm) * total;
}

void UpstreamPool::eject(UpstreamState& upstream, Endpoint& endpoint, int64_t now_ns) {
  const PassiveHealthConfig& config = *upstream.config->passive;
  if (endpoint.ejected() || endpoint.weight == 0 || !may_eject(upstream, endpoint, config)) return;
  HealthChange change{upstream.uid, endpoint.target.authority, HealthChange::What::kEjected, endpoint.outlier.eject(config, now_ns)};
  options_.stats->count(Counter::kUpstreamEjections);
  close_idle(endpoint);
  refresh(upstream, false);
  if (options_.on_ejected) options_.on_ejected(change);
}

UpstreamGauges UpstreamPool::gauges_of(const UpstreamState& upstream) const {
  UpstreamGauges g;
  for (const auto& e : upstream.endpoints) {
    if (e->target.source == UpstreamTarget::Source::kAwaited) continue;
    ++g.targets;
    g.well += e->well() ? 1 : 0;
  }
  g.waiting = static_cast<int64_t>(upstream.waiting.size());
  g.in_work = static_cast<int64_t>(upstream.in_work);
  g.circuit_open = upstream.breaker.open();
  g.panicking = upstream.balancer.panicking();
  return g;
}

// `next`: an upstream's index and, in its lower half, how much of it was told: the upstream itself first, then its targets.
bool UpstreamPool::report(uint64_t& next, SliceBudget& budget, const UpstreamFn& upstream_fn, const TargetFn& target_fn) {
  int64_t now_ns = options_.clock->mono_ns();
  for (uint64_t i = next >> 32; i < upstreams_.size(); ++i, next = i << 32) {
    if (!budget.left()) return false;
    budget.looked();
    if (upstreams_[i] == nullptr) continue;
    UpstreamState& upstream = *upstreams_[i];
    uint64_t told = next & UINT32_MAX;
    if (told == 0) {
      if (upstream.next_return_ns != 0 && now_ns >= upstream.next_return_ns) return_ejected(upstream, now_ns);
      upstream_fn(upstream.uid, gauges_of(upstream));
      budget.copied();
      told = 1;
    }
    for (; told <= upstream.endpoints.size(); ++told) {
      next = i << 32 | told;
      if (!budget.left()) return false;
      const Endpoint& e = *upstream.endpoints[told - 1];
      size_t idle = e.idle.size, busy = e.busy.size;
      if (e.shared != nullptr) {
        for (const http2::ClientSession* s : e.shared->sessions) ++(s->streams() == 0 && s->ready() ? idle : busy);
      }
      target_fn({upstream.uid, e.target.authority, e.attempts, e.failures, idle, busy, e.probe_failed, e.ejected(), &e.target});
      budget.copied();
    }
  }
  return true;
}

}  // namespace gw
