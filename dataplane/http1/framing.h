// How long a message's body is (RFC 9112 §6.3). Any doubt is an error: ambiguous framing is how requests are smuggled.
#pragma once

#include <cstdint>

#include "common/http/headers.h"
#include "common/http/method.h"

namespace gw::http1 {

struct Framing {
  enum class Kind : uint8_t { kNone, kLength, kChunked, kUntilClose, kBad };
  Kind kind = Kind::kNone;
  int64_t length = 0;       // kLength; above 0
  const char* why = "";     // kBad
};

Framing request_framing(const HeaderList& headers, bool http10);
// `method` of the request that is answered.
Framing response_framing(const HeaderList& headers, int status, Method method, bool http10);

// Whether the connection lasts beyond this message, as the sender says.
bool keeps_alive(const HeaderList& headers, bool http10);

}  // namespace gw::http1
