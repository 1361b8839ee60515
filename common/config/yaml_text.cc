#include "common/config/yaml_text.h"

#include "common/base/text.h"
#include "common/config/utf8.h"

namespace gw {
namespace {

using nlohmann::ordered_json;

constexpr size_t kLine = 76;

bool is_digit(char c) { return c >= '0' && c <= '9'; }

// Null, booleans, merge and value keys of YAML 1.1 and 1.2.
bool is_special_word(std::string_view text) {
  static constexpr std::string_view kWords[] = {"null", "~",     "true",  "false", "yes", "no",
                                                "on",   "off",   "y",     "n",     "<<",  "=",
                                                ".inf", "+.inf", "-.inf", ".nan"};
  std::string word = ascii_lower(text);
  for (std::string_view special : kWords) {
    if (word == special) return true;
  }
  return false;
}

// Anything that some reader takes for a number, a date or a time: 1.0, 0x1F, 1_000, 12:30,
// 2027-01-15, 127.0.0.1.
bool looks_numeric(std::string_view text) {
  if (text[0] == '+' || text[0] == '-') text.remove_prefix(1);
  if (text.empty() || !(is_digit(text[0]) || text[0] == '.')) return false;
  if (text.size() > 1 && text[0] == '0' && (text[1] | 0x20) >= 'a') return true;  // 0x, 0o, 0b
  if (text.size() >= 8 && is_digit(text[3]) && text[4] == '-') return true;       // a date
  return text.find_first_not_of("0123456789_.,:eE+-") == std::string_view::npos;
}

bool is_plain_safe(std::string_view text) {
  if (text.empty() || is_special_word(text) || looks_numeric(text)) return false;
  constexpr std::string_view kFirst = "-?:,[]{}#&*!|>'\"%@` ";
  if (kFirst.find(text[0]) != std::string_view::npos) return false;
  if (text.back() == ' ' || text.back() == ':') return false;
  for (size_t i = 0; i < text.size(); ++i) {
    unsigned char c = static_cast<unsigned char>(text[i]);
    if (c < 0x20 || c >= 0x7f) return false;
    if (std::string_view(",[]{}?").find(text[i]) != std::string_view::npos) return false;
    if (c == ':' && text[i + 1] == ' ') return false;  // not the last byte: checked above
    if (c == '#' && text[i - 1] == ' ') return false;  // nor the first
  }
  return true;
}

std::string double_quoted(std::string_view text) {
  static constexpr char kHex[] = "0123456789ABCDEF";
  std::string out = "\"";
  for (size_t i = 0; i < text.size();) {
    unsigned char c = static_cast<unsigned char>(text[i]);
    size_t length = c < 0x80 ? 1 : utf8_length(text.substr(i));
    if (length == 0) length = 1;
    std::string_view character = text.substr(i, length);
    i += length;
    if (c == '"' || c == '\\') {
      out.append(1, '\\').append(character);
    } else if (c == '\n') {
      out += "\\n";
    } else if (c == '\t') {
      out += "\\t";
    } else if (c < 0x20 || c == 0x7f) {
      out.append("\\x").append(1, kHex[c >> 4]).append(1, kHex[c & 15]);
    } else if (character == "\xc2\x85") {  // next line
      out += "\\u0085";
    } else if (character == "\xe2\x80\xa8") {  // line separator
      out += "\\u2028";
    } else if (character == "\xe2\x80\xa9") {  // paragraph separator
      out += "\\u2029";
    } else if (character == "\xef\xbb\xbf") {  // byte order mark
      out += "\\uFEFF";
    } else {
      out += character;
    }
  }
  return out += '"';
}

// Within [] and {} some readers end a plain text at any colon.
std::string within_brackets(const std::string& text) {
  return text.find(':') == std::string::npos ? yaml_scalar(text) : double_quoted(text);
}

std::string scalar(const ordered_json& value) {
  return value.is_string() ? yaml_scalar(value.get_ref<const std::string&>()) : value.dump();
}

void block(const ordered_json& mapping, size_t indent, bool first_inline, std::string& out);

// What follows `key:` or `-`, up to and with the newline. `column`: width of what stands before on
// the line.
void value_after(const ordered_json& value, size_t indent, size_t column, bool after_dash,
                 std::string& out) {
  bool nested = value.is_structured() && !value.empty();
  bool scalars = value.is_array();
  for (const ordered_json& item : value) scalars = scalars && !item.is_structured();
  std::string line = nested && !scalars ? std::string() : yaml_flow(value);
  if (!nested || (scalars && column + line.size() <= kLine)) {
    out.append(" ").append(line).append("\n");
    return;
  }
  if (value.is_object()) {
    if (after_dash) {
      out += ' ';
    } else {
      out += '\n';
    }
    block(value, indent + 2, after_dash, out);
    return;
  }
  out += '\n';
  for (const ordered_json& item : value) {
    out.append(indent + 2, ' ').append("-");
    value_after(item, indent + 2, indent + 3, true, out);
  }
}

void block(const ordered_json& mapping, size_t indent, bool first_inline, std::string& out) {
  bool first = first_inline;
  for (const auto& [key, value] : mapping.items()) {
    if (!first) out.append(indent, ' ');
    first = false;
    std::string name = yaml_scalar(key);
    out.append(name).append(":");
    value_after(value, indent, indent + name.size() + 1, false, out);
  }
}

}  // namespace

std::string yaml_scalar(std::string_view text) {
  return is_plain_safe(text) ? std::string(text) : double_quoted(text);
}

std::string yaml_flow(const ordered_json& value) {
  if (!value.is_structured()) return scalar(value);
  std::string out(1, value.is_array() ? '[' : '{');
  bool first = true;
  for (const auto& [key, item] : value.items()) {
    if (!first) out += ", ";
    first = false;
    if (value.is_object()) out += within_brackets(key) + ": ";
    out += item.is_string() ? within_brackets(item.get_ref<const std::string&>()) : yaml_flow(item);
  }
  return out += value.is_array() ? ']' : '}';
}

std::string yaml_block(const ordered_json& mapping) {
  std::string out;
  block(mapping, 0, false, out);
  return out;
}

}  // namespace gw
