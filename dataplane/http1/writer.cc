#include "dataplane/http1/writer.h"

#include <array>
#include <charconv>
#include <cstring>

#include "common/http/field_rules.h"

namespace gw::http1 {
namespace {

size_t bound(const HeaderList& headers) {
  size_t size = 0;
  for (const HeaderField& f : headers.fields()) size += f.name.size() + f.value.size() + 4;
  return size;
}

void put_number(ByteBuffer& out, int64_t value) {
  char text[24];
  auto end = std::to_chars(text, text + sizeof text, value).ptr;
  out.put({text, static_cast<size_t>(end - text)});
}

template <size_t N>
void copy_ends(char* to, const char* from, size_t size) {
  char front[N], back[N];
  std::memcpy(front, from, N);
  std::memcpy(back, from + size - N, N);
  std::memcpy(to, front, N);
  std::memcpy(to + size - N, back, N);
}

// Names and values are short: two moves that overlap cost less than a call of memcpy. Returns the end.
char* copy(char* to, std::string_view text) {
  const size_t size = text.size();
  if (size > 32) {
    std::memcpy(to, text.data(), size);
  } else if (size >= 16) {
    copy_ends<16>(to, text.data(), size);
  } else if (size >= 8) {
    copy_ends<8>(to, text.data(), size);
  } else if (size >= 4) {
    copy_ends<4>(to, text.data(), size);
  } else {
    for (size_t i = 0; i < size; ++i) to[i] = text[i];
  }
  return to + size;
}

void put_fields(ByteBuffer& out, const HeaderList& headers, uint64_t skip) {
  for (const HeaderField& f : headers.fields()) {
    if ((header_bit(f.id) & skip) != 0) continue;
    char* at = copy(out.claim(f.name.size() + f.value.size() + 4), f.name);
    *at++ = ':';
    *at++ = ' ';
    at = copy(at, f.value);
    *at++ = '\r';
    *at = '\n';
  }
}

std::string_view phrase(int status) {
  switch (status) {
    case 200: return "OK";
    case 201: return "Created";
    case 202: return "Accepted";
    case 203: return "Non-Authoritative Information";
    case 204: return "No Content";
    case 205: return "Reset Content";
    case 206: return "Partial Content";
    case 300: return "Multiple Choices";
    case 301: return "Moved Permanently";
    case 302: return "Found";
    case 303: return "See Other";
    case 304: return "Not Modified";
    case 307: return "Temporary Redirect";
    case 308: return "Permanent Redirect";
    case 400: return "Bad Request";
    case 401: return "Unauthorized";
    case 402: return "Payment Required";
    case 403: return "Forbidden";
    case 404: return "Not Found";
    case 405: return "Method Not Allowed";
    case 406: return "Not Acceptable";
    case 408: return "Request Timeout";
    case 409: return "Conflict";
    case 410: return "Gone";
    case 411: return "Length Required";
    case 412: return "Precondition Failed";
    case 413: return "Content Too Large";
    case 414: return "URI Too Long";
    case 415: return "Unsupported Media Type";
    case 416: return "Range Not Satisfiable";
    case 417: return "Expectation Failed";
    case 421: return "Misdirected Request";
    case 422: return "Unprocessable Content";
    case 425: return "Too Early";
    case 426: return "Upgrade Required";
    case 428: return "Precondition Required";
    case 429: return "Too Many Requests";
    case 431: return "Request Header Fields Too Large";
    case 451: return "Unavailable For Legal Reasons";
    case 500: return "Internal Server Error";
    case 501: return "Not Implemented";
    case 502: return "Bad Gateway";
    case 503: return "Service Unavailable";
    case 504: return "Gateway Timeout";
    case 505: return "HTTP Version Not Supported";
    case 508: return "Loop Detected";
    default: return "";
  }
}

}  // namespace

bool is_hop_by_hop(HeaderId id) { return (header_bit(id) & kNotForwarded) != 0 && id != HeaderId::kHost; }

void write_request_head(ByteBuffer& out, const RequestHead& head, std::string_view lines) {
  out.reserve(bound(head.headers) + lines.size() + head.method_text.size() + head.target.size() + head.authority.size() + 160);
  out.put(head.method_text);
  out.put(" ");
  out.put(head.target);
  out.put(" HTTP/1.1\r\nHost: ");
  out.put(head.authority);
  out.put("\r\n");
  put_fields(out, head.headers, kNotForwarded);
  if (head.content_length >= 0) {
    out.put("Content-Length: ");
    put_number(out, head.content_length);
    out.put("\r\n");
  } else if (head.has_body) {
    out.put("Transfer-Encoding: chunked\r\n");
  }
  if (!lines.empty()) {
    out.put(lines);
  } else if (head.wants_trailers) {
    out.put("TE: trailers\r\nConnection: TE\r\n");
  }
  out.put("\r\n");
}

void write_response_head(ByteBuffer& out, const ResponseHead& head, bool chunked, ConnectionField connection) {
  out.reserve(bound(head.headers) + 160);
  if (head.status == 200) {
    out.put("HTTP/1.1 200 OK\r\n");
  } else {
    out.put("HTTP/1.1 ");
    put_number(out, head.status);
    out.put(" ");
    out.put(phrase(head.status));
    out.put("\r\n");
  }
  put_fields(out, head.headers, kNotForwarded & ~header_bit(HeaderId::kHost));
  if (chunked) {
    out.put("Transfer-Encoding: chunked\r\n");
  } else if (head.content_length >= 0) {
    out.put("Content-Length: ");
    put_number(out, head.content_length);
    out.put("\r\n");
  }
  if (connection == ConnectionField::kClose) out.put("Connection: close\r\n");
  if (connection == ConnectionField::kKeepAlive) out.put("Connection: keep-alive\r\n");
  out.put("\r\n");
}

void write_chunk_size(ByteBuffer& out, size_t size) {
  char text[20];
  auto end = std::to_chars(text, text + 16, size, 16).ptr;
  *end++ = '\r';
  *end++ = '\n';
  out.append({text, static_cast<size_t>(end - text)});
}

void write_fields(ByteBuffer& out, const HeaderList& headers) {
  out.reserve(bound(headers));
  put_fields(out, headers, kNotForwarded);
}

void write_trailers(ByteBuffer& out, const HeaderList& trailers) {
  out.reserve(bound(trailers));
  put_fields(out, trailers, kNotInTrailers);
}

}  // namespace gw::http1
