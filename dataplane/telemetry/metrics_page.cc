#include "dataplane/telemetry/metrics_page.h"

#include <algorithm>
#include <memory>
#include <mutex>
#include <utility>

#include "dataplane/snapshot/snapshot.h"

namespace gw {
namespace {

constexpr std::string_view kOtherName = "_OTHER";

template <class Map, class Value>
void remember(Map& map, uint64_t uid, Value value) {
  if (map.size() >= MetricsPage::kMaxObjects && map.count(uid) == 0) return;
  map[uid] = std::move(value);
}

std::string code_text(uint16_t status) { return status == 0 ? std::string(kOtherName) : std::to_string(status); }

bool is_auth_failure(Reason reason) {
  return reason == Reason::kAuthMissing || reason == Reason::kAuthInvalid || reason == Reason::kForbidden ||
         reason == Reason::kSubscriptionMissing || reason == Reason::kSuspended;
}

double seconds(int64_t ns) { return static_cast<double>(ns) / 1e9; }
double to_ms(int64_t ns) { return static_cast<double>(ns) / 1e6; }

}  // namespace

// Routes that have the same labels (an object made anew under its old name) are one series.
struct MetricsPage::LabelledRoutes {
  std::map<std::pair<std::string_view, std::string_view>, RouteStats> by_name;  // (api, route)
};

void MetricsPage::learn_route(uint64_t uid, uint64_t api_uid, std::string route, std::string api) {
  remember(routes_, uid, RouteLabels{api_uid, std::move(route), std::move(api)});
}
void MetricsPage::learn_upstream(uint64_t uid, std::string upstream) { remember(upstreams_, uid, std::move(upstream)); }
void MetricsPage::learn_policy(uint64_t uid, std::string policy, std::string type) {
  remember(policies_, uid, PolicyLabels{std::move(policy), std::move(type)});
}
void MetricsPage::learn_name(uint64_t uid, std::string name) { remember(names_, uid, std::move(name)); }

void MetricsPage::learn(const Snapshot& snapshot) {
  for (const auto& gateway : snapshot.gateways()) {
    for (const auto& on_gateway : gateway->apis) {
      learn_name(on_gateway->api->uid, on_gateway->api->name);
      for (const auto& route : on_gateway->routes) {
        learn_route(route->uid(), on_gateway->api->uid, route->name(), on_gateway->api->name);
      }
    }
  }
  targets_.clear();
  for (const auto& upstream : snapshot.upstreams()) {
    if (!upstream) continue;
    learn_upstream(upstream->uid, upstream->name);
    targets_[upstream->name] = upstream->targets.size();
  }
  for (const auto& plan : snapshot.plans()) {
    learn_name(plan->uid, plan->name);
    learn_policy(plan->uid, plan->name, "plan");
  }
  for (const auto& policy : snapshot.policies()) {
    const Policy::Info& info = policy->info();
    learn_policy(info.uid, info.owner + "/" + info.name, std::string(info.type));
  }
}

std::string_view MetricsPage::name_of(const std::map<uint64_t, std::string>& names, uint64_t uid) const {
  if (uid == 0) return {};
  auto at = names.find(uid);
  return at != names.end() ? std::string_view(at->second) : kOtherName;
}

MetricsPage::LabelledRoutes MetricsPage::by_labels(const StatsSnapshot& stats) const {
  LabelledRoutes out;
  for (const auto& [uid, route] : stats.routes) {
    std::pair<std::string_view, std::string_view> labels;
    auto at = routes_.find(uid);
    if (at != routes_.end()) {
      labels = {at->second.api, at->second.route};
    } else if (uid != 0) {
      labels = {kOtherName, kOtherName};
    }
    out.by_name[labels].merge(route);
  }
  return out;
}

void MetricsPage::render_routes(const StatsSnapshot& stats, PrometheusWriter& out) const {
  LabelledRoutes routes = by_labels(stats);
  out.family(metric::kHttpRequests);
  for (const auto& [labels, route] : routes.by_name) {
    for (const RequestCount& c : route.requests) {
      std::string code = code_text(c.status);
      std::string_view reason = c.reason == Reason::kNone ? std::string_view() : info(c.reason).name;
      out.sample({{"api", labels.first}, {"route", labels.second}, {"method", method_name(c.method)}, {"code", code},
                  {"reason", reason}}, c.count);
    }
  }
  out.family(metric::kGrpcRequests);
  for (const auto& [labels, route] : routes.by_name) {
    for (size_t i = 0; i < route.grpc.size(); ++i) {
      if (route.grpc[i] == 0) continue;
      out.sample({{"api", labels.first}, {"route", labels.second}, {"grpc_status", grpc_status_label(static_cast<GrpcStatus>(i))}},
                 route.grpc[i]);
    }
  }
  out.family(metric::kHttpRequestDuration);
  for (const auto& [labels, route] : routes.by_name) {
    out.histogram({{"api", labels.first}, {"route", labels.second}}, route.duration_ns, request_bounds_s());
  }
  out.family(metric::kHttpRequestBytes);
  for (const auto& [labels, route] : routes.by_name) {
    out.sample({{"api", labels.first}, {"route", labels.second}}, route.request_bytes);
  }
  out.family(metric::kHttpResponseBytes);
  for (const auto& [labels, route] : routes.by_name) {
    out.sample({{"api", labels.first}, {"route", labels.second}}, route.response_bytes);
  }
  std::map<std::pair<std::string_view, Reason>, uint64_t> failures;
  for (const auto& [labels, route] : routes.by_name) {
    for (const RequestCount& c : route.requests) {
      if (is_auth_failure(c.reason)) failures[{labels.first, c.reason}] += c.count;
    }
  }
  out.family(metric::kAuthFailures);
  for (const auto& [key, n] : failures) out.sample({{"api", key.first}, {"reason", info(key.second).name}}, n);

  std::map<std::pair<std::string_view, std::string_view>, uint64_t> rejections;
  for (const auto& [key, n] : stats.rejections) rejections[{name_of(names_, key.api), name_of(names_, key.plan)}] += n;
  out.family(metric::kRateLimitRejected);
  for (const auto& [key, n] : rejections) out.sample({{"api", key.first}, {"plan", key.second}}, n);
}

void MetricsPage::render_upstreams(const StatsSnapshot& stats, PrometheusWriter& out) const {
  std::map<std::string_view, UpstreamStats> upstreams;
  for (const auto& [uid, upstream] : stats.upstreams) upstreams[name_of(upstreams_, uid)].merge(upstream);
  out.family(metric::kUpstreamDuration);
  for (const auto& [name, upstream] : upstreams) {
    out.histogram({{"upstream", name}}, upstream.duration_ns, request_bounds_s());
  }
  out.family(metric::kUpstreamAttempts);
  for (const auto& [name, upstream] : upstreams) {
    for (size_t i = 0; i < upstream.attempts.size(); ++i) {
      if (upstream.attempts[i] == 0) continue;
      out.sample({{"upstream", name}, {"result", result_name(static_cast<AttemptResult>(i))}}, upstream.attempts[i]);
    }
  }
  out.family(metric::kRetries);
  for (const auto& [name, upstream] : upstreams) {
    for (size_t i = 0; i < upstream.retries.size(); ++i) {
      if (upstream.retries[i] == 0) continue;
      out.sample({{"upstream", name}, {"reason", retry_name(static_cast<RetryReason>(i))}}, upstream.retries[i]);
    }
  }
  out.family(metric::kMirrorRequests);
  for (const auto& [name, upstream] : upstreams) {
    for (size_t i = 0; i < upstream.mirrored.size(); ++i) {
      if (upstream.mirrored[i] == 0) continue;
      out.sample({{"upstream", name}, {"result", mirror_result_name(static_cast<MirrorResult>(i))}}, upstream.mirrored[i]);
    }
  }
  out.single(metric::kMirrorInFlight, stats.gauges.mirrors);
  out.family(metric::kUpstreamTargets);
  for (const auto& [name, targets] : targets_) {
    auto known = upstreams.find(name);  // what was found is counted by workers that were asked for it
    int64_t now = known != upstreams.end() && known->second.gauges ? known->second.gauges->targets : static_cast<int64_t>(targets);
    out.sample({{"upstream", name}}, now);
  }
  auto gauge = [&](const MetricInfo& family, auto value) {
    out.family(family);
    for (const auto& [name, upstream] : upstreams) {
      if (upstream.gauges && targets_.contains(std::string(name))) out.sample({{"upstream", name}}, value(*upstream.gauges));
    }
  };
  gauge(metric::kUpstreamHealthyTargets, [](const UpstreamGauges& g) { return g.well; });
  gauge(metric::kUpstreamCircuitOpen, [](const UpstreamGauges& g) { return int64_t{g.circuit_open}; });
  gauge(metric::kUpstreamPanic, [](const UpstreamGauges& g) { return int64_t{g.panicking}; });
  out.family(metric::kUpstreamRequests);
  for (const auto& [name, upstream] : upstreams) {
    if (!upstream.gauges || !targets_.contains(std::string(name))) continue;
    out.sample({{"upstream", name}, {"state", "active"}}, upstream.gauges->in_work);
    out.sample({{"upstream", name}, {"state", "waiting"}}, upstream.gauges->waiting);
  }
}

void MetricsPage::render_names(const DiscoveryStats& names, PrometheusWriter& out) const {
  out.family(metric::kDnsLookups);
  static constexpr std::string_view kResults[] = {"found", "missing", "failed"};
  for (size_t i = 0; i < names.lookups.size(); ++i) out.sample({{"result", kResults[i]}}, names.lookups[i]);
  out.family(metric::kDnsLeftOut);
  out.sample({{"reason", "refused"}}, names.refused);
  out.sample({{"reason", "excess"}}, names.excess);
  out.single(metric::kDnsStale, names.stale);
  out.single(metric::kDnsUnresolved, names.unresolved);
}

void MetricsPage::render_policies(const StatsSnapshot& stats, PrometheusWriter& out) const {
  std::map<std::pair<std::string_view, std::string_view>, PolicyStats> policies;
  for (const auto& [uid, policy] : stats.policies) {
    auto at = policies_.find(uid);
    std::pair<std::string_view, std::string_view> labels{kOtherName, kOtherName};
    if (at != policies_.end()) labels = {at->second.policy, at->second.type};
    policies[labels].merge(policy);
  }
  constexpr size_t kOpen = static_cast<size_t>(PolicyVerdict::kFailOpen);
  out.family(metric::kPolicyDecisions);
  for (const auto& [labels, policy] : policies) {
    for (size_t i = 0; i < policy.verdicts.size(); ++i) {
      if (policy.verdicts[i] == 0 || i == kOpen) continue;
      out.sample({{"policy", labels.first}, {"type", labels.second},
                  {"decision", verdict_name(static_cast<PolicyVerdict>(i))}}, policy.verdicts[i]);
    }
  }
  out.family(metric::kPolicyFailOpen);
  for (const auto& [labels, policy] : policies) {
    if (policy.verdicts[kOpen] > 0) out.sample({{"policy", labels.first}}, policy.verdicts[kOpen]);
  }
}

std::string MetricsPage::render(const StatsSnapshot& stats, const NodeMetrics& node) const {
  PrometheusWriter out;
  render_routes(stats, out);
  out.family(metric::kOverhead);
  out.histogram({}, stats.overhead_ns, overhead_bounds_s());
  out.family(metric::kLoopLag);
  out.histogram({}, stats.loop_lag_ns, overhead_bounds_s());
  out.single(metric::kOverloadStage, stats.gauges.overload_stage);
  out.family(metric::kConnections);
  out.sample({{"state", "active"}}, stats.gauges.connections_active);
  out.sample({{"state", "idle"}}, stats.gauges.connections_idle);
  out.family(metric::kTlsHandshakes);
  for (size_t i = 0; i < stats.handshakes.size(); ++i) {
    if (stats.handshakes[i] == 0) continue;
    TlsResultName name = tls_result_name(static_cast<TlsResult>(i));
    out.sample({{"result", name.result}, {"version", name.version}}, stats.handshakes[i]);
  }
  out.single(metric::kTlsHandshakesActive, stats.gauges.handshakes);
  out.single(metric::kHttpActiveRequests, stats.gauges.active_requests);
  out.single(metric::kTunnels, stats.gauges.tunnels);
  out.single(metric::kHttp2Connections, stats.gauges.http2_connections);
  out.single(metric::kHttp2Streams, stats.gauges.http2_streams);
  out.single(metric::kBufferBytes, stats.gauges.buffer_bytes);
  render_upstreams(stats, out);
  out.family(metric::kZoneBytes);
  for (const auto& [zone, bytes] : stats.zones) {
    out.sample({{"from", node.zone}, {"to", zone}}, bytes.sent);
    out.sample({{"from", zone}, {"to", node.zone}}, bytes.received);
  }
  render_names(stats.discovery, out);
  render_policies(stats, out);
  for (size_t i = 0; i < stats.counters.size(); ++i) {
    const CounterName& name = counter_name(static_cast<Counter>(i));
    out.family(name.name, MetricType::kCounter, name.help);
    out.sample({}, stats.counters[i]);
  }
  out.single(metric::kConfigVersion, node.config_version);
  out.single(metric::kDirectoryVersion, node.directory_version);
  out.single(metric::kSwitchesVersion, node.switches_version);
  out.single(metric::kEndpointsVersion, node.endpoints_version);
  out.single(metric::kCertificatesVersion, node.certificates_version);
  out.family(metric::kCertificateExpiry);
  for (size_t i = 0; i < std::min(node.certificate_ends.size(), kMaxObjects); ++i) {
    out.sample({{"certificate", node.certificate_ends[i].first}}, static_cast<double>(node.certificate_ends[i].second));
  }
  out.single(metric::kConfigLastSuccess, seconds(node.config_success_wall_ns));
  out.single(metric::kDirectoryLastSuccess, seconds(node.directory_success_wall_ns));
  out.single(metric::kConfigRejected, node.config_rejected);
  out.single(metric::kControlPlaneConnected, node.control_plane_connected ? 1 : 0);
  out.single(metric::kSnapshotBytes, node.snapshot_bytes);
  out.single(metric::kUsageEvents, node.usage_events);
  out.single(metric::kUsageUnacknowledged, node.usage_unacknowledged);
  out.single(metric::kUsageLost, node.usage_lost);
  out.single(metric::kAccessLogDropped, node.access_log_dropped);
  out.single(metric::kHandovers, node.handovers);
  out.single(metric::kHandoversFailed, node.handovers_failed);
  out.family(metric::kBuildInfo);
  out.sample({{"version", node.version}, {"commit", node.commit}}, 1);
  return out.take();
}

namespace {

void report_target(const std::string& address, const TargetStats& target, v1::TargetState& t) {
  t.set_address(address);
  t.set_requests(target.requests);
  t.set_failures(target.failures);
  t.set_connections_idle(target.idle);
  t.set_connections_busy(target.busy);
  t.set_drained(target.drained);
  t.set_probe_failed(target.probe_failed);
  t.set_ejected(target.ejected);
  t.set_source(static_cast<v1::TargetSource>(static_cast<int>(target.source) + 1));
  t.set_name(target.name);
  t.set_weight(target.weight);
  t.set_priority(target.priority);
}

void report_name(const NameStats& name, v1::NameState& n) {
  n.set_name(name.name);
  n.set_srv(name.srv);
  for (const std::string& address : name.addresses) {
    if (n.addresses_size() == MetricsPage::kMaxNameAddresses) break;
    n.add_addresses(address);
  }
  n.set_total(static_cast<uint32_t>(name.addresses.size()));
  n.set_refresh_in_ms(std::max<int64_t>(name.refresh_in_ms, 0));
  n.set_stale_since(name.stale_since_s);
  n.set_problem(name.answered ? name.problem : "no answer yet");
  n.set_refused(name.refused);
  n.set_excess(name.excess);
}

}  // namespace

void MetricsPage::report(const StatsSnapshot& stats, v1::MetricsReport& out) {
  std::map<uint64_t, Histogram> now;
  for (const auto& [uid, route] : stats.routes) {
    v1::RouteTotals& row = *out.add_routes();
    auto labels = routes_.find(uid);
    if (labels != routes_.end()) row.set_api(labels->second.api_uid);
    row.set_route(uid);
    row.set_requests(route.total());
    row.set_client_errors(route.client_errors);
    row.set_server_errors(route.server_errors);
    Histogram since = route.duration_ns.since(reported_[uid]);
    row.set_p50_ms(to_ms(since.quantile(0.5)));
    row.set_p99_ms(to_ms(since.quantile(0.99)));
    now[uid] = route.duration_ns;
    if (now.size() >= kMaxObjects) break;
  }
  reported_ = std::move(now);
  int targets = 0;
  for (const auto& [uid, upstream] : stats.upstreams) {
    v1::UpstreamTotals& row = *out.add_upstreams();
    row.set_upstream(uid);
    for (uint64_t n : upstream.attempts) row.set_attempts(row.attempts() + n);
    row.set_failures(row.attempts() - upstream.attempts[static_cast<size_t>(AttemptResult::kOk)] -
                     upstream.attempts[static_cast<size_t>(AttemptResult::kCancelled)]);
    for (const auto& [address, target] : upstream.targets) {
      if (row.targets_size() == kMaxTargets || ++targets > kMaxAllTargets) break;
      report_target(address, target, *row.add_targets());
    }
  }
  targets = 0;
  for (const auto& [uid, names] : stats.discovery.names) {
    v1::UpstreamTotals* row = nullptr;
    for (v1::UpstreamTotals& known : *out.mutable_upstreams()) {
      if (known.upstream() == uid) row = &known;
    }
    if (row == nullptr) {
      row = out.add_upstreams();
      row->set_upstream(uid);
    }
    for (const NameStats& name : names) {
      if (row->names_size() == kMaxTargets || ++targets > kMaxAllTargets) break;
      report_name(name, *row->add_names());
    }
  }
  out.set_connections(stats.gauges.connections_active + stats.gauges.connections_idle);
  out.set_active_requests(stats.gauges.active_requests);
  out.set_overload_stage(static_cast<uint32_t>(stats.gauges.overload_stage));
}

namespace {

// One worker after the other, so that none waits for another's copying, and each slice in a turn of its own. Whoever lets go of
// it last calls `done`; a worker gives it away before that.
struct StatsWalk {
  StatsWalk(WorkerCalls& w, Elsewhere e, std::function<void(StatsSnapshot)> fn) : workers(w), elsewhere(std::move(e)), done(std::move(fn)) {}
  ~StatsWalk() { done(std::move(sum)); }

