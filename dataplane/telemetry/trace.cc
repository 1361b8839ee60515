#include "dataplane/telemetry/trace.h"

#include <algorithm>
#include <cstring>

namespace gw {
namespace {

constexpr char kHex[] = "0123456789abcdef";
constexpr char kBase32[] = "0123456789abcdefghjkmnpqrstvwxyz";

// -1: not a lower-case hexadecimal digit (the specification allows no other).
int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

bool read_hex(std::string_view text, uint8_t* out) {
  for (size_t i = 0; i < text.size(); i += 2) {
    int high = hex_value(text[i]), low = hex_value(text[i + 1]);
    if (high < 0 || low < 0) return false;
    out[i / 2] = static_cast<uint8_t>(high << 4 | low);
  }
  return true;
}

char* write_hex(const uint8_t* bytes, size_t size, char* out) {
  for (size_t i = 0; i < size; ++i) {
    *out++ = kHex[bytes[i] >> 4];
    *out++ = kHex[bytes[i] & 15];
  }
  return out;
}

template <size_t N>
bool all_zero(const std::array<uint8_t, N>& bytes) {
  return std::all_of(bytes.begin(), bytes.end(), [](uint8_t b) { return b == 0; });
}

template <size_t N>
void fill(std::array<uint8_t, N>& out, FastRandom& random) {
  do {
    for (size_t i = 0; i < N; i += 8) {
      uint64_t word = random.next();
      std::memcpy(out.data() + i, &word, 8);
    }
  } while (all_zero(out));
}

}  // namespace

std::optional<TraceContext> TraceContext::parse(std::string_view text) {
  if (text.size() < kTraceparentSize || text[2] != '-' || text[35] != '-' || text[52] != '-') return {};
  uint8_t version = 0;
  TraceContext out;
  if (!read_hex(text.substr(0, 2), &version) || version == 0xff) return {};
  // Version 00 ends here; a later one may go on after a dash.
  if (text.size() > kTraceparentSize && (version == 0 || text[kTraceparentSize] != '-')) return {};
  if (!read_hex(text.substr(3, 32), out.trace_id.data()) || !read_hex(text.substr(36, 16), out.span_id.data()) ||
      !read_hex(text.substr(53, 2), &out.flags)) {
    return {};
  }
  if (all_zero(out.trace_id) || all_zero(out.span_id)) return {};
  return out;
}

TraceContext TraceContext::generate(FastRandom& random) {
  TraceContext out;
  fill(out.trace_id, random);
  fill(out.span_id, random);
  return out;
}

TraceContext TraceContext::child(FastRandom& random) const {
  TraceContext out = *this;
  fill(out.span_id, random);
  return out;
}

void TraceContext::format(char* out) const {
  *out++ = '0';
  *out++ = '0';
  *out++ = '-';
  out = write_hex(trace_id.data(), trace_id.size(), out);
  *out++ = '-';
  out = write_hex(span_id.data(), span_id.size(), out);
  *out++ = '-';
  write_hex(&flags, 1, out);
}

void TraceContext::format_trace_id(char* out) const { write_hex(trace_id.data(), trace_id.size(), out); }

void format_request_id(uint64_t high, uint64_t low, char* out) {
  unsigned __int128 bits = static_cast<unsigned __int128>(high) << 64 | low;
  for (size_t i = kRequestIdSize; i-- > 0;) {
    out[i] = kBase32[static_cast<unsigned>(bits & 31)];
    bits >>= 5;
  }
}

bool is_request_id(std::string_view text) {
  if (text.empty() || text.size() > 64) return false;
  return std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' || c == '_' ||
           c == '.' || c == ':';
  });
}

}  // namespace gw
