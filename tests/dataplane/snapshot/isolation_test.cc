// What one team applies changes no verdict of another team's requests.
//
// Teams own claims as the ownership rules allow: an exact (host, basePath) belongs to one team; a path below another team's
// claim, or an exact host under its wildcard, only where that team's grant covers it. One team then applies anything that
// it may: claims, routes, policies, upstreams; every request that lies in another team's claims must be answered as before.
#include <set>

#include "dataplane/routing/claim.h"
#include "tests/dataplane/snapshot/world.h"

using namespace gw;
using namespace gw::testing;

namespace {

struct Region {
  std::string host, base;
};

// Team 0 is platform with a wildcard; teams 1 and 2 have claims of their own; team 3, which applies, has a host of its own
// and a grant below team 1's claim.
const std::vector<std::pair<int, Region>> kOthers = {
    {0, {"*.shop.test", "/"}}, {0, {"api.test", "/"}}, {1, {"api.test", "/one"}}, {1, {"one.test", "/"}}, {2, {"api.test", "/two/deep"}}};
const std::vector<Region> kMayClaim = {{"three.test", "/"},     {"three.test", "/a"},        {"three.test", "/a/b"},
                                       {"api.test", "/one/three"}, {"api.test", "/one/three/x"}, {"x.shop.test", "/granted"}};

class Isolation {
 public:
  Isolation() : random_(20260101) {
    w.gateway(1, "platform/edge");
    for (int team = 0; team < 4; ++team) w.upstream(10 + team, "team" + std::to_string(team) + "/up");
    uint64_t uid = 100;
    for (const auto& [team, region] : kOthers) {
      std::string owner = "team" + std::to_string(team);
      w.api(uid, owner + "/api" + std::to_string(uid),
            "gateways: 1 hosts: '" + region.host + "' base_path: '" + region.base + "' allow_anonymous: true");
      std::string base = region.base == "/" ? "" : region.base;
      const std::string up = "upstream: " + std::to_string(10 + team);
      std::string api = "api: " + std::to_string(uid) + " ";
      w.route(uid + 1000, owner + "/all" + std::to_string(uid), api + "match { path { prefix: '" + region.base + "' } methods: 'GET' } " + up);
      w.route(uid + 2000, owner + "/item" + std::to_string(uid), api + "match { path { template: '" + base + "/{x}/b' } } " + up);
      w.route(uid + 3000, owner + "/re" + std::to_string(uid), api + "match { path { regex: '/z+' } headers { name: 'x' exact: '1' } } " + up);
      ++uid;
    }
    w.build();
    for (const char* host : {"api.test", "one.test", "a.shop.test", "x.shop.test", "y.x.shop.test", "three.test", "none.test"}) {
      for (const char* path : {"/", "/one", "/one/three", "/one/three/x", "/one/threes", "/one/a/b", "/two", "/two/deep", "/two/deep/z",
                               "/two/deep/q/b", "/z", "/zz", "/a/b", "/granted", "/granted/b", "/grantedx", "/q/b"}) {
        for (const char* method : {"GET", "POST"}) {
          if (!mine(host, path)) requests_.push_back({method, path, host});
        }
      }
    }
    for (const auto& r : requests_) verdicts_.push_back(verdict(r));
  }

  // In a region that team 3 may claim.
  static bool mine(std::string_view host, std::string_view path) {
    for (const Region& r : kMayClaim) {
      if (host_pattern_matches(r.host, host) && path_covers(r.base, path)) return true;
    }
    return false;
  }

  void apply_something() {
    uint64_t n = random_.below(6);
    switch (random_.below(7)) {
      case 0: w.config.remove(v1::ENTRY_ROUTE, 500 + n); break;
      case 1: {  // an Api goes with its routes
        if (!apis_.count(400 + n)) break;
        for (uint64_t r = 500; r < 506; ++r) {
          if (routes_[r] == 400 + n) w.config.remove(v1::ENTRY_ROUTE, r);
        }
        w.config.remove(v1::ENTRY_API, 400 + n);
        apis_.erase(400 + n);
        break;
      }
      case 2: w.upstream(13, "team3/up", "http://127.0.0.1:" + std::to_string(9000 + random_.below(100))); break;
      case 3:
        w.policy(300, "team3/limit",
                 "config { rate_limit { by { word: WORD_ADDRESS } requests: " + std::to_string(1 + random_.below(9)) + " per_ms: 1000 } }");
        has_policy_ = true;
        break;
      case 4: {
        // Each region is one Api's, as claims are exclusive.
        std::string policies = has_policy_ && random_.below(2) ? " policies: 300" : "";
        w.api(400 + n, "team3/api" + std::to_string(n),
              "gateways: 1 hosts: '" + kMayClaim[n].host + "' base_path: '" + kMayClaim[n].base + "' allow_anonymous: true" + policies);
        apis_.insert(400 + n);
        break;
      }
      default: {
        if (apis_.empty()) break;
        auto at = apis_.begin();
        std::advance(at, random_.below(apis_.size()));
        routes_[500 + n] = *at;
        w.route(500 + n, "team3/r" + std::to_string(n), route_text(*at));
      }
    }
  }

  std::string route_text(uint64_t api) {
    std::string base = kMayClaim[api - 400].base == "/" ? "" : kMayClaim[api - 400].base;
    std::string path;
    switch (random_.below(4)) {
      case 0: path = "prefix: '" + (base.empty() ? "/" : base) + "'"; break;
      case 1: path = "exact: '" + base + "/b'"; break;
      case 2: path = "template: '" + base + "/{any}'"; break;
      default: path = "regex: '.*'";
    }
    std::string out = "api: " + std::to_string(api) + " match { path { " + path + " } } priority: " + std::to_string(random_.below(5));
    return out + (random_.below(2) ? " upstream: 13" : " respond { status: 418 }");
  }

  using Request = std::tuple<std::string, std::string, std::string>;
  std::string verdict(const Request& r) {
    Exchange x(w, std::get<0>(r), std::get<1>(r), {}, std::get<2>(r));
    if (!x.ctx.route) return "none " + (x.result.api ? x.result.api->name : "") + " " + std::string(x.result.allow);
    // Pointer, not name: the route that answers is the very same object, with everything that hangs on it.
    return std::to_string(reinterpret_cast<uintptr_t>(x.ctx.route)) + " " + x.run();
  }

  void check() {
    for (size_t i = 0; i < requests_.size(); ++i) {
      INFO(std::get<0>(requests_[i]) << " " << std::get<2>(requests_[i]) << std::get<1>(requests_[i]));
      REQUIRE(verdict(requests_[i]) == verdicts_[i]);
    }
  }

  World w;
  size_t answered_by_team3() {
    size_t n = 0;
    for (const char* path : {"/", "/b", "/a/b", "/x"}) {
      Exchange x(w, "GET", path, {}, "three.test");
      n += x.ctx.route != nullptr;
    }
    return n;
  }

 private:
  FastRandom random_;
  std::vector<Request> requests_;
  std::vector<std::string> verdicts_;
  std::set<uint64_t> apis_;
  std::map<uint64_t, uint64_t> routes_;
  bool has_policy_ = false;
};

}  // namespace

TEST_CASE("10,000 random applies of one team change no verdict of another's") {
  Isolation world;
  size_t answered = 0;
  for (int round = 0; round < 10000; ++round) {
    world.apply_something();
    world.w.build();
    world.check();
    answered += world.answered_by_team3();
  }
  CHECK(answered > 1000);  // the team did have an effect on its own
}
