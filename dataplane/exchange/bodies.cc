// Bodies on their way: those that policies look at go through the pipe of each direction, with pauses; large ones that nobody
// looks at are spliced from one connection to the other.

#include "dataplane/exchange/exchange.h"

namespace gw {

void Exchange::request_body(std::string_view piece, bool last, const HeaderList* trailers) {
  if (grpc_ != nullptr && !decode_call(piece, last)) return;
  if (request_pipe_ == nullptr) {
    send_upstream(piece, last, trailers);
    return;
  }
  piped_.clear();
  pipe_request(request_pipe_->write(ctx_, piece, last, piped_), last, trailers);
}

// What the pipe says of a piece; `piped_` holds what may go on.
void Exchange::pipe_request(Decision d, bool last, const HeaderList* trailers) {
  if (d.kind == Decision::Kind::kRespond) {
    const Policy* by = request_pipe_->refused_by();
    respond(*d.response, by != nullptr ? arena_.copy(by->info().owner + "/" + by->info().name) : std::string_view());
    return;
  }
  if (d.kind == Decision::Kind::kPause) {
    step_ = Step::kBodyPaused;
    timer_.cancel();
    if (!request_done_) {
      downstream_->pause_request();
      downstream_paused_ = true;
    }
    return;
  }
  // Policies that collect hold the whole back: the upstream is asked when the first byte may go.
  if (upstream_ == nullptr && record_.attempts == 0) {
    if (piped_.empty() && !last) return;
    piped_last_ = last;
    if (attempt() != Tried::kSent) return;
  }
  forward_piped(last, trailers);
}

void Exchange::forward_piped(bool last, const HeaderList* trailers) {
  if (request_.has_body) {
    send_upstream(piped_, last, trailers);
  } else {
    request_sent();
  }
  if (step_ != Step::kForward) return;
  if (!held_.empty() || held_last_) {
    std::string held;
    held.swap(held_);
    bool held_last = held_last_;
    held_last_ = false;
    request_body(held, held_last, nullptr);
  } else if (downstream_paused_ && !request_done_) {
    downstream_paused_ = false;
    downstream_->resume_request();
    wait_for_request();
  }
}

void Exchange::pipe_response(Decision d, bool last, const HeaderList* trailers) {
  if (d.kind == Decision::Kind::kRespond) {
    if (response_begun_) {
      fail({d.response->reason, ProxyError::Retry::kNever, "a policy refused the answer's body"});
    } else {
      const Policy* by = response_pipe_->refused_by();
      respond(*d.response, by != nullptr ? arena_.copy(by->info().owner + "/" + by->info().name) : std::string_view());
    }
    return;
  }
  if (d.kind == Decision::Kind::kPause) {
    step_ = Step::kResponsePaused;
    timer_.cancel();
    held_.clear();
    held_last_ = last;
    if (!last) {
      upstream_paused_ = true;
      upstream_->pause_response();
    }
    return;
  }
  if (response_head_held_ && (last || !piped_.empty())) {
    if (last && response_.has_body && response_.content_length < 0 && grpc_ == nullptr) response_.content_length = static_cast<int64_t>(piped_.size());
    send_response_head();
  }
  if (!held_.empty()) {
    std::string held;
    held.swap(held_);
    bool held_last = held_last_;
    held_last_ = false;
    if (response_begun_ && !piped_.empty()) send_downstream(piped_, false, nullptr);
    if (step_ == Step::kDone) return;
    piped_.clear();
    pipe_response(response_pipe_->write(ctx_, held, held_last, piped_), held_last, trailers);
    return;
  }
  if (response_begun_) {
    send_downstream(piped_, last, trailers);
  }
  if (step_ == Step::kForward && upstream_paused_ && downstream_->queued() <= kHighWater && upstream_ != nullptr) {
    upstream_paused_ = false;
    upstream_->resume_response();
  }
}

// After the first piece, which has shown that both ends are there.
void Exchange::splice_request() {
  if (downstream_->connection().http2 || upstream_->http2()) return;  // frames are made here
  if (step_ != Step::kForward || request_pipe_ != nullptr || mirror_ != nullptr || replaying_ || downstream_paused_) return;
  if (request_.content_length - static_cast<int64_t>(record_.request_bytes) < kSpliceFrom) return;
  TcpStream* sink = upstream_->splice_sink();
  if (sink != nullptr) env_.stats->count(downstream_->splice_body(*sink) ? Counter::kBodiesSpliced : Counter::kSplicePipesFull);
}

void Exchange::on_request_spliced(uint64_t bytes, bool last, bool full) {
  if (step_ == Step::kDone) return;
  record_.request_bytes += bytes;
  if (last) {
    request_done_ = true;
    downstream_paused_ = false;
    send_upstream({}, true, nullptr);
    return;
  }
  downstream_paused_ = full;
  wait_for(full ? idle_ms_ : body_idle_ms_);
}

void Exchange::splice_response() {
  if (response_pipe_ != nullptr || downstream_->connection().http2 || upstream_->http2()) return;
  if (response_.content_length - static_cast<int64_t>(record_.response_bytes) < kSpliceFrom) return;
  TcpStream* sink = downstream_->splice_sink();
  if (sink != nullptr) env_.stats->count(upstream_->splice_body(*sink) ? Counter::kBodiesSpliced : Counter::kSplicePipesFull);
}

void Exchange::on_response_spliced(uint64_t bytes, bool last, bool full) {
  if (step_ == Step::kDone) return;
  record_.response_bytes += bytes;
  if (last) {
    upstream_paused_ = false;
    send_downstream({}, true, nullptr);
    return;
  }
  upstream_paused_ = full;
  wait_for(full ? kClientStallMs : idle_ms_);
}

}  // namespace gw
