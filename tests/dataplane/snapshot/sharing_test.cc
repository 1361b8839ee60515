// What one snapshot takes over from the one before.
#include "tests/dataplane/snapshot/world.h"

using namespace gw;
using namespace gw::testing;

namespace {
constexpr int kRoutes = 300;

World& with_many(World& w) {
  w.basics();
  w.policy(20, "p/h", "config { headers { response { remove: 'server' } } }");
  w.policy(21, "p/deny", "config { ip_list { deny: '10.0.0.0/8' } }");
  w.api(50, "t/many", "gateways: 1 hosts: 'many.test' base_path: '/' allow_anonymous: true");
  for (int i = 0; i < kRoutes; ++i) {
    w.route(1000 + i, "t/r" + std::to_string(i),
            "api: 50 match { path { prefix: '/p" + std::to_string(i) + "' } } upstream: 10" + (i < 2 ? " policies: 21" : ""));
  }
  w.build();
  return w;
}
}  // namespace

TEST_CASE("a change of one route builds one route and its Api's tree") {
  World w;
  with_many(w);
  auto before = w.tables.snapshot;
  w.route(1005, "t/r5", "api: 50 match { path { prefix: '/other' } } upstream: 10");
  w.build();
  CHECK(w.stats.entries_changed == 1);
  CHECK(w.stats.routes_built == 1);
  CHECK(w.stats.routes_resolved == 1);
  CHECK(w.stats.routes_shared == kRoutes);  // the others, and the one of the other Api
  CHECK(w.stats.apis_built == 1);
  const auto& a = *before->gateways()[0];
  const auto& b = *w.tables.snapshot->gateways()[0];
  CHECK(a.apis[0] == b.apis[0]);
  CHECK(a.apis[1] != b.apis[1]);
  CHECK(a.claims == b.claims);
  CHECK(a.apis[1]->routes[6] == b.apis[1]->routes[6]);
  CHECK(a.apis[1]->routes[5] != b.apis[1]->routes[5]);
}

TEST_CASE("a change of an upstream builds no route") {
  World w;
  with_many(w);
  auto before = w.tables.snapshot;
  w.upstream(10, "platform/up", "http://127.0.0.1:9999");
  w.build();
  CHECK(w.stats.routes_built == 0);
  CHECK(w.stats.routes_resolved == 0);
  CHECK(w.stats.apis_built == 0);
  CHECK(w.stats.upstreams_built == 1);
  CHECK(before->gateways()[0] == w.tables.snapshot->gateways()[0]);
  uint32_t index = std::get<UpstreamRef>(w.tables.snapshot->gateways()[0]->apis[0]->routes[0]->to()).upstream;
  CHECK(before->upstream(index)->targets[0].port == 9000);
  CHECK(w.tables.snapshot->upstream(index)->targets[0].port == 9999);
}

TEST_CASE("a change of a policy resolves the routes that name it, and builds no tree") {
  World w;
  with_many(w);
  w.policy(21, "p/deny", "config { ip_list { deny: '11.0.0.0/8' } }");
  w.build();
  CHECK(w.stats.routes_built == 0);
  CHECK(w.stats.routes_resolved == 2);
  CHECK(w.stats.apis_built == 0);
  w.policy(20, "p/h", "config { headers { response { remove: 'via' } } }");
  w.build();
  CHECK(w.stats.routes_resolved == 0);  // nobody names it
}

TEST_CASE("a change of the Gateway or an Api resolves their routes anew") {
  World w;
  with_many(w);
  w.api(50, "t/many", "gateways: 1 hosts: 'many.test' base_path: '/' allow_anonymous: true limits { body_bytes: 5 }");
  w.build();
  CHECK(w.stats.routes_resolved == kRoutes);
  CHECK(w.stats.routes_shared == 1);
  CHECK(w.stats.apis_built == 0);
  CHECK(w.tables.snapshot->gateways()[0]->apis[1]->routes[7]->body_bytes == 5);
  w.gateway(1, "platform/edge", "policies: 20");
  w.build();
  CHECK(w.stats.routes_resolved == kRoutes + 1);
  CHECK(w.stats.apis_built == 0);
  CHECK(w.tables.snapshot->gateways()[0]->apis[1]->routes[7]->has_response);
}

