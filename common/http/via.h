// The Via field (RFC 9110 §7.6.3): a Gateway's own mark in it, and what the marks in a request say of the way that it came.
//
// All nodes of a Gateway have the same mark, so that a request that comes back to any of them is seen.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "common/http/headers.h"

namespace gw {

// "northgate-" and the Gateway's uid in 16 hexadecimal digits: stable over versions, restarts and renames of hosts.
std::string via_pseudonym(uint64_t gateway_uid);

// Why a request is answered with LOOP.
inline constexpr const char* kLoopDetail = "the request passed this gateway before";
inline constexpr const char* kStackDetail = "the request passed more gateways than limits.stackedGateways allows";

struct ViaReading {
  bool own = false;  // the message passed `pseudonym` before
  int others = 0;    // marks of other Northgate gateways
};
// Reads every Via field of a message. What stands in comments counts as well: a forged mark refuses the forger's request alone.
ViaReading read_via(const HeaderList& headers, std::string_view pseudonym);

}  // namespace gw
