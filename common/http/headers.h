// Header fields of one message, in order. Names and values are views into memory that its owner keeps for the whole
// exchange: the read block, the exchange's arena, or the snapshot.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace gw {

// Fields that the gateway itself looks at. kOther is any other name; kRemoved marks a removed field.
enum class HeaderId : uint8_t {
  kOther,
  kRemoved,
  kHost,
  kConnection,
  kContentLength,
  kContentType,
  kTransferEncoding,
  kTe,
  kTrailer,
  kUpgrade,
  kExpect,
  kKeepAlive,
  kProxyConnection,
  kProxyAuthenticate,
  kProxyAuthorization,
  kProxy,
  kForwarded,
  kXForwardedFor,
  kXForwardedProto,
  kXForwardedHost,
  kXForwardedOther,  // any other x-forwarded-*
  kXRealIp,
  kXRequestId,
  kXGateway,  // x-gw-*
  kXRewrite,  // x-original-url, x-rewrite-url, x-envoy-original-path: paths that some upstreams believe
  kTraceparent,
  kTracestate,
  kAuthorization,
  kCookie,
  kSetCookie,
  kOrigin,
  kAccessControlRequestMethod,
  kAccessControlRequestHeaders,
  kAccept,
  kUserAgent,
  kDate,
  kServer,
  kVia,
  kLocation,
  kRetryAfter,
  kVary,
  kCount,
};

// By name, in any case.
HeaderId header_id(std::string_view name);

bool equals_ignore_case(std::string_view a, std::string_view b);
// RFC 9110 §5.6.2 token; empty is not one.
bool is_token(std::string_view text);
// No CR, LF, NUL or other control byte but HTAB (RFC 9110 §5.5); bytes above 0x7f pass.
bool is_field_value(std::string_view text);
// Walks the comma-separated list `value`, calls fn(member without white space around it) for each that is not empty.
template <class Fn>
void for_each_list_member(std::string_view value, Fn&& fn) {
  size_t at = 0;
  while (at <= value.size()) {
    size_t comma = value.find(',', at);
    if (comma == std::string_view::npos) comma = value.size();
    std::string_view member = value.substr(at, comma - at);
    while (!member.empty() && (member.front() == ' ' || member.front() == '\t')) member.remove_prefix(1);
    while (!member.empty() && (member.back() == ' ' || member.back() == '\t')) member.remove_suffix(1);
    if (!member.empty()) fn(member);
    at = comma + 1;
  }
}

struct HeaderField {
  std::string_view name;
  std::string_view value;
  HeaderId id;
};

class HeaderList {
 public:
  void clear() {
    fields_.clear();
    present_ = 0;
  }
  void add(std::string_view name, std::string_view value) { add(name, value, header_id(name)); }
  void add(std::string_view name, std::string_view value, HeaderId id) {
    fields_.push_back({name, value, id});
    present_ |= bit(id);
  }
  // Quick no: a bit per id that was ever added.
  bool maybe_has(HeaderId id) const { return (present_ & bit(id)) != 0; }

  // First field, or null. `find` by name is for names that are not a HeaderId.
  const HeaderField* find(HeaderId id) const {
    if (!maybe_has(id)) return nullptr;
    for (const HeaderField& f : fields_) {
      if (f.id == id) return &f;
    }
    return nullptr;
  }
  HeaderField* find(HeaderId id) { return const_cast<HeaderField*>(static_cast<const HeaderList*>(this)->find(id)); }
  const HeaderField* find(std::string_view name) const;
  // Value of the first field, or empty.
  std::string_view get(HeaderId id) const {
    const HeaderField* f = find(id);
    return f ? f->value : std::string_view();
  }
  size_t count(std::string_view name) const;
  // Fields stay in place, marked kRemoved, so that iteration over fields() is safe.
  void remove(HeaderId id);
  void remove(std::string_view name);
  // Removes all of that name, then adds one.
  void set(std::string_view name, std::string_view value) {
    remove(name);
    add(name, value);
  }

  // Includes removed ones (id kRemoved).
  const std::vector<HeaderField>& fields() const { return fields_; }
  std::vector<HeaderField>& fields() { return fields_; }
  size_t size() const { return fields_.size(); }

 private:
  static uint64_t bit(HeaderId id) { return uint64_t{1} << static_cast<unsigned>(id); }
  static_assert(static_cast<unsigned>(HeaderId::kCount) <= 64);

  std::vector<HeaderField> fields_;
  uint64_t present_ = 0;
};

}  // namespace gw
