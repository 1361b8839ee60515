#include "dataplane/routing/api_router.h"

#include <algorithm>
#include <cstring>

#include "dataplane/routing/claim.h"
#include "dataplane/routing/hash.h"

namespace gw {

// What one look-up carries along the tree.
struct ApiRouter::Walk {
  const RequestHead& request;
  const MatchMethod& method;
  Arena& arena;
  Result result;
  bool collect = false;  // for allow_text: no route wins, methods are gathered
  uint16_t bits = 0;
  std::vector<std::string_view>* others = nullptr;
};

// Lays out the tree: nodes as they come, the ends of all nodes in one array.
class ApiRouter::TreeBuilder {
 public:
  explicit TreeBuilder(ApiRouter& tree) : tree_(tree) {
    tree_.nodes_.push_back({});
    tree_.slots_.assign(16, {});
    tree_.slot_mask_ = 15;
  }

  void add(uint32_t route) {
    const RouteMatch& m = *tree_.routes_[route];
    if (!m.lies_below(tree_.base_)) return;
    if (m.kind == PathKind::kRegex) {
      placed_.push_back({kRegexGroup, route});
      return;
    }
    size_t depth = static_cast<size_t>(std::count(tree_.base_.begin(), tree_.base_.end(), '/'));
    if (m.kind == PathKind::kPrefix && m.segments.size() == depth) {
      placed_.push_back({kCatchAllGroup, route});
      return;
    }
    uint32_t node = 0;
    for (size_t i = depth; i < m.segments.size(); ++i) node = m.is_param(i) ? param(node) : literal(node, m.segments[i]);
    placed_.push_back({uint64_t{node} * 2 + (m.kind == PathKind::kPrefix), route});
  }

  void finish() {
    std::sort(placed_.begin(), placed_.end(), [&](const Placed& a, const Placed& b) {
      if (a.group != b.group) return a.group < b.group;
      if (a.route == b.route) return false;
      return ranks_before(*tree_.routes_[a.route], *tree_.routes_[b.route], tree_.base_);
    });
    tree_.ends_.reserve(placed_.size());
    for (const Placed& p : placed_) {
      Ends& ends = ends_of(p.group);
      if (ends.count++ == 0) ends.first = static_cast<uint32_t>(tree_.ends_.size());
      const RouteMatch& m = *tree_.routes_[p.route];
      tree_.ends_.push_back({p.route, m.methods.bits, m.conditions() > 0, !m.methods.others.empty()});
    }
    tree_.nodes_.shrink_to_fit();
    tree_.text_.shrink_to_fit();
  }

 private:
  static constexpr uint64_t kRegexGroup = uint64_t{1} << 40;
  static constexpr uint64_t kCatchAllGroup = kRegexGroup + 1;
  struct Placed {
    uint64_t group;
    uint32_t route;
  };

  Ends& ends_of(uint64_t group) {
    if (group == kRegexGroup) return tree_.regexes_;
    if (group == kCatchAllGroup) return tree_.catch_all_;
    Node& node = tree_.nodes_[group / 2];
    return group % 2 ? node.prefix : node.exact;
  }

  uint32_t param(uint32_t node) {
    if (tree_.nodes_[node].param == kNoNode) {
      uint32_t child = static_cast<uint32_t>(tree_.nodes_.size());
      tree_.nodes_.push_back({.parent = node});
      tree_.nodes_[node].param = child;
    }
    return tree_.nodes_[node].param;
  }

  uint32_t literal(uint32_t node, const std::string& segment) {
    uint32_t child = tree_.literal_child(node, segment);
    if (child != kNoNode) return child;
    child = static_cast<uint32_t>(tree_.nodes_.size());
    tree_.nodes_.push_back({.parent = node,
                            .text = static_cast<uint32_t>(tree_.text_.size()),
                            .size = static_cast<uint32_t>(segment.size())});
    tree_.text_ += segment;
    ++tree_.nodes_[node].literals;
    if (++literals_ * 2 > tree_.slots_.size()) grow();
    place(child);
    return child;
  }

  void place(uint32_t child) {
    const Node& n = tree_.nodes_[child];
    uint64_t hash = hash_bytes(std::string_view(tree_.text_).substr(n.text, n.size), n.parent);
    uint32_t i = static_cast<uint32_t>(hash);
    while (tree_.slots_[i & tree_.slot_mask_].node != kNoNode) ++i;
    tree_.slots_[i & tree_.slot_mask_] = {static_cast<uint32_t>(hash >> 32), child};
  }

  void grow() {
    std::vector<Slot> old = std::move(tree_.slots_);
    tree_.slots_.assign(old.size() * 2, {});
    tree_.slot_mask_ = static_cast<uint32_t>(tree_.slots_.size() - 1);
    for (const Slot& s : old) {
      if (s.node != kNoNode) place(s.node);
    }
  }

