#include "dataplane/snapshot/explain.h"

#include "dataplane/snapshot/forward.h"
#include "tests/dataplane/snapshot/world.h"

using namespace gw;
using namespace gw::testing;

namespace {
std::string steps(const v1::ExplainResponse& r) {
  std::string out;
  for (const auto& s : r.steps()) {
    out += s.phase() + "|" + s.object() + "|" + s.place() + "|" + s.verdict() + "|" + s.detail() + "|" + s.reason() + "\n";
  }
  return out;
}

struct Conference : World {
  Conference() {
    gateway(1, "platform/edge", "policies: 20 policies: 25 required: 20");
    policy(20, "platform/security-headers", "config { headers { response { remove: 'server' } } }");
    policy(21, "platform/api-key", "config { api_key { in: IN_HEADER name: 'x-api-key' } }");
    policy(25, "platform/cors", "config { cors { origins: 'https://p.test' } }");
    policy(26, "platform/limit", "mode: POLICY_MODE_OBSERVE config { rate_limit { by { word: WORD_APP } requests: 1 per_ms: 1000 } }");
    upstream(10, "platform/legacy", "http://127.0.0.1:9101");
    upstream(11, "attendees/attendees", "http://127.0.0.1:9102");
    api(2, "attendees/attendee-api", "gateways: 1 hosts: 'api.test' base_path: '/attendees' auth: 21 products: 40 policies: 26");
    route(3, "attendees/attendees",
          "api: 2 match { path { prefix: '/attendees' } } split { arms { upstream: 10 weight: 100 } arms { upstream: 11 weight: 0 } sticky_by: STICKY_BY_CONSUMER }");
    route(4, "attendees/health", "api: 2 match { path { exact: '/attendees/healthz' } methods: 'GET' } auth { allow_anonymous: true } upstream: 11");
    route(5, "attendees/old", "api: 2 match { path { exact: '/attendees/old' } } auth { allow_anonymous: true } redirect { status: 301 path: '/attendees' }");
    route(6, "attendees/gone", "api: 2 match { path { exact: '/attendees/gone' } } auth { allow_anonymous: true } respond { status: 410 body: 'x' }");
    plan(30, "platform/pro", "rate { requests: 100 per_ms: 1000 burst: 200 } quota { requests: 1000 per: PER_MONTH }");
    consumer(50, "platform/acme");
    app(51, "platform/mobile", 50);
    app(52, "platform/other", 50);
    subscription(53, "platform/sub", 51, 40, 30);
    secret = key(54, 51);
    build();
  }
  v1::ExplainResponse ask(ExplainInput in) { return explain(tables, in); }
  std::string secret;
};
}  // namespace

TEST_CASE("explain tells listener, route, losers, policies with their places, plan and backend") {
  Conference c;
  auto r = c.ask({.method = "GET", .url = "https://api.test/attendees/42", .as_app = 51});
  std::string text = steps(r);
  INFO(text);
  CHECK(r.version() == 1);
  CHECK(r.route() == "attendees/attendees");
  CHECK(r.upstream() == "platform/legacy");
  CHECK(r.status() == 0);
  CHECK(r.answer() == "forwarded to platform/legacy");
  for (const char* line : {"listener|platform/edge||ok|http 127.0.0.1:8080|", "route|attendees/attendees|Api/attendee-api|ok|prefix /attendees|",
                           "route|attendees/health||lost|path is not /attendees/healthz|",
                           "cors|platform/cors|Gateway/edge|pass|no Origin: nothing to do|",
                           "auth|platform/api-key|Api/attendee-api|ok|app platform/mobile of platform/acme|",
                           "subscription|platform/sub||ok||",
                           "plan|platform/pro||unknown|rate 100 per 1s, burst 200; quota 1000 per month: the state of rates",
                           "rateLimit|platform/limit|Api/attendee-api; observe|unknown|the state of rates",
                           "headers|platform/security-headers|Gateway/edge, required|pass|on the response|",
                           "backend|platform/legacy||ok|sticky(platform/acme) of platform/legacy 100, attendees/attendees 0 -> "
                           "http://127.0.0.1:9101/attendees/42|"}) {
    CHECK_THAT(text, Catch::Contains(line));
  }
}

TEST_CASE("a real key explains as the app itself does") {
  Conference c;
  auto r = c.ask({.method = "GET", .url = "http://api.test/attendees", .headers = {{"X-Api-Key", c.secret}}});
  CHECK(r.answer() == "forwarded to platform/legacy");
  CHECK_THAT(steps(r), Catch::Contains("app platform/mobile of platform/acme"));
}

