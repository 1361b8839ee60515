// The two values by which both ends of a WebSocket handshake know that the other one meant it (RFC 6455 §4). No secrets.
#pragma once

#include <string>
#include <string_view>

namespace gw {

// Length of Sec-WebSocket-Accept.
inline constexpr size_t kWebsocketAcceptSize = 28;

// 16 random bytes in base64, for Sec-WebSocket-Key.
std::string make_websocket_key();
// Whether `text` is 16 bytes in base64 (RFC 6455 §4.2.1, 5).
bool is_websocket_key(std::string_view text);
// Sec-WebSocket-Accept for a key (RFC 6455 §4.2.2, 5.4).
std::string websocket_accept(std::string_view key);

}  // namespace gw
