// SRV records (RFC 2782) out of a name server's reply, with their TTLs. Bytes from outside: anything may be in them. No I/O.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace gw {

struct SrvRecord {
  uint16_t priority = 0, weight = 0, port = 0;
  std::string host;  // lower case, without the last dot
  friend auto operator<=>(const SrvRecord&, const SrvRecord&) = default;
};

struct SrvReply {
  static constexpr size_t kMaxRecords = 1000;  // what is beyond is not looked at

  std::vector<SrvRecord> records;
  uint32_t ttl_s = 0;  // the least of the records and of the aliases on the way to them
};

// The records of the name that was asked for, also by way of aliases (CNAME). Without records: there are none, or the only one
// is "." (the service is not offered). Nullopt: the reply cannot be read.
std::optional<SrvReply> parse_srv_reply(std::string_view message);

}  // namespace gw
