#include "dataplane/routing/api_router.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <map>

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

// Makes a plain trie over segments first, then the compact nodes.
class ApiRouter::TreeBuilder {
 public:
  explicit TreeBuilder(ApiRouter& tree) : tree_(tree), trie_(1) {}

  void add(uint32_t route) {
    const RouteMatch& m = *tree_.routes_[route];
    if (!m.lies_below(tree_.base_)) return;
    if (m.kind == PathKind::kRegex) {
      regexes_.push_back(route);
      return;
    }
    size_t depth = static_cast<size_t>(std::count(tree_.base_.begin(), tree_.base_.end(), '/'));
    if (m.kind == PathKind::kPrefix && m.segments.size() == depth) {
      catch_all_.push_back(route);
      return;
    }
    uint32_t at = 0;
    for (size_t i = depth; i < m.segments.size(); ++i) at = m.is_param(i) ? param(at) : literal(at, m.segments[i]);
    (m.kind == PathKind::kPrefix ? trie_[at].prefix : trie_[at].exact).push_back(route);
  }

  void finish() {
    tree_.nodes_.reserve(trie_.size());
    emit(0, kNoNode, {});
    tree_.nodes_.shrink_to_fit();
    tree_.slots_.assign(std::bit_ceil(children_.size() * 2 + 1), {});
    tree_.slot_mask_ = static_cast<uint32_t>(tree_.slots_.size() - 1);
    for (const auto& [hash, node] : children_) {
      uint32_t i = static_cast<uint32_t>(hash);
      while (tree_.slots_[i & tree_.slot_mask_].node != kNoNode) ++i;
      tree_.slots_[i & tree_.slot_mask_] = {static_cast<uint32_t>(hash >> 32), node};
    }
    tree_.regexes_ = ends(regexes_);
    tree_.catch_all_ = ends(catch_all_);
    tree_.ends_.shrink_to_fit();
    tree_.text_.shrink_to_fit();
  }

 private:
  struct Trie {
    std::map<std::string, uint32_t, std::less<>> literals;
    uint32_t param = kNoNode;
    std::vector<uint32_t> exact, prefix;  // routes
  };

  uint32_t literal(uint32_t at, const std::string& segment) {
    auto [child, fresh] = trie_[at].literals.try_emplace(segment, static_cast<uint32_t>(trie_.size()));
    uint32_t out = child->second;
    if (fresh) trie_.emplace_back();
    return out;
  }
  uint32_t param(uint32_t at) {
    if (trie_[at].param == kNoNode) {
      trie_[at].param = static_cast<uint32_t>(trie_.size());
      trie_.emplace_back();
    }
    return trie_[at].param;
  }

  // Neither an end nor a branch: part of its child's label.
  static bool passes(const Trie& t) {
    return t.exact.empty() && t.prefix.empty() && t.param == kNoNode && t.literals.size() == 1;
  }

  // The node for trie_[at], which `label` leads to, and all below it.
  uint32_t emit(uint32_t at, uint32_t parent, std::string label) {
    while (parent != kNoNode && !label.empty() && passes(trie_[at])) {
      label += "/" + trie_[at].literals.begin()->first;
      at = trie_[at].literals.begin()->second;
    }
    uint32_t out = static_cast<uint32_t>(tree_.nodes_.size());
    tree_.nodes_.emplace_back();
    Node node;
    node.parent = parent;
    node.label_size = static_cast<uint32_t>(label.size());
    if (label.size() <= Node::kInline) {
      std::copy(label.begin(), label.end(), node.label);
    } else {
      node.label_at = static_cast<uint32_t>(tree_.text_.size());
      tree_.text_ += label;
    }
    node.exact = ends(trie_[at].exact);
    node.prefix = ends(trie_[at].prefix);
    node.literals = !trie_[at].literals.empty();
    if (trie_[at].param != kNoNode) node.param = emit(trie_[at].param, out, {});
    for (const auto& [segment, child] : trie_[at].literals) {
      children_.emplace_back(hash_bytes(segment, out), emit(child, out, "/" + segment));
    }
    tree_.nodes_[out] = node;
    return out;
  }

  Ends ends(std::vector<uint32_t>& routes) {
    std::sort(routes.begin(), routes.end(), [&](uint32_t a, uint32_t b) {
      return a != b && ranks_before(*tree_.routes_[a], *tree_.routes_[b], tree_.base_);
    });
    Ends out;
    out.count = static_cast<uint32_t>(routes.size());
    if (routes.size() == 1) {
      const RouteMatch& m = *tree_.routes_[routes[0]];
      if (m.conditions() == 0 && m.methods.others.empty()) return {routes[0], 1, m.methods.bits, true};
    }
    out.first = static_cast<uint32_t>(tree_.ends_.size());
    for (uint32_t r : routes) {
      const RouteMatch& m = *tree_.routes_[r];
      tree_.ends_.push_back({r, m.methods.bits, m.conditions() > 0, !m.methods.others.empty()});
    }
    return out;
  }

