#include "dataplane/routing/claim.h"

#include <catch2/catch.hpp>

#include "common/base/random.h"

using namespace gw;

namespace {
int find(const ClaimTable& table, std::string_view host, std::string_view path) {
  ClaimTable::Hit hit;
  return table.find(host, path, hit) ? static_cast<int>(hit.api) : -1;
}
}  // namespace

TEST_CASE("an exact host beats the longest wildcard, that beats a shorter one and *") {
  ClaimTable t({{"*", "/", 0}, {"*.test", "/", 1}, {"*.a.test", "/", 2}, {"x.a.test", "/", 3}});
  CHECK(find(t, "x.a.test", "/") == 3);
  CHECK(find(t, "y.a.test", "/") == 2);
  CHECK(find(t, "z.y.a.test", "/") == 2);
  CHECK(find(t, "a.test", "/") == 1);
  CHECK(find(t, "test", "/") == 0);
  CHECK(find(t, "", "/") == 0);
}

TEST_CASE("of one host's claims the longest base path on a segment boundary wins") {
  ClaimTable t({{"a", "/", 0}, {"a", "/x", 1}, {"a", "/x/y/", 2}});
  CHECK(find(t, "a", "/x/y/z") == 2);
  CHECK(find(t, "a", "/x/y") == 2);
  CHECK(find(t, "a", "/x/yz") == 1);
  CHECK(find(t, "a", "/x") == 1);
  CHECK(find(t, "a", "/xy") == 0);
  CHECK(find(t, "a", "/") == 0);
  CHECK(find(t, "b", "/") == -1);
}

TEST_CASE("a more specific host without a claim on the path leaves it to the next") {
  ClaimTable t({{"a.test", "/x", 0}, {"*.test", "/", 1}});
  CHECK(find(t, "a.test", "/x/1") == 0);
  CHECK(find(t, "a.test", "/y") == 1);
}

TEST_CASE("the first of two equal claims stays, and an empty table has none") {
  ClaimTable t({{"a", "/x", 0}, {"a", "/x/", 1}});
  CHECK(find(t, "a", "/x") == 0);
  CHECK(find(ClaimTable(), "a", "/x") == -1);
}

TEST_CASE("patterns cover and meet as their hosts do") {
  CHECK(host_pattern_covers("*", "*.a"));
  CHECK(host_pattern_covers("*.a", "x.a"));
  CHECK(host_pattern_covers("*.a", "*.b.a"));
  CHECK_FALSE(host_pattern_covers("*.a", "a"));
  CHECK_FALSE(host_pattern_covers("*.b.a", "*.a"));
  CHECK_FALSE(host_pattern_covers("x.a", "*.a"));
  CHECK(host_patterns_meet("*.b.a", "*.a"));
  CHECK_FALSE(host_patterns_meet("*.b", "*.a"));
  CHECK(host_pattern_rank("x.a") > host_pattern_rank("*.b.a"));
  CHECK(host_pattern_rank("*.b.a") > host_pattern_rank("*.a"));
  CHECK(host_pattern_rank("*.a") > host_pattern_rank("*"));
  CHECK(path_covers("/a", "/a/b"));
  CHECK(path_covers("/%61/", "/a/b"));
  CHECK(path_covers("/", "/a"));
  CHECK_FALSE(path_covers("/a", "/ab"));
}

TEST_CASE("the table finds what a look at every claim finds") {
  FastRandom random(7);
  const std::string labels[] = {"a", "b", "c"};
  auto host = [&](bool pattern) {
    std::string out = pattern && random.below(3) == 0 ? "*" : labels[random.below(3)];
    if (out == "*" && random.below(4) == 0) return out;
    for (uint64_t i = 0, n = random.below(3) + (out == "*"); i < n; ++i) out += "." + labels[random.below(3)];
    return out;
  };
  auto path = [&](uint64_t most) {
    std::string out;
    for (uint64_t i = 0, n = random.below(most + 1); i < n; ++i) out += "/" + labels[random.below(2)];
    return out.empty() ? std::string("/") : out;
  };
  for (int round = 0; round < 300; ++round) {
    std::vector<Claim> claims;
    for (uint32_t i = 0, n = static_cast<uint32_t>(1 + random.below(20)); i < n; ++i) claims.push_back({host(true), path(3), i});
    ClaimTable table(claims);
    for (int q = 0; q < 100; ++q) {
      std::string h = host(false), p = path(5);
      const Claim* best = nullptr;
      for (const Claim& c : claims) {
        if (!host_pattern_matches(c.host, h) || !path_covers(c.base_path, p)) continue;
        auto rank = [](const Claim& x) { return std::pair(host_pattern_rank(x.host), normal_base(x.base_path).size()); };
        if (!best || rank(c) > rank(*best)) best = &c;
      }
      INFO(h << " " << p);
      REQUIRE(find(table, h, p) == (best ? static_cast<int>(best->api) : -1));
    }
  }
}
