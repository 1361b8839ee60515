// Claims: which Api a host and path belong to. An Api claims each (host pattern, basePath) for itself. Among the claims
// that a request lies below, an exact host beats the longest wildcard, that beats `*`; then the longest basePath on segment
// boundaries wins. Only the winner's routes are looked at.
//
// The free functions are what the compiler checks ownership and grants with; the table is what requests are matched with.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace gw {

// Patterns: `example.com`, `*.example.com` (any number of labels before it, at least one), `*`. Lower case.
bool host_pattern_matches(std::string_view pattern, std::string_view host);
// Every host that `inner` matches is matched by `outer` too.
bool host_pattern_covers(std::string_view outer, std::string_view inner);
// Some host is matched by both.
bool host_patterns_meet(std::string_view a, std::string_view b);
// Exact > longer wildcard > shorter wildcard > `*`: higher wins.
int host_pattern_rank(std::string_view pattern);

// `/a` covers `/a` and `/a/b`, not `/ab`; `/` covers all. A slash at the end of `base` means nothing.
bool path_covers(std::string_view base, std::string_view path);
// Without the slash at the end, percent escapes decoded; "" for "/": the form in which base paths and prefixes compare.
std::string normal_base(std::string_view path);

struct Claim {
  std::string host;       // pattern
  std::string base_path;  // as written
  uint32_t api = 0;       // whatever number the caller gives
};

// Immutable once built; any thread. Lookups take no lock and allocate nothing.
class ClaimTable {
 public:
  struct Hit {
    uint32_t api = 0;
    std::string_view host_pattern;  // that matched
    std::string_view base;          // normal form
  };

  ClaimTable() = default;
  // Of two equal claims the first stays (the compiler refuses the second).
  explicit ClaimTable(const std::vector<Claim>& claims);
  ClaimTable(const ClaimTable&) = delete;

  // `host`: lower case, no port. `path`: decoded (decoded_path).
  bool find(std::string_view host, std::string_view path, Hit& hit) const;
  size_t memory_bytes() const;

 private:
  struct Host {
    std::string pattern;   // as claimed
    uint32_t first = 0;    // into slots_: a table of bases of its own, a power of two
    uint32_t mask = 0;
    uint32_t max_depth = 0;  // segments of the longest base
  };
  struct Base {
    uint64_t hash = 0;
    uint32_t claim = UINT32_MAX;  // into bases_; UINT32_MAX: free
  };
  struct Text {
    std::string base;
    uint32_t api = 0;
  };

  const Host* find_host(std::string_view key) const;
  bool find_base(const Host& host, std::string_view path, Hit& hit) const;

  std::vector<Host> hosts_;
  std::vector<uint32_t> host_slots_;  // open addressing by pattern; UINT32_MAX: free
  std::vector<Base> slots_;
  std::vector<Text> bases_;
  bool has_wildcards_ = false;
};

}  // namespace gw