  ApiRouter& tree_;
  std::vector<Placed> placed_;
  size_t literals_ = 0;
};

ApiRouter::ApiRouter(std::string_view base_path, std::vector<std::shared_ptr<const RouteMatch>> routes)
    : routes_(std::move(routes)) {
  base_ = normal_base(base_path);
  TreeBuilder builder(*this);
  for (uint32_t i = 0; i < routes_.size(); ++i) builder.add(i);
  builder.finish();
}

ApiRouter::~ApiRouter() = default;

uint32_t ApiRouter::literal_child(uint32_t node, std::string_view segment) const {
  uint64_t hash = hash_bytes(segment, node);
  uint32_t tag = static_cast<uint32_t>(hash >> 32);
  for (uint32_t i = static_cast<uint32_t>(hash);; ++i) {
    const Slot& slot = slots_[i & slot_mask_];
    if (slot.node == kNoNode) return kNoNode;
    if (slot.tag != tag) continue;
    const Node& child = nodes_[slot.node];
    if (child.parent == node && child.size == segment.size() &&
        std::memcmp(text_.data() + child.text, segment.data(), segment.size()) == 0) {
      return slot.node;
    }
  }
}

bool ApiRouter::try_ends(Walk& walk, Ends ends) const {
  for (uint32_t i = 0; i < ends.count; ++i) {
    const End& end = ends_[ends.first + i];
    bool method_ok = end.methods == 0xffff || (walk.method.method != Method::kOther
                                                   ? (end.methods & method_bit(walk.method.method)) != 0
                                                   : end.other_methods && routes_[end.route]->methods.has(
                                                                              Method::kOther, walk.method.text));
    if (!method_ok && !walk.collect) {
      walk.result.method_missed = true;
      continue;
    }
    if (end.conditions && routes_[end.route]->check(walk.request, walk.arena) != MatchFailure::kNone) continue;
    if (!walk.collect) {
      walk.result.route = end.route;
      return true;
    }
    walk.bits |= end.methods;
    for (const std::string& m : routes_[end.route]->methods.others) walk.others->push_back(m);
  }
  return false;
}

bool ApiRouter::walk(Walk& w, uint32_t at, std::string_view rest) const {
  const Node& node = nodes_[at];
  if (rest.empty()) return try_ends(w, node.exact) || try_ends(w, node.prefix);
  size_t end = 1;
  while (end < rest.size() && rest[end] != '/') ++end;
  std::string_view segment = rest.substr(1, end - 1);
  rest.remove_prefix(end);
  if (node.literals > 0) {
    uint32_t child = literal_child(at, segment);
    if (child != kNoNode && walk(w, child, rest)) return true;
  }
  if (node.param != kNoNode && !segment.empty() && walk(w, node.param, rest)) return true;
  return try_ends(w, node.prefix);
}

bool ApiRouter::walk_all(Walk& w, std::string_view path) const {
  if (walk(w, 0, path.substr(base_.size()))) return true;
  for (uint32_t i = 0; i < regexes_.count; ++i) {
    Ends one{regexes_.first + i, 1};
    if (routes_[ends_[one.first].route]->path_matches(base_, path) && try_ends(w, one)) return true;
  }
  return try_ends(w, catch_all_);
}

ApiRouter::Result ApiRouter::match(const RequestHead& request, const MatchMethod& method, std::string_view path,
                                   Arena& arena) const {
  Walk w{request, method, arena, {}};
  walk_all(w, path);
  return w.result;
}

std::string_view ApiRouter::allow_text(const RequestHead& request, std::string_view path, Arena& arena) const {
  std::vector<std::string_view> others;
  MatchMethod any;
  Walk w{request, any, arena, {}, true, 0, &others};
  walk_all(w, path);
  std::string text;
  auto append = [&](std::string_view name) {
    if (!text.empty()) text += ", ";
    text += name;
  };
  for (unsigned m = 0; m < static_cast<unsigned>(Method::kTrace); ++m) {
    if (w.bits & method_bit(static_cast<Method>(m))) append(method_name(static_cast<Method>(m)));
  }
  std::sort(others.begin(), others.end());
  others.erase(std::unique(others.begin(), others.end()), others.end());
  for (std::string_view name : others) append(name);
  return arena.copy(text);
}

size_t ApiRouter::memory_bytes() const {
  return sizeof *this + routes_.capacity() * sizeof routes_[0] + nodes_.capacity() * sizeof(Node) +
         slots_.capacity() * sizeof(Slot) + ends_.capacity() * sizeof(End) + text_.capacity();
}

}  // namespace gw
