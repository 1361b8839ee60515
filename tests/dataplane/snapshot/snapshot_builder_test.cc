#include "dataplane/snapshot/snapshot_builder.h"

#include "tests/dataplane/snapshot/world.h"

using namespace gw;
using namespace gw::testing;

namespace {
const Route& only_route(const World& w) { return *w.tables.snapshot->gateways().at(0)->apis.at(0)->routes.at(0); }

std::string chain_text(const Route& r) {
  std::string out;
  for (const ChainEntry& e : r.chain) {
    static const char* kPlaces[] = {"gateway", "api", "route", "plan"};
    out += (out.empty() ? "" : " ") + e.policy->info().name + "@" + kPlaces[static_cast<int>(e.place)] + (e.required ? "!" : "");
  }
  return out;
}
const std::string kDeny = "config { ip_list { deny: '10.0.0.0/8' } }";
const std::string kHeaders = "config { headers { response { remove: 'server' } } }";
std::string cors(const std::string& origin) { return "config { cors { origins: '" + origin + "' } }"; }
std::string rate(int n) { return "config { rate_limit { by { word: WORD_ADDRESS } requests: " + std::to_string(n) + " per_ms: 1000 } }"; }
const std::string kKey = "config { api_key { in: IN_HEADER name: 'x-api-key' } }";
}  // namespace

TEST_CASE("defaults are filled in where nothing is said") {
  World w;
  w.basics();
  w.build();
  const GatewayConfig& g = *w.tables.snapshot->gateways().at(0);
  CHECK(g.name == "platform/edge");
  CHECK(g.short_name() == "edge");
  CHECK(g.body_bytes == 10 << 20);
  CHECK(g.header_bytes == 32 << 10);
  CHECK(g.header_fields == 100);
  CHECK(g.idle_timeout_ms == 60000);
  CHECK(g.head_timeout_ms == 10000);
  CHECK(g.access_log.to == AccessLogConfig::To::kStdout);
  const Route& r = only_route(w);
  CHECK(r.body_bytes == 10 << 20);
  CHECK(r.body_idle_ms == 15000);
  CHECK(r.request_ms == 0);
  CHECK(r.metered());
  const UpstreamConfig& u = *w.tables.snapshot->upstream(std::get<UpstreamRef>(r.to()).upstream);
  CHECK(u.connect_ms == 2000);
  CHECK(u.first_byte_ms == 30000);
  CHECK(u.idle_ms == 15000);
  CHECK(u.targets[0].authority == "127.0.0.1:9000");
  CHECK(u.targets[0].is_address);
  CHECK(w.tables.snapshot->find_gateway("platform/edge") == &g);
  CHECK_FALSE(w.tables.snapshot->find_gateway("platform/x"));
}

TEST_CASE("the nearest limit wins, and never above the Gateway's most") {
  World w;
  w.basics("limits { body_bytes: 100 } limits_max { body_bytes: 1000 }", "", "");
  w.build();
  CHECK(only_route(w).body_bytes == 100);
  w.basics("limits { body_bytes: 100 } limits_max { body_bytes: 1000 }", "limits { body_bytes: 200 } timeouts { request_ms: 7 }", "");
  w.build();
  CHECK(only_route(w).body_bytes == 200);
  CHECK(only_route(w).request_ms == 7);
  w.basics("limits { body_bytes: 100 } limits_max { body_bytes: 1000 }", "limits { body_bytes: 200 } timeouts { request_ms: 7 }",
           "limits { body_bytes: 5000 } timeouts { request_ms: 8 body_idle_ms: 9 }");
  w.build();
  CHECK(only_route(w).body_bytes == 1000);
  CHECK(only_route(w).request_ms == 8);
  CHECK(only_route(w).body_idle_ms == 9);
}

