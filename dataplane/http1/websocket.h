// The WebSocket handshake of HTTP/1.1, both sides of it (RFC 6455 §4.1, §4.2; RFC 9110 §7.8). Each connection has a key and an
// accept value of its own: what one side said of them is never shown to the other.
#pragma once

#include <string>
#include <string_view>

#include "common/http/message.h"
#include "dataplane/exchange/streams.h"
#include "dataplane/loop/byte_buffer.h"

namespace gw::http1 {

// Checks a client's handshake and takes the fields out that belong to its connection; `key` is its Sec-WebSocket-Key (a view
// into the head's memory). An error: 400, or 426 for a version other than 13; close the connection after it, since what follows
// may not be HTTP.
ProxyError take_websocket_handshake(RequestHead& head, bool http10, std::string_view& key);
// Connection, Upgrade, Sec-WebSocket-Version and Sec-WebSocket-Key, for write_request_head.
std::string websocket_lines(std::string_view key);
// Whether a 101 with these fields agrees to the handshake whose accept value is `accept`; takes Sec-WebSocket-Accept out.
bool agrees_to_websocket(HeaderList& headers, std::string_view accept);
// The 101 for the client whose key is `key`.
void write_switching_head(ByteBuffer& out, const ResponseHead& head, std::string_view key);

}  // namespace gw::http1
