#include "common/http/headers.h"

#include <array>
#include <cstring>
#include <iterator>

namespace gw {
namespace {

constexpr char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c; }

constexpr std::array<bool, 256> make_tchar() {
  std::array<bool, 256> t{};
  for (int c = '0'; c <= '9'; ++c) t[c] = true;
  for (int c = 'a'; c <= 'z'; ++c) t[c] = true;
  for (int c = 'A'; c <= 'Z'; ++c) t[c] = true;
  for (char c : std::string_view("!#$%&'*+-.^_`|~")) t[static_cast<unsigned char>(c)] = true;
  return t;
}
constexpr std::array<bool, 256> kTchar = make_tchar();

// Eight bytes, or the fewer that there are, as a number; equal numbers of equally long texts are equal texts.
uint64_t load8(const char* at) {
  uint64_t word;
  std::memcpy(&word, at, 8);
  return word;
}
uint64_t load_short(const char* at, size_t size) {
  if (size >= 4) {
    uint32_t front, back;
    std::memcpy(&front, at, 4);
    std::memcpy(&back, at + size - 4, 4);
    return uint64_t{front} << 32 | back;
  }
  uint64_t word = 0;
  for (size_t i = 0; i < size; ++i) word = word << 8 | static_cast<unsigned char>(at[i]);
  return word;
}

// A to Z in each of the eight bytes becomes a to z.
uint64_t lower8(uint64_t word) {
  constexpr uint64_t kEach = 0x0101010101010101;
  uint64_t low = word & (0x7f * kEach);
  uint64_t from_a = low + (0x80 - 'A') * kEach, past_z = low + (0x7f - 'Z') * kEach;
  return word | ((~word & (from_a ^ past_z) & (0x80 * kEach)) >> 2);
}

bool same8(uint64_t a, uint64_t b) { return a == b || lower8(a) == lower8(b); }

struct Known {
  std::string_view name;
  HeaderId id;
};
constexpr Known kKnown[] = {
    {"host", HeaderId::kHost},
    {"connection", HeaderId::kConnection},
    {"content-length", HeaderId::kContentLength},
    {"content-type", HeaderId::kContentType},
    {"transfer-encoding", HeaderId::kTransferEncoding},
    {"te", HeaderId::kTe},
    {"trailer", HeaderId::kTrailer},
    {"upgrade", HeaderId::kUpgrade},
    {"expect", HeaderId::kExpect},
    {"keep-alive", HeaderId::kKeepAlive},
    {"proxy-connection", HeaderId::kProxyConnection},
    {"proxy-authenticate", HeaderId::kProxyAuthenticate},
    {"proxy-authorization", HeaderId::kProxyAuthorization},
    {"proxy", HeaderId::kProxy},
    {"forwarded", HeaderId::kForwarded},
    {"x-forwarded-for", HeaderId::kXForwardedFor},
    {"x-forwarded-proto", HeaderId::kXForwardedProto},
    {"x-forwarded-host", HeaderId::kXForwardedHost},
    {"x-real-ip", HeaderId::kXRealIp},
    {"x-request-id", HeaderId::kXRequestId},
    {"x-original-url", HeaderId::kXRewrite},
    {"x-rewrite-url", HeaderId::kXRewrite},
    {"x-envoy-original-path", HeaderId::kXRewrite},
    {"traceparent", HeaderId::kTraceparent},
    {"tracestate", HeaderId::kTracestate},
    {"authorization", HeaderId::kAuthorization},
    {"cookie", HeaderId::kCookie},
    {"set-cookie", HeaderId::kSetCookie},
    {"origin", HeaderId::kOrigin},
    {"access-control-request-method", HeaderId::kAccessControlRequestMethod},
    {"access-control-request-headers", HeaderId::kAccessControlRequestHeaders},
    {"accept", HeaderId::kAccept},
    {"user-agent", HeaderId::kUserAgent},
    {"date", HeaderId::kDate},
    {"server", HeaderId::kServer},
    {"via", HeaderId::kVia},
    {"location", HeaderId::kLocation},
    {"retry-after", HeaderId::kRetryAfter},
    {"vary", HeaderId::kVary},
};
constexpr uint8_t kNone = 0xff;

// The factors make the known names differ; the table's maker stops the build when two do not.
constexpr size_t known_slot(std::string_view name) {
  return (name.size() * 34 + static_cast<size_t>(lower(name.front())) * 43 + static_cast<size_t>(lower(name.back())) * 13) % 128;
}
constexpr std::array<uint8_t, 128> make_known_slots() {
  std::array<uint8_t, 128> slots{};
  for (uint8_t& slot : slots) slot = kNone;
  for (uint8_t i = 0; i < std::size(kKnown); ++i) {
    uint8_t& slot = slots[known_slot(kKnown[i].name)];
    if (slot != kNone) throw "two known header names have the same slot: choose other factors in known_slot()";
    slot = i;
  }
  return slots;
}
constexpr std::array<uint8_t, 128> kKnownSlots = make_known_slots();

bool starts(std::string_view name, std::string_view word) {
  return name.size() >= word.size() && equals_ignore_case(name.substr(0, word.size()), word);
}

}  // namespace

HeaderId header_id(std::string_view name) {
  if (name.empty()) return HeaderId::kOther;
  uint8_t slot = kKnownSlots[known_slot(name)];
  if (slot != kNone && equals_ignore_case(name, kKnown[slot].name)) return kKnown[slot].id;
  if (lower(name[0]) != 'x') return HeaderId::kOther;
  if (starts(name, "x-forwarded-")) return HeaderId::kXForwardedOther;
  if (starts(name, "x-gw-")) return HeaderId::kXGateway;
  return HeaderId::kOther;
}

bool equals_ignore_case(std::string_view a, std::string_view b) {
  const size_t size = a.size();
  if (size != b.size()) return false;
  if (size < 8) return same8(load_short(a.data(), size), load_short(b.data(), size));
  for (size_t i = 0; i + 8 < size; i += 8) {
    if (!same8(load8(a.data() + i), load8(b.data() + i))) return false;
  }
  return same8(load8(a.data() + size - 8), load8(b.data() + size - 8));
}

bool is_token(std::string_view text) {
  for (char c : text) {
    if (!kTchar[static_cast<unsigned char>(c)]) return false;
  }
  return !text.empty();
}

bool is_field_value(std::string_view text) {
  for (char c : text) {
    unsigned char u = static_cast<unsigned char>(c);
    if ((u < 0x20 && u != '\t') || u == 0x7f) return false;
  }
  return true;
}

const HeaderField* HeaderList::find(std::string_view name) const {
  for (const HeaderField& f : fields_) {
    if (f.id != HeaderId::kRemoved && equals_ignore_case(f.name, name)) return &f;
  }
  return nullptr;
}

size_t HeaderList::count(std::string_view name) const {
  size_t n = 0;
  for (const HeaderField& f : fields_) n += f.id != HeaderId::kRemoved && equals_ignore_case(f.name, name);
  return n;
}

void HeaderList::remove(HeaderId id) {
  if (!maybe_has(id)) return;
  for (HeaderField& f : fields_) {
    if (f.id == id) f.id = HeaderId::kRemoved;
  }
}

void HeaderList::remove(std::string_view name) {
  for (HeaderField& f : fields_) {
    if (f.id != HeaderId::kRemoved && equals_ignore_case(f.name, name)) f.id = HeaderId::kRemoved;
  }
}

}  // namespace gw