TEST_CASE("policies of all levels run in phase order, outer first, each object once") {
  World w;
  w.policy(20, "p/h", kHeaders);
  w.policy(21, "p/deny", kDeny);
  w.policy(22, "p/rate", rate(5));
  w.policy(23, "p/deny2", kDeny);
  w.basics("policies: 20 policies: 21 required: 21", "policies: 22 policies: 23", "policies: 20 policies: 21 policies: 22");
  w.build();
  const Route& r = only_route(w);
  CHECK(chain_text(r) == "deny@gateway! deny2@api rate@api h@gateway");
  CHECK(r.auth_at == 2);
  CHECK(r.rate_at == 2);
  CHECK(r.has_response);
  CHECK_FALSE(r.has_done);
}

TEST_CASE("of types that combine as nearest only the nearest is in force, unless a farther one is required") {
  World w;
  w.policy(20, "p/wide", cors("https://a"));
  w.policy(21, "p/mid", cors("https://b"));
  w.policy(22, "p/near", cors("https://c"));
  w.basics("policies: 20", "policies: 21", "policies: 22");
  w.build();
  CHECK(chain_text(only_route(w)) == "near@route");
  w.basics("policies: 20", "policies: 21", "");
  w.build();
  CHECK(chain_text(only_route(w)) == "mid@api");
  w.basics("policies: 20 required: 20", "policies: 21", "policies: 22");
  w.build();
  CHECK(chain_text(only_route(w)) == "wide@gateway!");
}

TEST_CASE("a route's auth list replaces the Api's whole") {
  World w;
  w.policy(20, "p/key", kKey);
  w.gateway(1, "platform/edge");
  w.upstream(10, "platform/up");
  w.api(2, "platform/all", "gateways: 1 hosts: '*' base_path: '/' auth: 20");
  w.route(3, "platform/a", "api: 2 match { path { prefix: '/' } } upstream: 10");
  w.route(4, "platform/b", "api: 2 match { path { exact: '/open' } } auth { allow_anonymous: true } upstream: 10");
  w.build();
  const auto& routes = w.tables.snapshot->gateways()[0]->apis[0]->routes;
  CHECK(routes[0]->auth.size() == 1);
  CHECK_FALSE(routes[0]->allow_anonymous);
  CHECK(routes[1]->auth.empty());
  CHECK(routes[1]->allow_anonymous);
}

TEST_CASE("a Gateway has only the Apis that name it") {
  World w;
  w.basics();
  w.gateway(5, "platform/other");
  w.api(6, "platform/second", "gateways: 5 gateways: 77 hosts: '*' base_path: '/s' allow_anonymous: true");
  w.build();
  CHECK(w.tables.snapshot->gateways()[0]->apis.size() == 1);
  CHECK(w.tables.snapshot->gateways()[1]->apis.size() == 1);
  CHECK(w.tables.snapshot->gateways()[1]->apis[0]->api->name == "platform/second");
}

