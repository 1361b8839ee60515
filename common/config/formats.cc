#include "common/config/formats.h"

#include <re2/re2.h>

#include "common/config/hosts.h"
#include "common/config/paths.h"
#include "common/config/schema.h"
#include "common/http/address.h"
#include "common/http/headers.h"

namespace gw {
namespace {

using Fault = std::optional<FormatFault>;

bool is_lower_or_digit(char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); }

Fault check_name(std::string_view text) {
  static constexpr size_t kMaxName = 63;
  constexpr std::string_view kCure =
      "use lower-case letters, digits and \"-\", with a letter or digit at both ends";
  if (text.empty()) return FormatFault{"is empty", std::string(kCure)};
  if (text.size() > kMaxName) return FormatFault{"is longer than 63 characters", ""};
  for (char c : text) {
    if (!is_lower_or_digit(c) && c != '-') return FormatFault{"is not a name", std::string(kCure)};
  }
  if (text.front() == '-' || text.back() == '-')
    return FormatFault{"is not a name", std::string(kCure)};
  return std::nullopt;
}

Fault check_regex(std::string_view text) {
  static constexpr size_t kMaxRegex = 1'000;
  if (text.empty()) return FormatFault{"is an empty regular expression", ""};
  if (text.size() > kMaxRegex)
    return FormatFault{"is longer than 1,000 characters", "split the route"};
  RE2::Options options(RE2::Quiet);
  options.set_max_mem(1 << 20);
  RE2 regex(re2::StringPiece(text.data(), text.size()), options);
  if (regex.ok()) return std::nullopt;
  return FormatFault{"is not a regular expression of RE2: " + regex.error(),
                     "RE2 has no backreferences and no look-around"};
}

Fault check_cidr(std::string_view text) {
  constexpr std::string_view kCure = "write 10.0.0.0/8, 2001:db8::/32 or a single address";
  if (!Cidr::parse(text)) return FormatFault{"is not an address range", std::string(kCure)};
  size_t slash = text.find('/');
  if (slash == std::string_view::npos) return std::nullopt;
  auto address = IpAddress::parse(text.substr(0, slash));
  if (!address) return FormatFault{"is not an address range", std::string(kCure)};
  size_t bits = 0;
  if (text.size() > slash + 2 && text[slash + 1] == '0')
    return FormatFault{"has a leading zero", std::string(kCure)};
  for (char c : text.substr(slash + 1)) bits = bits * 10 + static_cast<size_t>(c - '0');
  if (address->is_v4()) bits += 96;
  IpAddress network = *address;
  for (size_t bit = bits; bit < 128; ++bit)
    network.bytes[bit / 8] &= static_cast<uint8_t>(~(0x80 >> (bit % 8)));
  if (network == *address) return std::nullopt;
  return FormatFault{
      "has bits set beyond its prefix",
      "write " + network.to_string() + std::string(text.substr(slash)) + ", or the single address"};
}

Fault check_ip_address(std::string_view text) {
  if (IpAddress::parse(text)) return std::nullopt;
  return FormatFault{"is not an IP address", "write 127.0.0.1, \"::1\", 0.0.0.0 or \"::\""};
}

Fault check_header_name(std::string_view text) {
  if (text.find('_') != std::string_view::npos) {
    return FormatFault{"has a \"_\", which many servers read as \"-\"", "write it with \"-\""};
  }
  if (!is_token(text)) return FormatFault{"is not a header field's name", ""};
  return std::nullopt;
}

Fault check_header_value(std::string_view text) {
  if (is_field_value(text)) return std::nullopt;
  return FormatFault{"has a line break or another control byte, which would end the header field",
                     ""};
}

Fault check_method(std::string_view text) {
  if (text == "TRACE" || text == "CONNECT")
    return FormatFault{"is never forwarded", "leave it out"};
  bool upper = !text.empty() && is_token(text);
  for (char c : text) upper = upper && !(c >= 'a' && c <= 'z');
  if (upper) return std::nullopt;
  return FormatFault{"is not a method",
                     "methods are upper-case words: GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"};
}

Fault check_date(std::string_view text) {
  auto digits = [&](size_t at, size_t n) {
    int value = 0;
    for (size_t i = at; i < at + n; ++i) {
      if (text[i] < '0' || text[i] > '9') return -1;
      value = value * 10 + (text[i] - '0');
    }
    return value;
  };
  if (text.size() == 10 && text[4] == '-' && text[7] == '-') {
    static constexpr int kDays[] = {31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int year = digits(0, 4), month = digits(5, 2), day = digits(8, 2);
    bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    if (year >= 1970 && month >= 1 && month <= 12 && day >= 1 && day <= kDays[month - 1] &&
        (month != 2 || day < 29 || leap)) {
      return std::nullopt;
    }
  }
  return FormatFault{"is not a date", "write year-month-day: 2027-01-15"};
}

}  // namespace

Fault check_format(v1::Format format, std::string_view text) {
  switch (format) {
    case v1::NAME:
      return check_name(text);
    case v1::HOST_PATTERN:
      return check_host_pattern(text);
    case v1::URL_PATH:
      return check_url_path(text);
    case v1::PATH_TEMPLATE:
      return check_path_template(text);
    case v1::REGEX:
      return check_regex(text);
    case v1::TARGET_URL:
      return check_target_url(text);
    case v1::CIDR:
      return check_cidr(text);
    case v1::IP_ADDRESS:
      return check_ip_address(text);
    case v1::HEADER_NAME:
      return check_header_name(text);
    case v1::HEADER_VALUE:
      return check_header_value(text);
    case v1::METHOD:
      return check_method(text);
    case v1::DATE:
      return check_date(text);
    case v1::ORIGIN:
      return check_origin(text);
    case v1::HOST_NAME:
      return check_host_name(text);
    case v1::DNS_NAME:
      return check_dns_name(text);
    case v1::SERVER_ADDRESS:
      return check_server_address(text);
    default:
      return std::nullopt;
  }
}

Fault check_reference(std::string_view kind, std::string_view keyword, std::string_view text) {
  if (!keyword.empty() && text == keyword) return std::nullopt;
  size_t slash = text.find('/');
  bool good = slash == std::string_view::npos
                  ? !check_name(text)
                  : kind != "Team" && !check_name(text.substr(0, slash)) &&
                        !check_name(text.substr(slash + 1));
  if (good) return std::nullopt;
  std::string cure = kind == "Team" ? "write the name of a Team"
                                    : "write name or owner/name of a " + std::string(kind);
  if (!keyword.empty()) cure += ", or " + std::string(keyword);
  return FormatFault{"does not name a " + std::string(kind), cure};
}

Fault check_text(std::string_view text) {
  for (char c : text) {
    unsigned char byte = static_cast<unsigned char>(c);
    if ((byte < 0x20 && c != '\n' && c != '\t') || byte == 0x7f)
      return FormatFault{"has a control byte in it", ""};
  }
  return std::nullopt;
}

}  // namespace gw
