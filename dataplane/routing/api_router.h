// The routes of one Api as a tree over path segments, shared by pointer between snapshots while those routes do not change.
//
// A request walks the tree: literal child, else `{param}` child, else the prefix that ends here, and takes the first route
// in that order that matches entirely. Each tree node is visited at most once. Regexes follow, and after them the prefix
// that is the basePath itself (the Api's catch-all, or no regex could ever win beside it).
// Immutable; any thread; no lock, and no allocation but for the arena copy of a path with escapes.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "dataplane/routing/route_match.h"

namespace gw {

class ApiRouter {
 public:
  struct Result {
    static constexpr uint32_t kNone = UINT32_MAX;
    uint32_t route = kNone;      // position in the list that the router was built from
    bool method_missed = false;  // without a route: some path matched with another method; allow_text() tells
  };

  // `base_path` as written. Routes by position; one that does not lie below the base path (RouteMatch::lies_below) never
  // matches.
  ApiRouter(std::string_view base_path, std::vector<std::shared_ptr<const RouteMatch>> routes);
  ~ApiRouter();
  ApiRouter(const ApiRouter&) = delete;

  // `path`: decoded, below the base path.
  Result match(const RequestHead& request, const MatchMethod& method, std::string_view path, Arena& arena) const;
  // "GET, HEAD, POST": every method with which the request would have matched, for Allow; empty: none. In the arena.
  std::string_view allow_text(const RequestHead& request, std::string_view path, Arena& arena) const;

  const std::vector<std::shared_ptr<const RouteMatch>>& routes() const { return routes_; }
  const std::string& base() const { return base_; }  // normal form
  size_t memory_bytes() const;  // of the tree, without the RouteMatches

 private:
  class TreeBuilder;
  static constexpr uint32_t kNoNode = UINT32_MAX;

  // Routes that end at one place of the tree, in order of rank: a run of ends_, or, as nearly always, one route that needs
  // no look at anything but the method.
  struct Ends {
    uint32_t first = 0;  // in ends_; with `single` the route itself
    uint32_t count = 0;
    uint16_t methods = 0;  // with `single`
    bool single = false;
  };
  // One cache line. A chain of literal segments without an end or branch in it is one node: its label is "/a/b/c".
  struct alignas(64) Node {
    static constexpr size_t kInline = 23;
    uint32_t parent = kNoNode;
    uint32_t param = kNoNode;
    uint32_t label_size = 0;
    uint32_t label_at = 0;  // in text_, when it is longer than kInline
    Ends exact, prefix;
    bool literals = false;
    char label[kInline] = {};
  };
  static_assert(sizeof(Node) == 64);
  struct End {
    uint32_t route = 0;
    uint16_t methods = 0;
    bool conditions = false;  // host, headers or query to look at
    bool other_methods = false;
  };
  struct Slot {  // literal children of all nodes, one table, by parent and first segment
    uint32_t tag = 0;
    uint32_t node = kNoNode;
  };
  struct Walk;

  std::string_view label_of(const Node& node) const;
  // The child whose label `rest` begins with, `segment` being the first of rest.
  uint32_t literal_child(uint32_t node, std::string_view segment, std::string_view rest) const;
  bool walk(Walk& w, uint32_t node, std::string_view rest) const;
  bool walk_all(Walk& w, std::string_view path) const;
  bool try_ends(Walk& walk, const Ends& ends) const;
  bool try_end(Walk& walk, const End& end) const;

  std::string base_;
  std::vector<std::shared_ptr<const RouteMatch>> routes_;
  std::vector<Node> nodes_;
  std::vector<Slot> slots_;
  uint32_t slot_mask_ = 0;
  std::vector<End> ends_;
  std::string text_;
  Ends regexes_;
  Ends catch_all_;
};

// Findings about the routes of one Api; positions in its list.
struct RoutePair {
  uint32_t route = 0;
  uint32_t other = 0;
};
struct RouteFindings {
  // Two that only their names order (and some request could match both): `route` wins by name. A warning.
  std::vector<RoutePair> overlaps;
  // `route` can never win: `other` (one of those that do) takes whatever it matches. An error.
  std::vector<RoutePair> unreachable;
};
// Linear in the routes but for those of equal paths. At most `max` of each kind.
RouteFindings find_overlaps(std::string_view base_path, const std::vector<std::string>& hosts,
                            const std::vector<std::shared_ptr<const RouteMatch>>& routes, size_t max = 100);

}  // namespace gw
