// Short ways to write routes and requests in tests of matching.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "common/http/uri.h"
#include "dataplane/routing/api_router.h"

namespace gw::testing {

inline v1::Match path_match(const std::string& text) {
  // "/x exact", "/x/* prefix", "~re regex", "/{a} template" by their looks.
  v1::Match m;
  if (text[0] == '~') {
    m.mutable_path()->set_regex(text.substr(1));
  } else if (text.size() >= 2 && text.substr(text.size() - 2) == "/*") {
    m.mutable_path()->set_prefix(text.size() == 2 ? "/" : text.substr(0, text.size() - 2));
  } else if (text.find('{') != std::string::npos) {
    m.mutable_path()->set_template_(text);
  } else {
    m.mutable_path()->set_exact(text);
  }
  return m;
}

struct RouteSpec {
  std::string name;
  std::string path;
  std::vector<std::string> methods = {};
  std::vector<std::pair<std::string, std::string>> headers = {};
  std::vector<std::pair<std::string, std::string>> query = {};
  int priority = 0;
  std::string host = {};
};

inline std::shared_ptr<const RouteMatch> route(const RouteSpec& spec) {
  v1::Match m = path_match(spec.path);
  for (const auto& method : spec.methods) m.add_methods(method);
  for (const auto& [name, value] : spec.headers) {
    auto* h = m.add_headers();
    h->set_name(name);
    h->set_exact(value);
  }
  for (const auto& [name, value] : spec.query) {
    auto* q = m.add_query();
    q->set_name(name);
    q->set_exact(value);
  }
  m.set_host(spec.host);
  auto out = RouteMatch::compile(m, spec.priority, spec.name);
  if (!out.ok()) abort();
  return *out;
}

inline std::vector<std::shared_ptr<const RouteMatch>> routes(const std::vector<RouteSpec>& specs) {
  std::vector<std::shared_ptr<const RouteMatch>> out;
  for (const RouteSpec& s : specs) out.push_back(route(s));
  return out;
}

// A request whose strings live as long as it.
class Request {
 public:
  Request(std::string method, std::string target, std::vector<std::pair<std::string, std::string>> headers = {},
          std::string host = "a.test")
      : method_(std::move(method)), target_(std::move(target)), host_(std::move(host)), headers_(std::move(headers)) {
    head.method = parse_method(method_);
    head.method_text = method_;
    for (const auto& [name, value] : headers_) head.headers.add(name, value);
    std::string_view why;
    ok = parse_target(head, arena, target_, host_, why);
  }
  Request(const Request&) = delete;

  RequestHead head;
  Arena arena;
  bool ok = false;

 private:
  std::string method_, target_, host_;
  std::vector<std::pair<std::string, std::string>> headers_;
};

// Name of the route that wins, "404" or "405 ALLOW".
inline std::string winner(const ApiRouter& router, Request& r) {
  std::string_view path = decoded_path(r.head.path, r.arena);
  auto result = router.match(r.head, match_method(r.head), path, r.arena);
  if (result.route != ApiRouter::Result::kNone) return router.routes()[result.route]->name;
  if (!result.method_missed) return "404";
  std::string_view allow = router.allow_text(r.head, path, r.arena);
  return allow.empty() ? "404" : "405 " + std::string(allow);
}

inline std::string winner(const std::string& base, const std::vector<RouteSpec>& specs, const std::string& method,
                          const std::string& target, std::vector<std::pair<std::string, std::string>> headers = {},
                          const std::string& host = "a.test") {
  ApiRouter router(base, routes(specs));
  Request r(method, target, std::move(headers), host);
  return r.ok ? winner(router, r) : "400";
}

}  // namespace gw::testing
