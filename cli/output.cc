#include "cli/output.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <ctime>

namespace gw::cli {
namespace {

constexpr size_t kNarrowest = 8;
constexpr size_t kGap = 2;

std::string_view escape_of(Style style) {
  switch (style) {
    case Style::kPlain: return "";
    case Style::kGood: return "\x1b[32m";
    case Style::kWarn: return "\x1b[33m";
    case Style::kBad: return "\x1b[31m";
    case Style::kDim: return "\x1b[2m";
    case Style::kBold: return "\x1b[1m";
  }
  return "";
}

// The first `width - 1` characters and `…`.
std::string cut(std::string_view text, size_t width) {
  size_t shown = 0, at = 0;
  while (at < text.size() && shown + 1 < width) {
    ++at;
    while (at < text.size() && (static_cast<unsigned char>(text[at]) & 0xC0) == 0x80) ++at;
    ++shown;
  }
  return std::string(text.substr(0, at)) + "…";
}

// Takes from the widest flexible column until the row fits or nothing can give.
void shrink(std::vector<size_t>& widths, const std::vector<Column>& columns, size_t limit) {
  size_t total = widths.empty() ? 0 : kGap * (widths.size() - 1);
  for (size_t w : widths) total += w;
  while (total > limit) {
    size_t widest = widths.size();
    for (size_t i = 0; i < widths.size(); ++i) {
      if (!columns[i].flexible || widths[i] <= kNarrowest) continue;
      if (widest == widths.size() || widths[i] > widths[widest]) widest = i;
    }
    if (widest == widths.size()) return;
    --widths[widest];
    --total;
  }
}

bool plain_yaml(const std::string& text) {
  if (text.empty() || text.size() > 200) return false;
  static const std::array<std::string_view, 22> kWords = {"y",   "Y",   "n",    "N",    "yes",   "Yes",   "YES", "no",
                                                          "No",  "NO",  "true", "True", "TRUE",  "false", "False", "FALSE",
                                                          "on",  "On",  "ON",   "off",  "Off",   "OFF"};
  if (std::find(kWords.begin(), kWords.end(), text) != kWords.end()) return false;
  if (text == "null" || text == "Null" || text == "NULL" || text == "~") return false;
  // Anything that begins like a number, a date or an indicator is quoted.
  char first = text[0];
  bool letter = (first >= 'a' && first <= 'z') || (first >= 'A' && first <= 'Z') || first == '/' || first == '_';
  if (!letter || text.back() == ' ' || text.back() == ':') return false;
  for (size_t i = 0; i < text.size(); ++i) {
    unsigned char c = static_cast<unsigned char>(text[i]);
    if (c < 0x20 || c == 0x7f) return false;
    if (c == '#' && text[i - 1] == ' ') return false;
    if (c == ':' && i + 1 < text.size() && text[i + 1] == ' ') return false;
  }
  return true;
}

std::string yaml_scalar(const Json& value) {
  if (!value.is_string()) return value.dump();
  const std::string& text = value.get_ref<const std::string&>();
  return plain_yaml(text) ? text : Json(text).dump(-1, ' ', false, Json::error_handler_t::replace);
}

bool is_block(const Json& value) { return value.is_structured() && !value.empty(); }

void write_yaml(const Json& value, size_t indent, std::string& out);

// `lead` is "- " or "key:"; a block value follows on the next lines.
void write_entry(const Json& value, size_t indent, std::string& out) {
  if (is_block(value)) {
    out += '\n';
    write_yaml(value, indent, out);
  } else {
    out += ' ';
    out += value.is_structured() ? value.dump() : yaml_scalar(value);
    out += '\n';
  }
}

void write_yaml(const Json& value, size_t indent, std::string& out) {
  if (value.is_array()) {
    for (const Json& item : value) {
      if (!is_block(item) || item.is_array()) {
        out += std::string(indent, ' ') + "-";
        write_entry(item, indent + 2, out);
        continue;
      }
      std::string inner;
      write_yaml(item, indent + 2, inner);
      inner[indent] = '-';
      out += inner;
    }
    return;
  }
  for (const auto& [key, item] : value.items()) {
    out += std::string(indent, ' ') + yaml_scalar(Json(key)) + ":";
    write_entry(item, item.is_array() ? indent : indent + 2, out);
  }
}

}  // namespace

std::string painted(std::string_view text, Style style, const Paint& paint) {
  if (!paint.colour || style == Style::kPlain || text.empty()) return std::string(text);
  return std::string(escape_of(style)) + std::string(text) + "\x1b[0m";
}

size_t display_width(std::string_view utf8) {
  size_t n = 0;
  for (char c : utf8) n += (static_cast<unsigned char>(c) & 0xC0) != 0x80;
  return n;
}

std::string Table::render(const Paint& paint) const {
  std::vector<size_t> widths(columns_.size(), 0);
  for (size_t i = 0; i < columns_.size(); ++i) {
    if (paint.headers) widths[i] = display_width(columns_[i].name);
    for (const auto& row : rows_) widths[i] = std::max(widths[i], display_width(row[i].text));
  }
  if (paint.columns > 0) shrink(widths, columns_, static_cast<size_t>(paint.columns));
  std::string out;
  auto line = [&](const std::vector<Cell>& row) {
    size_t owed = 0;  // spaces that are written only if something follows
    for (size_t i = 0; i < row.size(); ++i) {
      std::string text = display_width(row[i].text) > widths[i] ? cut(row[i].text, widths[i]) : row[i].text;
      size_t pad = widths[i] - display_width(text);
      if (i > 0) owed += kGap;
      if (columns_[i].number) owed += pad;
      if (!text.empty()) {
        out.append(owed, ' ');
        owed = 0;
        out += painted(text, row[i].style, paint);
      }
      if (!columns_[i].number) owed += pad;
    }
    out += '\n';
  };
  if (paint.headers) {
    std::vector<Cell> head;
    for (const Column& c : columns_) head.emplace_back(c.name, Style::kBold);
    line(head);
  }
  for (const auto& row : rows_) line(row);
  return out;
}

std::string to_yaml_text(const Json& value) {
  if (!is_block(value)) return (value.is_structured() ? value.dump() : yaml_scalar(value)) + "\n";
  std::string out;
  write_yaml(value, 0, out);
  return out;
}

std::string to_json_text(const Json& value) {
  return value.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

std::string with_commas(uint64_t n) {
  std::string digits = std::to_string(n);
  for (size_t at = digits.size(); at > 3;) {
    at -= 3;
    digits.insert(at, 1, ',');
  }
  return digits;
}

std::string age_text(int64_t seconds) {
  if (seconds < 5) return "now";
  if (seconds < 90) return std::to_string(seconds) + " s";
  if (seconds < 90 * 60) return std::to_string((seconds + 30) / 60) + " min";
  if (seconds < 36 * 3600) return std::to_string((seconds + 1800) / 3600) + " h";
  return std::to_string((seconds + 43200) / 86400) + " d";
}

std::string time_text(int64_t unix_seconds) {
  if (unix_seconds == 0) return "";
  std::time_t t = static_cast<std::time_t>(unix_seconds);
  std::tm parts{};
  if (gmtime_r(&t, &parts) == nullptr) return "";
  char text[40];
  size_t n = std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts);
  return std::string(text, n);
}

std::string seconds_text(double seconds) {
  char text[40];
  std::snprintf(text, sizeof text, seconds < 9.95 ? "%.1f s" : "%.0f s", seconds);
  return text;
}

}  // namespace gw::cli
