// What must hold of any bytes read as a name server's reply: used by the fuzz target and by the unit test that walks its corpus.
#pragma once

#include <algorithm>
#include <string_view>

#include "dataplane/loop/srv_reply.h"

namespace gw::fuzz {

// Null: all is well; else what is wrong.
inline const char* check_srv_reply(std::string_view bytes) {
  auto reply = parse_srv_reply(bytes);
  if (!reply) return nullptr;
  if (bytes.size() < 17) return "a reply shorter than a header and a question was read";
  if (reply->records.size() > SrvReply::kMaxRecords || reply->records.size() * 17 > bytes.size()) return "more records than there is room for";
  if (reply->ttl_s > 0x7fffffff) return "a TTL beyond its bound";
  if (!std::is_sorted(reply->records.begin(), reply->records.end())) return "not sorted";
  for (const SrvRecord& r : reply->records) {
    if (r.host.empty() || r.host.size() > 253 || r.port == 0) return "a record that leads nowhere";
    for (char c : r.host) {
      if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.')) return "a host with other characters";
    }
  }
  return nullptr;
}

}  // namespace gw::fuzz
