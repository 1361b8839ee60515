#include "dataplane/snapshot/directory.h"

#include "tests/dataplane/snapshot/world.h"

using namespace gw;
using namespace gw::testing;

namespace {
struct Records {
  StreamMaker maker{v1::STREAM_DIRECTORY};
  DirectoryBuilder builder;
  World names;  // for its ways to write records

  std::string take() {
    auto result = builder.prepare(builder.state().version == 0 ? names.records.whole() : names.records.delta());
    if (result.outcome != PrepareOutcome::kReady) return lines(result.diagnostics);
    builder.commit(std::move(result));
    return "ok";
  }
  const Directory& now() const { return *builder.directory(); }
};
}  // namespace

TEST_CASE("apps know their consumer and their subscriptions, keys their app") {
  Records r;
  r.names.consumer(1, "p/acme");
  r.names.app(2, "p/mobile", 1);
  r.names.subscription(3, "p/sub", 2, 50, 60);
  std::string key = r.names.key(4, 2);
  r.names.imported_key(5, 2, "legacy-key");
  REQUIRE(r.take() == "ok");
  const AppRecord* app = r.now().app(2);
  REQUIRE(app);
  CHECK(app->name == "p/mobile");
  CHECK(app->consumer->name == "p/acme");
  REQUIRE(app->covering({40, 50}));
  CHECK(app->covering({40, 50})->plan == 60);
  CHECK_FALSE(app->covering({51}));
  CHECK(r.now().issued_key(parse_api_key(key)->key_id)->app == 2);
  CHECK(r.now().imported_key(sha256("legacy-key"))->uid == 5);
  CHECK_FALSE(r.now().imported_key(sha256("other")));
  CHECK(r.now().keys() == 2);
}

TEST_CASE("a suspended consumer suspends its apps, a resumed one resumes them") {
  Records r;
  r.names.consumer(1, "p/acme");
  r.names.app(2, "p/mobile", 1);
  REQUIRE(r.take() == "ok");
  CHECK_FALSE(r.now().app(2)->suspended());
  auto before = r.builder.directory();
  r.names.consumer(1, "p/acme", true);
  REQUIRE(r.take() == "ok");
  CHECK(r.now().app(2)->suspended());
  CHECK_FALSE(before->app(2)->suspended());
  r.names.consumer(1, "p/acme");
  r.names.app(2, "p/mobile", 1, true);
  REQUIRE(r.take() == "ok");
  CHECK(r.now().app(2)->app_suspended);
}

TEST_CASE("subscriptions come, move and go with their apps") {
  Records r;
  r.names.consumer(1, "p/acme");
  r.names.app(2, "p/a", 1);
  r.names.app(3, "p/b", 1);
  r.names.subscription(4, "p/s", 2, 50, 60);
  REQUIRE(r.take() == "ok");
  r.names.subscription(4, "p/s", 3, 50, 61);
  r.names.subscription(5, "p/t", 2, 51, 60);
  REQUIRE(r.take() == "ok");
  CHECK_FALSE(r.now().app(2)->covering({50}));
  CHECK(r.now().app(2)->covering({51}));
  CHECK(r.now().app(3)->covering({50})->plan == 61);
  r.names.records.remove(v1::ENTRY_SUBSCRIPTION, 4);
  REQUIRE(r.take() == "ok");
  CHECK(r.now().app(3)->subscriptions.empty());
  CHECK_FALSE(r.now().subscription(4));
}

TEST_CASE("what refers to nothing is refused and changes nothing") {
  Records r;
  r.names.consumer(1, "p/acme");
  r.names.app(2, "p/a", 1);
  r.names.subscription(4, "p/s", 2, 50, 60);
  REQUIRE(r.take() == "ok");
  r.names.records.remove(v1::ENTRY_CONSUMER, 1);
  CHECK_THAT(r.take(), Catch::Contains("GW3005: App p/a: consumer"));
  CHECK(r.now().app(2));
  r.names.consumer(1, "p/acme");
  r.names.records.remove(v1::ENTRY_APP, 2);
  auto offer = r.names.records.whole();
  auto result = r.builder.prepare(offer);
  CHECK(result.outcome == PrepareOutcome::kRefused);
  CHECK_THAT(lines(result.diagnostics), Catch::Contains("GW3005: Subscription p/s: app"));
  r.names.records.remove(v1::ENTRY_SUBSCRIPTION, 4);
  r.names.key(9, 77);
  result = r.builder.prepare(r.names.records.whole());
  CHECK_THAT(lines(result.diagnostics), Catch::Contains("no app with uid 77"));
}

