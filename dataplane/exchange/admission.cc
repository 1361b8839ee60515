// Requests that are answered before anything is done for them: too much work, a loop, an operator's switch.

#include "common/http/via.h"
#include "dataplane/exchange/exchange.h"

namespace gw {

// The worker is overloaded: as little work as can be.
void Exchange::shed() {
  env_.stats->count(Counter::kOverloadRefused);
  LocalResponse local;
  local.reason = Reason::kOverload;
  local.detail = "the node is overloaded; ask again later";
  HeaderField retry{"retry-after", "1", HeaderId::kRetryAfter};
  local.headers = &retry;
  local.header_count = 1;
  respond(local, {});
}

// By its Via. False: the request has been answered, for it goes in circles or through too many gateways.
bool Exchange::way_is_free() {
  ViaReading via = read_via(request_.headers, ctx_.gateway->via);
  if (via.others > 0) env_.stats->count(Counter::kStacked);
  bool too_deep = via.others > ctx_.gateway->stacked_gateways;
  if (!via.own && !too_deep) return true;
  env_.stats->count(via.own ? Counter::kLoops : Counter::kStackTooDeep);
  refuse(Reason::kLoop, via.own ? kLoopDetail : kStackDetail);
  return false;
}

// By its listener. False: the request has been answered, for it belongs on TLS, or on a connection that was made for its host.
bool Exchange::door_is_right() {
  const std::shared_ptr<const TlsInfo>& tls = downstream_->connection().tls;
  for (const std::string& name : ctx_.gateway->client_auth_headers) request_.headers.remove(name);
  if (tls != nullptr) {
    ctx_.certificate = tls->client.get();
    if (!tls->covers(request_.host)) {
      refuse(Reason::kMisdirected, "this connection's TLS was made for another host");
      return false;
    }
    return !tls->early || may_come_early();
  }
  if (listener_ == nullptr || !listener_->redirect_to_https) return true;
  std::string to = "https://" + std::string(request_.host);
  if (listener_->https_port != 443) to += ":" + std::to_string(listener_->https_port);
  if (request_.target != "*") to += request_.target;
  LocalResponse local;
  local.status = 308;
  local.has_own_body = true;
  HeaderField location{"location", arena_.copy(to), HeaderId::kLocation};
  local.headers = &location;
  local.header_count = 1;
  respond(local, {});
  return false;
}

// Of early data, which may be a replay (RFC 8470 §5). False: the request has been answered.
bool Exchange::may_come_early() {
  bool safe = request_.method == Method::kGet || request_.method == Method::kHead || request_.method == Method::kOptions;
  env_.stats->count(Counter::kEarlyRequests);
  if (safe && !request_.has_body && !request_.wants_websocket) {
    request_.headers.remove("early-data");
    request_.headers.add("early-data", "1");
    return true;
  }
  env_.stats->count(Counter::kEarlyRefused);
  refuse(Reason::kTooEarly, "the request came before the TLS handshake had ended, and must not be replayed");
  return false;
}

void Exchange::tell_client_certificate() {
  if (ctx_.certificate == nullptr) return;
  request_.headers.add(ctx_.certificate->header, ctx_.certificate->text);
}

// RFC 6797 §7.1: one field, over TLS alone.
void Exchange::add_hsts() {
  if (listener_ == nullptr || listener_->tls.hsts.empty()) return;
  response_.headers.remove("strict-transport-security");
  response_.headers.add("strict-transport-security", listener_->tls.hsts);
}

// By an operator's switch. `answer` null: it is not.
bool Exchange::stopped(LocalResponse* answer, Counter counter) {
  if (answer == nullptr) return false;
  env_.stats->count(counter);
  if (counter == Counter::kRequestsBlocked) close_ = true;
  respond(*answer, {});
  return true;
}

}  // namespace gw
