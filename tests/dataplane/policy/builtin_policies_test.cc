#include "tests/dataplane/snapshot/world.h"

using namespace gw;
using namespace gw::testing;

namespace {
using Headers = std::vector<std::pair<std::string, std::string>>;

// One policy on the Gateway.
struct One : World {
  explicit One(const std::string& config, const std::string& mode = {}) {
    policy(20, "p/one", mode + " config { " + config + " }");
    basics("policies: 20");
    build();
  }
};
std::string value(const HeaderList& h, std::string_view name) {
  const HeaderField* f = h.find(name);
  return f ? std::string(f->value) : "-";
}
}  // namespace

TEST_CASE("ipList: deny wins, an allow list refuses all others, no allow list admits them") {
  One w("ip_list { allow: '10.0.0.0/8' allow: '2001:db8::/32' deny: '10.66.0.0/16' }");
  auto from = [&](const char* client) {
    Exchange x(w, "GET", "/", {}, "a.test", client);
    return x.run();
  };
  CHECK(from("10.1.2.3") == "ok");
  CHECK(from("2001:db8::7") == "ok");
  CHECK(from("10.66.1.1") == "IP_DENIED");
  CHECK(from("192.0.2.1") == "IP_DENIED");
  One deny("ip_list { deny: '10.66.0.0/16' }");
  Exchange x(deny, "GET", "/", {}, "a.test", "192.0.2.1");
  CHECK(x.run() == "ok");
}

TEST_CASE("ipList in observe mode refuses nobody and names whom it would") {
  One w("ip_list { deny: '10.0.0.0/8' }", "mode: POLICY_MODE_OBSERVE");
  Exchange x(w, "GET", "/", {}, "a.test", "10.1.1.1");
  CHECK(x.run() == "ok");
  REQUIRE(x.pipeline.observed());
  CHECK(x.pipeline.observed()->full_name() == "p/one");
  CHECK(x.pipeline.observed_reason() == Reason::kIpDenied);
}

namespace {
const char kCors[] =
    "cors { origins: 'https://a.test' origins: 'https://b.test' methods: 'GET' methods: 'PUT' headers: 'x-one' "
    "expose_headers: 'x-count' credentials: true max_age_ms: 60000 }";
Headers preflight(const std::string& origin, const std::string& method, const std::string& fields = {}) {
  Headers h = {{"Origin", origin}, {"Access-Control-Request-Method", method}};
  if (!fields.empty()) h.push_back({"Access-Control-Request-Headers", fields});
  return h;
}
}  // namespace

TEST_CASE("cors: a preflight that fits is answered, one that does not is refused") {
  One w(kCors);
  Exchange good(w, "OPTIONS", "/a", preflight("https://a.test", "PUT", "X-One, accept"));
  REQUIRE(good.run() == "204");
  CHECK(good.field("access-control-allow-methods") == "GET, PUT");
  CHECK(good.field("access-control-allow-headers") == "x-one");
  CHECK(good.field("access-control-max-age") == "60");
  CHECK(good.pipeline.refused_by().empty());
  ResponseHead head;
  good.pipeline.on_local_response(good.ctx, head);
  CHECK(value(head.headers, "access-control-allow-origin") == "https://a.test");
  CHECK(value(head.headers, "access-control-allow-credentials") == "true");
  CHECK(value(head.headers, "vary") == "origin");
  for (const Headers& h : {preflight("https://evil.test", "GET"), preflight("https://a.test", "DELETE"),
                           preflight("https://a.test", "GET", "x-two"), preflight("null", "GET")}) {
    Exchange bad(w, "OPTIONS", "/a", h);
    CHECK(bad.run() == "CORS_DENIED");
  }
}

TEST_CASE("cors: responses are marked for allowed origins only, and upstream's own marks are replaced") {
  One w(kCors);
  auto response = [&](Headers request) {
    Exchange x(w, "GET", "/a", std::move(request));
    REQUIRE(x.run() == "ok");
    ResponseHead head;
    head.headers.add("Access-Control-Allow-Origin", "*");
    REQUIRE(x.pipeline.wants_response(x.ctx));
    x.pipeline.on_response(x.ctx, head);
    return std::make_pair(value(head.headers, "access-control-allow-origin"), value(head.headers, "access-control-expose-headers"));
  };
  CHECK(response({{"Origin", "https://b.test"}}) == std::make_pair(std::string("https://b.test"), std::string("x-count")));
  CHECK(response({{"Origin", "https://evil.test"}}).first == "-");
  CHECK(response({{"Origin", "null"}}).first == "-");
  CHECK(response({}).first == "-");
}

