#include "common/base/units.h"

#include "common/base/status.h"

namespace gw {
namespace {

struct Unit {
  std::string_view name;
  int64_t size;
};

constexpr Unit kDurations[] = {
    {"d", 86'400'000}, {"h", 3'600'000}, {"m", 60'000}, {"s", 1'000}, {"ms", 1}};
constexpr Unit kSizes[] = {{"TiB", int64_t{1} << 40},
                           {"GiB", int64_t{1} << 30},
                           {"MiB", int64_t{1} << 20},
                           {"KiB", 1024},
                           {"", 1}};

bool is_digit(char c) { return c >= '0' && c <= '9'; }

// Digits at the front of `text`, at most 18 so that nothing overflows; -1 when there are none or
// too many.
int64_t take_number(std::string_view& text) {
  int64_t value = 0;
  size_t n = 0;
  while (n < text.size() && is_digit(text[n])) {
    if (n == 18) return -1;
    value = value * 10 + (text[n] - '0');
    ++n;
  }
  text.remove_prefix(n);
  return n > 0 ? value : -1;
}

std::string_view take_letters(std::string_view& text) {
  size_t n = 0;
  while (n < text.size() && !is_digit(text[n])) ++n;
  std::string_view out = text.substr(0, n);
  text.remove_prefix(n);
  return out;
}

absl::Status wrong_duration(std::string_view what) {
  return invalid_argument(std::string(what) +
                          "; write a duration such as 250ms, 10s, 5m, 1h30m or 1d");
}

absl::Status wrong_size(std::string_view what) {
  return invalid_argument(std::string(what) + "; write a size such as 512, 32KiB, 10MiB or 1GiB");
}

}  // namespace

absl::StatusOr<int64_t> parse_duration_ms(std::string_view text) {
  std::string_view whole = text;
  int64_t total = 0;
  size_t next = 0;  // units must fall
  if (text.empty()) return wrong_duration("is empty");
  while (!text.empty()) {
    if (text[0] == '-') return wrong_duration("is negative");
    int64_t number = take_number(text);
    if (number < 0) return wrong_duration("is not a duration");
    std::string_view name = take_letters(text);
    if (name.empty()) {
      if (next > 0) return wrong_duration("has a number without unit at its end");
      return invalid_argument("has no unit; write " + std::string(whole) + "s for seconds or " +
                              std::string(whole) + "ms for milliseconds");
    }
    if (name.find('.') != std::string_view::npos) return wrong_duration("has a fraction");
    size_t at = 0;
    while (at < std::size(kDurations) && kDurations[at].name != name) ++at;
    if (at == std::size(kDurations)) {
      return wrong_duration("has the unknown unit \"" + std::string(name.substr(0, 16)) + "\"");
    }
    if (at < next) return wrong_duration("has its units out of order or twice");
    next = at + 1;
    int64_t part = 0;
    if (__builtin_mul_overflow(number, kDurations[at].size, &part) ||
        __builtin_add_overflow(total, part, &total)) {
      return wrong_duration("is too long");
    }
  }
  return total;
}

std::string format_duration_ms(int64_t ms) {
  if (ms <= 0) return "0s";
  for (const Unit& unit : kDurations) {
    if (ms % unit.size == 0) return std::to_string(ms / unit.size) + std::string(unit.name);
  }
  return {};  // not reached: ms divides everything
}

absl::StatusOr<int64_t> parse_bytes(std::string_view text) {
  if (text.empty()) return wrong_size("is empty");
  if (text[0] == '-') return wrong_size("is negative");
  int64_t number = take_number(text);
  if (number < 0) return wrong_size("is not a size");
  if (text.size() > 16) return wrong_size("is not a size");
  if (text.substr(0, 1) == ".") return wrong_size("has a fraction");
  for (const Unit& unit : kSizes) {
    if (unit.name != text) continue;
    int64_t total = 0;
    if (__builtin_mul_overflow(number, unit.size, &total)) return wrong_size("is too large");
    return total;
  }
  std::string unit(text);
  char first = static_cast<char>(unit[0] & ~0x20);  // upper case
  bool decimal = unit.size() <= 3 && std::string_view("KMGT").find(first) != std::string_view::npos;
  if (unit == "B" || unit == "b") {
    return invalid_argument("has the unit \"" + unit +
                            "\"; a number of bytes is written without unit");
  }
  if (decimal) {
    return invalid_argument("has the unit \"" + unit +
                            "\", which some read as 1000 and some as 1024; write " +
                            std::to_string(number) + first + "iB (units of 1024)");
  }
  return wrong_size("has the unknown unit " + ("\"" + unit + "\""));
}

std::string format_bytes(int64_t bytes) {
  if (bytes <= 0) return "0";
  for (const Unit& unit : kSizes) {
    if (bytes % unit.size == 0) return std::to_string(bytes / unit.size) + std::string(unit.name);
  }
  return {};  // not reached: 1 divides everything
}

absl::StatusOr<int64_t> parse_percent(std::string_view text) {
  auto wrong = [](std::string_view what) {
    return invalid_argument(std::string(what) + "; write a share such as 5% or 0.5%");
  };
  if (text.empty()) return wrong("is empty");
  if (text[0] == '-') return wrong("is negative");
  if (text.back() != '%') return wrong("has no %");
  text.remove_suffix(1);
  int64_t whole = take_number(text);
  if (whole < 0 || whole > 1'000'000) return wrong("is not a share");
  int64_t part = 0, unit = 1000;  // millionths of the first digit after the point
  if (!text.empty()) {
    if (text[0] != '.' || text.size() < 2) return wrong("is not a share");
    for (char c : text.substr(1)) {
      if (!is_digit(c)) return wrong("is not a share");
      if (unit == 0) return wrong("has more than four digits after the point");
      part += (c - '0') * unit;
      unit /= 10;
    }
  }
  return whole * 10'000 + part;
}

std::string format_percent(int64_t millionths) {
  std::string out = std::to_string(millionths / 10'000);
  if (int64_t part = millionths % 10'000; part != 0) {
    std::string digits = std::to_string(10'000 + part).substr(1);
    while (digits.back() == '0') digits.pop_back();
    out += "." + digits;
  }
  return out + "%";
}

}  // namespace gw