TEST_CASE("two keys with the same hash are refused, one may take another's place") {
  Records r;
  r.names.consumer(1, "p/acme");
  r.names.app(2, "p/a", 1);
  r.names.imported_key(5, 2, "k");
  REQUIRE(r.take() == "ok");
  r.names.imported_key(6, 2, "k");
  CHECK_THAT(r.take(), Catch::Contains("keys 5 and 6 are the same"));
  r.names.records.remove(v1::ENTRY_KEY, 5);
  auto result = r.builder.prepare(r.names.records.whole());
  REQUIRE(result.outcome == PrepareOutcome::kReady);
  CHECK(result.directory->imported_key(sha256("k"))->uid == 6);
}

TEST_CASE("a new key leaves every other record where it was") {
  Records r;
  r.names.consumer(1, "p/acme");
  for (uint64_t i = 0; i < 500; ++i) r.names.app(10 + i, "p/a" + std::to_string(i), 1);
  REQUIRE(r.take() == "ok");
  auto before = r.builder.directory();
  r.names.key(9999, 10);
  REQUIRE(r.take() == "ok");
  for (uint64_t i = 0; i < 500; ++i) REQUIRE(before->app(10 + i) == r.now().app(10 + i));
}

TEST_CASE("random changes end where a whole offer of the result ends") {
  FastRandom random(11);
  Records r;
  for (uint64_t c = 1; c <= 5; ++c) r.names.consumer(c, "p/c" + std::to_string(c));
  REQUIRE(r.take() == "ok");
  std::map<uint64_t, uint64_t> apps;  // app -> consumer
  std::map<uint64_t, uint64_t> subs;  // subscription -> app
  for (int round = 0; round < 400; ++round) {
    uint64_t app = 100 + random.below(20), sub = 200 + random.below(30);
    switch (random.below(4)) {
      case 0:
        apps[app] = 1 + random.below(5);
        r.names.app(app, "p/a" + std::to_string(app), apps[app], random.below(2));
        break;
      case 1:
        if (!apps.count(app)) break;
        apps.erase(app);
        r.names.records.remove(v1::ENTRY_APP, app);
        for (auto at = subs.begin(); at != subs.end();) {
          if (at->second != app) {
            ++at;
            continue;
          }
          r.names.records.remove(v1::ENTRY_SUBSCRIPTION, at->first);
          at = subs.erase(at);
        }
        break;
      case 2:
        if (!apps.count(app)) break;
        subs[sub] = app;
        r.names.subscription(sub, "p/s" + std::to_string(sub), app, 1, 1);
        break;
      default: {
        uint64_t c = 1 + random.below(5);
        r.names.consumer(c, "p/c" + std::to_string(c), random.below(2));
      }
    }
    REQUIRE(r.take() == "ok");
    for (const auto& [uid, consumer] : apps) {
      const AppRecord* record = r.now().app(uid);
      REQUIRE(record);
      CHECK(record->consumer.get() == r.now().consumer(consumer));
      size_t expected = 0;
      for (const auto& [s, a] : subs) expected += a == uid;
      REQUIRE(record->subscriptions.size() == expected);
    }
    REQUIRE(r.now().apps() == apps.size());
  }
}

TEST_CASE("the quota view knows who is used up, until the period ends, and how many share") {
  QuotaBuilder builder;
  StreamMaker maker(v1::STREAM_QUOTA);
  CHECK(builder.quota()->active_nodes() == 1);
  maker.put(v1::ENTRY_SHARE, 1, text<v1::ShareEntry>("active_nodes: 4"));
  maker.put(v1::ENTRY_QUOTA_STATE, 77, text<v1::QuotaStateEntry>("exhausted: true resets_at: 1000 limit: 5"));
  builder.commit(builder.prepare(maker.whole()));
  CHECK(builder.quota()->active_nodes() == 4);
  REQUIRE(builder.quota()->exhausted(77, 999'999'999'999));
  CHECK(builder.quota()->exhausted(77, 999'999'999'999)->limit == 5);
  CHECK_FALSE(builder.quota()->exhausted(77, 1'000'000'000'000));
  CHECK_FALSE(builder.quota()->exhausted(78, 0));
  CHECK(builder.with_stale(true)->stale());
  maker.remove(v1::ENTRY_QUOTA_STATE, 77);
  maker.remove(v1::ENTRY_SHARE, 1);
  builder.commit(builder.prepare(maker.delta()));
  CHECK(builder.quota()->stale());
  CHECK(builder.quota()->active_nodes() == 1);
  CHECK_FALSE(builder.quota()->exhausted(77, 0));
  CHECK_FALSE(builder.with_stale(false)->stale());
  maker.put(v1::ENTRY_ROUTE, 1, v1::RouteEntry());
  CHECK(builder.prepare(maker.delta()).outcome == PrepareOutcome::kRefused);
}