TEST_CASE("explain names the refusal that a request would meet") {
  Conference c;
  auto refused = [&](ExplainInput in, int status, const std::string& reason) {
    auto r = c.ask(std::move(in));
    INFO(steps(r));
    CHECK(r.status() == status);
    CHECK(r.reason() == reason);
    CHECK_THAT(r.answer(), Catch::StartsWith(std::to_string(status) + " " + reason));
    CHECK(r.steps(r.steps_size() - 1).verdict() == "refused");
  };
  refused({.url = "http://api.test/attendees"}, 401, "AUTH_MISSING");
  refused({.url = "http://api.test/attendees", .headers = {{"x-api-key", "bad"}}}, 401, "AUTH_INVALID");
  refused({.url = "http://api.test/attendees", .as_app = 52}, 403, "SUBSCRIPTION_MISSING");
  refused({.url = "http://api.test/attendees", .as_app = 99}, 401, "AUTH_INVALID");
  refused({.url = "http://other.test/attendees"}, 404, "NO_ROUTE");
  refused({.url = "http://api.test/elsewhere"}, 404, "NO_ROUTE");
  refused({.url = "http://api.test/a/../b"}, 400, "BAD_REQUEST");
  refused({.url = "nonsense"}, 400, "BAD_REQUEST");
  refused({.method = "TRACE", .url = "http://api.test/attendees"}, 405, "METHOD_NOT_ALLOWED");
  refused({.url = "http://api.test/attendees", .headers = {{"a_b", "c"}}}, 400, "BAD_REQUEST");
  refused({.url = "http://api.test/attendees", .client_address = "here"}, 400, "BAD_REQUEST");
  refused({.url = "http://api.test/attendees", .gateway = "platform/none"}, 404, "NO_ROUTE");
}

TEST_CASE("explain shows redirects, answers and other methods") {
  Conference c;
  auto r = c.ask({.url = "http://api.test/attendees/old?x"});
  CHECK(r.status() == 301);
  CHECK(r.answer() == "301 to /attendees?x");
  r = c.ask({.url = "/attendees/gone", .headers = {{"Host", "api.test"}}});
  CHECK(r.status() == 410);
  CHECK(r.reason().empty());
  r = c.ask({.method = "POST", .url = "http://api.test/attendees/healthz", .as_app = 51});
  CHECK_THAT(steps(r), Catch::Contains("route|attendees/health||lost|method is not one of GET HEAD|"));
}

TEST_CASE("explain spends nothing") {
  Conference c;
  ExplainInput in{.url = "http://api.test/attendees", .as_app = 51};
  in.rates = &c.rates;
  in.mono_ns = c.clock.mono_ns();
  for (int i = 0; i < 500; ++i) {
    auto r = c.ask(in);
    REQUIRE(r.status() == 0);
  }
  // Live, the plan's burst is still whole.
  for (int i = 0; i < 200; ++i) {
    Exchange x(c, "GET", "/attendees", {{"x-api-key", c.secret}}, "api.test");
    REQUIRE(x.run() == "ok");
  }
  Exchange x(c, "GET", "/attendees", {{"x-api-key", c.secret}}, "api.test");
  CHECK(x.run() == "RATE_LIMITED");
  CHECK(c.ask(in).reason() == "RATE_LIMITED");
}

TEST_CASE("explain and the node agree on the pick of a split") {
  Conference c;
  c.route(3, "attendees/attendees",
          "api: 2 match { path { prefix: '/attendees' } } auth { allow_anonymous: true } split { arms { upstream: 10 weight: 1 } arms { upstream: 11 weight: 1 } sticky_by: STICKY_BY_ADDRESS }");
  c.build();
  for (int i = 1; i < 50; ++i) {
    std::string address = "10.0.0." + std::to_string(i);
    Exchange x(c, "GET", "/attendees", {}, "api.test", address);
    ArmPick pick = pick_arm(std::get<SplitTo>(x.ctx.route->to()), {&x.head, &x.ctx.identity, x.ctx.client, nullptr, &x.arena});
    auto r = c.ask({.url = "http://api.test/attendees", .client_address = address});
    CHECK(r.upstream() == c.tables.snapshot->upstream(pick.upstream)->name);
  }
}

TEST_CASE("explain says of a WebSocket what the route would, and of copies where they go") {
  Conference c;
  c.route(7, "attendees/live",
          "api: 2 match { path { exact: '/attendees/live' } } auth { allow_anonymous: true } upstream: 11 "
          "websocket { origins: 'https://app.test' idle_timeout_ms: 90000 } mirror { upstream: 10 percent_ppm: 5000 max_in_flight: 7 }");
  c.build();
  auto ask = [&](const char* path, const char* origin) {
    return c.ask({.url = std::string("http://api.test") + path, .headers = {{"Upgrade", "WebSocket"}, {"Origin", origin}}});
  };
  auto r = ask("/attendees/live", "https://app.test");
  CHECK_THAT(steps(r), Catch::Contains("websocket|attendees/live||ok|a tunnel if the upstream agrees; from https://app.test, idle 90s|"));
  CHECK_THAT(steps(r), Catch::Contains(
                           "mirror|platform/legacy||ok|0.5% of requests are copied, with bodies to 65536 bytes, 7 at once|"));
  CHECK(ask("/attendees/live", "https://evil.test").reason() == "CORS_DENIED");
  CHECK(ask("/attendees/healthz", "https://app.test").reason() == "BAD_REQUEST");
  r = c.ask({.url = "http://api.test/attendees/live"});
  CHECK(r.answer() == "forwarded to attendees/attendees");
  CHECK_THAT(steps(r), !Catch::Contains("websocket|"));
}

