#include "common/http/path_normal.h"

#include <cstring>

#include "common/http/escape.h"
#include "common/http/uri.h"

namespace gw {
namespace {

constexpr const char* kPathBadEscape = "the path has a bad percent escape";

bool unreserved(int c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_' || c == '~';
}

// Escapes in their normal spelling, into `out` (as long as `path`). Returns the length; npos: a bad escape.
size_t normal_escapes(std::string_view path, char* out) {
  size_t n = 0;
  for (size_t i = 0; i < path.size(); ++i) {
    if (path[i] != '%') {
      out[n++] = path[i];
      continue;
    }
    int value = internal::escape(path, i);
    if (value < 0) return std::string_view::npos;
    if (unreserved(value)) {
      out[n++] = static_cast<char>(value);
    } else {
      out[n++] = '%';
      out[n++] = "0123456789ABCDEF"[value >> 4];
      out[n++] = "0123456789ABCDEF"[value & 15];
    }
    i += 2;
  }
  return n;
}

// Merges slashes and removes dot segments, in place. `text` begins with a slash; returns the new length, at least 1.
size_t remove_segments(char* text, size_t size) {
  size_t out = 0;  // text[0, out) is done: empty, or begins with a slash and ends without one
  size_t i = 0;
  bool slash_at_end = false;
  while (i < size) {
    while (i < size && text[i] == '/') ++i;
    size_t from = i;
    while (i < size && text[i] != '/') ++i;
    size_t length = i - from;
    slash_at_end = length == 0;  // a slash was the last byte
    if (length == 1 && text[from] == '.') {
      slash_at_end = true;
    } else if (length == 2 && text[from] == '.' && text[from + 1] == '.') {
      while (out > 0 && text[--out] != '/') {
      }
      slash_at_end = true;
    } else if (length > 0) {
      text[out++] = '/';
      std::memmove(text + out, text + from, length);
      out += length;
    }
  }
  if (slash_at_end || out == 0) text[out++] = '/';
  return out;
}

}  // namespace

bool normalize_path(std::string_view path, Arena& arena, std::string_view& normal, std::string_view& why) {
  if (path.empty() || path[0] != '/') {
    why = "the path does not begin with a slash";
    return false;
  }
  if (path_problem(path) == nullptr && std::memchr(path.data(), '%', path.size()) == nullptr) {
    normal = path;
    return true;
  }
  char* out = arena.allocate(path.size() + 1);
  size_t size = normal_escapes(path, out);
  if (size == std::string_view::npos) {
    why = kPathBadEscape;
    return false;
  }
  size = remove_segments(out, size);
  normal = {out, size};
  if (const char* problem = path_problem(normal)) {
    why = problem;
    return false;
  }
  return true;
}

const char* raw_path_problem(std::string_view path) {
  if (path.empty() || path[0] != '/') return "the path does not begin with a slash";
  for (size_t i = 0; i < path.size(); ++i) {
    unsigned char c = internal::at(path, i);
    if (c <= 0x20 || c == 0x7f) return "the path has a control byte or space";
    if (c == '#') return "the target has a fragment";
    if (c == '%' && internal::escape(path, i) == 0) return "the path has an encoded NUL";
  }
  return nullptr;
}

}  // namespace gw
