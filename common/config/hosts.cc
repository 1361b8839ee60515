#include "common/config/hosts.h"

#include "common/base/text.h"
#include "common/http/address.h"

namespace gw {
namespace {

using Fault = std::optional<FormatFault>;

constexpr size_t kMaxHost = 253;
constexpr size_t kMaxLabel = 63;

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_upper(char c) { return c >= 'A' && c <= 'Z'; }

Fault check_label(std::string_view label) {
  if (label.empty()) return FormatFault{"has an empty part between dots", "drop the dot"};
  if (label.size() > kMaxLabel) return FormatFault{"has a part longer than 63 characters", ""};
  for (char c : label) {
    if (is_upper(c)) return FormatFault{"has upper-case letters", "write it in lower case"};
    if (static_cast<unsigned char>(c) >= 0x80)
      return FormatFault{"has letters beyond ASCII", "write its xn-- form"};
    if (c == '*')
      return FormatFault{"has a \"*\" in the wrong place", "a wildcard is *.example.com or *"};
    if (!(c >= 'a' && c <= 'z') && !is_digit(c) && c != '-')
      return FormatFault{"is not a host", ""};
  }
  if (label.front() == '-' || label.back() == '-') {
    return FormatFault{"has a part with \"-\" at its end", ""};
  }
  return std::nullopt;
}

// A host by name or IPv4 address. Other ways to write an address (2130706433, 0x7f.1, 127.1) are
// refused: some resolvers take them, so that they could lead to where a check did not look.
Fault check_host(std::string_view host) {
  if (host.empty()) return FormatFault{"has no host", ""};
  if (host.size() > kMaxHost) return FormatFault{"has a host longer than 253 characters", ""};
  std::string_view rest = host, label;
  while (true) {
    size_t dot = rest.find('.');
    label = rest.substr(0, dot);
    if (Fault fault = check_label(label)) return fault;
    if (dot == std::string_view::npos) break;
    rest.remove_prefix(dot + 1);
  }
  bool number = is_digit(label[0]);  // a top-level name never begins with a digit
  if (number && !IpAddress::parse(host)) {
    return FormatFault{"is an address in an unusual form", "write four decimal numbers: 127.0.0.1"};
  }
  return std::nullopt;
}

// [::1] or a host.
Fault check_host_or_bracketed(std::string_view host) {
  if (host.empty() || host[0] != '[') return check_host(host);
  if (host.back() == ']') {
    auto address = IpAddress::parse(host.substr(1, host.size() - 2));
    if (address && host.find(':') != std::string_view::npos) return std::nullopt;
  }
  return FormatFault{"has a broken IPv6 address", "write it in brackets: [2001:db8::1]"};
}

Fault check_port(std::string_view port) {
  int value = 0;
  for (char c : port) {
    if (!is_digit(c) || value > 65535)
      return FormatFault{"has a wrong port", "ports are 1 to 65535"};
    value = value * 10 + (c - '0');
  }
  if (port.empty() || port[0] == '0' || value > 65535)
    return FormatFault{"has a wrong port", "ports are 1 to 65535"};
  return std::nullopt;
}

struct HostPort {
  std::string_view host;
  std::string_view port;
  bool has_port = false;
};

HostPort split(std::string_view authority) {
  size_t from = authority.empty() || authority[0] != '[' ? 0 : authority.find(']');
  size_t colon = from == std::string_view::npos ? from : authority.find(':', from);
  if (colon == std::string_view::npos) return {authority, {}, false};
  return {authority.substr(0, colon), authority.substr(colon + 1), true};
}

}  // namespace

Fault check_host_pattern(std::string_view text) {
  if (text == "*") return std::nullopt;
  if (text.starts_with("http://") || text.starts_with("https://") ||
      text.find('/') != std::string_view::npos) {
    return FormatFault{"is not a host",
                       "write the host alone, without scheme and path: api.example.com"};
  }
  if (text.find(':') != std::string_view::npos) {
    return FormatFault{"has a port or an IPv6 address",
                       "write the host alone; the port is the listener's"};
  }
  if (text.starts_with("*.")) text.remove_prefix(2);
  return check_host(text);
}

Fault check_host_name(std::string_view text) {
  if (text.find('/') != std::string_view::npos)
    return FormatFault{"is not a host", "write the host alone: api.example.com"};
  HostPort parts = split(text);
  if (Fault fault = check_host_or_bracketed(parts.host)) return fault;
  return parts.has_port ? check_port(parts.port) : std::nullopt;
}

Fault check_target_url(std::string_view text) {
  constexpr std::string_view kCure = "write http://host:port or https://host:port";
  size_t scheme_end = text.find("://");
  if (scheme_end == std::string_view::npos) return FormatFault{"has no scheme", std::string(kCure)};
  std::string_view scheme = text.substr(0, scheme_end);
  if (scheme != "http" && scheme != "https") {
    return FormatFault{"has a scheme that a target cannot have", std::string(kCure)};
  }
  std::string_view authority = text.substr(scheme_end + 3);
  if (authority.find('@') != std::string_view::npos) {
    return FormatFault{"has a user name or password in it", std::string(kCure)};
  }
  if (size_t at = authority.find_first_of("/?#\\"); at != std::string_view::npos) {
    return FormatFault{"has a path after the host",
                       "write " + std::string(text.substr(0, scheme_end + 3 + at)) +
                           " and put paths into a Route's rewrite"};
  }
  HostPort parts = split(authority);
  if (Fault fault = check_host_or_bracketed(parts.host)) return fault;
  if (!parts.has_port)
    return FormatFault{"has no port",
                       "write " + std::string(text) + (scheme == "https" ? ":443" : ":80") + ", or the port that is meant"};
  return check_port(parts.port);
}

Fault check_dns_name(std::string_view text) {
  if (IpAddress::parse(text)) {
    return FormatFault{"is an address and no name", "name it in targets: http://" + std::string(text) + ":port"};
  }
  if (text.find(':') != std::string_view::npos) {
    return FormatFault{"has a port", "write the name alone; the port is a field of its own"};
  }
  // Services begin with `_`; else a name is made as hosts are.
  std::string plain(text);
  for (size_t at = plain[0] == '_' ? 0 : plain.find("._"); at != std::string::npos; at = plain.find("._", at)) {
    plain.erase(plain[at] == '_' ? at : at + 1, 1);
  }
  return check_host(plain);
}

Fault check_server_address(std::string_view text) {
  constexpr std::string_view kCure = "write 10.0.0.2, 10.0.0.2:5353 or [::1]:53";
  if (IpAddress::parse(text)) return std::nullopt;
  HostPort parts = split(text);
  std::string_view host = parts.host;
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') host = host.substr(1, host.size() - 2);
  if (!IpAddress::parse(host)) return FormatFault{"is not an IP address", std::string(kCure)};
  return parts.has_port ? check_port(parts.port) : std::nullopt;
}

Fault check_origin(std::string_view text) {
  if (text == "*") return std::nullopt;
  constexpr std::string_view kCure =
      "write scheme and host as browsers send them: https://portal.example.com";
  size_t scheme_end = text.find("://");
  if (scheme_end == std::string_view::npos)
    return FormatFault{"is not an origin", std::string(kCure)};
  std::string_view scheme = text.substr(0, scheme_end), authority = text.substr(scheme_end + 3);
  if (ascii_lower(scheme) != "http" && ascii_lower(scheme) != "https") {
    return FormatFault{"is not an origin of http or https", std::string(kCure)};
  }
  if (ascii_lower(text) != text) return FormatFault{"has upper-case letters", "write it in lower case"};
  if (authority.find_first_of("/?#\\@") != std::string_view::npos) {
    return FormatFault{"has more than scheme, host and port", std::string(kCure)};
  }
  HostPort parts = split(authority);
  if (Fault fault = check_host_or_bracketed(parts.host)) return fault;
  if (!parts.has_port) return std::nullopt;
  if ((scheme == "http" && parts.port == "80") || (scheme == "https" && parts.port == "443")) {
    return FormatFault{"has the scheme's usual port, which browsers leave out", "drop the port"};
  }
  return check_port(parts.port);
}

}  // namespace gw
