#include "tests/dataplane/snapshot/world.h"

using namespace gw;
using namespace gw::testing;

namespace {
struct Keys : World {
  explicit Keys(const std::string& policy_rest = "in: IN_HEADER name: 'x-api-key'", const std::string& auth = "auth: 20") {
    policy(20, "p/key", "config { api_key { " + policy_rest + " } }");
    gateway(1, "platform/edge");
    upstream(10, "platform/up");
    api(2, "platform/all", "gateways: 1 hosts: '*' base_path: '/' " + auth);
    route(3, "platform/all", "api: 2 match { path { prefix: '/' } } upstream: 10");
    consumer(50, "p/acme");
    app(51, "p/mobile", 50);
    good = key(54, 51);
  }
  std::string good;
};
using Headers = std::vector<std::pair<std::string, std::string>>;
}  // namespace

TEST_CASE("a good key names its app and is hidden from the upstream") {
  Keys w;
  w.build();
  Exchange x(w, "GET", "/", {{"X-API-Key", w.good}, {"other", "1"}});
  REQUIRE(x.run() == "ok");
  CHECK(x.ctx.identity.app->name == "p/mobile");
  CHECK(x.ctx.identity.key_id == parse_api_key(w.good)->key_id);
  CHECK(x.head.headers.find(std::string_view("x-api-key")) == nullptr);
  CHECK(x.head.headers.find(std::string_view("other")) != nullptr);
}

TEST_CASE("a key stays where hideFromUpstream is false") {
  Keys w("in: IN_HEADER name: 'x-api-key' hide_from_upstream: false");
  w.build();
  Exchange x(w, "GET", "/", {{"X-API-Key", w.good}});
  REQUIRE(x.run() == "ok");
  CHECK(x.head.headers.find(std::string_view("x-api-key")) != nullptr);
}

