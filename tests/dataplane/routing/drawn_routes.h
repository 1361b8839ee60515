// Routes and requests drawn from few words, so that they meet; and a matcher that looks at every route.
#pragma once

#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "tests/dataplane/routing/routes.h"

namespace gw::testing {

inline std::string naive(const ApiRouter& router, Request& r) {
  std::string_view path = decoded_path(r.head.path, r.arena);
  MatchMethod method = match_method(r.head);
  const RouteMatch* best = nullptr;
  MethodSet allow{0, {}};
  bool other = false;
  for (const auto& route : router.routes()) {
    if (!route->path_matches(router.base(), path)) continue;
    if (route->check(r.head, r.arena) != MatchFailure::kNone) continue;
    if (!route->methods.has(method.method, method.text)) {
      other = true;
      allow.bits |= route->methods.bits;
      allow.others.insert(allow.others.end(), route->methods.others.begin(), route->methods.others.end());
      continue;
    }
    if (!best || ranks_before(*route, *best, router.base())) best = route.get();
  }
  if (best) return best->name;
  if (!other) return "404";
  std::string text = "405 ";
  auto append = [&](std::string_view m) { text += (text.size() > 4 ? ", " : "") + std::string(m); };
  for (unsigned m = 0; m < 7; ++m) {
    if (allow.bits & (1u << m)) append(method_name(static_cast<Method>(m)));
  }
  std::sort(allow.others.begin(), allow.others.end());
  allow.others.erase(std::unique(allow.others.begin(), allow.others.end()), allow.others.end());
  for (const auto& m : allow.others) append(m);
  return text;
}

// `Random` has below(n), as FastRandom.
template <class Random>
class Maker {
 public:
  explicit Maker(Random random) : random_(std::move(random)) {}
  const Random& random() const { return random_; }

  std::string base() {
    static const std::string kBases[] = {"/", "/s", "/s/t"};
    return kBases[random_.below(3)];
  }

  RouteSpec route(const std::string& base, int i) {
    RouteSpec s;
    s.name = "t/" + std::to_string(random_.below(1000)) + "-" + std::to_string(i);
    if (random_.below(8) == 0) {
      static const std::string kRegexes[] = {"~/[ab]+", "~/.*", "~(/[a-c])+", "~/a/.*", "~/?", "~"};
      s.path = kRegexes[random_.below(5)];
    } else {
      s.path = base == "/" ? "" : base;
      for (uint64_t n = random_.below(4); n > 0; --n) s.path += random_.below(3) == 0 ? "/{p}" : "/" + segment();
      if (random_.below(2) == 0) {
        if (s.path.find('{') == std::string::npos) s.path += "/*";
      } else if (s.path.empty() || random_.below(8) == 0) {
        s.path += "/";
      }
      if (s.path.empty()) s.path = "/*";
    }
    if (random_.below(3) == 0) {
      static const std::string kMethods[] = {"GET", "PUT", "OPTIONS", "PURGE", "HEAD"};
      for (uint64_t n = 1 + random_.below(2); n > 0; --n) s.methods.push_back(kMethods[random_.below(5)]);
    }
    if (random_.below(4) == 0) s.headers.push_back({random_.below(2) ? "x-a" : "X-B", random_.below(2) ? "1" : "2"});
    if (random_.below(5) == 0) s.query.push_back({"q", random_.below(2) ? "1" : "2"});
    if (random_.below(6) == 0) s.host = random_.below(2) ? "a.test" : "*.test";
    s.priority = static_cast<int>(random_.below(3)) - 1;
    return s;
  }

  std::unique_ptr<Request> request(const std::string& base) {
    std::string target = base == "/" ? "" : base;
    if (random_.below(10) == 0 && base == "/s") target = "/%73";
    for (uint64_t n = random_.below(5); n > 0; --n) target += "/" + (random_.below(8) == 0 ? "%61" : segment());
    if (target.empty() || random_.below(6) == 0) target += "/";
    if (random_.below(3) == 0) target += random_.below(2) ? "?q=1" : "?z&q=2";
    std::vector<std::pair<std::string, std::string>> headers;
    if (random_.below(2)) headers.push_back({"x-a", random_.below(2) ? "1" : "2"});
    if (random_.below(2)) headers.push_back({"x-b", random_.below(2) ? "1" : "2"});
    if (random_.below(6) == 0) {
      headers.push_back({"origin", "https://o.test"});
      headers.push_back({"access-control-request-method", random_.below(2) ? "PUT" : "GET"});
    }
    static const std::string kMethods[] = {"GET", "PUT", "OPTIONS", "PURGE", "HEAD", "DELETE"};
    return std::make_unique<Request>(kMethods[random_.below(6)], target, headers, random_.below(3) ? "a.test" : "b.a.test");
  }

  uint64_t below(uint64_t n) { return random_.below(n); }

 private:
  std::string segment() {
    static const std::string kSegments[] = {"a", "b", "c", "aa"};
    return kSegments[random_.below(4)];
  }
  Random random_;
};

// Up to thirty routes, then requests while there are bytes. Empty, or which request is matched otherwise.
template <class Random>
std::string compare_with_naive(Maker<Random> make) {
  std::string base = make.base();
  std::vector<RouteSpec> specs;
  for (int i = 0, n = static_cast<int>(1 + make.below(30)); i < n; ++i) specs.push_back(make.route(base, i));
  ApiRouter router(base, routes(specs));
  while (make.random().left()) {
    auto r = make.request(base);
    if (!r->ok) continue;
    std::string expected = naive(router, *r), found = winner(router, *r);
    if (found != expected) {
      return base + " " + std::string(r->head.method_text) + " " + std::string(r->head.target) + ": " + found + ", and not " + expected;
    }
  }
  return {};
}

}  // namespace gw::testing
