#include "dataplane/telemetry/trace.h"

#include <algorithm>
#include <cstring>

namespace gw {
namespace {

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

// Eight digits for four bytes, all at once.
void write_hex4(const uint8_t* bytes, char* out) {
  constexpr uint64_t kEach = 0x0101010101010101;
  uint32_t four;
  std::memcpy(&four, bytes, 4);
  uint64_t spread = four;  // the first byte is the lowest: the machine is little-endian
  spread = (spread | spread << 16) & 0x0000ffff0000ffff;
  spread = (spread | spread << 8) & 0x00ff00ff00ff00ff;
  uint64_t digits = ((spread >> 4) & 0x000f000f000f000f) | (spread & 0x000f000f000f000f) << 8;
  uint64_t letters = ((digits + 6 * kEach) >> 4) & kEach;
  digits += '0' * kEach + letters * ('a' - '0' - 10);
  std::memcpy(out, &digits, 8);
}

template <size_t N>
char* write_hex(const std::array<uint8_t, N>& bytes, char* out) {
  static_assert(N % 4 == 0);
  for (size_t i = 0; i < N; i += 4) write_hex4(bytes.data() + i, out + 2 * i);
  return out + 2 * N;
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
  std::memcpy(out, "00-", 3);
  out = write_hex(trace_id, out + 3);
  *out++ = '-';
  out = write_hex(span_id, out);
  *out++ = '-';
  *out++ = "0123456789abcdef"[flags >> 4];
  *out = "0123456789abcdef"[flags & 15];
}

void TraceContext::format_trace_id(char* out) const { write_hex(trace_id, out); }

void format_request_id(uint64_t high, uint64_t low, char* out) {
  auto digit = [](uint64_t bits) { return kBase32[bits & 31]; };
  // From the right: twelve digits of `low`, one of both, twelve of `high` and what is left of it.
  for (unsigned i = 0; i < 12; ++i) out[25 - i] = digit(low >> (5 * i));
  out[13] = digit(low >> 60 | high << 4);
  for (unsigned i = 0; i < 12; ++i) out[12 - i] = digit(high >> (1 + 5 * i));
  out[0] = digit(high >> 61);
}

bool is_request_id(std::string_view text) {
  if (text.empty() || text.size() > 64) return false;
  return std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' || c == '_' ||
           c == '.' || c == ':';
  });
}

}  // namespace gw
