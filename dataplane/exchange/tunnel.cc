#include "dataplane/exchange/tunnel.h"

namespace gw {
namespace {

// Close, "going away" (RFC 6455 §5.5.1, §7.4.1), not masked: from a server.
constexpr std::string_view kGoingAway = "\x88\x02\x03\xe9";

}  // namespace

std::string_view end_name(Tunnel::End end) {
  constexpr std::string_view kNames[] = {"client", "upstream", "idle", "drain"};
  return kNames[static_cast<size_t>(end)];
}

Tunnel::Tunnel(const Setup& setup)
    : setup_(setup),
      idle_timer_([](void* self) { static_cast<Tunnel*>(self)->idle(); }, this),
      drain_timer_([](void* self) { static_cast<Tunnel*>(self)->draining(); }, this) {}

Tunnel::~Tunnel() = default;

void Tunnel::start() {
  ++setup_.stats->gauges().tunnels;
  setup_.stats->count(Counter::kTunnels);
  touch();
  setup_.upstream->open_tunnel(*this);
  setup_.downstream->open_tunnel(*setup_.response, *this);
}

void Tunnel::touch() {
  if (!closing_) setup_.loop->arm(idle_timer_, setup_.idle_ms);
}

void Tunnel::on_request_data(std::string_view piece, bool, const HeaderList*) {
  if (ended_) return;
  touch();
  result_.from_client += piece.size();
  setup_.stats->count(Counter::kTunnelBytesIn, piece.size());
  setup_.upstream->send_data(piece, false, nullptr);
  if (!client_paused_ && setup_.upstream->queued() > kHighWater) {
    client_paused_ = true;
    setup_.downstream->pause_request();
  }
}

void Tunnel::on_upstream_drained() {
  if (ended_ || !client_paused_) return;
  client_paused_ = false;
  setup_.downstream->resume_request();
}

void Tunnel::on_response_data(std::string_view piece, bool last, const HeaderList*) {
  if (ended_) return;
  size_t taken = frames_.feed(piece, closing_);
  if (taken > 0) send_client(piece.substr(0, taken));
  if (last) {
    finish(End::kUpstream, false);
  } else if (closing_ && frames_.at_boundary()) {
    close_now();
  }
}

void Tunnel::send_client(std::string_view piece) {
  touch();
  result_.from_upstream += piece.size();
  setup_.stats->count(Counter::kTunnelBytesOut, piece.size());
  setup_.downstream->send_data(piece, false, nullptr);
  if (!upstream_paused_ && setup_.downstream->queued() > kHighWater) {
    upstream_paused_ = true;
    setup_.upstream->pause_response();
  }
}

void Tunnel::on_downstream_drained() {
  if (ended_ || !upstream_paused_) return;
  upstream_paused_ = false;
  setup_.upstream->resume_response();
}

void Tunnel::on_downstream_draining() {
  if (!ended_ && !drain_timer_.armed()) setup_.loop->arm(drain_timer_, setup_.grace_ms);
}

void Tunnel::idle() {
  if (closing_) {  // the frame did not end in time
    finish(result_.end, false);
    return;
  }
  setup_.stats->count(Counter::kTunnelIdleTimeouts);
  begin_close(End::kIdle);
}

void Tunnel::draining() {
  if (closing_) return;
  setup_.stats->count(Counter::kTunnelsDrained);
  begin_close(End::kDrain);
}

void Tunnel::begin_close(End end) {
  result_.end = end;
  if (frames_.at_boundary()) {
    close_now();
    return;
  }
  closing_ = true;
  setup_.loop->arm(idle_timer_, kCloseWaitMs);
}

void Tunnel::close_now() {
  if (!frames_.closed()) setup_.downstream->send_data(kGoingAway, false, nullptr);
  finish(result_.end, false);
}

void Tunnel::finish(End end, bool upstream_gone) {
  if (ended_) return;
  ended_ = true;
  idle_timer_.cancel();
  drain_timer_.cancel();
  --setup_.stats->gauges().tunnels;
  result_.end = closing_ ? result_.end : end;
  result_.upstream_gone = upstream_gone;
  setup_.ended(setup_.owner, result_);
}

}  // namespace gw