TEST_CASE("cors: any origin is answered with * and needs no Vary") {
  One w("cors { origins: '*' }");
  Exchange x(w, "GET", "/a", {{"Origin", "https://x.test"}});
  REQUIRE(x.run() == "ok");
  ResponseHead head;
  x.pipeline.on_response(x.ctx, head);
  CHECK(value(head.headers, "access-control-allow-origin") == "*");
  CHECK(value(head.headers, "vary") == "-");
  World bad;
  bad.policy(20, "p/one", "config { cors { origins: '*' credentials: true } }");
  bad.basics("policies: 20");
  CHECK_THAT(bad.refusal(), Catch::Contains("GW1412: Policy p/one: spec.config.credentials"));
}

TEST_CASE("headers: removals, then set, then add, on requests and responses") {
  One w("headers { request { set { name: 'x-source' value: 'edge' } add { name: 'x-hop' value: 'gw' } remove: 'x-debug' } "
        "response { remove: 'server' set { name: 'x-frame-options' value: 'DENY' } } }");
  Exchange x(w, "GET", "/", {{"X-Source", "client"}, {"x-source", "two"}, {"X-Hop", "one"}, {"X-Debug", "1"}});
  REQUIRE(x.run() == "ok");
  CHECK(value(x.head.headers, "x-source") == "edge");
  CHECK(x.head.headers.count("x-source") == 1);
  CHECK(x.head.headers.count("x-hop") == 2);
  CHECK(x.head.headers.count("x-debug") == 0);
  ResponseHead head;
  head.headers.add("Server", "nginx");
  head.headers.add("X-Frame-Options", "ALLOW");
  x.pipeline.on_response(x.ctx, head);
  CHECK(value(head.headers, "server") == "-");
  CHECK(value(head.headers, "x-frame-options") == "DENY");
}

TEST_CASE("headers: observed, nothing is edited") {
  One w("headers { request { remove: 'x-a' } response { remove: 'server' } }", "mode: POLICY_MODE_OBSERVE");
  Exchange x(w, "GET", "/", {{"x-a", "1"}});
  REQUIRE(x.run() == "ok");
  CHECK(value(x.head.headers, "x-a") == "1");
  CHECK_FALSE(x.ctx.route->has_response);
}

TEST_CASE("headers: what the gateway writes itself, or would break a message, is refused") {
  for (const char* edit : {"set { name: 'Content-Length' value: '1' }", "remove: 'transfer-encoding'", "add { name: 'X-GW-App' value: 'x' }",
                           "set { name: 'a b' value: '1' }", "set { name: 'a' value: 'x\\r\\ny: z' }", "set { name: 'host' value: 'x' }",
                           "set { name: '' value: 'x' }", "remove: 'Connection'", "set { name: 'x-request-id' value: 'x' }"}) {
    World bad;
    bad.policy(20, "p/one", "config { headers { response { " + std::string(edit) + " } } }");
    bad.basics("policies: 20");
    INFO(edit);
    CHECK_THAT(bad.refusal(), Catch::Contains("GW1421: Policy p/one: spec.config.response."));
  }
}

TEST_CASE("rateLimit counts by what it is told to") {
  auto limited = [](const std::string& by, Headers first, const std::string& client1, Headers second, const std::string& client2,
                    const std::string& path2 = "/") {
    World w;
    w.policy(20, "p/one", "config { rate_limit { by { " + by + " } requests: 1 per_ms: 1000 } }");
    w.policy(21, "p/key", "config { api_key { in: IN_HEADER name: 'k' accept_imported: true } }");
    w.gateway(1, "platform/edge", "policies: 20");
    w.upstream(10, "platform/up");
    w.api(2, "platform/all", "gateways: 1 hosts: '*' base_path: '/' auth: 21 allow_anonymous: true");
    w.route(3, "platform/all", "api: 2 match { path { prefix: '/' } } upstream: 10");
    w.route(4, "platform/x", "api: 2 match { path { exact: '/x' } } upstream: 10");
    w.consumer(50, "p/acme");
    w.app(51, "p/a", 50);
    w.app(52, "p/b", 50);
    w.imported_key(61, 51, "a");
    w.imported_key(62, 52, "b");
    w.build();
    Exchange x(w, "GET", "/", std::move(first), "a.test", client1);
    REQUIRE(x.run() == "ok");
    Exchange y(w, "GET", path2, std::move(second), "a.test", client2);
    return y.run();
  };
  const std::string c1 = "10.0.0.1", c2 = "10.0.0.2";
  CHECK(limited("word: WORD_ADDRESS", {}, c1, {}, c1) == "RATE_LIMITED");
  CHECK(limited("word: WORD_ADDRESS", {}, c1, {}, c2) == "ok");
  CHECK(limited("word: WORD_APP", {{"k", "a"}}, c1, {{"k", "a"}}, c2) == "RATE_LIMITED");
  CHECK(limited("word: WORD_APP", {{"k", "a"}}, c1, {{"k", "b"}}, c1) == "ok");
  CHECK(limited("word: WORD_APP", {}, c1, {}, c1) == "RATE_LIMITED");
  CHECK(limited("word: WORD_CONSUMER", {{"k", "a"}}, c1, {{"k", "b"}}, c2) == "RATE_LIMITED");
  CHECK(limited("word: WORD_ROUTE", {}, c1, {}, c2) == "RATE_LIMITED");
  CHECK(limited("word: WORD_ROUTE", {}, c1, {}, c1, "/x") == "ok");
  CHECK(limited("header: 'x-tenant'", {{"X-Tenant", "1"}}, c1, {{"x-tenant", "1"}}, c2) == "RATE_LIMITED");
  CHECK(limited("header: 'x-tenant'", {{"X-Tenant", "1"}}, c1, {{"x-tenant", "2"}}, c1) == "ok");
  CHECK(limited("header: 'x-tenant'", {}, c1, {}, c2) == "RATE_LIMITED");
}

