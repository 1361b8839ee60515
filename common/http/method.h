#pragma once

#include <cstdint>
#include <string_view>

namespace gw {

// Methods are case-sensitive tokens (RFC 9110 §9.1). kOther keeps its text beside it.
enum class Method : uint8_t { kGet, kHead, kPost, kPut, kDelete, kPatch, kOptions, kTrace, kConnect, kOther };

Method parse_method(std::string_view text);
// Whether requests with it are let in, over any version of HTTP: the methods that the parser of HTTP/1 knows, so that none comes
// in over HTTP/2 that could not over HTTP/1.
bool is_known_method(std::string_view text);
// "_OTHER" for kOther: the label of metrics.
std::string_view method_name(Method method);
// RFC 9110 §9.2.2: sending it twice has the effect of once.
bool is_idempotent(Method method);
// A set of methods as bits; kOther is never in it.
inline uint16_t method_bit(Method method) { return static_cast<uint16_t>(1u << static_cast<unsigned>(method)); }

}  // namespace gw
