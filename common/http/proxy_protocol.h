// The PROXY protocol, versions 1 and 2 (haproxy.org/download/2.8/doc/proxy-protocol.txt): a header before the first byte of a
// TCP connection that says whose connection it is.
//
// Pure functions over bytes; no allocation.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "common/http/address.h"

namespace gw {

struct ProxyHeader {
  // Most bytes of a header: v1's line with its CRLF, v2's with all its TLVs (which are skipped).
  static constexpr size_t kMaxV1 = 107;
  static constexpr size_t kMaxV2 = 16 + 2048;

  // False: the connection is the proxy's own (LOCAL), or of a kind that has no IP address (UNKNOWN, UNSPEC, UNIX): the
  // socket's address holds.
  bool has_addresses = false;
  IpAddress source, destination;
  uint16_t source_port = 0, destination_port = 0;
  size_t size = 0;  // bytes that the header takes
};

enum class ProxyHeaderResult : uint8_t { kMore, kDone, kBad };
// Reads the header at the front of `bytes`, all that has come so far. Never asks for more than kMaxV2 bytes.
ProxyHeaderResult parse_proxy_header(std::string_view bytes, ProxyHeader& out);

// Writes a header into `out` (at least kMaxV1 bytes) and returns its size. Where one address is IPv4 and the other IPv6, both
// are written as IPv6.
size_t write_proxy_v1(const ProxyHeader& header, char* out);
size_t write_proxy_v2(const ProxyHeader& header, char* out);

}  // namespace gw
