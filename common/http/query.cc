// Query parameters and cookies: the rest of uri.h.
#include <cstring>

#include "common/http/escape.h"
#include "common/http/uri.h"

namespace gw {
namespace {

using internal::decode;
using internal::escape;

// Next parameter of `rest`: its raw name and value, and the whole piece.
bool next_parameter(std::string_view& rest, std::string_view& name, std::string_view& value, std::string_view& piece) {
  if (rest.empty()) return false;
  size_t end = rest.find('&');
  piece = rest.substr(0, end);
  rest = end == std::string_view::npos ? std::string_view() : rest.substr(end + 1);
  size_t equals = piece.find('=');
  name = piece.substr(0, equals);
  value = equals == std::string_view::npos ? std::string_view() : piece.substr(equals + 1);
  return true;
}

bool decoded_equals(std::string_view raw, std::string_view text) {
  size_t i = 0;
  for (char wanted : text) {
    if (i >= raw.size()) return false;
    char c = raw[i];
    int value = c == '%' ? escape(raw, i) : -1;
    if (value >= 0) {
      c = static_cast<char>(value);
      i += 3;
    } else {
      if (c == '+') c = ' ';
      ++i;
    }
    if (c != wanted) return false;
  }
  return i == raw.size();
}

}  // namespace

bool query_find(std::string_view query, std::string_view name, Arena& arena, std::string_view& value, size_t* count) {
  std::string_view raw_name, raw_value, piece;
  size_t found = 0;
  while (next_parameter(query, raw_name, raw_value, piece)) {
    if (!decoded_equals(raw_name, name)) continue;
    if (found++ == 0) {
      if (raw_value.find_first_of("%+") == std::string_view::npos) {
        value = raw_value;
      } else {
        char* out = arena.allocate(raw_value.size());
        value = {out, decode(raw_value, out, true)};
      }
      if (!count) return true;
    }
  }
  if (count) *count = found;
  return found > 0;
}

std::string_view query_without(std::string_view query, std::string_view name, Arena& arena) {
  std::string_view rest = query, raw_name, raw_value, piece;
  bool has = false;
  while (!has && next_parameter(rest, raw_name, raw_value, piece)) has = decoded_equals(raw_name, name);
  if (!has) return query;
  char* out = arena.allocate(query.size());
  size_t n = 0;
  bool first = true;
  rest = query;
  while (next_parameter(rest, raw_name, raw_value, piece)) {
    if (decoded_equals(raw_name, name)) continue;
    if (!first) out[n++] = '&';
    first = false;
    std::memcpy(out + n, piece.data(), piece.size());
    n += piece.size();
  }
  return {out, n};
}

std::string_view cookie_find(const HeaderList& headers, std::string_view name) {
  if (!headers.maybe_has(HeaderId::kCookie)) return {};
  for (const HeaderField& f : headers.fields()) {
    if (f.id != HeaderId::kCookie) continue;
    std::string_view rest = f.value;
    while (!rest.empty()) {
      size_t end = rest.find(';');
      std::string_view pair = rest.substr(0, end);
      rest = end == std::string_view::npos ? std::string_view() : rest.substr(end + 1);
      while (!pair.empty() && pair.front() == ' ') pair.remove_prefix(1);
      if (pair.size() > name.size() && pair[name.size()] == '=' && pair.substr(0, name.size()) == name) {
        return pair.substr(name.size() + 1);
      }
    }
  }
  return {};
}

}  // namespace gw
