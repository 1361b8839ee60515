#include "common/config/paths.h"

#include <vector>

namespace gw {
namespace {

using Fault = std::optional<FormatFault>;

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// Dots, also as %2e, of a segment; 0 when it has anything else.
int dots(std::string_view segment) {
  int count = 0;
  for (size_t i = 0; i < segment.size(); ++count) {
    if (segment[i] == '.') {
      ++i;
    } else if (segment.size() - i >= 3 && segment[i] == '%' && segment[i + 1] == '2' &&
               (segment[i + 2] | 0x20) == 'e') {
      i += 3;
    } else {
      return 0;
    }
  }
  return count;
}

Fault check_escape(std::string_view rest) {
  int high = rest.size() >= 3 ? hex_digit(rest[1]) : -1;
  int low = rest.size() >= 3 ? hex_digit(rest[2]) : -1;
  if (high < 0 || low < 0)
    return FormatFault{"has a \"%\" without two hexadecimal digits",
                       "write %25 for a percent sign"};
  int byte = high << 4 | low;
  if (byte == '/' || byte == '\\') {
    return FormatFault{"has an encoded slash, which no request may have",
                       "match with a template or regex"};
  }
  if (byte < 0x20 || byte == 0x7f) return FormatFault{"has an encoded control byte", ""};
  return std::nullopt;
}

// All but braces, which only templates take.
Fault check_bytes(std::string_view text) {
  if (text.empty() || text[0] != '/') return FormatFault{"does not begin with \"/\"", ""};
  for (size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    unsigned char byte = static_cast<unsigned char>(c);
    if (c == '?') return FormatFault{"has a query", "match on the query with `query`"};
    if (c == '#') return FormatFault{"has a fragment, which clients never send", "drop it"};
    if (c == '\\') return FormatFault{"has a backslash, which no request may have", ""};
    if (c == '*')
      return FormatFault{"has a \"*\"",
                         "a prefix takes all below it; a template takes {name} for one segment"};
    if (byte <= 0x20 || byte == 0x7f)
      return FormatFault{"has a space or control byte", "write a space as %20"};
    if (byte >= 0x80)
      return FormatFault{"has letters beyond ASCII",
                         "write them percent-encoded, as clients send them"};
    if (c == '%') {
      if (Fault fault = check_escape(text.substr(i))) return fault;
    }
  }
  return std::nullopt;
}

// Calls fn(segment) for each between slashes, the one after the last slash included.
template <class Fn>
Fault for_each_segment(std::string_view text, Fn&& fn) {
  text.remove_prefix(1);
  while (true) {
    size_t slash = text.find('/');
    bool last = slash == std::string_view::npos;
    if (Fault fault = fn(text.substr(0, slash), last)) return fault;
    if (last) return std::nullopt;
    text.remove_prefix(slash + 1);
  }
}

Fault check_segment(std::string_view segment, bool last) {
  if (segment.empty() && !last) return FormatFault{"has two slashes in a row", "write one"};
  if (int count = dots(segment); count == 1 || count == 2) {
    return FormatFault{"has a dot segment, which no request may have",
                       "write the path that is meant"};
  }
  return std::nullopt;
}

}  // namespace

Fault check_url_path(std::string_view text) {
  if (Fault fault = check_bytes(text)) return fault;
  if (text.find_first_of("{}") != std::string_view::npos) {
    return FormatFault{"has braces", "only a template takes {name}"};
  }
  return for_each_segment(text, check_segment);
}

Fault check_path_template(std::string_view text) {
  if (Fault fault = check_bytes(text)) return fault;
  std::vector<std::string_view> names;
  return for_each_segment(text, [&](std::string_view segment, bool last) -> Fault {
    if (segment.find_first_of("{}") == std::string_view::npos) return check_segment(segment, last);
    std::string_view name = segment.substr(1, segment.size() >= 2 ? segment.size() - 2 : 0);
    bool good = segment.front() == '{' && segment.back() == '}' && !name.empty() &&
                !(name[0] >= '0' && name[0] <= '9');
    for (char c : name) {
      bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
      good = good && (letter || (c >= '0' && c <= '9'));
    }
    if (!good) {
      return FormatFault{"has braces that are not one whole segment",
                         "a parameter is a segment of its own: /files/{name}"};
    }
    for (std::string_view other : names) {
      if (other == name) return FormatFault{"has a parameter twice", "give each its own name"};
    }
    names.push_back(name);
    return std::nullopt;
  });
}

}  // namespace gw
