// The exchange's part in WebSockets: whether a handshake may go on, and what follows the upstream's agreement.
#include "dataplane/exchange/exchange.h"
#include "dataplane/snapshot/websocket_rule.h"

namespace gw {

// False: it has been answered. Every refusal closes: a client that does not wait for the 101 may have sent frames already.
bool Exchange::admit_websocket(const Route& route) {
  if (route.websocket() == nullptr) {
    refuse(Reason::kBadRequest, "this route takes no WebSocket upgrade", 0, true);
    return false;
  }
  ProxyError fault = downstream_->take_handshake(request_);
  if (fault.status == 426) {  // RFC 6455 §4.4
    HeaderField version{"sec-websocket-version", "13", HeaderId::kOther};
    LocalResponse local{.status = 426, .reason = fault.reason, .detail = fault.detail, .headers = &version, .header_count = 1};
    close_ = true;
    respond(local, {});
    return false;
  }
  if (fault.reason != Reason::kNone) {
    refuse(fault.reason, fault.detail, fault.status, true);
    return false;
  }
  if (!origin_allowed(*route.websocket(), request_)) {
    env_.stats->count(Counter::kTunnelOriginDenied);
    refuse(Reason::kCorsDenied, "this route takes no WebSocket from this origin", 0, true);
    return false;
  }
  return true;
}

// The upstream has agreed: the streams belong to the tunnel from now on, the snapshot stays with this exchange.
void Exchange::start_tunnel() {
  int64_t now_ns = env_.clock->mono_ns();
  attempt_settled(AttemptResult::kOk, now_ns);
  record_.status = response_.status;
  record_.handshake_ns = now_ns - ctx_.now_ns;
  response_begun_ = true;
  step_ = Step::kTunnel;
  timer_.cancel();
  total_timer_.cancel();
  Tunnel::Setup setup;
  setup.loop = env_.loop;
  setup.stats = env_.stats;
  setup.downstream = downstream_;
  setup.upstream = upstream_;
  setup.request = &request_;
  setup.response = &response_;
  setup.idle_ms = ctx_.route->websocket()->idle_ms;
  setup.grace_ms = env_.tunnel_grace_ms;
  setup.ended = [](void* self, const Tunnel::Result& result) { static_cast<Exchange*>(self)->tunnel_ended(result); };
  setup.owner = this;
  tunnel_ = std::make_unique<Tunnel>(setup);
  tunnel_->start();
}

void Exchange::tunnel_ended(const Tunnel::Result& result) {
  if (result.upstream_gone) upstream_ = nullptr;
  record_.request_bytes = result.from_client;
  record_.response_bytes = result.from_upstream;
  record_.ended_by = end_name(result.end);
  finish();
}

}  // namespace gw
