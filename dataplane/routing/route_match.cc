#include "dataplane/routing/route_match.h"

#include <algorithm>

#include "common/base/status.h"
#include "common/base/text.h"
#include "common/http/uri.h"
#include "dataplane/routing/claim.h"

namespace gw {
namespace {

// Segments of a path, decoded; of a prefix the slash at the end means nothing.
std::vector<std::string> split(std::string_view path, bool prefix) {
  std::vector<std::string> out;
  if (prefix) {
    while (!path.empty() && path.back() == '/') path.remove_suffix(1);
  }
  for (size_t at = 0; at < path.size();) {
    size_t end = path.find('/', at + 1);
    if (end == std::string_view::npos) end = path.size();
    out.push_back(decoded_path(path.substr(at + 1, end - at - 1)));
    at = end;
  }
  return out;
}

absl::Status template_segments(std::vector<std::string>& segments) {
  for (std::string& s : segments) {
    if (s.find_first_of("{}") == std::string::npos) continue;
    if (s.size() < 3 || s.front() != '{' || s.back() != '}' ||
        std::string_view(s).substr(1, s.size() - 2).find_first_of("{}") != std::string_view::npos) {
      return invalid_argument("match.path.template: a segment is either literal or one {name}, not \"" + s + "\"");
    }
    s = std::string(RouteMatch::kParam);
  }
  return absl::OkStatus();
}

// Letters, digits and `_`; with dots between them where it is a service's.
bool is_grpc_name(std::string_view name, bool dots) {
  constexpr const char* kWord = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_";
  if (name.find_first_not_of(std::string(kWord) + (dots ? "." : "")) != std::string_view::npos) return false;
  return name.empty() || (name.front() != '.' && name.back() != '.' && name.find("..") == std::string_view::npos);
}

absl::Status compile_path(const v1::PathMatch& path, RouteMatch& out) {
  int set = !path.exact().empty() + !path.prefix().empty() + !path.template_().empty() + !path.regex().empty() + path.has_grpc();
  if (set != 1) return invalid_argument("match.path: exactly one of exact, prefix, template, regex, grpc must be set");
  if (path.has_grpc()) {
    const std::string &service = path.grpc().service(), &method = path.grpc().method();
    if (service.empty()) return invalid_argument("match.path.grpc.service: must be set");
    if (!is_grpc_name(service, true)) return invalid_argument("match.path.grpc.service: \"" + service + "\" is no name; write it as orders.v1.Orders");
    if (!is_grpc_name(method, false)) return invalid_argument("match.path.grpc.method: \"" + method + "\" is no name; write the method alone");
    out.grpc = grpc_path(path.grpc()).substr(1);
    v1::PathMatch plain;
    (path.grpc().method().empty() ? *plain.mutable_prefix() : *plain.mutable_exact()) = grpc_path(path.grpc());
    return compile_path(plain, out);
  }
  if (!path.regex().empty()) {
    out.kind = PathKind::kRegex;
    out.path_text = path.regex();
    auto regex = Regex::compile(path.regex());
    if (!regex.ok()) return invalid_argument("match.path.regex: " + message_of(regex.status()));
    out.regex = *regex;
    return absl::OkStatus();
  }
  out.kind = !path.exact().empty() ? PathKind::kExact : !path.prefix().empty() ? PathKind::kPrefix : PathKind::kTemplate;
  const char* field = out.kind == PathKind::kExact ? "exact" : out.kind == PathKind::kPrefix ? "prefix" : "template";
  out.path_text = path.exact() + path.prefix() + path.template_();
  if (const char* why = path_problem(out.path_text)) return invalid_argument(std::string("match.path.") + field + ": " + why);
  out.segments = split(out.path_text, out.kind == PathKind::kPrefix);
  return out.kind == PathKind::kTemplate ? template_segments(out.segments) : absl::OkStatus();
}

absl::Status compile_conditions(const google::protobuf::RepeatedPtrField<v1::NamedMatch>& in, std::string_view field,
                                std::vector<NamedCondition>& out) {
  for (const v1::NamedMatch& m : in) {
    NamedCondition c;
    c.name = field == "headers" ? ascii_lower(m.name()) : m.name();
    std::string at = "match." + std::string(field) + "." + m.name();
    int set = !m.exact().empty() + !m.prefix().empty() + !m.regex().empty() + m.has_present();
    if (m.name().empty()) return invalid_argument(at + ": the name is missing");
    if (set != 1) return invalid_argument(at + ": exactly one of exact, prefix, regex, present must be set");
    if (m.has_present()) {
      c.kind = m.present() ? NamedCondition::Kind::kPresent : NamedCondition::Kind::kAbsent;
    } else if (!m.regex().empty()) {
      c.kind = NamedCondition::Kind::kRegex;
      auto regex = Regex::compile(m.regex());
      if (!regex.ok()) return invalid_argument(at + ".regex: " + message_of(regex.status()));
      c.regex = *regex;
    } else {
      c.kind = m.exact().empty() ? NamedCondition::Kind::kPrefix : NamedCondition::Kind::kExact;
      c.value = m.exact() + m.prefix();
    }
    out.push_back(std::move(c));
  }
  return absl::OkStatus();
}

void compile_methods(const v1::Match& match, MethodSet& out) {
  if (match.methods().empty()) return;
  out.bits = 0;
  for (const std::string& text : match.methods()) {
    Method m = parse_method(text);
    if (m == Method::kOther) {
      out.others.push_back(text);
    } else {
      out.bits |= method_bit(m);
      if (m == Method::kGet) out.bits |= method_bit(Method::kHead);
    }
  }
  std::sort(out.others.begin(), out.others.end());
  out.others.erase(std::unique(out.others.begin(), out.others.end()), out.others.end());
}

}  // namespace

std::string grpc_path(const v1::GrpcMatch& match) {
  return "/" + match.service() + (match.method().empty() ? "" : "/" + match.method());
}

bool MethodSet::has(Method method, std::string_view text) const {
  if (any()) return true;
  if (method != Method::kOther) return (bits & method_bit(method)) != 0;
  return std::find(others.begin(), others.end(), text) != others.end();
}

bool MethodSet::contains(const MethodSet& other) const {
  if (any()) return true;
  return !other.any() && (other.bits & ~bits) == 0 &&
         std::includes(others.begin(), others.end(), other.others.begin(), other.others.end());
}

bool MethodSet::meets(const MethodSet& other) const {
  if (any() || other.any() || (bits & other.bits) != 0) return true;
  return std::any_of(others.begin(), others.end(), [&](const std::string& m) { return other.has(Method::kOther, m); });
}

bool NamedCondition::holds(const std::string_view* given) const {
  if (kind == Kind::kAbsent) return given == nullptr;
  if (given == nullptr) return false;
  switch (kind) {
    case Kind::kExact: return *given == value;
    case Kind::kPrefix: return given->starts_with(value);
    case Kind::kRegex: return regex->matches(*given);
    default: return true;
  }
}

bool NamedCondition::implied_by(const NamedCondition& other) const {
  if (name != other.name) return false;
  if (kind == Kind::kAbsent || other.kind == Kind::kAbsent) return kind == other.kind;
  if (other.kind == Kind::kExact) {
    std::string_view given = other.value;
    return holds(&given);
  }
  switch (kind) {
    case Kind::kPresent: return true;
    case Kind::kPrefix:
      return (other.kind == Kind::kPrefix && other.value.starts_with(value)) ||
             (other.kind == Kind::kRegex && other.regex->common_prefix().starts_with(value));
    case Kind::kRegex: return other.kind == Kind::kRegex && regex->pattern() == other.regex->pattern();
    default: return false;
  }
}

bool NamedCondition::excludes(const NamedCondition& other) const {
  if (name != other.name) return false;
  if ((kind == Kind::kAbsent) != (other.kind == Kind::kAbsent)) return true;
  if (kind == Kind::kExact) {
    std::string_view given = value;
    return !other.holds(&given);
  }
  if (other.kind == Kind::kExact) return other.excludes(*this);
  auto front = [](const NamedCondition& c) -> std::string_view {
    return c.kind == Kind::kPrefix ? c.value : c.kind == Kind::kRegex ? c.regex->common_prefix() : std::string_view();
  };
  return !front(*this).starts_with(front(other)) && !front(other).starts_with(front(*this));
}

std::string NamedCondition::describe(std::string_view what) const {
  std::string out = std::string(what) + " " + name;
  switch (kind) {
    case Kind::kExact: return out + " is not \"" + value + "\"";
    case Kind::kPrefix: return out + " does not begin with \"" + value + "\"";
    case Kind::kRegex: return out + " does not match " + regex->pattern();
    case Kind::kPresent: return out + " is missing";
    default: return out + " is there";
  }
}

absl::StatusOr<std::shared_ptr<const RouteMatch>> RouteMatch::compile(const v1::Match& match, int priority, std::string name) {
  auto out = std::make_shared<RouteMatch>();
  out->name = std::move(name);
  out->priority = priority;
  out->host = match.host();
  GW_RETURN_IF_ERROR(compile_path(match.path(), *out));
  compile_methods(match, out->methods);
  GW_RETURN_IF_ERROR(compile_conditions(match.headers(), "headers", out->headers));
  GW_RETURN_IF_ERROR(compile_conditions(match.query(), "query", out->query));
  return std::shared_ptr<const RouteMatch>(std::move(out));
}

MatchFailure RouteMatch::check(const RequestHead& request, Arena& arena) const {
  if (!host.empty() && !host_pattern_matches(host, request.host)) return MatchFailure::kHost;
  for (const NamedCondition& c : headers) {
    const HeaderField* f = request.headers.find(std::string_view(c.name));
    if (!c.holds(f ? &f->value : nullptr)) return MatchFailure::kHeader;
  }
  for (const NamedCondition& c : query) {
    std::string_view value;
    bool found = query_find(request.query, c.name, arena, value);
    if (!c.holds(found ? &value : nullptr)) return MatchFailure::kQuery;
  }
  return MatchFailure::kNone;
}

bool RouteMatch::path_matches(std::string_view base, std::string_view path) const {
  if (kind == PathKind::kRegex) {
    bool below = path.substr(0, base.size()) == base && (path.size() == base.size() || path[base.size()] == '/');
    return below && regex->matches(after_base(base, path));
  }
  size_t at = 0;
  for (size_t i = 0; i < segments.size(); ++i) {
    if (at >= path.size()) return false;
    size_t end = path.find('/', at + 1);
    if (end == std::string_view::npos) end = path.size();
    std::string_view given = path.substr(at + 1, end - at - 1);
    if (is_param(i) ? given.empty() : given != segments[i]) return false;
    at = end;
  }
  return at == path.size() || kind == PathKind::kPrefix;
}

bool RouteMatch::lies_below(std::string_view base) const {
  if (kind == PathKind::kRegex) return true;
  size_t at = 0;
  for (size_t i = 0; at < base.size(); ++i) {
    size_t end = base.find('/', at + 1);
    if (end == std::string_view::npos) end = base.size();
    if (i >= segments.size() || is_param(i) || segments[i] != base.substr(at + 1, end - at - 1)) return false;
    at = end;
  }
  return true;
}

size_t RouteMatch::memory_bytes() const {
  size_t bytes = sizeof *this + name.capacity() + path_text.capacity() + grpc.capacity() + host.capacity();
  for (const std::string& s : segments) bytes += sizeof s + (s.capacity() > 15 ? s.capacity() : 0);
  for (const auto* list : {&headers, &query}) {
    for (const NamedCondition& c : *list) bytes += sizeof c + c.name.capacity() + c.value.capacity() + (c.regex ? 4096 : 0);
  }
  if (regex) bytes += 4096;
  return bytes;
}

MatchMethod match_method(const RequestHead& request) {
  if (request.method == Method::kOptions && request.headers.maybe_has(HeaderId::kAccessControlRequestMethod) &&
      request.headers.find(HeaderId::kOrigin)) {
    if (const HeaderField* f = request.headers.find(HeaderId::kAccessControlRequestMethod)) {
      return {parse_method(f->value), f->value, true};
    }
  }
  return {request.method, request.method_text, false};
}

namespace {

// -1: a first; 1: b first; 0: not ordered by their paths.
int compare_paths(const RouteMatch& a, const RouteMatch& b, size_t base_depth) {
  auto group = [&](const RouteMatch& m) {
    if (m.kind == PathKind::kRegex) return 1;
    return m.kind == PathKind::kPrefix && m.segments.size() <= base_depth ? 2 : 0;
  };
  int ga = group(a), gb = group(b);
  if (ga != gb) return ga < gb ? -1 : 1;
  if (ga != 0) return 0;
  for (size_t i = 0;; ++i) {
    bool a_ends = i >= a.segments.size(), b_ends = i >= b.segments.size();
    if (a_ends && b_ends) {
      bool pa = a.kind == PathKind::kPrefix, pb = b.kind == PathKind::kPrefix;
      return pa == pb ? 0 : pa ? 1 : -1;
    }
    if (a_ends || b_ends) return a_ends ? 1 : -1;  // longer first
    bool xa = a.is_param(i);
    bool xb = b.is_param(i);
    if (xa != xb) return xa ? 1 : -1;
    if (!xa && a.segments[i] != b.segments[i]) return 0;  // no request matches both
  }
}

int compare(const RouteMatch& a, const RouteMatch& b, std::string_view base) {
  size_t depth = static_cast<size_t>(std::count(base.begin(), base.end(), '/'));
  if (int c = compare_paths(a, b, depth)) return c;
  if (a.conditions() != b.conditions()) return a.conditions() > b.conditions() ? -1 : 1;
  if (a.priority != b.priority) return a.priority > b.priority ? -1 : 1;
  return 0;
}

}  // namespace

bool ranks_before(const RouteMatch& a, const RouteMatch& b, std::string_view base) {
  int c = compare(a, b, base);
  return c != 0 ? c < 0 : a.name < b.name;
}

bool same_rank(const RouteMatch& a, const RouteMatch& b, std::string_view base) { return compare(a, b, base) == 0; }

}  // namespace gw
