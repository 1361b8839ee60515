// A Route's `match`, compiled: immutable, shared by every tree and snapshot that holds the route.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "common/base/arena.h"
#include "common/http/message.h"
#include "gw/v1/resources.pb.h"

namespace re2 {
class RE2;
}

namespace gw {

// Whole-text match, in linear time. Small patterns on small texts take no lock: the pattern is wrapped in a group, which
// lets RE2 use its one-pass and bit-state engines in place of the DFA, whose cache is shared. Immutable; any thread.
class Regex {
 public:
  static constexpr size_t kMaxPattern = 1000;     // bytes
  static constexpr int64_t kMaxMemory = 1 << 20;  // of the compiled program

  static absl::StatusOr<std::shared_ptr<const Regex>> compile(std::string_view pattern);
  ~Regex();
  bool matches(std::string_view text) const;
  const std::string& pattern() const { return pattern_; }
  // A text that every match begins with; may be empty.
  const std::string& common_prefix() const { return common_prefix_; }

 private:
  Regex() = default;
  std::string pattern_;
  std::string common_prefix_;
  std::unique_ptr<re2::RE2> re_;
};

enum class PathKind : uint8_t { kExact, kPrefix, kTemplate, kRegex };

// Methods as bits of `method_bit`; others by name. GET brings HEAD.
struct MethodSet {
  uint16_t bits = 0xffff;           // 0xffff: any
  std::vector<std::string> others;  // not among Method's
  bool any() const { return bits == 0xffff; }
  bool has(Method method, std::string_view text) const;
  bool contains(const MethodSet& other) const;
  bool meets(const MethodSet& other) const;
};

// A header field or query parameter; its first occurrence counts.
struct NamedCondition {
  enum class Kind : uint8_t { kExact, kPrefix, kRegex, kPresent, kAbsent };
  Kind kind = Kind::kPresent;
  std::string name;  // headers: lower case
  std::string value;
  std::shared_ptr<const Regex> regex;

  // `value` null: the request has none of that name.
  bool holds(const std::string_view* value) const;
  // Whatever satisfies `other` satisfies this.
  bool implied_by(const NamedCondition& other) const;
  // Certain that nothing satisfies both.
  bool excludes(const NamedCondition& other) const;
  std::string describe(std::string_view what) const;  // header x-tenant is not "a"
};

// The path of calls of a service (`/orders.v1.Orders`), or of one method of it.
std::string grpc_path(const v1::GrpcMatch& match);

// Why a route did not match; the order in which it is looked at.
enum class MatchFailure : uint8_t { kNone, kPath, kHost, kHeader, kQuery, kMethod };

struct RouteMatch {
  static constexpr std::string_view kParam = "{";

  std::string name;  // owner/name, the last resort of ranking
  PathKind kind = PathKind::kPrefix;
  std::string path_text;              // as written
  std::string grpc;                   // orders.v1.Orders, or with /Method; empty: the path is not one of gRPC's
  std::vector<std::string> segments;  // decoded; of a template "{x}" is kept as kParam
  std::shared_ptr<const Regex> regex;
  std::string host;  // pattern; empty: all of the Api's
  MethodSet methods;
  std::vector<NamedCondition> headers, query;
  int priority = 0;

  // Errors name the field: "match.path.regex: missing )".
  static absl::StatusOr<std::shared_ptr<const RouteMatch>> compile(const v1::Match& match, int priority,
                                                                   std::string name);

  // What "more header and query matches" counts; a host of its own counts too.
  size_t conditions() const { return headers.size() + query.size() + (host.empty() ? 0 : 1); }
  // Host, headers and query; not path and method.
  MatchFailure check(const RequestHead& request, Arena& arena) const;
  // `base`: the Api's base path in normal form. `path`: decoded.
  bool path_matches(std::string_view base, std::string_view path) const;
  // Every path that it matches lies below `base`, and says so: its first segments are the base's.
  bool lies_below(std::string_view base) const;
  // What is left of a decoded path after a normal base.
  static std::string_view after_base(std::string_view base, std::string_view path) { return path.substr(base.size()); }
  bool is_param(size_t segment) const { return kind == PathKind::kTemplate && segments[segment] == kParam; }
  size_t memory_bytes() const;
};

// The method that a request is matched by: a CORS preflight's Access-Control-Request-Method, else its own.
struct MatchMethod {
  Method method = Method::kGet;
  std::string_view text;
  bool preflight = false;
};
MatchMethod match_method(const RequestHead& request);

// True when `a` is ranked before `b` in one Api with base path `base` (normal form): the order in which routes are tried.
bool ranks_before(const RouteMatch& a, const RouteMatch& b, std::string_view base);
// Neither before the other but for their names.
bool same_rank(const RouteMatch& a, const RouteMatch& b, std::string_view base);

}  // namespace gw
