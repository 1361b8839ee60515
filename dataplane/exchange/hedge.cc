#include "dataplane/exchange/hedge.h"

#include <utility>

#include "dataplane/exchange/exchange.h"
#include "dataplane/snapshot/forward.h"

namespace gw {

Hedge::Hedge(Exchange& exchange)
    : exchange_(exchange), timer_([](void* self) { static_cast<Hedge*>(self)->begin(); }, this) {}

void Hedge::arm(Loop& loop, int64_t delay_ms) { loop.arm(timer_, delay_ms); }

void Hedge::begin() {
  Exchange& x = exchange_;
  if (x.step_ != Exchange::Step::kForward || x.upstream_ == nullptr || x.response_begun_ || x.response_head_held_) return;
  if (x.record_.attempts > x.upstream_config_->retry.tries) return;
  if (!x.env_.pool->take_retry(*x.upstream_config_, x.env_.clock->mono_ns())) {
    x.env_.stats->count(Counter::kRetryRefused);
    return;
  }
  ProxyHeader announce;
  UpstreamPool::Ask ask = x.ask_for_target(announce);
  ask.avoid = x.attempt_.endpoint;
  ask.retry = true;
  ask.may_wait = false;
  begun_ns_ = ask.now_ns = x.env_.clock->mono_ns();
  UpstreamPool::Acquired acquired = x.env_.pool->acquire(*x.upstream_config_, *this, ask);
  if (acquired.stream == nullptr) return;  // the first try goes on alone
  attempt_ = acquired.attempt;
  cookie_ = acquired.cookie;
  stream_ = acquired.stream;
  if (attempt_.endpoint == x.attempt_.endpoint) {  // no other target is well
    drop(AttemptResult::kCancelled, 0);
    return;
  }
  ++x.record_.attempts;
  x.env_.stats->retry(*x.upstream_config_, RetryReason::kHedge);
  stream_->send_head(x.request_);
  stream_->flush();
}

void Hedge::drop(AttemptResult result, int status) {
  timer_.cancel();
  if (!running()) return;
  ended(result, status);
  std::exchange(stream_, nullptr)->release();
}

void Hedge::ended(AttemptResult result, int status) {
  Exchange& x = exchange_;
  int64_t now_ns = x.env_.clock->mono_ns();
  x.env_.stats->attempt(*x.upstream_config_, result, now_ns - begun_ns_);
  x.env_.pool->ended(attempt_, result, status, now_ns);
}

void Hedge::take_over() {
  Exchange& x = exchange_;
  won_ = true;
  x.upstream_ = stream_;
  x.attempt_ = attempt_;
  x.attempt_ns_ = begun_ns_;
  x.avoid_ = attempt_.endpoint;
  x.target_cookie_ = {};
  if (cookie_ != 0) x.target_cookie_ = sticky_cookie(x.arena_, x.upstream_config_->balance.name, hex16(x.arena_, cookie_));
  x.record_.target = x.arena_.copy(stream_->target());
}

ResponseHead& Hedge::response_head() { return exchange_.response_; }

void Hedge::on_response_interim(int status, const HeaderList& headers) {
  if (won_) exchange_.on_response_interim(status, headers);
}

void Hedge::on_response_head() {
  Exchange& x = exchange_;
  if (!won_) {
    if (x.response_.status >= 500) {  // no good answer: the first try's may be one
      int status = x.response_.status;
      x.response_.clear();
      drop(AttemptResult::kOk, status);
      return;
    }
    x.attempt_ended(AttemptResult::kCancelled, x.env_.clock->mono_ns());
    x.release_upstream();
    take_over();
  }
  x.on_response_head();
}

void Hedge::on_response_data(std::string_view piece, bool last, const HeaderList* trailers) {
  exchange_.on_response_data(piece, last, trailers);
}

void Hedge::on_response_spliced(uint64_t bytes, bool last, bool full) { exchange_.on_response_spliced(bytes, last, full); }

void Hedge::on_upstream_failed(const ProxyError& error) {
  stream_ = nullptr;
  if (won_) {
    exchange_.on_upstream_failed(error);
  } else {
    ended(Exchange::result_of(error), 0);
  }
}

void Hedge::on_upstream_drained() {
  if (won_) exchange_.on_upstream_drained();
}

void Hedge::on_response_read_done() {
  if (won_) exchange_.on_response_read_done();
}

}  // namespace gw
