#include "dataplane/telemetry/worker_stats.h"

#include <algorithm>

#include "dataplane/snapshot/snapshot.h"

namespace gw {
namespace {

constexpr CounterName kCounterNames[] = {
    {"gw_connections_accepted_total", "Client connections accepted."},
    {"gw_connections_refused_total", "Client connections closed at once because the limit of live ones was hit."},
    {"gw_request_head_too_large_total", "Requests refused because their head exceeds its limit."},
    {"gw_request_body_too_large_total", "Requests refused because their body exceeds its limit."},
    {"gw_request_timeouts_total", "Requests given up because the client was too slow."},
    {"gw_upstream_queue_full_total", "Requests refused because too many wait for an upstream connection."},
    {"gw_upstream_pool_full_total", "Times that an upstream's limit of connections was hit."},
    {"gw_upstream_ejections_total", "Times that a target was left out because requests to it failed."},
    {"gw_upstream_tls_failures_total", "TLS handshakes with targets that failed."},
    {"gw_upstream_circuit_open_refusals_total", "Requests refused by a limit of a circuit breaker."},
    {"gw_upstream_circuit_opened_total", "Times that a circuit breaker opened after failures in a row."},
    {"gw_retries_refused_total", "Failures passed on because the budget or limit of retries was used up."},
    {"gw_buffer_limit_total", "Times that a worker's limit of buffer memory was hit."},
    {"gw_bodies_spliced_total", "Bodies, or the rest of them, that went from one connection to the other within the kernel."},
    {"gw_splice_pipes_full_total", "Times that no pipe was to be had for a body, which went on through the process."},
    {"gw_rate_table_full_total", "Times that no place was left to count a rate in."},
    {"gw_retry_reused_total", "Requests sent again because a reused connection died before its first byte."},
    {"gw_client_closed_total", "Requests whose client hung up before the answer was complete."},
    {"gw_tunnels_opened_total", "WebSocket tunnels opened."},
    {"gw_tunnel_request_bytes_total", "Bytes from clients through tunnels."},
    {"gw_tunnel_response_bytes_total", "Bytes to clients through tunnels."},
    {"gw_tunnel_idle_timeouts_total", "Tunnels closed because no byte came for websocket.idleTimeout."},
    {"gw_tunnels_drained_total", "Tunnels closed by a node that goes away, after their grace."},
    {"gw_tunnel_origin_denied_total", "WebSocket handshakes refused because of their Origin."},
    {"gw_loops_total", "Requests refused because they passed this gateway before."},
    {"gw_stacked_requests_total", "Requests that passed another Northgate gateway before."},
    {"gw_stacked_limit_total", "Requests refused because they passed more gateways than limits.stackedGateways allows."},
    {"gw_proxy_header_refused_total", "Connections closed for a PROXY protocol header that is missing, malformed, late or not from a trusted proxy."},
    {"gw_gateway_connections_refused_total", "Client connections closed at once because limits.maxConnections of the Gateway was hit."},
    {"gw_client_connections_refused_total", "Client connections closed at once because limits.maxConnectionsPerClient was hit."},
    {"gw_connection_requests_limit_total", "Client connections closed after limits.requestsPerConnection."},
    {"gw_overload_refused_total", "Requests refused with OVERLOAD before anything was done for them."},
    {"gw_overload_closed_total", "Client connections closed after an answer to make room under load."},
    {"gw_requests_blocked_total", "Requests refused because an operator has blocked the client's address."},
    {"gw_requests_disabled_total", "Requests refused because an operator has disabled their Api."},
    {"gw_upstream_http2_connections_total", "HTTP/2 connections to upstreams that were begun."},
    {"gw_upstream_http2_goaways_total", "HTTP/2 connections whose upstream said that it takes no more requests on them."},
    {"gw_upstream_http2_moved_total", "Requests that an upstream's HTTP/2 connection left unseen and that went to another one."},
    {"gw_upstream_http2_budget_total", "HTTP/2 connections to upstreams that were ended for too many frames of no use."},
    {"gw_http2_requests_total", "Requests that came by HTTP/2."},
    {"gw_http2_budget_exceeded_total", "HTTP/2 connections ended because their client went beyond a budget of http2Limits."},
    {"gw_tls_early_requests_total", "Requests that came before their TLS handshake had ended."},
    {"gw_tls_early_refused_total", "Requests refused because they came before their TLS handshake had ended and may not be replayed."},
};
static_assert(sizeof kCounterNames / sizeof kCounterNames[0] == static_cast<size_t>(Counter::kCount));

constexpr std::string_view kResultNames[] = {"ok", "connect", "timeout", "reset", "invalid", "cancelled"};
static_assert(sizeof kResultNames / sizeof kResultNames[0] == static_cast<size_t>(AttemptResult::kCount));

constexpr std::string_view kRetryNames[] = {"reused_connection", "connect", "reset", "timeout", "status", "hedge", "grpc-status"};
static_assert(sizeof kRetryNames / sizeof kRetryNames[0] == static_cast<size_t>(RetryReason::kCount));

constexpr std::string_view kVerdictNames[] = {"pass", "refuse", "observe", "fail_open"};
static_assert(sizeof kVerdictNames / sizeof kVerdictNames[0] == static_cast<size_t>(PolicyVerdict::kCount));

constexpr std::string_view kMirrorNames[] = {"2xx",     "3xx",     "4xx",              "5xx",              "failed",
                                             "timeout", "dropped_too_many", "dropped_too_large", "dropped_unfinished"};
static_assert(sizeof kMirrorNames / sizeof kMirrorNames[0] == static_cast<size_t>(MirrorResult::kCount));
constexpr TlsResultName kTlsNames[] = {{"ok", "1.2"},      {"ok", "1.3"},  {"resumed", "1.2"}, {"resumed", "1.3"},
                                       {"protocol", ""},   {"no_host", ""}, {"no_protocol", ""}, {"client_certificate", ""},
                                       {"client", ""},     {"timeout", ""}, {"limit", ""}};
static_assert(sizeof kTlsNames / sizeof kTlsNames[0] == static_cast<size_t>(TlsResult::kCount));

// The stats at `index`, made anew when another object has come to that place.
template <class Stats>
Stats& place(std::vector<std::unique_ptr<Stats>>& all, uint32_t index, uint64_t uid) {
  if (index >= all.size()) all.resize(index + 1);
  std::unique_ptr<Stats>& at = all[index];
  if (!at || at->uid != uid) {
    at = std::make_unique<Stats>();
    at->uid = uid;
  }
  return *at;
}

template <class Stats>
void merge_into(std::map<uint64_t, Stats>& out, const Stats& stats) {
  Stats& to = out[stats.uid];
  to.uid = stats.uid;
  to.merge(stats);
}

template <class Stats>
const Stats* at_place(const std::unique_ptr<Stats>& place) { return place.get(); }
const PolicyStats* at_place(const PolicyStats& place) { return place.uid != 0 ? &place : nullptr; }

// A table by index, from `next` on; false: the budget is used up.
template <class Places, class Row>
bool copy_places(const Places& places, uint64_t& next, SliceBudget& budget, Rows<Row>& out) {
  for (; next < places.size(); ++next) {
    if (!budget.left()) return false;
    budget.looked();
    if (const auto* stats = at_place(places[next])) {
      out.next() = *stats;
      budget.copied();
    }
  }
  return true;
}

// A table by key, from `next` on, likewise.
template <class Map, class Add>
bool copy_keys(const Map& map, typename Map::key_type& next, SliceBudget& budget, Add add) {
  for (auto it = map.lower_bound(next); it != map.end(); ++it) {
    next = it->first;
    if (!budget.left()) return false;
    add(it->first, it->second);
    budget.copied();
  }
  return true;
}

}  // namespace

std::string_view result_name(AttemptResult result) { return kResultNames[static_cast<size_t>(result)]; }
std::string_view retry_name(RetryReason reason) { return kRetryNames[static_cast<size_t>(reason)]; }
TlsResultName tls_result_name(TlsResult result) { return kTlsNames[static_cast<size_t>(result)]; }
std::string_view mirror_result_name(MirrorResult result) { return kMirrorNames[static_cast<size_t>(result)]; }
std::string_view verdict_name(PolicyVerdict verdict) { return kVerdictNames[static_cast<size_t>(verdict)]; }
const CounterName& counter_name(Counter counter) { return kCounterNames[static_cast<size_t>(counter)]; }

void RouteStats::count(Method method, Reason reason, uint16_t status, uint64_t n) {
  for (RequestCount& c : requests) {
    if (c.status == status && c.method == method && c.reason == reason) {
      c.count += n;
      return;
    }
  }
  if (requests.size() >= kMaxCombinations && !(method == Method::kOther && reason == Reason::kNone && status == 0)) {
    count(Method::kOther, Reason::kNone, 0, n);
    return;
  }
  requests.push_back({method, reason, status, n});
}

void RouteStats::count(GrpcStatus status, uint64_t n) {
  if (grpc.empty()) grpc.resize(kGrpcStatuses);
  grpc[static_cast<size_t>(status)] += n;
}

void RouteStats::merge(const RouteStats& other) {
  for (size_t i = 0; i < other.grpc.size(); ++i) count(static_cast<GrpcStatus>(i), other.grpc[i]);
  for (const RequestCount& c : other.requests) count(c.method, c.reason, c.status, c.count);
  request_bytes += other.request_bytes;
  response_bytes += other.response_bytes;
  client_errors += other.client_errors;
  server_errors += other.server_errors;
  duration_ns.merge(other.duration_ns);
}

void UpstreamGauges::merge(const UpstreamGauges& other) {
  targets = std::max(targets, other.targets);
  well = std::min(well, other.well);
  in_work += other.in_work;
  waiting += other.waiting;
  circuit_open = circuit_open || other.circuit_open;
  panicking = panicking || other.panicking;
}

void UpstreamStats::merge(const UpstreamStats& other) {
  for (size_t i = 0; i < attempts.size(); ++i) attempts[i] += other.attempts[i];
  for (size_t i = 0; i < retries.size(); ++i) retries[i] += other.retries[i];
  if (other.gauges) add(*other.gauges);
  for (size_t i = 0; i < mirrored.size(); ++i) mirrored[i] += other.mirrored[i];
  duration_ns.merge(other.duration_ns);
}

void UpstreamStats::add(const UpstreamGauges& more) {
  if (gauges) {
    gauges->merge(more);
  } else {
    gauges = more;
  }
}

void TargetStats::merge(const TargetStats& other) {
  requests += other.requests;
  failures += other.failures;
  idle += other.idle;
  busy += other.busy;
  drained = other.drained;
  probe_failed = probe_failed || other.probe_failed;
  ejected = ejected || other.ejected;
  source = other.source;
  name = other.name;
  weight = other.weight;
  priority = other.priority;
}

void PolicyStats::merge(const PolicyStats& other) {
  for (size_t i = 0; i < verdicts.size(); ++i) verdicts[i] += other.verdicts[i];
}

void StatsTotals::merge(const StatsTotals& other) {
  for (const auto& [zone, bytes] : other.zones) {
    ZoneBytes& sum = zones[zone];
    sum.sent += bytes.sent;
    sum.received += bytes.received;
  }
  for (size_t i = 0; i < counters.size(); ++i) counters[i] += other.counters[i];
  for (size_t i = 0; i < handshakes.size(); ++i) handshakes[i] += other.handshakes[i];
  overhead_ns.merge(other.overhead_ns);
  loop_lag_ns.merge(other.loop_lag_ns);
  gauges.merge(other.gauges);
}

void WorkerGauges::merge(const WorkerGauges& other) {
  connections_active += other.connections_active;
  connections_idle += other.connections_idle;
  active_requests += other.active_requests;
  tunnels += other.tunnels;
  mirrors += other.mirrors;
  handshakes += other.handshakes;
  buffer_bytes += other.buffer_bytes;
  http2_connections += other.http2_connections;
  http2_streams += other.http2_streams;
  overload_stage = std::max(overload_stage, other.overload_stage);
}

StatsSlice::StatsSlice()
    : routes(SliceBudget::kCopies),
      upstreams(SliceBudget::kCopies),
      policies(SliceBudget::kCopies),
      rejections(SliceBudget::kCopies),
      gauges(SliceBudget::kCopies),
      targets(SliceBudget::kCopies) {}

void StatsSlice::clear() {
  totals.reset();
  routes.clear();
  upstreams.clear();
  policies.clear();
  rejections.clear();
  gauges.clear();
  targets.clear();
}

void StatsSnapshot::add(const StatsSlice& slice) {
  if (slice.totals) merge(*slice.totals);
  for (const RouteStats& r : slice.routes) merge_into(routes, r);
  for (const UpstreamStats& u : slice.upstreams) merge_into(upstreams, u);
  for (const PolicyStats& p : slice.policies) merge_into(policies, p);
  for (const auto& [rejection, n] : slice.rejections) rejections[rejection] += n;
  auto upstream = [this](uint64_t uid) -> UpstreamStats& {
    UpstreamStats& of = upstreams[uid];
    of.uid = uid;
    return of;
  };
  for (const StatsSlice::Gauges& g : slice.gauges) upstream(g.upstream).add(g.gauges);
  for (const StatsSlice::Target& t : slice.targets) upstream(t.upstream).targets[t.address].merge(t.stats);
}

void WorkerStats::record(const RequestRecord& r) {
  RouteStats& route = r.route != nullptr ? place(routes_, r.route->index(), r.route->uid()) : unmatched_;
  route.count(r.method, r.reason, static_cast<uint16_t>(r.status), 1);
  route.request_bytes += r.request_bytes;
  route.response_bytes += r.response_bytes;
  int status = r.status;
  if (r.grpc != GrpcStatus::kNone) {
    route.count(r.grpc, 1);
    status = http_class_of(r.grpc);
  }
  if (status >= 500) ++route.server_errors;
  else if (status >= 400) ++route.client_errors;
  int64_t duration_ns = r.handshake_ns > 0 ? r.handshake_ns : r.duration_ns;
  route.duration_ns.record(duration_ns);
  overhead_ns_.record(duration_ns - r.upstream_ns);
  if ((r.reason == Reason::kRateLimited || r.reason == Reason::kQuotaExhausted) && r.route != nullptr) {
    Rejection key{r.route->api->uid, r.plan != nullptr ? r.plan->uid : 0};
    if (rejections_.size() >= kMaxRejections && rejections_.count(key) == 0) key = Rejection{};
    ++rejections_[key];
  }
}

void WorkerStats::attempt(const ObjectInfo& upstream, AttemptResult result, int64_t duration_ns) {
  UpstreamStats& stats = place(upstreams_, upstream.index, upstream.uid);
  ++stats.attempts[static_cast<size_t>(result)];
  stats.duration_ns.record(duration_ns);
}

void WorkerStats::retry(const ObjectInfo& upstream, RetryReason reason) {
  ++place(upstreams_, upstream.index, upstream.uid).retries[static_cast<size_t>(reason)];
}

void WorkerStats::name_zone(uint32_t index, const std::string& zone) {
  if (index >= zones_.size()) zones_.resize(index + 1);
  zones_[index].first = zone;
}

void WorkerStats::mirrored(uint32_t upstream_index, uint64_t upstream_uid, MirrorResult result) {
  ++place(upstreams_, upstream_index, upstream_uid).mirrored[static_cast<size_t>(result)];
}

void WorkerStats::policy(const Policy::Info& policy, PolicyVerdict verdict) {
  if (policy.index >= policies_.size()) policies_.resize(policy.index + 1);
  PolicyStats& stats = policies_[policy.index];
  if (stats.uid != policy.uid) {
    stats = PolicyStats{};
    stats.uid = policy.uid;
  }
  ++stats.verdicts[static_cast<size_t>(verdict)];
}

void WorkerStats::plan(uint64_t plan_uid, PolicyVerdict verdict) {
  PolicyStats& stats = plans_[plan_uid];
  stats.uid = plan_uid;
  ++stats.verdicts[static_cast<size_t>(verdict)];
}

void WorkerStats::copy_totals(StatsSlice& out) const {
  if (unmatched_.total() > 0) out.routes.next() = unmatched_;
  StatsTotals& totals = out.totals.emplace();
  for (const auto& [zone, bytes] : zones_) {
    if (bytes.sent + bytes.received > 0) totals.zones[zone] = bytes;
  }
  totals.counters = counters_;
  totals.handshakes = handshakes_;
  totals.overhead_ns = overhead_ns_;
  totals.loop_lag_ns = loop_lag_ns_;
  totals.gauges = gauges_;
}

bool WorkerStats::copy_slice(StatsCursor& at, StatsSlice& out) const {
  out.clear();
  SliceBudget budget;
  bool whole = false;
  while (budget.left()) {
    switch (at.table) {
      case 0: copy_totals(out); whole = true; break;
      case 1: whole = copy_places(routes_, at.next, budget, out.routes); break;
      case 2: whole = copy_places(upstreams_, at.next, budget, out.upstreams); break;
      case 3: whole = copy_places(policies_, at.next, budget, out.policies); break;
      case 4: whole = copy_keys(plans_, at.next, budget, [&](uint64_t, const PolicyStats& p) { out.policies.next() = p; }); break;
      case 5: whole = copy_keys(rejections_, at.rejection, budget, [&](const Rejection& r, uint64_t n) { out.rejections.next() = {r, n}; }); break;
      case 6: whole = !more_ || more_(at.next, budget, out); break;
      default: return true;
    }
    if (!whole) return false;
    ++at.table;
    at.next = 0;
  }
  return false;
}

void WorkerStats::snapshot_into(StatsSnapshot& out) const {
  StatsCursor at;
  StatsSlice slice;
  for (bool whole = false; !whole;) {
    whole = copy_slice(at, slice);
    out.add(slice);
  }
}

}  // namespace gw
