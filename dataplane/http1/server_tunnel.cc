// A client's connection that became a tunnel: bytes as they are, until its exchange lets go of it.
#include "dataplane/http1/server_session.h"
#include "dataplane/http1/websocket.h"

namespace gw::http1 {

ProxyError ServerSession::take_handshake(RequestHead& head) {
  return take_websocket_handshake(head, info_.http10, websocket_key_);
}

void ServerSession::open_tunnel(const ResponseHead& head, DownstreamEvents& events) {
  events_ = &events;
  tunnel_ = true;
  keep_alive_ = body_done_ = response_chunked_ = false;
  response_begun_ = response_has_body_ = true;
  ByteBuffer& out = loop_.downstream_scratch();
  out.clear();
  write_switching_head(out, head, websocket_key_);
  if (!stream_.write(out.view()) || peer_ended_) loop_.defer(failed_task_);
  if (pos_ < end_) loop_.defer(next_task_);
  if (!stream_.reading() && !peer_ended_) stream_.read_start();
  if (host_.draining()) events.on_downstream_draining();
}

// What came behind the handshake before the upstream had agreed.
void ServerSession::deliver_early() {
  std::string_view early(block_.data() + pos_, end_ - pos_);
  pos_ = end_;
  if (!early.empty() && events_ != nullptr) events_->on_request_data(early, false, nullptr);
}

void ServerSession::read_tunnel(size_t size) {
  if (state_ == State::kLinger) {
    linger_on(size);
    return;
  }
  deliver_early();
  if (events_ != nullptr) events_->on_request_data({loop_.body_buffer(), size}, false, nullptr);
  if (events_ != nullptr) events_->on_request_read_done();
}

}  // namespace gw::http1