TEST_CASE("rateLimit says when to come back, and lets the caller in then") {
  One w("rate_limit { by { word: WORD_ADDRESS } requests: 2 per_ms: 10000 burst: 3 }");
  for (int i = 0; i < 3; ++i) {
    Exchange x(w, "GET", "/");
    REQUIRE(x.run() == "ok");
  }
  Exchange x(w, "GET", "/");
  REQUIRE(x.run() == "RATE_LIMITED");
  CHECK(x.field("retry-after") == "5");
  CHECK(x.field("ratelimit-limit") == "2");
  CHECK(x.field("ratelimit-remaining") == "0");
  CHECK(x.field("ratelimit-reset") == "15");
  w.clock.advance_ms(5000);
  Exchange y(w, "GET", "/");
  CHECK(y.run() == "ok");
}

TEST_CASE("a rate outlives the snapshot that began it") {
  One w("rate_limit { by { word: WORD_ADDRESS } requests: 1 per_ms: 10000 }");
  Exchange x(w, "GET", "/");
  REQUIRE(x.run() == "ok");
  w.policy(20, "p/one", "config { rate_limit { by { word: WORD_ADDRESS } requests: 1 per_ms: 10001 } }");
  w.build();
  Exchange y(w, "GET", "/");
  CHECK(y.run() == "RATE_LIMITED");
}

TEST_CASE("rateLimit in observe mode counts and refuses nobody") {
  One w("rate_limit { by { word: WORD_ADDRESS } requests: 1 per_ms: 10000 }", "mode: POLICY_MODE_OBSERVE");
  Exchange x(w, "GET", "/");
  REQUIRE(x.run() == "ok");
  CHECK_FALSE(x.pipeline.observed());
  Exchange y(w, "GET", "/");
  REQUIRE(y.run() == "ok");
  CHECK(y.pipeline.observed_reason() == Reason::kRateLimited);
}

TEST_CASE("policies that make no sense are refused by field") {
  auto refusal = [](const std::string& config) {
    World w;
    w.policy(20, "p/one", "config { " + config + " }");
    w.basics("policies: 20");
    return w.refusal();
  };
  CHECK_THAT(refusal("rate_limit { by { word: WORD_APP } requests: 0 per_ms: 1 }"), Catch::Contains("spec.config.requests"));
  CHECK_THAT(refusal("rate_limit { by { word: WORD_APP } requests: 1 per_ms: 0 }"), Catch::Contains("spec.config.per"));
  CHECK_THAT(refusal("rate_limit { by { word: WORD_APP } requests: 1 per_ms: 1 burst: 0 }"), Catch::Contains("spec.config.burst"));
  CHECK_THAT(refusal("rate_limit { requests: 1 per_ms: 1 }"), Catch::Contains("spec.config.by"));
  CHECK_THAT(refusal("api_key { name: 'x' }"), Catch::Contains("spec.config.in"));
  CHECK_THAT(refusal("api_key { in: IN_HEADER name: 'a b' }"), Catch::Contains("spec.config.name"));
  CHECK_THAT(refusal("ip_list { }"), Catch::Contains("must have `allow` or `deny`"));
  CHECK_THAT(refusal("cors { }"), Catch::Contains("spec.config.origins"));
}
