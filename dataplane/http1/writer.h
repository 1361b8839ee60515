// HTTP/1.1 heads, written anew from the parsed form: hop-by-hop fields (RFC 9110 §7.6.1) and the sender's framing never pass.
#pragma once

#include <cstdint>

#include "common/http/message.h"
#include "dataplane/loop/byte_buffer.h"

namespace gw::http1 {

// Fields that belong to one connection, or that the writer makes itself.
bool is_hop_by_hop(HeaderId id);

// Content-Length when head.content_length >= 0, chunked when head.has_body without a length, else none.
// `lines`: further fields, each with its CRLF; of a head with a Connection field of its own.
void write_request_head(ByteBuffer& out, const RequestHead& head, std::string_view lines = {});

enum class ConnectionField : uint8_t { kNone, kClose, kKeepAlive };
// `chunked`: the body follows in chunks; else Content-Length when head.content_length >= 0.
void write_response_head(ByteBuffer& out, const ResponseHead& head, bool chunked, ConnectionField connection);

// "1f40\r\n"
void write_chunk_size(ByteBuffer& out, size_t size);
// Trailer fields with their CRLF; none that may not be a trailer (RFC 9110 §6.5.1).
void write_trailers(ByteBuffer& out, const HeaderList& trailers);
void write_fields(ByteBuffer& out, const HeaderList& headers);

}  // namespace gw::http1