TEST_CASE("no key is missing, any wrong key is invalid") {
  Keys w;
  std::string expired = w.key(60, 51, w.clock.wall_ns() / 1'000'000'000);
  std::string still_good = w.key(61, 51, w.clock.wall_ns() / 1'000'000'000 + 1);
  w.imported_key(62, 51, "legacy");
  w.build();
  auto run = [&](Headers headers) {
    Exchange x(w, "GET", "/", std::move(headers));
    std::string out = x.run();
    if (x.response) CHECK(x.field("www-authenticate") == "ApiKey header=\"x-api-key\"");
    return out;
  };
  CHECK(run({}) == "AUTH_MISSING");
  CHECK(run({{"x-api-key", ""}}) == "AUTH_INVALID");
  CHECK(run({{"x-api-key", "g"}}) == "AUTH_INVALID");
  CHECK(run({{"x-api-key", w.good}, {"X-Api-Key", w.good}}) == "AUTH_INVALID");
  CHECK(run({{"x-api-key", generate_api_key(true).text}}) == "AUTH_INVALID");
  CHECK(run({{"x-api-key", expired}}) == "AUTH_INVALID");
  CHECK(run({{"x-api-key", still_good}}) == "ok");
  CHECK(run({{"x-api-key", "legacy"}}) == "AUTH_INVALID");  // imported, but not accepted here
  std::string typo = w.good;
  typo[12] = typo[12] == 'a' ? 'b' : 'a';
  Exchange x(w, "GET", "/", {{"x-api-key", typo}});
  CHECK(x.run() == "AUTH_INVALID");
  CHECK_THAT(std::string(x.response->detail), Catch::Contains("checksum"));
  // The right id with another secret, and a checksum that fits.
  std::string forged = generate_api_key(true).text;
  forged.replace(9, 12, parse_api_key(w.good)->key_id);
  forged.resize(forged.size() - 6);
  uint32_t crc = crc32(forged);
  std::string sum(6, '0');
  for (size_t i = 6; i-- > 0; crc /= 62) sum[i] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"[crc % 62];
  forged += sum;
  REQUIRE(parse_api_key(forged));
  CHECK(run({{"x-api-key", forged}}) == "AUTH_INVALID");
}

TEST_CASE("a revoked key is unknown, at once on the next directory") {
  Keys w;
  w.build();
  w.records.remove(v1::ENTRY_KEY, 54);
  w.build();
  Exchange x(w, "GET", "/", {{"x-api-key", w.good}});
  CHECK(x.run() == "AUTH_INVALID");
}

TEST_CASE("imported keys pass where they are accepted") {
  Keys w("in: IN_HEADER name: 'x-api-key' accept_imported: true");
  w.imported_key(62, 51, "GOODKEY");
  w.build();
  Exchange x(w, "GET", "/", {{"x-api-key", "GOODKEY"}});
  REQUIRE(x.run() == "ok");
  CHECK(x.ctx.identity.app->uid == 51);
  CHECK(x.ctx.identity.key_id.empty());
  Exchange y(w, "GET", "/", {{"x-api-key", "GOODKEY2"}});
  CHECK(y.run() == "AUTH_INVALID");
  Exchange z(w, "GET", "/", {{"x-api-key", w.good}});
  CHECK(z.run() == "ok");
}

TEST_CASE("a key in the query is found and taken out") {
  Keys w("in: IN_QUERY name: 'key'");
  w.build();
  Exchange x(w, "GET", "/a?x=1&key=" + w.good + "&y=2");
  REQUIRE(x.run() == "ok");
  CHECK(x.head.target == "/a?x=1&y=2");
  CHECK(x.head.query == "x=1&y=2");
  Exchange only(w, "GET", "/a?key=" + w.good);
  REQUIRE(only.run() == "ok");
  CHECK(only.head.target == "/a");
  CHECK_FALSE(only.head.has_query);
  Exchange twice(w, "GET", "/a?key=" + w.good + "&%6bey=" + w.good);
  CHECK(twice.run() == "AUTH_INVALID");
  Exchange none(w, "GET", "/a?y=2");
  CHECK(none.run() == "AUTH_MISSING");
}

TEST_CASE("anonymous admits who has no credential, and not who has a wrong one") {
  Keys w("in: IN_HEADER name: 'x-api-key'", "auth: 20 allow_anonymous: true");
  w.build();
  Exchange none(w, "GET", "/");
  CHECK(none.run() == "ok");
  CHECK(none.ctx.identity.app == nullptr);
  Exchange wrong(w, "GET", "/", {{"x-api-key", "x"}});
  CHECK(wrong.run() == "AUTH_INVALID");
}

TEST_CASE("of several policies one must pass") {
  Keys w("in: IN_HEADER name: 'x-api-key'", "auth: 20 auth: 21");
  w.policy(21, "p/query", "config { api_key { in: IN_QUERY name: 'key' } }");
  w.build();
  Exchange header(w, "GET", "/", {{"x-api-key", w.good}});
  CHECK(header.run() == "ok");
  Exchange query(w, "GET", "/?key=" + w.good);
  CHECK(query.run() == "ok");
  Exchange mixed(w, "GET", "/?key=" + w.good, {{"x-api-key", "bad"}});
  CHECK(mixed.run() == "ok");
  Exchange none(w, "GET", "/");
  CHECK(none.run() == "AUTH_MISSING");
  CHECK(none.response->header_count == 2);
}

TEST_CASE("observed authentication admits everybody and says whom it would have refused") {
  Keys w;
  w.policy(20, "p/key", "mode: POLICY_MODE_OBSERVE config { api_key { in: IN_HEADER name: 'x-api-key' } }");
  w.build();
  Exchange none(w, "GET", "/");
  CHECK(none.run() == "ok");
  REQUIRE(none.pipeline.observed());
  CHECK(none.pipeline.observed_reason() == Reason::kAuthMissing);
  Exchange wrong(w, "GET", "/", {{"x-api-key", "bad"}});
  CHECK(wrong.run() == "ok");
  CHECK(wrong.pipeline.observed_reason() == Reason::kAuthInvalid);
  Exchange good(w, "GET", "/", {{"x-api-key", w.good}});
  CHECK(good.run() == "ok");
  CHECK(good.ctx.identity.app);
  CHECK_FALSE(good.pipeline.observed());
}

TEST_CASE("the whole check of a key allocates nothing") {
  Keys w;
  w.build();
  Exchange x(w, "GET", "/", {{"x-api-key", w.good}});
  REQUIRE(x.run() == "ok");
  CHECK(x.arena.extra_bytes() == 0);
}
