#include "common/http/headers.h"

#include <array>

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

// `word` is lower-case.
bool is(std::string_view name, std::string_view word) {
  if (name.size() != word.size()) return false;
  for (size_t i = 0; i < name.size(); ++i) {
    if (lower(name[i]) != word[i]) return false;
  }
  return true;
}

bool starts(std::string_view name, std::string_view word) { return name.size() >= word.size() && is(name.substr(0, word.size()), word); }

HeaderId x_header(std::string_view name) {
  if (starts(name, "x-forwarded-")) {
    std::string_view rest = name.substr(12);
    if (is(rest, "for")) return HeaderId::kXForwardedFor;
    if (is(rest, "proto")) return HeaderId::kXForwardedProto;
    if (is(rest, "host")) return HeaderId::kXForwardedHost;
    return HeaderId::kXForwardedOther;
  }
  if (starts(name, "x-gw-")) return HeaderId::kXGateway;
  if (is(name, "x-request-id")) return HeaderId::kXRequestId;
  if (is(name, "x-real-ip")) return HeaderId::kXRealIp;
  if (is(name, "x-original-url") || is(name, "x-rewrite-url") || is(name, "x-envoy-original-path")) return HeaderId::kXRewrite;
  return HeaderId::kOther;
}

}  // namespace

HeaderId header_id(std::string_view name) {
  using H = HeaderId;
  if (name.empty()) return H::kOther;
  // One look at the first letter, then few comparisons that mostly fail on the length.
  switch (lower(name[0])) {
    case 'a':
      if (is(name, "accept")) return H::kAccept;
      if (is(name, "authorization")) return H::kAuthorization;
      if (is(name, "access-control-request-method")) return H::kAccessControlRequestMethod;
      if (is(name, "access-control-request-headers")) return H::kAccessControlRequestHeaders;
      return H::kOther;
    case 'c':
      if (is(name, "connection")) return H::kConnection;
      if (is(name, "content-length")) return H::kContentLength;
      if (is(name, "content-type")) return H::kContentType;
      if (is(name, "cookie")) return H::kCookie;
      return H::kOther;
    case 'd': return is(name, "date") ? H::kDate : H::kOther;
    case 'e': return is(name, "expect") ? H::kExpect : H::kOther;
    case 'f': return is(name, "forwarded") ? H::kForwarded : H::kOther;
    case 'h': return is(name, "host") ? H::kHost : H::kOther;
    case 'k': return is(name, "keep-alive") ? H::kKeepAlive : H::kOther;
    case 'l': return is(name, "location") ? H::kLocation : H::kOther;
    case 'o': return is(name, "origin") ? H::kOrigin : H::kOther;
    case 'p':
      if (is(name, "proxy")) return H::kProxy;
      if (is(name, "proxy-connection")) return H::kProxyConnection;
      if (is(name, "proxy-authenticate")) return H::kProxyAuthenticate;
      if (is(name, "proxy-authorization")) return H::kProxyAuthorization;
      return H::kOther;
    case 'r': return is(name, "retry-after") ? H::kRetryAfter : H::kOther;
    case 's':
      if (is(name, "server")) return H::kServer;
      if (is(name, "set-cookie")) return H::kSetCookie;
      return H::kOther;
    case 't':
      if (is(name, "transfer-encoding")) return H::kTransferEncoding;
      if (is(name, "te")) return H::kTe;
      if (is(name, "trailer")) return H::kTrailer;
      if (is(name, "traceparent")) return H::kTraceparent;
      if (is(name, "tracestate")) return H::kTracestate;
      return H::kOther;
    case 'u':
      if (is(name, "user-agent")) return H::kUserAgent;
      if (is(name, "upgrade")) return H::kUpgrade;
      return H::kOther;
    case 'v':
      if (is(name, "via")) return H::kVia;
      if (is(name, "vary")) return H::kVary;
      return H::kOther;
    case 'x': return x_header(name);
    default: return H::kOther;
  }
}

bool equals_ignore_case(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  for (size_t i = 0; i < a.size(); ++i) {
    if (lower(a[i]) != lower(b[i])) return false;
  }
  return true;
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
