// gRPC calls through a worker: what goes upstream, how calls end, deadlines, cancellation, retries on their status, refusals.
#include <catch2/catch.hpp>

#include "dataplane/exchange/grpc.h"
#include "tests/support/http2_client.h"
#include "tests/support/http2_upstream.h"
#include "tests/support/worker_fixture.h"

namespace gw::test {
namespace {

using Call = Http2Fields;
using How = Http2Reply::How;

const Call kCall{{":method", "POST"}, {"content-type", "application/grpc+proto"}, {"te", "trailers"}};

Call call_with(const Call& more) {
  Call out = kCall;
  out.insert(out.end(), more.begin(), more.end());
  return out;
}

// One message in its frame.
std::string grpc_frame(const std::string& bytes) {
  std::string out(1, '\0');
  for (int shift = 24; shift >= 0; shift -= 8) out += static_cast<char>(bytes.size() >> shift);
  return out + bytes;
}

Config grpc_config(uint16_t port, const std::string& upstream = "", const std::string& route = "") {
  return Config{.upstream_port = port, .upstream = "protocol: http2" + upstream, .route = route, .listener = "http2: true"};
}

Http2Reply good_call(const std::string& message = "pong") {
  return {.fields = {{":status", "200"}, {"content-type", "application/grpc+proto"}, {"x-initial", "1"}},
          .body = grpc_frame(message),
          .trailers = {{"grpc-status", "0"}, {"x-last", "2"}}};
}

// A status and nothing else.
Http2Reply status_alone(const std::string& status) {
  return {.fields = {{":status", "200"}, {"content-type", "application/grpc"}, {"grpc-status", status}, {"grpc-message", "no"}}, .body = ""};
}

std::string trailer(const Http2Answer& answer, std::string_view name) {
  for (const auto& [n, v] : answer.trailers) {
    if (n == name) return v;
  }
  return "";
}

uint64_t calls(WorkerFixture& gw, GrpcStatus status) {
  uint64_t out = 0;
  for (const auto& [uid, route] : gw.stats().routes) out += route.grpc.empty() ? 0 : route.grpc[static_cast<size_t>(status)];
  return out;
}

bool holds(const std::function<bool()>& fn) {
  auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(kCapMs);
  while (!fn()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::yield();
  }
  return true;
}

TEST_CASE("A unary call goes up and comes back whole: fields, te, message, initial and trailing metadata", "[grpc]") {
  Http2Upstream upstream([](const Http2Request&) { return good_call(); });
  WorkerFixture gw(grpc_config(upstream.port()).yaml());
  Http2Client client(gw.port());
  int32_t id = client.request("/shop.Cart/Get", call_with({{"x-meta", "m"}, {"x-key-bin", "AAEC"}, {"grpc-encoding", "identity"}}), grpc_frame("ping"));
  Http2Answer& answer = client.finish(id);
  CHECK(answer.status == 200);
  CHECK(answer.field("content-type") == "application/grpc+proto");
  CHECK(answer.field("x-initial") == "1");
  CHECK(answer.body == grpc_frame("pong"));
  CHECK(trailer(answer, "grpc-status") == "0");
  CHECK(trailer(answer, "x-last") == "2");
  auto seen = upstream.requests();
  REQUIRE(seen.size() == 1);
  CHECK(seen[0].field(":path") == "/shop.Cart/Get");
  CHECK(seen[0].field("te") == "trailers");
  CHECK(seen[0].field("content-type") == "application/grpc+proto");
  CHECK(seen[0].field("x-meta") == "m");
  CHECK(seen[0].field("x-key-bin") == "AAEC");
  CHECK(seen[0].field("grpc-timeout").empty());
  CHECK(seen[0].body == grpc_frame("ping"));
  CHECK(calls(gw, GrpcStatus::kOk) == 1);
}

TEST_CASE("A call that does not ask for trailers gets them all the same: its status is there", "[grpc]") {
  Http2Upstream upstream([](const Http2Request&) { return good_call(); });
  WorkerFixture gw(grpc_config(upstream.port()).yaml());
  Http2Client client(gw.port());
  Http2Answer& answer = client.finish(client.request("/s.S/M", {{":method", "POST"}, {"content-type", "application/grpc"}}, grpc_frame("")));
  CHECK(trailer(answer, "grpc-status") == "0");
  CHECK(upstream.requests().at(0).field("te") == "trailers");
}

TEST_CASE("Messages of a stream pass one by one in both directions while it is open", "[grpc]") {
  Http2Upstream upstream(nullptr, {.echo_calls = true});
  WorkerFixture gw(grpc_config(upstream.port()).yaml());
  Http2Client client(gw.port());
  int32_t id = client.open("/s.S/Echo", kCall);
  CHECK(client.run([&] { return client.answer(id).status == 200; }));  // before any message
  std::string all;
  for (int i = 0; i < 20; ++i) {
    std::string message = grpc_frame(std::string(static_cast<size_t>(i) * 700, static_cast<char>('a' + i)));
    client.send(id, message);
    all += message;
    REQUIRE(client.run([&] { return client.answer(id).body.size() == all.size(); }));
  }
  client.send(id, "", true);
  Http2Answer& answer = client.finish(id);
  CHECK(answer.body == all);
  CHECK(trailer(answer, "grpc-status") == "0");
  CHECK(trailer(answer, "x-last") == "2");
  CHECK(answer.code == 0);
}

TEST_CASE("A quiet stream outlives the upstream's timeouts; those of the Route cut it with a status", "[grpc]") {
  Http2Upstream upstream(nullptr, {.echo_calls = true});
  // Shorter than the deadlines of the calls that are waited for below.
  std::string timeouts = ", timeouts: {idle: 40ms, firstByte: 40ms}";
  {
    WorkerFixture gw(grpc_config(upstream.port(), timeouts).yaml());
    Http2Client client(gw.port());
    int32_t quiet = client.open("/s.S/Echo", kCall);
    CHECK(client.run([&] { return client.answer(quiet).status == 200; }));
    // Another call lives through ten times as long: time has passed when its deadline ends it.
    int32_t other = client.open("/s.S/Other", call_with({{"grpc-timeout", "400m"}}));
    client.send(other, grpc_frame("x"), false);
    CHECK(client.finish(other).field("grpc-status") == "4");
    CHECK_FALSE(client.answer(quiet).closed);
    client.send(quiet, grpc_frame("still here"), true);
    Http2Answer& answer = client.finish(quiet);
    CHECK(answer.body == grpc_frame("still here"));
    CHECK(trailer(answer, "grpc-status") == "0");
  }
  WorkerFixture gw(grpc_config(upstream.port(), "", "timeouts: {idle: 1s}").yaml());
  Http2Client client(gw.port());
  int32_t id = client.open("/s.S/Echo", kCall);
  client.send(id, grpc_frame("x"));
  Http2Answer& answer = client.finish(id);
  CHECK(answer.status == 200);
  CHECK(answer.body == grpc_frame("x"));
  CHECK(trailer(answer, "grpc-status") == "14");
  CHECK(trailer(answer, "grpc-message") == "the upstream's answer stalled");
  CHECK(upstream.wait([&] { return upstream.resets() >= 1; }));
}

TEST_CASE("What the gateway refuses is a status without messages, with its reason in the details", "[grpc]") {
  Http2Upstream upstream([](const Http2Request&) { return good_call(); });
  Config config = grpc_config(upstream.port(), "", "policies: [one]");
  config.more = R"(---
apiVersion: gw/v1
kind: Policy
metadata: {name: one, owner: platform}
spec: {type: rateLimit, config: {by: address, requests: 1, per: 1h}}
)";
  std::string yaml = config.yaml();
  yaml.replace(yaml.find("prefix: /}"), 10, "prefix: /s.S}");
  WorkerFixture gw(yaml);
  Http2Client client(gw.port());
  Http2Answer& none = client.finish(client.request("/no.Such/Method", kCall, grpc_frame("x")));
  CHECK(none.status == 200);
  CHECK(none.field("content-type") == "application/grpc");
  CHECK(none.field("grpc-status") == "12");
  CHECK(none.field("grpc-message") == "no route of the Api matches");
  CHECK_FALSE(none.field("x-request-id").empty());
  CHECK(none.field("content-length").empty());
  CHECK(none.body.empty());
  CHECK(none.trailers.empty());
  CHECK(none.ended);
  CHECK(none.field("grpc-status-details-bin") ==
        [&] {
          Arena arena;
          LocalResponse local;
          local.reason = Reason::kNoRoute;
          local.detail = "no route of the Api matches";
          return std::string(grpc_details(GrpcStatus::kUnimplemented, local, {none.field("x-request-id"), {}, 0}, arena));
        }());
  CHECK(trailer(client.finish(client.request("/s.S/M", kCall, grpc_frame("x"))), "grpc-status") == "0");
  Http2Answer& limited = client.finish(client.request("/s.S/M", kCall, grpc_frame("x")));
  CHECK(limited.field("grpc-status") == "8");
  CHECK_FALSE(limited.field("retry-after").empty());
  Http2Answer& json = client.finish(client.request("/s.S/M", {{":method", "POST"}, {"content-type", "application/json"}}, "{}"));
  CHECK(json.status == 429);
  CHECK(json.field("content-type") == "application/problem+json");
  auto stats = gw.stats();
  CHECK(stats.routes[0].grpc.at(12) == 1);  // no route took it
  CHECK(calls(gw, GrpcStatus::kResourceExhausted) == 1);
  CHECK(calls(gw, GrpcStatus::kOk) == 1);
}

TEST_CASE("Upstreams that are not there, reset, hang up or answer in HTTP: the client gets a status", "[grpc]") {
  Http2Upstream upstream([](const Http2Request& r) {
    std::string path = r.field(":path");
    Http2Reply a = good_call();
    if (path == "/s.S/Reset") a.how = How::kReset;
    if (path == "/s.S/HangUp") a.how = How::kHangUp;
    if (path == "/s.S/Cut") a.how = How::kResetMidBody;
    if (path == "/s.S/Html") a = {.fields = {{":status", "503"}, {"content-type", "text/html"}}, .body = "<p>later</p>"};
    if (path == "/s.S/Silent") a.trailers.clear();
    if (path == "/s.S/Odd") a.trailers = {{"grpc-status", "77"}};
    return a;
  });
  WorkerFixture gw(grpc_config(upstream.port()).yaml());
  Http2Client client(gw.port());
  auto call = [&](const std::string& path) -> Http2Answer& { return client.finish(client.request(path, kCall, grpc_frame("x"))); };
  CHECK(call("/s.S/Reset").field("grpc-status") == "14");
  CHECK(call("/s.S/HangUp").field("grpc-status") == "14");
  Http2Answer& cut = call("/s.S/Cut");
  CHECK(cut.status == 200);
  CHECK(cut.body == grpc_frame("pong"));
  CHECK(trailer(cut, "grpc-status") == "14");
  CHECK_FALSE(trailer(cut, "grpc-status-details-bin").empty());
  CHECK(cut.code == 0);
  CHECK(calls(gw, GrpcStatus::kUnavailable) == 3);
  Http2Answer& html = call("/s.S/Html");  // clients know what to make of it
  CHECK(html.status == 503);
  CHECK(html.body == "<p>later</p>");
  CHECK(calls(gw, GrpcStatus::kUnavailable) == 4);
  CHECK(call("/s.S/Silent").body == grpc_frame("pong"));
  CHECK(trailer(call("/s.S/Odd"), "grpc-status") == "77");
  CHECK(calls(gw, GrpcStatus::kMissing) == 2);
  {
    Server closed([](Connection&, int) {});
    WorkerFixture none(grpc_config(closed.port()).yaml());
    Http2Client other(none.port());
    Http2Answer& answer = other.finish(other.request("/s.S/M", kCall, grpc_frame("x")));
    CHECK(answer.status == 200);
    CHECK(answer.field("grpc-status") == "14");
  }
}

TEST_CASE("A deadline ends its call with DEADLINE_EXCEEDED and cancels it upstream; the upstream is told what is left", "[grpc]") {
  Http2Upstream upstream([](const Http2Request&) { return Http2Reply{.how = How::kNothing}; }, {.echo_calls = true});
  WorkerFixture gw(grpc_config(upstream.port(), "", "timeouts: {request: 30s}").yaml());
  Http2Client client(gw.port());
  Http2Answer& answer = client.finish(client.request("/s.S/M", call_with({{"grpc-timeout", "1S"}}), grpc_frame("x")));
  CHECK(answer.status == 200);
  CHECK(answer.field("grpc-status") == "4");
  CHECK(upstream.wait([&] { return upstream.resets() == 1; }));
  auto left = parse_grpc_timeout(upstream.requests().at(0).field("grpc-timeout"));
  REQUIRE(left);
  CHECK(*left <= 1'000'000'000);
  CHECK(calls(gw, GrpcStatus::kDeadlineExceeded) == 1);
  // In the middle of a stream it stands behind the messages.
  int32_t id = client.open("/s.S/Echo", call_with({{"grpc-timeout", "1500m"}}));
  client.send(id, grpc_frame("one"));
  Http2Answer& cut = client.finish(id);
  CHECK(cut.body == grpc_frame("one"));
  CHECK(trailer(cut, "grpc-status") == "4");
  CHECK(upstream.wait([&] { return upstream.resets() == 2; }));
  CHECK(client.finish(client.request("/s.S/M", call_with({{"grpc-timeout", "0n"}}), grpc_frame("x"))).field("grpc-status") == "4");
}

TEST_CASE("The sooner of the Route's timeouts.request and the call's deadline counts, and is what the upstream hears", "[grpc]") {
  Http2Upstream upstream([](const Http2Request& r) { return r.field("x-hang").empty() ? good_call() : Http2Reply{.how = How::kNothing}; });
  WorkerFixture gw(grpc_config(upstream.port(), "", "timeouts: {request: 2s}").yaml());
  Http2Client client(gw.port());
  for (const char* asked : {"", "1H", "500m"}) {
    Call fields = asked[0] == 0 ? kCall : call_with({{"grpc-timeout", asked}});
    CHECK(trailer(client.finish(client.request("/s.S/M", fields, grpc_frame("x"))), "grpc-status") == "0");
    auto left = parse_grpc_timeout(upstream.requests().back().field("grpc-timeout"));
    REQUIRE(left);
    CHECK(*left <= (std::string(asked) == "500m" ? 500'000'000 : 2'000'000'000));
    CHECK(*left > 0);
  }
  gw.install(grpc_config(upstream.port(), "", "timeouts: {request: 40ms}").yaml());
  CHECK(client.finish(client.request("/s.S/M", call_with({{"x-hang", "1"}, {"grpc-timeout", "1H"}}), grpc_frame("x"))).field("grpc-status") == "4");
}

TEST_CASE("A malformed deadline is refused before anything is done for the call", "[grpc]") {
  Http2Upstream upstream;
  WorkerFixture gw(grpc_config(upstream.port()).yaml());
  Http2Client client(gw.port());
  for (const char* bad : {"1", "S", "123456789S", "1s", "-1S"}) {
    Http2Answer& answer = client.finish(client.request("/s.S/M", call_with({{"grpc-timeout", bad}}), grpc_frame("x")));
    CHECK(answer.field("grpc-status") == "13");
    CHECK(answer.field("grpc-message").find("malformed grpc-timeout") == 0);
  }
  CHECK(upstream.begun() == 0);
}

TEST_CASE("A client that cancels its call ends it upstream, and is counted", "[grpc]") {
  Http2Upstream upstream(nullptr, {.echo_calls = true});
  WorkerFixture gw(grpc_config(upstream.port()).yaml());
  Http2Client client(gw.port());
  int32_t id = client.open("/s.S/Echo", kCall);
  client.send(id, grpc_frame("x"));
  CHECK(client.run([&] { return client.answer(id).body == grpc_frame("x"); }));
  client.reset(id, 8);  // CANCEL
  client.ping();
  CHECK(client.run([&] { return client.pongs() > 0; }));
  CHECK(upstream.wait([&] { return upstream.resets() == 1; }));
  CHECK(holds([&] { return calls(gw, GrpcStatus::kCancelled) == 1; }));
  CHECK(gw.stats().counters[static_cast<size_t>(Counter::kClientClosed)] == 1);
}

TEST_CASE("Listed gRPC statuses are tried again, within attempts, with the whole request", "[grpc]") {
  std::atomic<int> asked{0};
  Http2Upstream upstream([&](const Http2Request& r) {
    int n = ++asked;
    std::string path = r.field(":path");
    if (path == "/s.S/Twice") return n <= 2 ? status_alone("14") : good_call(r.body);
    if (path == "/s.S/Other") return status_alone("5");
    if (path == "/s.S/Behind") return Http2Reply{.fields = {{":status", "200"}, {"content-type", "application/grpc"}}, .body = grpc_frame("x"), .trailers = {{"grpc-status", "14"}}};
    return status_alone("14");
  });
  WorkerFixture gw(grpc_config(upstream.port(), ", retries: {attempts: 3, grpcStatuses: [unavailable, resource-exhausted], backoff: 1ms}").yaml());
  Http2Client client(gw.port());
  auto call = [&](const std::string& path, const std::string& message = "m") -> Http2Answer& {
    asked = 0;
    return client.finish(client.request(path, kCall, grpc_frame(message)));
  };
  Http2Answer& twice = call("/s.S/Twice", "kept");
  CHECK(twice.body == grpc_frame(grpc_frame("kept")));
  CHECK(trailer(twice, "grpc-status") == "0");
  CHECK(asked == 3);
  CHECK(call("/s.S/Always").field("grpc-status") == "14");
  CHECK(asked == 4);
  CHECK(call("/s.S/Other").field("grpc-status") == "5");
  CHECK(asked == 1);
  CHECK(trailer(call("/s.S/Behind"), "grpc-status") == "14");  // messages have gone: no second try
  CHECK(asked == 1);
  CHECK(call("/s.S/Always", std::string(70'000, 'x')).field("grpc-status") == "14");  // more than bodyBytes
  CHECK(asked == 1);
  auto stats = gw.stats();
  uint64_t retries = 0;
  for (const auto& [uid, u] : stats.upstreams) retries += u.retries[static_cast<size_t>(RetryReason::kGrpcStatus)];
  CHECK(retries == 2 + 3);
  CHECK(calls(gw, GrpcStatus::kUnavailable) == 3);  // what clients got
}

TEST_CASE("Retries of calls are bounded by the budget and by the deadline", "[grpc]") {
  Http2Upstream upstream([](const Http2Request&) { return status_alone("14"); });
  {
    WorkerFixture gw(grpc_config(upstream.port(), ", retries: {attempts: 1, grpcStatuses: [unavailable], budget: 0%, backoff: 0ms}").yaml());
    Http2Client client(gw.port());
    for (int i = 0; i < 30; ++i) CHECK(client.finish(client.request("/s.S/M", kCall, grpc_frame("x"))).field("grpc-status") == "14");
    CHECK(upstream.requests().size() < 60);
    CHECK(gw.stats().counters[static_cast<size_t>(Counter::kRetryRefused)] > 0);
  }
  WorkerFixture gw(grpc_config(upstream.port(), ", retries: {attempts: 10, grpcStatuses: [unavailable], backoff: 60s}").yaml());
  Http2Client client(gw.port());
  CHECK(client.finish(client.request("/s.S/M", call_with({{"grpc-timeout", "60m"}}), grpc_frame("x"))).field("grpc-status") == "4");
}

TEST_CASE("A target whose calls fail is left out as one that answers 5xx", "[grpc]") {
  std::atomic<const char*> status{"5"};
  Http2Upstream upstream([&](const Http2Request&) { return status_alone(status.load()); });
  WorkerFixture gw(grpc_config(upstream.port(), ", health: {passive: {consecutive5xx: 3, ejectFor: 60s, maxEjected: 100%}}").yaml());
  Http2Client client(gw.port());
  auto call = [&] { return client.finish(client.request("/s.S/M", kCall, grpc_frame("x"))).field("grpc-status"); };
  for (int i = 0; i < 5; ++i) CHECK(call() == "5");  // the caller's fault
  status = "14";
  for (int i = 0; i < 3; ++i) CHECK(call() == "14");
  CHECK(holds([&] { return gw.stats().counters[static_cast<size_t>(Counter::kUpstreamEjections)] == 1; }));
}

TEST_CASE("Counts of calls survive a swap; a route that sees none has none", "[grpc]") {
  Http2Upstream upstream([](const Http2Request& r) {
    return r.field("content-type").empty() ? Http2Reply() : good_call();
  });
  WorkerFixture gw(grpc_config(upstream.port()).yaml());
  Http2Client client(gw.port());
  CHECK(client.finish(client.request("/plain")).status == 200);
  for (const auto& [uid, route] : gw.stats().routes) CHECK(route.grpc.empty());
  CHECK(trailer(client.finish(client.request("/s.S/M", kCall, grpc_frame("x"))), "grpc-status") == "0");
  gw.install(grpc_config(upstream.port(), "", "priority: 3").yaml());
  CHECK(trailer(client.finish(client.request("/s.S/M", kCall, grpc_frame("x"))), "grpc-status") == "0");
  CHECK(calls(gw, GrpcStatus::kOk) == 2);
}

TEST_CASE("Calls are routed by service and method", "[grpc]") {
  Http2Upstream all([](const Http2Request&) { return good_call("all"); }), one([](const Http2Request&) { return good_call("one"); });
  Config config = grpc_config(all.port());
  config.more = "---\napiVersion: gw/v1\nkind: Upstream\nmetadata: {name: one, owner: platform}\nspec: {protocol: http2, targets: [{url: \"http://127.0.0.1:" +
                std::to_string(one.port()) + "\"}]}\n---\napiVersion: gw/v1\nkind: Route\nmetadata: {name: one, owner: platform}\n"
                "spec: {api: all, match: {path: {grpc: {service: shop.Cart, method: Get}}}, to: {upstream: one}}\n"
                "---\napiVersion: gw/v1\nkind: Route\nmetadata: {name: cart, owner: platform}\n"
                "spec: {api: all, match: {path: {grpc: {service: shop.Orders}}}, to: {upstream: one}}\n";
  WorkerFixture gw(config.yaml());
  Http2Client client(gw.port());
  auto who = [&](const std::string& path) { return client.finish(client.request(path, kCall, grpc_frame("x"))).body.substr(5); };
  CHECK(who("/shop.Cart/Get") == "one");
  CHECK(who("/shop.Cart/Put") == "all");
  CHECK(who("/shop.Cart/Get/More") == "all");
  CHECK(who("/shop.Orders/Any") == "one");
  CHECK(who("/shop.OrdersToo/Any") == "all");
}

}  // namespace
}  // namespace gw::test
