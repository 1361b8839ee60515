// The PROXY protocol header before the first request of a connection.
#include "common/http/proxy_protocol.h"
#include "dataplane/http1/server_session.h"

namespace gw::http1 {

// False: wait for more bytes, or the connection is closed.
bool ServerSession::read_proxy_header() {
  ProxyHeader header;
  ProxyHeaderResult result = parse_proxy_header({block_.data() + begin_, end_ - begin_}, header);
  if (result == ProxyHeaderResult::kMore) {
    pos_ = end_;
    return false;
  }
  if (result == ProxyHeaderResult::kBad) {
    host_.proxy_header_refused();
    close();
    return false;
  }
  if (header.has_addresses) {
    info_.peer = header.source;
    info_.peer_port = header.source_port;
    info_.local = header.destination;
    info_.local_port = header.destination_port;
    info_.peer_text_size = static_cast<uint8_t>(info_.peer.format(info_.peer_text));
  }
  if (!host_.admit(*this)) {
    close();
    return false;
  }
  begin_ = pos_ = begin_ + header.size;
  state_ = State::kIdle;
  // The header was part of the time that a new connection has to begin; a request's head gets its own.
  loop_.arm(timer_, host_.limits(listener_).head_timeout_ms);
  return true;
}

}  // namespace gw::http1
