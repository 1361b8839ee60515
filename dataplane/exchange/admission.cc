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

// By an operator's switch. `answer` null: it is not.
bool Exchange::stopped(LocalResponse* answer, Counter counter) {
  if (answer == nullptr) return false;
  env_.stats->count(counter);
  if (counter == Counter::kRequestsBlocked) close_ = true;
  respond(*answer, {});
  return true;
}

}  // namespace gw
