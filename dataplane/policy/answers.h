// Answers that policies and the pipeline make. All memory is the exchange's arena.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string_view>

#include "dataplane/policy/policy.h"
#include "dataplane/policy/rate_table.h"

namespace gw {

inline LocalResponse* refusal(Arena& arena, Reason reason, std::string_view detail) {
  LocalResponse* r = arena.make<LocalResponse>();
  r->reason = reason;
  r->detail = detail;
  return r;
}

// Adds fields to an answer that has none yet.
void set_headers(Arena& arena, LocalResponse& response, std::initializer_list<HeaderField> fields);

// Decimal digits in the arena.
std::string_view number_text(Arena& arena, int64_t value);

// 429 with Retry-After and RateLimit-Limit, -Remaining, -Reset (seconds, rounded up).
LocalResponse* rate_limited(Arena& arena, int64_t requests, const RateVerdict& verdict, std::string_view detail);

}  // namespace gw