TEST_CASE("explain refuses loops and applies the listener's path rule") {
  Conference c;
  auto loop = c.ask({.url = "https://api.test/attendees/healthz", .headers = {{"Via", "1.1 x, 1.1 " + via_pseudonym(1)}}});
  CHECK(loop.status() == 508);
  CHECK(loop.reason() == "LOOP");
  ExplainInput stacked{.url = "https://api.test/attendees/healthz"};
  for (uint64_t uid = 2; uid < 7; ++uid) stacked.headers.emplace_back("via", "1.1 " + via_pseudonym(uid));
  CHECK(c.ask(stacked).route() == "attendees/health");
  stacked.headers.emplace_back("via", "1.0 " + via_pseudonym(7));
  CHECK(c.ask(stacked).reason() == "LOOP");

  World w;
  w.gateway(1, "platform/edge", "listeners { name: 'n' address: '127.0.0.1' port: 8081 protocol: PROTOCOL_HTTP path_rule: PATH_RULE_NORMALIZE } "
                                "listeners { name: 'r' address: '127.0.0.1' port: 8082 protocol: PROTOCOL_HTTP path_rule: PATH_RULE_RAW proxy_protocol: true }");
  w.upstream(10, "platform/up", "http://127.0.0.1:9101");
  w.api(2, "platform/all", "gateways: 1 hosts: '*' base_path: '/' allow_anonymous: true");
  w.route(3, "platform/a", "api: 2 match { path { exact: '/a' } } upstream: 10");
  w.build();
  auto ask = [&](const std::string& url) { return explain(w.tables, {.method = "GET", .url = url}); };
  CHECK(ask("http://x/a").steps(0).detail() ==
        "http 127.0.0.1:8080, n 127.0.0.1:8081 (paths normalized), r 127.0.0.1:8082 (raw paths) (PROXY protocol)");
  CHECK(ask("http://x/b/../a").status() == 400);
  CHECK(ask("http://x:8081/b/../a").route() == "platform/a");
  CHECK(ask("http://x:8081/%61").route() == "platform/a");
  CHECK(ask("http://x:8082/b/../a").reason() == "NO_ROUTE");
  CHECK(ask("http://x:8082/%61").reason() == "NO_ROUTE");
  CHECK(ask("http://x:8082/a").route() == "platform/a");
}

TEST_CASE("explain says which calls a route takes, what it translates, and which statuses are tried again") {
  World w;
  w.basics();
  w.upstream(10, "platform/up", "http://127.0.0.1:9000",
             "protocol: PROTOCOL_HTTP2 retries { attempts: 2 when: 'reset' grpc_statuses: 'unavailable' grpc_statuses: 'aborted' }");
  w.route(30, "platform/calls", "api: 2 match { path { grpc { service: 'shop.Cart' method: 'Get' } } } upstream: 10 grpc_web: true");
  w.build();
  std::string text = steps(explain(w.tables, {.method = "POST", .url = "http://x/shop.Cart/Get"}));
  INFO(text);
  CHECK_THAT(text, Catch::Contains("gRPC shop.Cart/Get; gRPC-Web goes on as gRPC"));
  CHECK_THAT(text, Catch::Contains("up to 2 retries on reset, gRPC aborted, gRPC unavailable"));
  CHECK_THAT(steps(explain(w.tables, {.method = "POST", .url = "http://x/shop.Cart/Put"})), Catch::Contains("path is not of gRPC shop.Cart/Get"));
}

TEST_CASE("explain says what an upstream speaks and how it is probed") {
  World w;
  w.basics();
  w.upstream(10, "platform/up", "http://127.0.0.1:9000",
             "protocol: PROTOCOL_HTTP2 http2 { max_streams: 7 } health { active { interval_ms: 5000 grpc { service: 'shop.Cart' } } }");
  w.build();
  std::string text = steps(explain(w.tables, {.method = "GET", .url = "http://x/"}));
  INFO(text);
  CHECK_THAT(text, Catch::Contains("HTTP/2, up to 7 requests on a connection; probed with the gRPC health protocol for shop.Cart every 5s"));
}