TEST_CASE("each fault is refused by name and field, and leaves the builder as it was") {
  World w;
  w.basics();
  w.build();
  auto before = w.builder.snapshot();
  auto refused = [&](auto&& change, const std::string& expected) {
    World broken;
    broken.basics();
    change(broken);
    INFO(expected);
    CHECK_THAT(broken.refusal(), Catch::Contains(expected));
    CHECK(broken.builder.state().version == 0);
    CHECK_FALSE(broken.builder.snapshot());
  };
  refused([](World& b) { b.route(3, "t/r", "api: 99 match { path { prefix: '/' } } upstream: 10"); }, "GW3005: Route t/r: spec.api");
  refused([](World& b) { b.route(3, "t/r", "api: 2 match { path { prefix: '/' } } upstream: 99"); }, "GW3005: Route t/r: spec.to");
  refused([](World& b) { b.route(3, "t/r", "api: 2 match { path { prefix: '/' } } split { arms { upstream: 99 weight: 1 } }"); },
          "GW3005: Route t/r: spec.to");
  refused([](World& b) { b.route(3, "t/r", "api: 2 match { path { prefix: '/' } } upstream: 10 policies: 9"); },
          "GW3005: Route t/r: spec.policies");
  refused([](World& b) { b.route(3, "t/r", "api: 2 match { path { regex: '(' } } upstream: 10"); },
          "GW3007: Route t/r: spec.match.path.regex");
  refused([](World& b) { b.route(3, "t/r", "api: 2 match { path { prefix: '/' } } upstream: 10 auth { }"); },
          "Route t/r: spec.auth: nobody could pass");
  refused([](World& b) { b.route(3, "t/r", "api: 2 match { path { prefix: '/' } } redirect { path: '/a\\r\\nx: y' }"); },
          "Route t/r: spec.to.redirect");
  refused([](World& b) { b.route(3, "t/r", "api: 2 match { path { prefix: '/' } } respond { status: 200 headers { name: 'x' value: 'a\\nb' } }"); },
          "Route t/r: spec.to.respond.headers");
  refused([](World& b) { b.api(2, "t/a", "gateways: 1 hosts: '*' base_path: '/x' allow_anonymous: true"); },
          "Route platform/all: spec.match.path: does not lie below /x");
  refused([](World& b) { b.api(2, "t/a", "gateways: 1 hosts: '*' base_path: '/'"); }, "Api t/a: spec.auth: nobody could pass");
  refused([](World& b) { b.api(2, "t/a", "gateways: 1 base_path: '/' allow_anonymous: true"); }, "Api t/a: spec.hosts");
  refused([](World& b) { b.upstream(10, "t/u", "http://169.254.169.254/"); }, "GW1414: Upstream t/u: spec.targets[0].url");
  refused([](World& b) { b.upstream(10, "t/u", "ftp://a"); }, "GW1416: Upstream t/u: spec.targets[0].url");
  refused([](World& b) { b.upstream(10, "t/u", "http://a/path"); }, "GW1416: Upstream t/u");
  refused([](World& b) { b.upstream(10, "t/u", "http://u@a"); }, "GW1416: Upstream t/u");
  auto up = [](const char* rest) { return [rest](World& b) { b.upstream(10, "t/u", "http://a", rest); }; };
  refused(up("http2 { max_streams: 5 }"), "GW1437: Upstream t/u: spec.http2");
  refused(up("protocol: PROTOCOL_AUTO"), "GW1437: Upstream t/u: spec.protocol");
  refused(up("health { active { grpc { } } }"), "GW1438: Upstream t/u: spec.health.active.grpc");
  refused(up("protocol: PROTOCOL_HTTP2 health { active { path: '/x' grpc { } } }"), "GW1438: Upstream t/u: spec.health.active.path");
  refused(up("retries { attempts: 1 grpc_statuses: 'unavailable' }"), "GW1437: Upstream t/u: spec.retries.grpcStatuses");
  refused(up("protocol: PROTOCOL_HTTP2 retries { attempts: 1 grpc_statuses: 'internal' grpc_statuses: '14' }"),
          "GW1431: Upstream t/u: spec.retries.grpcStatuses[1]");
  refused(up("protocol: PROTOCOL_HTTP2 retries { attempts: 1 grpc_statuses: 'ok' }"), "GW1431: Upstream t/u: spec.retries.grpcStatuses[0]");
  refused([](World& b) { b.route(3, "t/r", "api: 2 match { path { grpc { service: 'a..b' } } } upstream: 10"); },
          "Route t/r: spec.match.path.grpc.service");
  refused([](World& b) { b.route(3, "t/r", "api: 2 match { path { grpc { service: 'a.b' method: 'c/d' } } } upstream: 10"); },
          "Route t/r: spec.match.path.grpc.method");
  refused([](World& b) { b.route(3, "t/r", "api: 2 match { path { prefix: '/' } } respond { status: 200 } grpc_web: true"); }, "GW1320: Route t/r: spec.to");
  refused([](World& b) { b.gateway(1, "t/g", "policies: 9"); }, "GW3005: Gateway t/g: spec.policies");
  refused([](World& b) { b.policy(9, "t/p", kDeny), b.gateway(1, "t/g", "required: 9"); }, "GW1403: Gateway t/g: spec.required");
  refused([](World& b) { b.gateway(1, "t/g", "trusted_proxies: 'x'"); }, "Gateway t/g: spec.clientAddress.trustedProxies");
  refused([](World& b) { b.gateway(1, "t/g", "listeners { name: 'x' address: 'nowhere' port: 1 protocol: PROTOCOL_HTTP }"); },
          "Gateway t/g: spec.listeners[1].address");
  refused([](World& b) { b.policy(9, "t/p", kKey), b.gateway(1, "t/g", "policies: 9"); }, "GW1402: Gateway t/g: spec.policies");
  refused([](World& b) { b.policy(9, "t/p", kDeny), b.api(2, "t/a", "gateways: 1 hosts: '*' base_path: '/' auth: 9"); },
          "GW1401: Api t/a: spec.auth");
  refused([](World& b) { b.policy(9, "t/p", cors("https://a")), b.plan(8, "t/pl", "policies: 9"); }, "GW1413: Plan t/pl");
  refused([](World& b) { b.policy(9, "t/p", "config { ip_list { deny: 'x' } }"); }, "GW1421: Policy t/p: spec.config.deny[0]");
  refused([](World& b) { b.plan(8, "t/pl", "rate { requests: 0 per_ms: 1 }"); }, "Plan t/pl: spec.rate");
  refused([](World& b) { b.config.put(v1::ENTRY_KEY, 1, v1::KeyEntry()); }, "does not belong to the configuration");
  CHECK(w.builder.snapshot() == before);
}

