// W3C trace context and request ids. Values; any thread.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

#include "common/base/random.h"

namespace gw {

struct TraceContext {
  std::array<uint8_t, 16> trace_id{};
  std::array<uint8_t, 8> span_id{};
  uint8_t flags = 0;  // bit 0: sampled

  static constexpr size_t kTraceparentSize = 55;

  // A traceparent header's value (version 00, or a later one's first four fields). Nothing for all-zero ids or version ff.
  static std::optional<TraceContext> parse(std::string_view traceparent);
  static TraceContext generate(FastRandom& random);
  // The same trace, a new span.
  TraceContext child(FastRandom& random) const;
  // "00-<32 hex>-<16 hex>-<2 hex>"; writes exactly kTraceparentSize bytes.
  void format(char* out) const;
  // 32 hex digits.
  void format_trace_id(char* out) const;
};

// Request ids are 26 characters of Crockford's base 32, of 128 random bits.
inline constexpr size_t kRequestIdSize = 26;
void format_request_id(uint64_t high, uint64_t low, char* out);
inline void make_request_id(FastRandom& random, char* out) {
  uint64_t high = random.next();
  format_request_id(high, random.next(), out);
}
// A client's or proxy's id that may be kept: 1 to 64 letters, digits, `-`, `_`, `.`, `:`.
bool is_request_id(std::string_view text);

}  // namespace gw
