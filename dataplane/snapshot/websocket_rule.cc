#include "dataplane/snapshot/websocket_rule.h"

#include <algorithm>

#include "common/base/units.h"

namespace gw {
namespace {

bool same_authority(std::string_view origin, std::string_view authority) {
  size_t at = origin.find("://");
  if (at == std::string_view::npos) return false;
  std::string_view port = equals_ignore_case(origin.substr(0, at), "https") ? ":443" : ":80";
  auto plain = [&](std::string_view text) { return text.ends_with(port) ? text.substr(0, text.size() - port.size()) : text; };
  return equals_ignore_case(plain(origin.substr(at + 3)), plain(authority));
}

}  // namespace

bool origin_allowed(const WebSocketRule& rule, const RequestHead& request) {
  const HeaderField* origin = request.headers.find(HeaderId::kOrigin);
  if (origin == nullptr) return true;
  if (request.headers.count("origin") != 1) return false;
  if (rule.origins.empty()) return same_authority(origin->value, request.authority);
  return std::any_of(rule.origins.begin(), rule.origins.end(), [&](const std::string& allowed) {
    return allowed == "*" || equals_ignore_case(allowed, origin->value);
  });
}

std::string websocket_text(const WebSocketRule& rule) {
  std::string from;
  for (const std::string& origin : rule.origins) from += (from.empty() ? "" : ", ") + (origin == "*" ? "any page" : origin);
  if (from.empty()) from = "pages of its own host";
  return "from " + from + ", idle " + format_duration_ms(rule.idle_ms);
}

}  // namespace gw