TEST_CASE("an upstream's protocol, and how its connections are shared") {
  World w;
  w.basics();
  w.upstream(11, "platform/two", "http://a", "protocol: PROTOCOL_HTTP2 http2 { max_streams: 7 stream_window: 32768 ping_after_ms: 5000 }");
  w.build();
  std::map<std::string, const UpstreamConfig*> by_name;
  for (const auto& u : w.tables.snapshot->upstreams()) {
    if (u != nullptr) by_name[u->name] = u.get();
  }
  CHECK(by_name.at("platform/up")->protocol == v1::UpstreamSpec::PROTOCOL_HTTP1);
  const UpstreamConfig& two = *by_name.at("platform/two");
  CHECK(two.protocol == v1::UpstreamSpec::PROTOCOL_HTTP2);
  CHECK(two.http2 == UpstreamHttp2Config{7, 32768, 1 << 20, 5000});
}

TEST_CASE("a refused delta changes nothing, and the next good one is taken") {
  World w;
  w.basics();
  w.build();
  auto before = w.builder.snapshot();
  v1::Offer bad = w.config.delta();  // nothing changed
  auto* e = bad.add_upserts();
  e->set_kind(v1::ENTRY_ROUTE);
  e->set_uid(3);
  CHECK(w.builder.prepare(bad).outcome == PrepareOutcome::kMismatch);
  CHECK(w.builder.snapshot() == before);
  CHECK(w.builder.state().version == 1);
}

TEST_CASE("an offer that was prepared and dropped leaves no trace") {
  World w;
  w.basics();
  w.build();
  w.upstream(11, "platform/second");
  v1::Offer offer = w.config.delta();
  { auto dropped = w.builder.prepare(offer); }
  auto again = w.builder.prepare(offer);
  REQUIRE(again.outcome == PrepareOutcome::kReady);
  CHECK(again.stats.upstreams_built == 1);
  CHECK(again.stats.entries_changed == 1);
}

TEST_CASE("the whole of a builder makes the same snapshot elsewhere") {
  World w;
  w.basics();
  w.build();
  SnapshotBuilder other;
  auto made = other.prepare(w.builder.whole());
  REQUIRE(made.outcome == PrepareOutcome::kReady);
  CHECK(made.snapshot->digest() == w.tables.snapshot->digest());
  CHECK(made.snapshot->version() == w.tables.snapshot->version());
  CHECK(made.snapshot->gateways()[0]->apis[0]->routes[0]->name() == "platform/all");
}