  static void go_on(std::shared_ptr<StatsWalk> walk) {
    for (; walk->worker < walk->workers.workers(); walk->next_worker()) {
      bool posted = walk->workers.post(walk->worker, [walk](WorkerStats& stats, UsageMeter&) mutable {
        bool whole = stats.copy_slice(walk->at, walk->slice);
        Elsewhere run = walk->elsewhere;  // the walk may be gone before this returns
        run([walk = std::move(walk), whole] { added(walk, whole); });
      });
      if (posted) return;
    }
  }
  static void added(const std::shared_ptr<StatsWalk>& walk, bool whole) {
    walk->sum.add(walk->slice);
    if (whole) walk->next_worker();
    go_on(walk);
  }
  void next_worker() {
    ++worker;
    at = StatsCursor();
  }

  WorkerCalls& workers;
  Elsewhere elsewhere;
  std::function<void(StatsSnapshot)> done;
  StatsSnapshot sum;
  StatsSlice slice;
  size_t worker = 0;
  StatsCursor at;
};

}  // namespace

void collect_stats(WorkerCalls& workers, Elsewhere elsewhere, std::function<void(StatsSnapshot)> done) {
  StatsWalk::go_on(std::make_shared<StatsWalk>(workers, std::move(elsewhere), std::move(done)));
}

}  // namespace gw
