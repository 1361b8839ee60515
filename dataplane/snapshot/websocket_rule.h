// Which pages may open a WebSocket: a browser sends cookies along with a handshake to any host, and says in Origin which page
// asks (RFC 6455 §4.1, §10.2; RFC 6454 §7). Shared by the exchange and by explain. Pure.
#pragma once

#include <string>

#include "common/http/message.h"
#include "dataplane/snapshot/config.h"

namespace gw {

// True where the handshake has no Origin (it does not come from a page), or one that `rule` names; without a list: the origin
// has the request's own host and port. Several Origin fields never pass.
bool origin_allowed(const WebSocketRule& rule, const RequestHead& request);
// "from its own host, idle 60s"
std::string websocket_text(const WebSocketRule& rule);

}  // namespace gw
