// How gwctl writes: tables for people, JSON and YAML for programs. Values; one thread.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace gw::cli {

using Json = nlohmann::ordered_json;

enum class Format { kTable, kWide, kJson, kYaml, kName };
enum class Style { kPlain, kGood, kWarn, kBad, kDim, kBold };

// What the terminal at the other end can do.
struct Paint {
  bool colour = false;
  bool headers = true;
  int columns = 0;  // width to fit into; 0: not a terminal, nothing is cut
};

struct Cell {
  Cell(std::string t = {}, Style s = Style::kPlain) : text(std::move(t)), style(s) {}
  Cell(const char* t) : text(t) {}
  std::string text;
  Style style;
};

struct Column {
  std::string name;
  bool number = false;    // to the right
  bool flexible = false;  // cut with `…` where the terminal is too narrow
};

class Table {
 public:
  explicit Table(std::vector<Column> columns) : columns_(std::move(columns)) {}
  // As many cells as columns.
  void add(std::vector<Cell> row) { rows_.push_back(std::move(row)); }
  bool empty() const { return rows_.empty(); }
  size_t size() const { return rows_.size(); }
  std::string render(const Paint& paint) const;

 private:
  std::vector<Column> columns_;
  std::vector<std::vector<Cell>> rows_;
};

std::string painted(std::string_view text, Style style, const Paint& paint);
// Characters on the screen, not bytes.
size_t display_width(std::string_view utf8);

// Block YAML of a JSON value; strings that YAML 1.1 or 1.2 would read as something else are quoted.
std::string to_yaml_text(const Json& value);
// Two spaces of indentation and a newline at the end.
std::string to_json_text(const Json& value);

// 1234567 -> 1,234,567
std::string with_commas(uint64_t n);
// 93 -> "1 min", as people say how long ago something was: "now", "40 s", "3 min", "2 h", "5 d".
std::string age_text(int64_t seconds);
// 2027-01-15T08:00:00Z; empty for 0.
std::string time_text(int64_t unix_seconds);
// "0.4 s"
std::string seconds_text(double seconds);

}  // namespace gw::cli
