// Findings about the routes of one Api: which only their names order, and which can never win.
#include <algorithm>
#include <map>

#include "common/http/uri.h"
#include "dataplane/routing/api_router.h"
#include "dataplane/routing/claim.h"

namespace gw {
namespace {

using Routes = std::vector<std::shared_ptr<const RouteMatch>>;

// Routes of one group match the same paths (but for regexes, which share a group whatever they match).
std::string path_group(const RouteMatch& m) {
  if (m.kind == PathKind::kRegex) return "R";
  std::string out = m.kind == PathKind::kPrefix ? "P" : "E";
  for (size_t i = 0; i < m.segments.size(); ++i) {
    out += '/';
    out += m.is_param(i) ? "\1" : m.segments[i];
  }
  return out;
}

bool conditions_meet(const std::vector<NamedCondition>& a, const std::vector<NamedCondition>& b) {
  for (const NamedCondition& x : a) {
    for (const NamedCondition& y : b) {
      if (x.excludes(y)) return false;
    }
  }
  return true;
}

// Some request may match both.
bool meet(const RouteMatch& a, const RouteMatch& b) {
  if (a.regex && b.regex && a.regex->pattern() != b.regex->pattern()) {
    const std::string &x = a.regex->common_prefix(), &y = b.regex->common_prefix();
    if (!x.starts_with(y) && !y.starts_with(x)) return false;
  }
  if (!a.host.empty() && !b.host.empty() && !host_patterns_meet(a.host, b.host)) return false;
  return a.methods.meets(b.methods) && conditions_meet(a.headers, b.headers) && conditions_meet(a.query, b.query);
}

// Whatever satisfies `narrow` satisfies `wide`.
bool implied(const std::vector<NamedCondition>& wide, const std::vector<NamedCondition>& narrow) {
  return std::all_of(wide.begin(), wide.end(), [&](const NamedCondition& w) {
    return std::any_of(narrow.begin(), narrow.end(), [&](const NamedCondition& n) { return w.implied_by(n); });
  });
}

// Every path of `m` is one of `by`, which comes first; both of one group, or `m` a regex and `by` not.
bool path_taken(const RouteMatch& by, const RouteMatch& m, std::string_view base) {
  if (!m.regex) return true;
  if (by.regex) return by.regex->pattern() == m.regex->pattern();
  if (by.kind != PathKind::kPrefix) return false;
  std::string front(base);
  for (size_t i = 0; i < by.segments.size(); ++i) {
    if (i == 0) front.clear();
    front += '/' + by.segments[i];
  }
  return (std::string(base) + m.regex->common_prefix()).starts_with(front + "/");
}

// For each host and method of a route: the one before it that takes them.
class Coverage {
 public:
  Coverage(const RouteMatch& route, const std::vector<std::string>& api_hosts) : route_(route) {
    if (route.host.empty()) {
      hosts_ = api_hosts;
    } else {
      hosts_ = {route.host};
    }
    size_t methods = 1;
    if (!route.methods.any()) {
      for (unsigned m = 0; m < 9; ++m) {
        if (route.methods.bits & (1u << m)) known_.push_back(static_cast<Method>(m));
      }
      methods = known_.size() + route.methods.others.size();
    }
    open_.assign(hosts_.size() * methods, true);
    left_ = open_.size();
  }

  // `by` comes first, and its path and conditions take all of the route's. True when nothing is left.
  bool take(const RouteMatch& by) {
    size_t cell = 0;
    for (const std::string& host : hosts_) {
      bool host_taken = by.host.empty() || host_pattern_covers(by.host, host);
      if (route_.methods.any()) {
        close(cell++, host_taken && by.methods.any());
        continue;
      }
      for (Method m : known_) close(cell++, host_taken && by.methods.has(m, {}));
      for (const std::string& m : route_.methods.others) close(cell++, host_taken && by.methods.has(Method::kOther, m));
    }
    return left_ == 0;
  }

 private:
  void close(size_t cell, bool taken) {
    if (taken && open_[cell]) {
      open_[cell] = false;
      --left_;
    }
  }

  const RouteMatch& route_;
  std::vector<std::string> hosts_;
  std::vector<Method> known_;
  std::vector<bool> open_;
  size_t left_ = 0;
};

class Finder {
 public:
  Finder(std::string base, const std::vector<std::string>& hosts, const Routes& routes, size_t max, RouteFindings& out)
      : base_(std::move(base)), hosts_(hosts), routes_(routes), max_(max), out_(out) {}

  // `group` in order of rank; `above`: routes of other groups that come before all of it.
  void look(const std::vector<uint32_t>& group, const std::vector<uint32_t>& above) {
    for (size_t j = 0; j < group.size(); ++j) {
      const RouteMatch& route = *routes_[group[j]];
      Coverage coverage(route, hosts_);
      bool unreachable = false;
      for (size_t i = 0; i < above.size() && !unreachable; ++i) unreachable = taken(coverage, above[i], group[j]);
      size_t overlap = j;
      for (size_t i = 0; i < j && !unreachable; ++i) {
        const RouteMatch& before = *routes_[group[i]];
        if (same_rank(before, route, base_)) {
          if (overlap == j && meet(before, route)) overlap = i;
        } else {
          unreachable = taken(coverage, group[i], group[j]);
        }
      }
      if (!unreachable && overlap != j && out_.overlaps.size() < max_) {
        out_.overlaps.push_back({group[overlap], group[j]});
      }
    }
  }

 private:
  bool taken(Coverage& coverage, uint32_t by, uint32_t route) {
    const RouteMatch &b = *routes_[by], &r = *routes_[route];
    if (!path_taken(b, r, base_) || !implied(b.headers, r.headers) || !implied(b.query, r.query)) return false;
    if (!coverage.take(b)) return false;
    if (out_.unreachable.size() < max_) out_.unreachable.push_back({route, by});
    return true;
  }

  const std::string base_;
  const std::vector<std::string>& hosts_;
  const Routes& routes_;
  const size_t max_;
  RouteFindings& out_;
};

}  // namespace

RouteFindings find_overlaps(std::string_view base_path, const std::vector<std::string>& hosts, const Routes& routes,
                            size_t max) {
  RouteFindings out;
  std::string base = normal_base(base_path);
  size_t depth = static_cast<size_t>(std::count(base.begin(), base.end(), '/'));
  std::map<std::string, std::vector<uint32_t>> groups;
  std::vector<uint32_t> prefixes;
  for (uint32_t i = 0; i < routes.size(); ++i) {
    groups[path_group(*routes[i])].push_back(i);
    if (routes[i]->kind == PathKind::kPrefix && routes[i]->segments.size() > depth) prefixes.push_back(i);
  }
  Finder finder(base, hosts, routes, max, out);
  static const std::vector<uint32_t> kNone;
  for (auto& [key, group] : groups) {
    std::sort(group.begin(), group.end(),
              [&](uint32_t a, uint32_t b) { return a != b && ranks_before(*routes[a], *routes[b], base); });
    finder.look(group, key == "R" ? prefixes : kNone);
  }
  return out;
}

}  // namespace gw
