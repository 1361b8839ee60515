// A request and its answer in the form that HTTP/2 has for them (RFC 9113 §8), and WebSockets (RFC 8441). nghttp2 has seen to the
// frames, to what names and values may consist of, to pseudo fields that stand twice or late, and to Content-Length.
#include <cstring>

#include "common/http/field_rules.h"
#include "dataplane/http2/h2_fields.h"
#include "dataplane/http2/h2_server_session.h"

namespace gw::http2 {
namespace {

constexpr std::string_view kStatus = ":status", kLength = "content-length";
constexpr std::string_view kVersionField = "sec-websocket-version", kKeyField = "sec-websocket-key";
constexpr std::string_view kAcceptField = "sec-websocket-accept";

// Different in every answer: not worth a place in the compression's table.
constexpr uint64_t kEachItsOwn = header_bit(HeaderId::kXRequestId) | header_bit(HeaderId::kTraceparent);

// 1*DIGIT below 2^63, or -1.
int64_t length_of(std::string_view text) {
  if (text.empty() || text.size() > 18) return -1;
  int64_t value = 0;
  for (char c : text) {
    if (c < '0' || c > '9') return -1;
    value = value * 10 + (c - '0');
  }
  return value;
}

struct Pseudo {
  std::string_view method, scheme, authority, path, protocol;
  bool has_path = false, has_authority = false;
};

// Null, or what is wrong.
const char* read_pseudo(const HeaderField& f, Pseudo& out) {
  if (f.name == ":method") {
    out.method = f.value;
  } else if (f.name == ":scheme") {
    out.scheme = f.value;
  } else if (f.name == ":authority") {
    out.authority = f.value;
    out.has_authority = true;
  } else if (f.name == ":path") {
    out.path = f.value;
    out.has_path = true;
  } else if (f.name == ":protocol") {
    out.protocol = f.value;
  } else {
    return "an unknown pseudo field";
  }
  return nullptr;
}

}  // namespace

void RequestStream::recycle() {
  reset_stream();
  early_task_.cancel();
  session_ = nullptr;
  events_ = nullptr;
  next_live_ = prev_live_ = nullptr;
  std::string().swap(early_);
  response_begun_ = websocket_ = tunnel_ = early_end_ = reset_ = false;
  response_has_body_ = true;
}

std::string_view RequestStream::read_head(const Connection::Head& from, RequestHead& head) {
  Pseudo pseudo;
  const char* fault = nullptr;
  size_t cookies = 0;
  const HeaderField* host = nullptr;
  for (const HeaderField& f : from.fields) {
    if (!f.name.empty() && f.name[0] == ':') {
      if (const char* why = read_pseudo(f, pseudo)) fault = why;
      continue;
    }
    head.headers.add(f.name, f.value, f.id);
    switch (f.id) {
      case HeaderId::kCookie:
        ++cookies;
        break;
      case HeaderId::kHost:
        if (host != nullptr) fault = "more than one Host field";
        host = &f;
        break;
      case HeaderId::kContentLength:
        head.content_length = length_of(f.value);
        if (head.content_length < 0) fault = "malformed Content-Length";
        break;
      case HeaderId::kConnection:
      case HeaderId::kKeepAlive:
      case HeaderId::kProxyConnection:
      case HeaderId::kTransferEncoding:
      case HeaderId::kUpgrade:
        fault = "a field that is of HTTP/1 connections";
        break;
      default:
        break;
    }
  }
  head.method_text = pseudo.method;
  head.method = parse_method(pseudo.method);
  head.target = pseudo.path;
  head.has_body = !from.last;
  if (from.too_large) return {};
  if (fault != nullptr) return fault;
  if (pseudo.has_authority && host != nullptr && !equals_ignore_case(pseudo.authority, host->value)) {
    return ":authority and Host differ";
  }
  if (pseudo.has_authority && host == nullptr) head.headers.add("host", pseudo.authority, HeaderId::kHost);
  if (cookies > 1) join_cookies(head.headers);
  if (!pseudo.protocol.empty()) {
    if (head.method != Method::kConnect || pseudo.protocol != "websocket") return "a :protocol other than websocket";
    websocket_ = head.wants_websocket = true;
    head.method = Method::kGet;
    head.method_text = "GET";
    head.has_body = false;
  } else if (head.method == Method::kConnect) {
    return {};  // refused by the exchange, as it is for HTTP/1
  }
  if (head.method == Method::kOther && !is_known_method(pseudo.method)) return "a :method that is not known";
  if (pseudo.scheme != "http" && pseudo.scheme != "https") return "a :scheme other than http and https";
  if (!pseudo.has_path || pseudo.path.empty() || (pseudo.path[0] != '/' && pseudo.path != "*")) return "malformed :path";
  return {};
}

// Crumbs of cookies become one field (RFC 9113 §8.2.3).
void RequestStream::join_cookies(HeaderList& headers) {
  size_t size = 0;
  for (const HeaderField& f : headers.fields()) {
    if (f.id == HeaderId::kCookie) size += f.value.size() + 2;
  }
  char* at = arena().allocate(size);
  HeaderField* whole = nullptr;
  size_t filled = 0;
  for (HeaderField& f : headers.fields()) {
    if (f.id != HeaderId::kCookie) continue;
    if (whole != nullptr) {
      std::memcpy(at + filled, "; ", 2);
      filled += 2;
      f.id = HeaderId::kRemoved;
    } else {
      whole = &f;
    }
    std::memcpy(at + filled, f.value.data(), f.value.size());
    filled += f.value.size();
  }
  if (whole != nullptr) whole->value = {at, filled};
}

const ConnectionInfo& RequestStream::connection() const { return session_->info_; }

// A piece of the request's body, or what a WebSocket's client says.
void RequestStream::give(std::string_view piece, bool last, const HeaderList* trailers) {
  if (events_ == nullptr) return;
  if (!websocket_) {
    events_->on_request_data(piece, last, trailers);
    return;
  }
  early_end_ = early_end_ || last;
  if (!tunnel_ || !early_.empty()) {
    early_.append(piece);
    session_->connection_.pause(*this);
    return;
  }
  if (!piece.empty()) events_->on_request_data(piece, false, nullptr);
  if (last && events_ != nullptr) events_->on_downstream_closed();
}

// What came behind the handshake before the upstream had agreed.
void RequestStream::give_early() {
  if (events_ == nullptr) return;
  std::string early = std::move(early_);
  early_.clear();
  session_->connection_.resume(*this);
  if (!early.empty()) events_->on_request_data(early, false, nullptr);
  if (events_ != nullptr && early_end_) events_->on_downstream_closed();
  if (events_ != nullptr) events_->on_request_read_done();
}

void RequestStream::write_fields(HeadFields& out, const HeaderList& headers, uint64_t skip) {
  for (const HeaderField& f : headers.fields()) {
    uint64_t bit = header_bit(f.id);
    if ((bit & skip) != 0) continue;
    std::string_view name = lower_case_name(f.name, arena());
    if ((bit & kEachItsOwn) != 0) {
      out.add_unindexed(name, f.value);
    } else {
      out.add(name, f.value);
    }
  }
}

void RequestStream::send_interim(int status, const HeaderList* headers) {
  if (response_begun_) return;
  HeadFields& out = head_fields();
  out.add(kStatus, status, arena());
  if (headers != nullptr) write_fields(out, *headers, kNotForwarded & ~header_bit(HeaderId::kHost));
  session_->connection_.send_interim(*this, out);
}

void RequestStream::send_head(const ResponseHead& head, bool) {
  session_->count_answer();
  response_begun_ = true;
  response_has_body_ = head.has_body;
  HeadFields& out = head_fields();
  out.add(kStatus, head.status, arena());
  write_fields(out, head.headers, kNotForwarded & ~header_bit(HeaderId::kHost));
  if (head.content_length >= 0) out.add(kLength, head.content_length, arena());
  session_->connection_.send_response(*this, out, !head.has_body);
}

void RequestStream::send_data(std::string_view piece, bool last, const HeaderList* trailers) {
  if (!response_has_body_) {
    if (last) session_->connection_.flush(*this);
    return;
  }
  if (!last || trailers == nullptr) {
    session_->connection_.send_data(*this, piece, last, nullptr);
    return;
  }
  HeadFields& out = head_fields();
  write_fields(out, *trailers, kNotInTrailers);
  session_->connection_.send_data(*this, piece, true, &out);
}

ProxyError RequestStream::take_handshake(RequestHead& head) {
  auto bad = [](const char* why) { return ProxyError{Reason::kBadRequest, ProxyError::Retry::kNever, why}; };
  if (!websocket_) return bad("a WebSocket over HTTP/2 begins with an extended CONNECT");
  if (received_all()) return bad("a WebSocket's stream was ended with its handshake");
  const HeaderField* version = head.headers.find(kVersionField);
  if (version == nullptr || head.headers.count(kVersionField) != 1) return bad("no Sec-WebSocket-Version, or several");
  if (version->value != "13") {
    return {Reason::kBadRequest, ProxyError::Retry::kNever, "the version of the WebSocket protocol is not 13", 426};
  }
  head.headers.remove(kVersionField);
  head.headers.remove(kKeyField);
  head.headers.remove(kAcceptField);
  return {};
}

void RequestStream::open_tunnel(const ResponseHead& head, DownstreamEvents& events) {
  events_ = &events;
  tunnel_ = response_begun_ = response_has_body_ = true;
  HeadFields& out = head_fields();
  out.add(kStatus, "200");
  write_fields(out, head.headers, kNotForwarded & ~header_bit(HeaderId::kHost));
  session_->connection_.send_response(*this, out, false);
  session_->connection_.flush(*this);
  if (!early_.empty() || early_end_) session_->loop_.defer(early_task_);
  if (session_->host_.draining()) events.on_downstream_draining();
}

void RequestStream::flush() { session_->connection_.flush(*this); }

size_t RequestStream::queued() const { return session_->connection_.queued(const_cast<RequestStream&>(*this)); }

void RequestStream::pause_request() { session_->connection_.pause(*this); }

void RequestStream::resume_request() { session_->connection_.resume(*this); }

void RequestStream::reset() {
  reset_ = true;
  session_->connection_.reset(*this, Code::kInternalError);
}

void RequestStream::release() {
  events_ = nullptr;
  if (tunnel_ && !reset_) session_->connection_.send_data(*this, {}, true, nullptr);
  session_->connection_.let_go(*this);
}

}  // namespace gw::http2
