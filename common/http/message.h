// Heads of requests and responses, free of the HTTP version that carried them. All views live as long as the exchange.
#pragma once

#include <cstdint>
#include <string_view>

#include "common/http/headers.h"
#include "common/http/method.h"

namespace gw {

struct RequestHead {
  Method method = Method::kGet;
  std::string_view method_text;
  // As the client wrote it, without userinfo: Host, or the authority of an absolute-form target.
  std::string_view authority;
  // `authority` in lower case without the port: what is matched.
  std::string_view host;
  // Origin form: path and query as they are matched and forwarded. "*" for OPTIONS *.
  std::string_view target;
  std::string_view path;
  std::string_view query;  // without '?'; may be empty with has_query
  bool has_query = false;
  // The path is compared as it stands, without decoding (path rule `raw`).
  bool raw_path = false;
  HeaderList headers;
  // A body follows (its length is known when content_length >= 0).
  bool has_body = false;
  int64_t content_length = -1;
  // The client asks for trailers (TE: trailers).
  bool wants_trailers = false;
  // Upgrade: websocket was asked for.
  bool wants_websocket = false;

  void clear() {
    method_text = authority = host = target = path = query = {};
    has_query = raw_path = has_body = wants_trailers = wants_websocket = false;
    content_length = -1;
    headers.clear();
  }
};

struct ResponseHead {
  int status = 0;
  // The upstream spoke HTTP/1.0, or HTTP/2.
  bool http10 = false, http2 = false;
  HeaderList headers;
  // -1: the length is not known before the end.
  int64_t content_length = -1;
  bool has_body = false;

  void clear() {
    status = 0;
    content_length = -1;
    has_body = http10 = http2 = false;
    headers.clear();
  }
};

}  // namespace gw
