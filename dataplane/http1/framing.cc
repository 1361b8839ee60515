#include "dataplane/http1/framing.h"

namespace gw::http1 {
namespace {

Framing bad(const char* why) { return {Framing::Kind::kBad, 0, why}; }

// 1*DIGIT below 2^63; -1 when it is not.
int64_t parse_length(std::string_view text) {
  if (text.empty() || text.size() > 18) return -1;
  int64_t value = 0;
  for (char c : text) {
    if (c < '0' || c > '9') return -1;
    value = value * 10 + (c - '0');
  }
  return value;
}

// The declared framing; kNone when there is none.
Framing declared(const HeaderList& headers, bool http10) {
  bool has_te = headers.maybe_has(HeaderId::kTransferEncoding), has_length = headers.maybe_has(HeaderId::kContentLength);
  if (!has_te && !has_length) return {};
  size_t te = 0, lengths = 0;
  std::string_view te_value, length_value;
  for (const HeaderField& f : headers.fields()) {
    if (f.id == HeaderId::kTransferEncoding) {
      ++te;
      te_value = f.value;
    } else if (f.id == HeaderId::kContentLength) {
      ++lengths;
      length_value = f.value;
    }
  }
  if (te > 0 && lengths > 0) return bad("both Transfer-Encoding and Content-Length");
  if (te > 0) {
    if (http10) return bad("Transfer-Encoding in HTTP/1.0");
    if (te > 1 || !equals_ignore_case(te_value, "chunked")) return bad("Transfer-Encoding other than chunked");
    return {Framing::Kind::kChunked, 0, ""};
  }
  if (lengths > 1) return bad("more than one Content-Length");
  int64_t length = parse_length(length_value);
  if (length < 0) return bad("malformed Content-Length");
  return {Framing::Kind::kLength, length, ""};
}

}  // namespace

Framing request_framing(const HeaderList& headers, bool http10) {
  Framing f = declared(headers, http10);
  if (f.kind == Framing::Kind::kLength && f.length == 0) f.kind = Framing::Kind::kNone;
  return f;
}

Framing response_framing(const HeaderList& headers, int status, Method method, bool http10) {
  Framing f = declared(headers, http10);
  if (f.kind == Framing::Kind::kBad) return f;
  if (method == Method::kHead || status < 200 || status == 204 || status == 304) return {};
  if (f.kind == Framing::Kind::kNone) f.kind = Framing::Kind::kUntilClose;
  if (f.kind == Framing::Kind::kLength && f.length == 0) f.kind = Framing::Kind::kNone;
  return f;
}

bool keeps_alive(const HeaderList& headers, bool http10) {
  bool close = false, keep = false;
  if (headers.maybe_has(HeaderId::kConnection)) {
    for (const HeaderField& f : headers.fields()) {
      if (f.id != HeaderId::kConnection) continue;
      for_each_list_member(f.value, [&](std::string_view member) {
        close = close || equals_ignore_case(member, "close");
        keep = keep || equals_ignore_case(member, "keep-alive");
      });
    }
  }
  return !close && (!http10 || keep);
}

}  // namespace gw::http1
