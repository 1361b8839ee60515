#include <algorithm>
#include <catch2/catch.hpp>
#include <deque>
#include <memory>
#include <utility>
#include <vector>

#include "dataplane/telemetry/metrics_page.h"
#include "dataplane/telemetry/usage_meter.h"
#include "dataplane/telemetry/worker_stats.h"
#include "record_support.h"

using namespace gw;
using namespace gw::telemetry_test;

namespace {

bool has(const std::string& page, const std::string& line) {
  bool found = page.find("\n" + line + "\n") != std::string::npos;
  if (!found) UNSCOPED_INFO("no line: " << line);
  return found;
}

ObjectInfo upstream(uint64_t uid, uint32_t index) {
  ObjectInfo out;
  out.uid = uid;
  out.index = index;
  return out;
}

void learn(MetricsPage& page, const Objects& o) {
  page.learn_route(o.route.uid(), o.route.api->uid, o.route.name(), o.route.api->name);
  page.learn_name(o.route.api->uid, o.route.api->name);
  page.learn_name(o.plan.uid, o.plan.name);
}

}  // namespace

TEST_CASE("what workers count is summed and labelled") {
  Objects o;
  WorkerStats a, b;
  a.record(o.record(200));
  b.record(o.record(200));
  RequestRecord limited = o.record(429);
  limited.reason = Reason::kRateLimited;
  b.record(limited);
  RequestRecord missing = o.record(401);
  missing.reason = Reason::kAuthMissing;
  b.record(missing);
  RequestRecord nowhere;
  nowhere.status = 404;
  nowhere.reason = Reason::kNoRoute;
  nowhere.method = Method::kPost;
  a.record(nowhere);
  RequestRecord call = o.record(200);
  call.grpc = GrpcStatus::kOk;
  a.record(call);
  b.record(call);
  call.grpc = GrpcStatus::kMissing;
  b.record(call);
  nowhere.grpc = GrpcStatus::kUnimplemented;
  nowhere.status = 200;
  b.record(nowhere);
  b.retry(upstream(9, 0), RetryReason::kGrpcStatus);
  a.attempt(upstream(9, 0), AttemptResult::kOk, 5'000'000);
  b.attempt(upstream(9, 0), AttemptResult::kTimeout, 5'000'000);
  b.retry(upstream(9, 0), RetryReason::kReused);
  a.mirrored(0, 9, MirrorResult::k2xx);
  b.mirrored(0, 9, MirrorResult::kTooMany);
  RequestRecord tunnel = o.record(101);
  tunnel.duration_ns = 3'600'000'000'000;
  tunnel.handshake_ns = 20'000'000;
  tunnel.route = nullptr;
  a.record(tunnel);
  b.gauges().tunnels = 4;
  Policy::Info policy{.uid = 8, .owner = "platform", .name = "api-key", .type = "apiKey"};
  a.policy(policy, PolicyVerdict::kNext);
  b.policy(policy, PolicyVerdict::kRespond);
  b.policy(policy, PolicyVerdict::kFailOpen);
  a.count(Counter::kConnectionsAccepted, 3);
  a.gauges().connections_idle = 2;
  b.gauges().connections_idle = 1;
  a.gauges().overload_stage = 2;
  b.gauges().overload_stage = 1;
  a.loop_turn(1'000'000);
  b.loop_turn(3'000);
  b.count(Counter::kLoops);

  MetricsPage page;
  learn(page, o);
  page.learn_upstream(9, "attendees/attendees");
  page.learn_policy(8, "platform/api-key", "apiKey");
  StatsSnapshot sum;
  a.snapshot_into(sum);
  b.snapshot_into(sum);
  NodeMetrics node;
  node.config_version = 142;
  node.config_success_wall_ns = 1'500'000'000;
  node.usage_lost = 0;
  node.version = "0.1.0";
  node.commit = "abc";
  std::string text = page.render(sum, node);

  const std::string labels = "api=\"attendees/api-1\",route=\"attendees/route-1\"";
  CHECK(has(text, "gw_http_requests_total{" + labels + ",method=\"GET\",code=\"200\",reason=\"\"} 5"));
  CHECK(has(text, "gw_grpc_requests_total{" + labels + ",grpc_status=\"0\"} 2"));
  CHECK(has(text, "gw_grpc_requests_total{" + labels + ",grpc_status=\"unknown\"} 1"));
  CHECK(has(text, "gw_grpc_requests_total{api=\"\",route=\"\",grpc_status=\"12\"} 1"));
  CHECK(has(text, "gw_retries_total{upstream=\"attendees/attendees\",reason=\"grpc-status\"} 1"));
  CHECK(has(text, "gw_http_requests_total{" + labels + ",method=\"GET\",code=\"429\",reason=\"RATE_LIMITED\"} 1"));
  CHECK(has(text, "gw_http_requests_total{api=\"\",route=\"\",method=\"POST\",code=\"404\",reason=\"NO_ROUTE\"} 1"));
  CHECK(has(text, "gw_http_request_duration_seconds_count{" + labels + "} 7"));
  CHECK(has(text, "gw_http_response_bytes_total{" + labels + "} 14000"));
  CHECK(has(text, "gw_auth_failures_total{api=\"attendees/api-1\",reason=\"AUTH_MISSING\"} 1"));
  CHECK(has(text, "gw_ratelimit_rejected_total{api=\"attendees/api-1\",plan=\"platform/pro\"} 1"));
  CHECK(has(text, "gw_upstream_attempts_total{upstream=\"attendees/attendees\",result=\"ok\"} 1"));
  CHECK(has(text, "gw_upstream_attempts_total{upstream=\"attendees/attendees\",result=\"timeout\"} 1"));
  CHECK(has(text, "gw_mirror_requests_total{upstream=\"attendees/attendees\",result=\"2xx\"} 1"));
  CHECK(has(text, "gw_mirror_requests_total{upstream=\"attendees/attendees\",result=\"dropped_too_many\"} 1"));
  CHECK(has(text, "gw_tunnels 4"));
  // A tunnel's life is in the log; what the histogram has is the time until the upstream agreed.
  CHECK(has(text, "gw_http_request_duration_seconds_bucket{api=\"\",route=\"\",le=\"0.025\"} 3"));
  CHECK(has(text, "gw_policy_decisions_total{policy=\"platform/api-key\",type=\"apiKey\",decision=\"refuse\"} 1"));
  CHECK(has(text, "gw_policy_fail_open_total{policy=\"platform/api-key\"} 1"));
  CHECK(has(text, "gw_connections_accepted_total 3"));
  CHECK(has(text, "gw_connections{state=\"idle\"} 3"));
  CHECK(has(text, "gw_overload_stage 2"));
  CHECK(has(text, "gw_loop_lag_seconds_count 2"));
  CHECK(has(text, "gw_loops_total 1"));
  CHECK(has(text, "gw_config_version 142"));
  CHECK(has(text, "gw_config_last_success_timestamp_seconds 1.5"));
  CHECK(has(text, "gw_usage_lost_total 0"));
  CHECK(has(text, "gw_build_info{version=\"0.1.0\",commit=\"abc\"} 1"));
}

TEST_CASE("no series stands twice on the page, and each family begins once") {
  MetricsPage page;
  StatsSnapshot sum;
  std::vector<std::unique_ptr<Objects>> all;
  WorkerStats stats;
  for (uint64_t i = 0; i < 4; ++i) {
    all.push_back(std::make_unique<Objects>(i, static_cast<uint32_t>(i)));
    stats.record(all.back()->record());
    stats.attempt(upstream(50 + i, static_cast<uint32_t>(i)), AttemptResult::kOk, 1);
  }
  // Two of one name (deleted and made anew), two that nobody named.
  for (uint64_t i = 0; i < 2; ++i) {
    page.learn_route(all[i]->route.uid(), 101, "attendees/same", "attendees/api");
    page.learn_upstream(50 + i, "attendees/same");
  }
  stats.snapshot_into(sum);
  std::string text = page.render(sum, {});
  CHECK(has(text, "gw_http_request_duration_seconds_count{api=\"attendees/api\",route=\"attendees/same\"} 2"));
  CHECK(has(text, "gw_http_request_duration_seconds_count{api=\"_OTHER\",route=\"_OTHER\"} 2"));
  std::map<std::string, int> series;
  size_t at = 0;
  while (at < text.size()) {
    size_t end = text.find('\n', at);
    std::string l = text.substr(at, end - at);
    at = end + 1;
    ++series[l.starts_with("# TYPE ") ? l.substr(0, l.rfind(' ')) : l.substr(0, l.rfind(' '))];
  }
  for (const auto& [name, n] : series) {
    INFO(name);
    CHECK(n == 1);
  }
}

TEST_CASE("counters survive a swap, and start anew when the index goes to another object") {
  WorkerStats stats;
  Objects a(1, 0);
  stats.record(a.record());
  Objects rebuilt(1, 0);  // the same route of the next snapshot
  stats.record(rebuilt.record());
  StatsSnapshot first;
  stats.snapshot_into(first);
  CHECK(first.routes.at(a.route.uid()).total() == 2);
  Objects other(2, 0);
  stats.record(other.record());
  StatsSnapshot second;
  stats.snapshot_into(second);
  CHECK(second.routes.count(a.route.uid()) == 0);
  CHECK(second.routes.at(other.route.uid()).total() == 1);
}

TEST_CASE("a route counts a bounded number of combinations") {
  WorkerStats stats;
  Objects o;
  for (int status = 200; status < 500; ++status) stats.record(o.record(status));
  StatsSnapshot sum;
  stats.snapshot_into(sum);
  const RouteStats& route = sum.routes.at(o.route.uid());
  CHECK(route.requests.size() == RouteStats::kMaxCombinations + 1);
  uint64_t total = 0;
  for (const RequestCount& c : route.requests) total += c.count;
  CHECK(total == 300);
}

TEST_CASE("a report has totals, and percentiles since the last one") {
  MetricsPage page;
  Objects o;
  learn(page, o);
  WorkerStats stats;
  RequestRecord slow = o.record(500);
  slow.duration_ns = 2'000'000'000;
  for (int i = 0; i < 100; ++i) stats.record(slow);
  StatsSnapshot sum;
  stats.snapshot_into(sum);
  v1::MetricsReport first;
  page.report(sum, first);
  REQUIRE(first.routes_size() == 1);
  CHECK(first.routes(0).requests() == 100);
  CHECK(first.routes(0).server_errors() == 100);
  CHECK(first.routes(0).api() == o.route.api->uid);
  CHECK(first.routes(0).p50_ms() > 1000);
  RequestRecord fast = o.record(200);
  fast.duration_ns = 1'000'000;
  for (int i = 0; i < 10; ++i) stats.record(fast);
  StatsSnapshot later;
  stats.snapshot_into(later);
  v1::MetricsReport second;
  page.report(later, second);
  CHECK(second.routes(0).requests() == 110);
  CHECK(second.routes(0).p99_ms() < 10);
}

namespace {

// Three workers whose posted tasks are run by hand; one of them has stopped.
struct Calls final : WorkerCalls {
  size_t workers() const override { return 3; }
  bool post(size_t worker, Fn fn) override {
    if (worker == 1) return false;
    queued.push_back({worker, std::move(fn)});
    return true;
  }
  std::deque<std::pair<size_t, Fn>> queued;
};

void inline_task(const std::function<void()>& task) { task(); }

}  // namespace

TEST_CASE("every worker is asked, one after the other, one that has stopped is left out") {
  Calls calls;
  TempDir dir;
  auto spool = UsageSpool::open({.dir = dir.path(), .workers = 1});
  REQUIRE(spool.ok());
  int done = 0;
  uint64_t accepted = 0;
  collect_stats(calls, inline_task, [&](StatsSnapshot sum) {
    ++done;
    accepted = sum.counters[static_cast<size_t>(Counter::kConnectionsAccepted)];
  });
  CHECK(done == 0);
  WorkerStats stats;
  stats.count(Counter::kConnectionsAccepted, 5);
  std::vector<size_t> asked;
  while (!calls.queued.empty()) {
    CHECK(calls.queued.size() == 1);  // nobody waits for another's copying
    auto [worker, fn] = std::move(calls.queued.front());
    calls.queued.pop_front();
    asked.push_back(worker);
    fn(stats, (*spool)->meter(0));
  }
  CHECK(asked == std::vector<size_t>{0, 2});
  CHECK(done == 1);
  CHECK(accepted == 10);
}

TEST_CASE("what tasks hold that were never run is still told") {
  auto calls = std::make_unique<Calls>();
  int done = 0;
  collect_stats(*calls, inline_task, [&](StatsSnapshot) { ++done; });
  calls->queued.clear();  // as a loop does that ends
  CHECK(done == 1);
}

TEST_CASE("a copy is made in slices, none of which copies more than its bound") {
  constexpr size_t kRoutes = 3 * SliceBudget::kCopies + 5, kApart = 50;
  WorkerStats stats;
  std::vector<std::unique_ptr<Objects>> all;
  for (size_t i = 0; i < kRoutes; ++i) {
    all.push_back(std::make_unique<Objects>(i, static_cast<uint32_t>(i * kApart)));
    RequestRecord r = all.back()->record();
    r.reason = Reason::kRateLimited;
    stats.record(r);
    stats.attempt(upstream(1'000'000 + i, static_cast<uint32_t>(i)), AttemptResult::kOk, 1);
    stats.plan(2'000'000 + i, PolicyVerdict::kNext);
    stats.policy(Policy::Info{.uid = 3'000'000 + i, .index = static_cast<uint32_t>(i)}, PolicyVerdict::kNext);
  }
  uint64_t others = 0;
  stats.more([&](uint64_t& next, SliceBudget& budget, StatsSlice&) {
    for (; next < kRoutes; ++next, ++others) {
      if (!budget.left()) return false;
      budget.copied();
    }
    return true;
  });
  StatsSnapshot sum;
  StatsSlice slice;
  auto copied = [&] { return sum.routes.size() + sum.upstreams.size() + sum.policies.size() + sum.rejections.size() + others; };
  StatsCursor at;
  size_t slices = 0, largest = 0;
  for (bool whole = false; !whole; ++slices) {
    uint64_t others_before = others;
    whole = stats.copy_slice(at, slice);
    largest = std::max(largest, slice.size() + others - others_before);
    sum.add(slice);
    REQUIRE(slices < 10'000);
  }
  CHECK(largest <= SliceBudget::kCopies);
  CHECK(sum.routes.size() == kRoutes);
  CHECK(sum.upstreams.size() == kRoutes);
  CHECK(sum.policies.size() == 2 * kRoutes);
  CHECK(others == kRoutes);
  for (const auto& o : all) CHECK(sum.routes.at(o->route.uid()).total() == 1);
  CHECK(slices >= copied() / SliceBudget::kCopies);
}

TEST_CASE("a slice is filled again and again, and nothing of what it had stays") {
  WorkerStats stats;
  Objects first(1, 0), second(2, 1);
  RequestRecord grpc = first.record();
  grpc.grpc = GrpcStatus::kUnavailable;
  stats.record(grpc);
  StatsSlice slice;
  StatsCursor at;
  while (!stats.copy_slice(at, slice)) {
  }
  WorkerStats other;
  other.record(second.record());
  StatsSnapshot sum;
  at = StatsCursor();
  for (bool whole = false; !whole;) {
    whole = other.copy_slice(at, slice);
    sum.add(slice);
  }
  CHECK(sum.routes.size() == 1);
  const RouteStats& only = sum.routes.at(second.route.uid());
  CHECK(only.total() == 1);
  CHECK(only.grpc.empty());
}

TEST_CASE("places without anything counted are looked at in slices too") {
  WorkerStats stats;
  Objects far(1, 10 * SliceBudget::kLooks);
  stats.record(far.record());
  StatsSnapshot sum;
  StatsSlice slice;
  StatsCursor at;
  int slices = 0;
  for (bool whole = false; !whole; ++slices) {
    whole = stats.copy_slice(at, slice);
    sum.add(slice);
    REQUIRE(slices < 1'000);
  }
  CHECK(slices > 10);
  CHECK(sum.routes.size() == 1);
}
