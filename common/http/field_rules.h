// Which fields go from one connection to another, as sets of header_bit().
#pragma once

#include <cstdint>

#include "common/http/headers.h"

namespace gw {

constexpr uint64_t header_bit(HeaderId id) { return uint64_t{1} << static_cast<unsigned>(id); }

// Of one connection alone, or written anew for each.
inline constexpr uint64_t kNotForwarded =
    header_bit(HeaderId::kRemoved) | header_bit(HeaderId::kConnection) | header_bit(HeaderId::kContentLength) |
    header_bit(HeaderId::kTransferEncoding) | header_bit(HeaderId::kTe) | header_bit(HeaderId::kTrailer) |
    header_bit(HeaderId::kUpgrade) | header_bit(HeaderId::kKeepAlive) | header_bit(HeaderId::kProxyConnection) |
    header_bit(HeaderId::kProxyAuthenticate) | header_bit(HeaderId::kProxyAuthorization) | header_bit(HeaderId::kHost);

// Fields that mean something before the body: nobody may say them behind it (RFC 9110 §6.5.1).
inline constexpr uint64_t kNotInTrailers =
    kNotForwarded | header_bit(HeaderId::kAuthorization) | header_bit(HeaderId::kCookie) | header_bit(HeaderId::kSetCookie) |
    header_bit(HeaderId::kContentType) | header_bit(HeaderId::kExpect) | header_bit(HeaderId::kXForwardedFor) |
    header_bit(HeaderId::kXForwardedProto) | header_bit(HeaderId::kXForwardedHost) | header_bit(HeaderId::kXForwardedOther) |
    header_bit(HeaderId::kForwarded) | header_bit(HeaderId::kXRealIp) | header_bit(HeaderId::kXRequestId) |
    header_bit(HeaderId::kXGateway) | header_bit(HeaderId::kXRewrite) | header_bit(HeaderId::kProxy) |
    header_bit(HeaderId::kTraceparent) | header_bit(HeaderId::kTracestate) | header_bit(HeaderId::kOrigin) |
    header_bit(HeaderId::kLocation) | header_bit(HeaderId::kRetryAfter) | header_bit(HeaderId::kVary) | header_bit(HeaderId::kVia);

}  // namespace gw
