#include "dataplane/routing/claim.h"

#include <algorithm>
#include <bit>
#include <map>

#include "common/http/uri.h"
#include "dataplane/routing/hash.h"

namespace gw {
namespace {

bool is_wildcard(std::string_view pattern) { return pattern.size() > 2 && pattern[0] == '*' && pattern[1] == '.'; }

bool ends_with(std::string_view text, std::string_view end) {
  return text.size() >= end.size() && text.substr(text.size() - end.size()) == end;
}

uint32_t segment_count(std::string_view base) { return static_cast<uint32_t>(std::count(base.begin(), base.end(), '/')); }

}  // namespace

bool host_pattern_matches(std::string_view pattern, std::string_view host) {
  if (pattern == "*") return true;
  if (!is_wildcard(pattern)) return pattern == host;
  std::string_view suffix = pattern.substr(1);
  return host.size() > suffix.size() && ends_with(host, suffix);
}

bool host_pattern_covers(std::string_view outer, std::string_view inner) {
  if (outer == inner || outer == "*") return true;
  if (inner == "*") return false;
  if (is_wildcard(inner)) return is_wildcard(outer) && ends_with(inner.substr(1), outer.substr(1));
  return host_pattern_matches(outer, inner);
}

bool host_patterns_meet(std::string_view a, std::string_view b) {
  return host_pattern_covers(a, b) || host_pattern_covers(b, a);
}

int host_pattern_rank(std::string_view pattern) {
  if (pattern == "*") return 0;
  return is_wildcard(pattern) ? static_cast<int>(pattern.size()) : 1 << 20;
}

std::string normal_base(std::string_view path) {
  std::string out = decoded_path(path);
  while (!out.empty() && out.back() == '/') out.pop_back();
  return out;
}

bool path_covers(std::string_view base, std::string_view path) {
  std::string outer = normal_base(base);
  std::string inner = decoded_path(path);
  return inner.compare(0, outer.size(), outer) == 0 && (inner.size() == outer.size() || inner[outer.size()] == '/');
}

ClaimTable::ClaimTable(const std::vector<Claim>& claims) {
  std::map<std::string, std::vector<std::pair<std::string, uint32_t>>> by_host;
  for (const Claim& c : claims) by_host[c.host].emplace_back(normal_base(c.base_path), c.api);
  host_slots_.assign(std::bit_ceil(by_host.size() * 2 + 1), UINT32_MAX);
  for (auto& [pattern, bases] : by_host) {
    Host host;
    host.pattern = pattern;
    host.first = static_cast<uint32_t>(slots_.size());
    host.mask = static_cast<uint32_t>(std::bit_ceil(bases.size() * 2 + 1) - 1);
    slots_.resize(slots_.size() + host.mask + 1);
    for (auto& [base, api] : bases) {
      uint64_t hash = hash_bytes(base, 0);
      uint64_t i = hash;
      bool twice = false;
      while (slots_[host.first + (i & host.mask)].claim != UINT32_MAX) {
        const Base& taken = slots_[host.first + (i & host.mask)];
        twice = twice || (taken.hash == hash && bases_[taken.claim].base == base);
        ++i;
      }
      if (twice) continue;
      slots_[host.first + (i & host.mask)] = {hash, static_cast<uint32_t>(bases_.size())};
      host.max_depth = std::max(host.max_depth, segment_count(base));
      bases_.push_back({std::move(base), api});
    }
    has_wildcards_ = has_wildcards_ || is_wildcard(pattern);
    uint64_t i = hash_bytes(pattern, 0);
    while (host_slots_[i & (host_slots_.size() - 1)] != UINT32_MAX) ++i;
    host_slots_[i & (host_slots_.size() - 1)] = static_cast<uint32_t>(hosts_.size());
    hosts_.push_back(std::move(host));
  }
}

const ClaimTable::Host* ClaimTable::find_host(std::string_view key) const {
  if (hosts_.empty()) return nullptr;
  for (uint64_t i = hash_bytes(key, 0);; ++i) {
    uint32_t slot = host_slots_[i & (host_slots_.size() - 1)];
    if (slot == UINT32_MAX) return nullptr;
    if (hosts_[slot].pattern == key) return &hosts_[slot];
  }
}

bool ClaimTable::find_base(const Host& host, std::string_view path, Hit& hit) const {
  // Every prefix of the path that ends on a segment boundary, the longest that may be a base first.
  size_t end = 0;
  uint32_t depth = 0;
  while (depth < host.max_depth && end < path.size()) {
    size_t next = path.find('/', end + 1);
    end = next == std::string_view::npos ? path.size() : next;
    ++depth;
  }
  for (;; --depth) {
    std::string_view prefix = path.substr(0, end);
    uint64_t hash = hash_bytes(prefix, 0);
    for (uint64_t i = hash;; ++i) {
      const Base& slot = slots_[host.first + (i & host.mask)];
      if (slot.claim == UINT32_MAX) break;
      if (slot.hash == hash && bases_[slot.claim].base == prefix) {
        hit = {bases_[slot.claim].api, host.pattern, bases_[slot.claim].base};
        return true;
      }
    }
    if (depth == 0) return false;
    end = path.rfind('/', end - 1);
  }
}

bool ClaimTable::find(std::string_view host, std::string_view path, Hit& hit) const {
  if (const Host* h = find_host(host); h && find_base(*h, path, hit)) return true;
  if (has_wildcards_) {
    // `*.b.c` for a.b.c, then `*.c`: the longest first. The pattern's text lies nowhere, so it is put together here.
    char buffer[256];
    for (size_t dot = host.find('.', 1); dot != std::string_view::npos; dot = host.find('.', dot + 1)) {
      std::string_view suffix = host.substr(dot);
      if (suffix.size() + 1 > sizeof buffer) continue;
      buffer[0] = '*';
      std::memcpy(buffer + 1, suffix.data(), suffix.size());
      const Host* h = find_host({buffer, suffix.size() + 1});
      if (h && find_base(*h, path, hit)) return true;
    }
  }
  const Host* any = find_host("*");
  return any && find_base(*any, path, hit);
}

size_t ClaimTable::memory_bytes() const {
  size_t bytes = sizeof *this + host_slots_.size() * sizeof(uint32_t) + slots_.size() * sizeof(Base);
  for (const Host& h : hosts_) bytes += sizeof h + h.pattern.capacity();
  for (const Text& t : bases_) bytes += sizeof t + t.base.capacity();
  return bytes;
}

}  // namespace gw