TEST_CASE("an offer without a change shares everything") {
  World w;
  with_many(w);
  auto before = w.tables.snapshot;
  w.build();
  CHECK(w.stats.entries_changed == 0);
  CHECK(w.tables.snapshot->version() == before->version() + 1);
  CHECK(before->gateways()[0] == w.tables.snapshot->gateways()[0]);
}

TEST_CASE("dense indexes stay with their objects over swaps, and are not given away too soon") {
  World w;
  w.basics();
  w.build();
  uint32_t index = w.tables.snapshot->gateways()[0]->apis[0]->routes[0]->index();
  auto old = w.tables.snapshot;
  w.route(3, "platform/all", "api: 2 match { path { exact: '/x' } } upstream: 10");
  w.build();
  CHECK(w.tables.snapshot->gateways()[0]->apis[0]->routes[0]->index() == index);
  // Gone from the configuration, but the old snapshot is still in somebody's hands.
  w.config.remove(v1::ENTRY_ROUTE, 3);
  w.route(4, "platform/new", "api: 2 match { path { exact: '/x' } } upstream: 10");
  w.build();
  CHECK(w.tables.snapshot->gateways()[0]->apis[0]->routes[0]->index() != index);
  old.reset();
  w.route(5, "platform/newer", "api: 2 match { path { exact: '/y' } } upstream: 10");
  w.build();
  CHECK(w.tables.snapshot->gateways()[0]->apis[0]->routes[1]->index() == index);
}

TEST_CASE("what random deltas lead to is what the whole builds") {
  World w;
  w.basics();
  for (uint64_t p = 20; p < 24; ++p) w.policy(p, "p/p" + std::to_string(p), "config { ip_list { deny: '10.0.0.0/8' } }");
  FastRandom random(3);
  for (int round = 0; round < 150; ++round) {
    for (int i = 0; i < 3; ++i) {
      uint64_t n = random.below(12);
      std::string policies = random.below(2) ? "policies: " + std::to_string(20 + random.below(4)) : "";
      switch (random.below(6)) {
        case 0:
          w.policy(20 + n % 4, "p/p" + std::to_string(20 + n % 4), "config { ip_list { deny: '10." + std::to_string(random.below(9)) + ".0.0/16' } }");
          break;
        case 1: w.gateway(1, "platform/edge", policies); break;
        case 2: w.api(2, "platform/all", "gateways: 1 hosts: '*' base_path: '/' allow_anonymous: true " + policies); break;
        case 3: w.config.remove(v1::ENTRY_ROUTE, 100 + n); break;
        default:
          w.route(100 + n, "t/r" + std::to_string(n), "api: 2 match { path { exact: '/" + std::to_string(random.below(20)) + "' } } upstream: 10 " + policies);
      }
    }
    w.build();
    SnapshotBuilder fresh;
    auto whole = fresh.prepare(w.builder.whole());
    REQUIRE(whole.outcome == PrepareOutcome::kReady);
    const auto& a = w.tables.snapshot->gateways()[0]->apis[0]->routes;
    const auto& b = whole.snapshot->gateways()[0]->apis[0]->routes;
    REQUIRE(a.size() == b.size());
    for (size_t i = 0; i < a.size(); ++i) {
      REQUIRE(a[i]->uid() == b[i]->uid());
      REQUIRE(a[i]->config->match->path_text == b[i]->config->match->path_text);
      REQUIRE(a[i]->chain.size() == b[i]->chain.size());
      for (size_t c = 0; c < a[i]->chain.size(); ++c) {
        REQUIRE(a[i]->chain[c].policy == w.tables.snapshot->policy(b[i]->chain[c].policy->info().uid));
        REQUIRE(a[i]->chain[c].place == b[i]->chain[c].place);
      }
    }
  }
}

TEST_CASE("a route takes less than 2 KiB") {
  World w;
  w.basics();
  w.build();
  size_t before = w.tables.snapshot->memory_bytes() + w.builder.whole().ByteSizeLong();
  for (int i = 0; i < 1000; ++i) {
    w.route(1000 + i, "team/route-with-a-name-" + std::to_string(i),
            "api: 2 match { path { prefix: '/v1/things/" + std::to_string(i) + "' } methods: 'GET' } upstream: 10");
  }
  w.build();
  size_t after = w.tables.snapshot->memory_bytes() + w.builder.whole().ByteSizeLong();
  CHECK((after - before) / 1000 < 2048);
}