  ApiRouter& tree_;
  std::vector<Trie> trie_;
  std::vector<uint32_t> regexes_, catch_all_;
  std::vector<std::pair<uint64_t, uint32_t>> children_;  // hash of parent and first segment, node
};

ApiRouter::ApiRouter(std::string_view base_path, std::vector<std::shared_ptr<const RouteMatch>> routes)
    : routes_(std::move(routes)) {
  base_ = normal_base(base_path);
  TreeBuilder builder(*this);
  for (uint32_t i = 0; i < routes_.size(); ++i) builder.add(i);
  builder.finish();
}

ApiRouter::~ApiRouter() = default;

std::string_view ApiRouter::label_of(const Node& node) const {
  if (node.label_size <= Node::kInline) return {node.label, node.label_size};
  return std::string_view(text_).substr(node.label_at, node.label_size);
}

uint32_t ApiRouter::literal_child(uint32_t node, std::string_view segment, std::string_view rest) const {
  uint64_t hash = hash_bytes(segment, node);
  uint32_t tag = static_cast<uint32_t>(hash >> 32);
  for (uint32_t i = static_cast<uint32_t>(hash);; ++i) {
    const Slot& slot = slots_[i & slot_mask_];
    if (slot.node == kNoNode) return kNoNode;
    if (slot.tag != tag) continue;
    const Node& child = nodes_[slot.node];
    std::string_view label = label_of(child);
    if (child.parent != node || rest.size() < label.size()) continue;
    bool boundary = rest.size() == label.size() || rest[label.size()] == '/';
    if (boundary && std::memcmp(rest.data(), label.data(), label.size()) == 0) return slot.node;
  }
}

bool ApiRouter::try_ends(Walk& walk, const Ends& ends) const {
  if (ends.single && !walk.collect && walk.method.method != Method::kOther) {
    if (ends.methods & method_bit(walk.method.method)) {
      walk.result.route = ends.first;
      return true;
    }
    walk.result.method_missed = true;
    return false;
  }
  for (uint32_t i = 0; i < ends.count; ++i) {
    if (try_end(walk, ends.single ? End{ends.first, ends.methods, false, false} : ends_[ends.first + i])) return true;
  }
  return false;
}

bool ApiRouter::try_end(Walk& walk, const End& end) const {
  const RouteMatch* match = end.other_methods || end.conditions ? routes_[end.route].get() : nullptr;
  bool method_ok = end.methods == 0xffff;
  if (!method_ok && walk.method.method != Method::kOther) method_ok = (end.methods & method_bit(walk.method.method)) != 0;
  if (!method_ok && end.other_methods) method_ok = match->methods.has(walk.method.method, walk.method.text);
  if (!method_ok && !walk.collect) {
    walk.result.method_missed = true;
    return false;
  }
  if (end.conditions && match->check(walk.request, walk.arena) != MatchFailure::kNone) return false;
  if (!walk.collect) {
    walk.result.route = end.route;
    return true;
  }
  walk.bits |= end.methods;
  if (end.other_methods) walk.others->insert(walk.others->end(), match->methods.others.begin(), match->methods.others.end());
  return false;
}

bool ApiRouter::walk(Walk& w, uint32_t at, std::string_view rest) const {
  const Node& node = nodes_[at];
  if (rest.empty()) return try_ends(w, node.exact) || try_ends(w, node.prefix);
  size_t end = 1;
  while (end < rest.size() && rest[end] != '/') ++end;
  std::string_view segment = rest.substr(1, end - 1);
  if (node.literals) {
    uint32_t child = literal_child(at, segment, rest);
    if (child != kNoNode && walk(w, child, rest.substr(nodes_[child].label_size))) return true;
  }
  if (node.param != kNoNode && !segment.empty() && walk(w, node.param, rest.substr(end))) return true;
  return try_ends(w, node.prefix);
}

bool ApiRouter::walk_all(Walk& w, std::string_view path) const {
  if (walk(w, 0, path.substr(base_.size()))) return true;
  for (uint32_t i = 0; i < regexes_.count; ++i) {
    End end = regexes_.single ? End{regexes_.first, regexes_.methods, false, false} : ends_[regexes_.first + i];
    if (routes_[end.route]->path_matches(base_, path) && try_end(w, end)) return true;
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
