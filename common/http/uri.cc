#include "common/http/uri.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "common/http/address.h"
#include "common/http/escape.h"

namespace gw {
namespace {

// What a byte of a path makes the scanner do.
enum Class : uint8_t { kPlain, kSlash, kPercent, kEnd, kBad };

constexpr std::array<Class, 256> make_path_table() {
  std::array<Class, 256> t{};
  for (int c = 0; c < 256; ++c) t[c] = c <= 0x20 || c >= 0x7f ? kBad : kPlain;
  t['/'] = kSlash;
  t['%'] = kPercent;
  t['?'] = kEnd;
  t['#'] = kBad;
  t['\\'] = kBad;
  return t;
}
constexpr std::array<Class, 256> kPath = make_path_table();

using internal::at;
using internal::decode;
using internal::escape;

constexpr const char* kDotSegment = "the path has a dot segment";
constexpr const char* kEncodedSlash = "the path has an encoded slash or backslash";
constexpr const char* kTwice = "the path is percent-encoded twice";

// The escape at s[i] (value `first`) is the first byte of something that is not the shortest UTF-8 form, so that a lax reader sees another character.
bool overlong(int first, std::string_view s, size_t i) {
  if (first == 0xc0 || first == 0xc1) return true;
  if (first != 0xe0 && first != 0xf0 && first != 0xf8 && first != 0xfc) return false;
  if (i + 3 >= s.size() || s[i + 3] != '%') return false;
  int second = escape(s, i + 3);
  if (first == 0xe0) return second >= 0x80 && second < 0xa0;
  if (first == 0xf0) return second >= 0x80 && second < 0x90;
  return true;
}

// The escape at s[i]: null, or why it is refused.
const char* escape_problem(std::string_view s, size_t i) {
  int value = escape(s, i);
  switch (value) {
    case -1: return "the path has a bad percent escape";
    case 0: return "the path has an encoded NUL";
    case '/':
    case '\\': return kEncodedSlash;
    default: return value >= 0xc0 && overlong(value, s, i) ? "the path hides characters in overlong UTF-8" : nullptr;
  }
}

// Some reader that decodes `path`, which has a `%25`, more than once would find a dot, slash, backslash or NUL.
bool encoded_twice(std::string_view path) {
  std::string text(path);
  for (int level = 0; level < 8; ++level) {
    text.resize(decode(text, text.data(), false));
    bool again = false;
    for (size_t i = 0; i < text.size(); ++i) {
      if (text[i] != '%') continue;
      int value = escape(text, i);
      if (value == '.' || value == '/' || value == '\\' || value == 0) return true;
      again = again || value >= 0;
    }
    if (!again) return false;
  }
  return true;
}

// Whether the segment that begins at s[i] is `.` or `..`, in any spelling, with or without parameters (`..;x`).
bool dot_segment(std::string_view s, size_t i) {
  for (int dots = 0;; ++dots) {
    int c = -1;
    size_t width = 1;
    if (i < s.size()) {
      c = at(s, i);
      if (c == '%') {
        c = escape(s, i);
        width = 3;
      }
    }
    if (c == '.' && dots < 2) {
      i += width;
      continue;
    }
    bool ends = i >= s.size() || c == '/' || c == '?' || c == ';';
    return dots > 0 && ends;
  }
}

// Scans the path at the front of `s` up to '?' or the end; `size` gets its length. Null: the path rule holds.
const char* scan_path(std::string_view s, size_t& size) {
  if (s.empty() || s[0] != '/') return "the path does not begin with a slash";
  const size_t n = s.size();
  bool percent = false;  // an escaped one
  size_t i = 0;
  for (bool more = true; more && i < n; ++i) {
    switch (kPath[at(s, i)]) {
      case kPlain: break;
      case kSlash: {
        if (i + 1 >= n) break;
        char next = s[i + 1];
        if (next == '/') return "the path has an empty segment";
        if ((next == '.' || next == '%') && dot_segment(s, i + 1)) return kDotSegment;
        break;
      }
      case kPercent:
        if (const char* why = escape_problem(s, i)) return why;
        percent = percent || (s[i + 1] == '2' && s[i + 2] == '5');
        i += 2;
        break;
      case kEnd:
        more = false;
        --i;
        break;
      case kBad:
        if (s[i] == '#') return "the target has a fragment";
        if (s[i] == '\\') return "the path has a backslash";
        return "the target has a byte that must be percent-encoded";
    }
  }
  size = i;
  return percent && encoded_twice(s.substr(0, i)) ? kTwice : nullptr;
}

bool query_ok(std::string_view query) {
  for (char c : query) {
    unsigned char u = static_cast<unsigned char>(c);
    if (u <= 0x20 || u >= 0x7f || u == '#') return false;
  }
  return true;
}

// What a byte of a host's name is.
enum HostClass : uint8_t { kNoHost, kHostChar, kHostUpper, kHostDot };

constexpr std::array<HostClass, 256> make_host_table() {
  std::array<HostClass, 256> t{};
  for (int c = 'a'; c <= 'z'; ++c) t[c] = kHostChar;
  for (int c = 'A'; c <= 'Z'; ++c) t[c] = kHostUpper;
  for (int c = '0'; c <= '9'; ++c) t[c] = kHostChar;
  t['-'] = t['_'] = kHostChar;
  t['.'] = kHostDot;
  return t;
}
constexpr std::array<HostClass, 256> kHost = make_host_table();

bool starts_ignore_case(std::string_view text, std::string_view word) {
  return text.size() >= word.size() && equals_ignore_case(text.substr(0, word.size()), word);
}

std::string_view lower_case(std::string_view text, Arena& arena) {
  char* out = arena.allocate(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    char u = text[i];
    out[i] = u >= 'A' && u <= 'Z' ? static_cast<char>(u | 0x20) : u;
  }
  return {out, text.size()};
}

bool parse_port(std::string_view digits, int& port) {
  if (digits.empty() || digits.size() > 5) return false;
  int value = 0;
  for (char c : digits) {
    if (c < '0' || c > '9') return false;
    value = value * 10 + (c - '0');
  }
  port = value;
  return value <= 65535;
}

// Takes an absolute-form target apart. False: it is none.
bool split_absolute(std::string_view raw, std::string_view& authority, std::string_view& rest) {
  size_t scheme = starts_ignore_case(raw, "http://") ? 7 : starts_ignore_case(raw, "https://") ? 8 : 0;
  if (scheme == 0) return false;
  raw.remove_prefix(scheme);
  size_t end = raw.find_first_of("/?#");
  authority = raw.substr(0, end);
  rest = end == std::string_view::npos ? std::string_view() : raw.substr(end);
  return true;
}

// The target's path under the rules that are not `reject`: `path` is what stands before a '?', `target` the whole.
bool take_path(RequestHead& head, Arena& arena, std::string_view target, PathRule rule, std::string_view& why) {
  size_t size = std::min(target.find('?'), target.size());
  head.path = target.substr(0, size);
  if (rule == PathRule::kRaw) {
    head.raw_path = true;
    const char* problem = raw_path_problem(head.path);
    if (problem != nullptr) why = problem;
    return problem == nullptr;
  }
  std::string_view normal;
  if (!normalize_path(head.path, arena, normal, why)) return false;
  if (normal.data() == head.path.data()) return true;
  char* out = arena.allocate(normal.size() + target.size() - size);
  std::memcpy(out, normal.data(), normal.size());
  std::memcpy(out + normal.size(), target.data() + size, target.size() - size);
  head.target = {out, normal.size() + target.size() - size};
  head.path = head.target.substr(0, normal.size());
  return true;
}

}  // namespace

bool parse_authority(std::string_view text, Arena& arena, std::string_view& host, int& port, std::string_view& why) {
  port = -1;
  why = "the host is not valid";
  if (text.empty()) {
    why = "the host is empty";
    return false;
  }
  if (text.size() > 255) return false;
  std::string_view name = text, after;
  bool upper = false;
  if (text[0] == '[') {
    size_t close = text.find(']');
    if (close == std::string_view::npos) return false;
    name = text.substr(1, close - 1);
    after = text.substr(close + 1);
    if (name.find(':') == std::string_view::npos || !IpAddress::parse(name)) return false;
    upper = true;
  } else {
    HostClass before = kHostDot;  // no empty label
    size_t size = 0;
    for (; size < text.size() && text[size] != ':'; ++size) {
      HostClass now = kHost[static_cast<unsigned char>(text[size])];
      if (now == kNoHost || (now == kHostDot && before == kHostDot)) return false;
      upper = upper || now == kHostUpper;
      before = now;
    }
    name = text.substr(0, size);
    after = text.substr(size);
    if (!name.empty() && name.back() == '.') name.remove_suffix(1);
    if (name.empty()) return false;
  }
  if (!after.empty() && (after[0] != ':' || !parse_port(after.substr(1), port))) {
    why = "the port of the host is not valid";
    return false;
  }
  host = upper ? lower_case(name, arena) : name;
  return true;
}

bool parse_target(RequestHead& head, Arena& arena, std::string_view raw, std::optional<std::string_view> host,
                  std::string_view& why, PathRule rule) {
  std::string_view target = raw;
  std::string_view authority = host.value_or(std::string_view());
  bool has_authority = host.has_value();
  int port = -1;
  if (raw.empty()) {
    why = "the target is empty";
    return false;
  }
  if (raw[0] != '/' && raw != "*") {
    if (has_authority && !parse_authority(authority, arena, head.host, port, why)) return false;
    if (!split_absolute(raw, authority, target)) {
      why = "the target is neither a path nor an http URL";
      return false;
    }
    has_authority = true;
    if (target.empty()) {
      target = head.method == Method::kOptions ? "*" : "/";
    } else if (target[0] != '/') {
      char* out = arena.allocate(target.size() + 1);
      out[0] = '/';
      std::memcpy(out + 1, target.data(), target.size());
      target = {out, target.size() + 1};
    }
  }
  head.authority = authority;
  head.host = {};
  if (has_authority && !parse_authority(authority, arena, head.host, port, why)) return false;
  head.target = target;
  head.query = {};
  head.has_query = head.raw_path = false;
  if (target == "*") {
    if (head.method != Method::kOptions) {
      why = "the target * is for OPTIONS only";
      return false;
    }
    head.path = target;
    return true;
  }
  size_t size = 0;
  if (rule != PathRule::kReject) {
    if (!take_path(head, arena, target, rule, why)) return false;
    size = head.path.size();
    target = head.target;
  } else if (const char* problem = scan_path(target, size)) {
    why = problem;
    return false;
  }
  head.path = target.substr(0, size);
  if (size < target.size()) {
    head.query = target.substr(size + 1);
    head.has_query = true;
    if (!query_ok(head.query)) {
      why = "the query has a byte that must be percent-encoded";
      return false;
    }
  }
  return true;
}

const char* path_problem(std::string_view path) {
  size_t size = 0;
  if (const char* why = scan_path(path, size)) return why;
  return size < path.size() ? "the path has a query" : nullptr;
}

std::string_view decoded_path(std::string_view path, Arena& arena) {
  if (std::memchr(path.data(), '%', path.size()) == nullptr) return path;
  char* out = arena.allocate(path.size());
  return {out, decode(path, out, false)};
}

std::string decoded_path(std::string_view path) {
  std::string out(path.size(), '\0');
  out.resize(decode(path, out.data(), false));
  return out;
}

size_t prefix_length(std::string_view path, std::string_view prefix, bool raw) {
  size_t i = 0;
  for (char wanted : prefix) {
    if (i >= path.size()) return std::string_view::npos;
    int c = at(path, i);
    size_t width = 1;
    if (c == '%' && !raw) {
      int value = escape(path, i);
      if (value >= 0) {
        c = value;
        width = 3;
      }
    }
    if (static_cast<char>(c) != wanted) return std::string_view::npos;
    i += width;
  }
  return i == path.size() || path[i] == '/' ? i : std::string_view::npos;
}

}  // namespace gw
