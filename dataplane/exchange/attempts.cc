// The exchange's way to a target: an attempt, waiting for a connection, and what is tried again after a failure.

#include <algorithm>

#include "dataplane/exchange/exchange.h"
#include "dataplane/exchange/grpc.h"
#include "dataplane/exchange/mirror.h"
#include "dataplane/snapshot/forward.h"

namespace gw {
namespace {

constexpr int kMaxBackoffDoublings = 6;

}  // namespace

AttemptResult Exchange::result_of(const ProxyError& error) {
  if (error.retry == ProxyError::Retry::kSafe) return AttemptResult::kConnect;  // a timeout, too, while no connection stood
  switch (error.reason) {
    case Reason::kUpstreamConnect: return AttemptResult::kConnect;
    case Reason::kUpstreamTimeout: return AttemptResult::kTimeout;
    case Reason::kUpstreamInvalid: return AttemptResult::kInvalid;
    default: return AttemptResult::kReset;
  }
}

// Whether the body is kept while it is sent, so that it can be sent again.
void Exchange::plan_replay() {
  const RetryConfig& config = upstream_config_->retry;
  replaying_ = request_.has_body && config.configured && config.tries > 0 && config.body_bytes > 0 &&
               request_.content_length <= static_cast<int64_t>(config.body_bytes) && (config.on_connect || method_allows_retry() || (grpc_ != nullptr && config.grpc_statuses != 0));
}

void Exchange::keep_for_replay(std::string_view piece, bool last, const HeaderList* trailers) {
  if (replay_.size() + piece.size() > upstream_config_->retry.body_bytes || (trailers != nullptr && trailers->size() > 0)) {
    replaying_ = false;
    replay_.clear();
    return;
  }
  replay_.append(piece);
  replay_last_ = last;
}

// What every try at a target asks for; `announce` must live as long as the answer.
UpstreamPool::Ask Exchange::ask_for_target(ProxyHeader& announce) const {
  UpstreamPool::Ask ask;
  ask.request = &request_;
  ask.client = ctx_.client;
  ask.http2 = grpc_ != nullptr;
  if (upstream_config_->proxy_protocol != v1::UpstreamSpec::PROXY_PROTOCOL_NONE) {
    announce = client_header(ctx_.client, downstream_->connection());
    ask.announce = &announce;
  }
  return ask;
}

// Takes a connection and gives it the request's head. kWaiting: on_upstream_available() goes on. kAnswered: with an error.
Exchange::Tried Exchange::attempt() {
  ProxyHeader announce;
  UpstreamPool::Ask ask = ask_for_target(announce);
  ask.avoid = avoid_;
  ask.fresh = ask.retry = record_.attempts > 0;
  ask.waited = waiting_;
  ask.now_ns = record_.attempts == 0 && !waiting_ ? ctx_.now_ns : env_.clock->mono_ns();
  waiting_ = false;
  UpstreamPool::Acquired acquired = env_.pool->acquire(*upstream_config_, *this, ask);
  if (acquired.wait) {
    waiting_ = true;
    step_ = Step::kWait;
    if (!request_done_ && !downstream_paused_) {
      downstream_->pause_request();
      downstream_paused_ = true;
    }
    if (!ask.waited) env_.loop->arm(timer_, upstream_config_->connect_ms);
    return Tried::kWaiting;
  }
  ++record_.attempts;
  attempt_ns_ = ask.now_ns;
  if (acquired.stream == nullptr) {
    fail(acquired.error);
    return Tried::kAnswered;
  }
  attempt_ = acquired.attempt;
  avoid_ = attempt_.endpoint;
  upstream_ = acquired.stream;
  if (acquired.cookie != 0) {
    target_cookie_ = sticky_cookie(arena_, upstream_config_->balance.name, hex16(arena_, acquired.cookie));
  } else {
    target_cookie_ = {};
  }
  record_.target = arena_.copy(upstream_->target());
  // Trailers do not cross from one version to the other.
  if (request_.wants_trailers && upstream_->http2() != downstream_->connection().http2 && (grpc_ == nullptr || grpc_->web == nullptr)) {
    request_.wants_trailers = false;
  }
  if (grpc_ != nullptr) tell_deadline(ask.now_ns);
  upstream_->send_head(request_);
  if (ctx_.route->mirror() != nullptr && record_.attempts == 1) {
    mirror_ = env_.mirrors->begin(*ctx_.route, *tables_->tables.snapshot, request_);
  }
  return Tried::kSent;
}

void Exchange::on_upstream_available() {
  if (step_ != Step::kWait) return;
  step_ = Step::kForward;
  bool again = record_.attempts > 0;
  if (attempt() != Tried::kSent) return;
  timer_.cancel();
  if (again) {
    send_again();
  } else if (request_pipe_ != nullptr) {
    forward_piped(piped_last_, nullptr);
  } else {
    send_request_on();
  }
  if (upstream_ != nullptr) upstream_->flush();
}

bool Exchange::method_allows_retry() const {
  return request_.method != Method::kOther && (upstream_config_->retry.methods & method_bit(request_.method)) != 0;
}

bool Exchange::may_retry(const ProxyError& error) const {
  const RetryConfig& config = upstream_config_->retry;
  if (response_begun_ || response_head_held_ || record_.attempts > config.tries || (body_sent_ && !replaying_)) return false;
  if (error.retry == ProxyError::Retry::kSafe) {
    size_t targets = upstream_config_->targets.size();
    if (!config.configured) return targets > 1 && static_cast<size_t>(record_.attempts) < targets;
    if (config.on_connect) return true;
  }
  if (error.retry == ProxyError::Retry::kIfReused && is_idempotent(request_.method) && (!request_.has_body || replaying_)) return true;
  if (!config.configured || !method_allows_retry()) return false;
  return (error.reason == Reason::kUpstreamReset && config.on_reset) || (error.reason == Reason::kUpstreamTimeout && config.on_timeout);
}

// Whether the upstream has not had enough retries yet; if so it is counted.
bool Exchange::take_retry(RetryReason reason) {
  if (!env_.pool->take_retry(*upstream_config_, env_.clock->mono_ns())) {
    env_.stats->count(Counter::kRetryRefused);
    return false;
  }
  env_.stats->retry(*upstream_config_, reason);
  return true;
}

// Full jitter: up to `backoff`, doubled for each try.
void Exchange::back_off() {
  int64_t most_ms = upstream_config_->retry.backoff_ms << std::min(record_.attempts - 1, kMaxBackoffDoublings);
  int64_t wait_ms = most_ms > 0 ? static_cast<int64_t>(env_.random->below(static_cast<uint64_t>(most_ms) + 1)) : 0;
  if (wait_ms == 0) {
    try_again();
    return;
  }
  step_ = Step::kBackoff;
  if (!request_done_ && !downstream_paused_) {
    downstream_->pause_request();
    downstream_paused_ = true;
  }
  env_.loop->arm(timer_, wait_ms);
}

void Exchange::try_again() {
  step_ = Step::kForward;
  if (attempt() != Tried::kSent) return;
  send_again();
  if (upstream_ != nullptr) upstream_->flush();
}

// What was sent before, then what has come since.
void Exchange::send_again() {
  if (request_.has_body && body_sent_) {
    upstream_->send_data(replay_, replay_last_, nullptr);
    if (replay_last_) {
      request_sent();
      return;
    }
  }
  send_request_on();
}

void Exchange::on_upstream_failed(const ProxyError& error) {
  upstream_ = nullptr;
  if (step_ == Step::kDone) return;
  // A target that may choose does not speak gRPC: that says nothing of its health.
  bool chosen = grpc_ != nullptr && error.reason == Reason::kUpstreamTls && upstream_config_->protocol == v1::UpstreamSpec::PROTOCOL_AUTO;
  attempt_ended(chosen ? AttemptResult::kCancelled : result_of(error), env_.clock->mono_ns());
  // After a timeout it is known already whether the request had got there.
  if (error.retry != ProxyError::Retry::kSafe && error.reason != Reason::kUpstreamTimeout) record_.reached_upstream = true;
  if (hedge_ != nullptr && hedge_->running()) {  // the second try has become the only one
    hedge_->take_over();
    if (!timer_.armed()) wait_for(first_byte_ms_);
    return;
  }
  if (!may_retry(error)) {
    fail(error);
    return;
  }
  RetryReason reason = error.reason == Reason::kUpstreamTimeout ? RetryReason::kTimeout : RetryReason::kReset;
  if (error.retry == ProxyError::Retry::kSafe) reason = RetryReason::kConnect;
  if (error.retry == ProxyError::Retry::kIfReused) {
    reason = RetryReason::kReused;
    env_.stats->count(Counter::kRetryReused);
    avoid_ = nullptr;  // the target is well, only that connection was old
  }
  if (reason == RetryReason::kConnect || reason == RetryReason::kReused) record_.reached_upstream = false;
  if (!take_retry(reason)) {
    fail(error);
  } else if (upstream_config_->retry.configured && reason != RetryReason::kReused) {
    back_off();
  } else {
    try_again();
  }
}

// The request is with its first target: a second one gets it, too, if that takes long.
void Exchange::arm_hedge() {
  const RetryConfig& config = upstream_config_->retry;
  bool fits = (request_.method == Method::kGet || request_.method == Method::kHead) && !request_.has_body && !request_.wants_websocket;
  if (!fits || record_.attempts != 1 || hedge_ != nullptr) return;
  hedge_ = std::make_unique<Hedge>(*this);
  hedge_->arm(*env_.loop, config.hedge_after_ms);
}

// The first try's answer has come. False: it is no good one, and the second try's is waited for.
bool Exchange::hedge_gives_way() {
  if (!hedge_->running() || response_.status < 500) {
    hedge_->drop(AttemptResult::kCancelled, 0);
    return true;
  }
  attempt_ended(AttemptResult::kOk, env_.clock->mono_ns());
  release_upstream();
  response_.clear();
  hedge_->take_over();
  return false;
}

// True: the answer is dropped and the request tried again.
bool Exchange::retry_status() {
  const RetryConfig& config = upstream_config_->retry;
  if (!std::binary_search(config.statuses.begin(), config.statuses.end(), response_.status)) return false;
  if (request_.wants_websocket || record_.attempts > config.tries || !method_allows_retry() || (request_.has_body && !(replaying_ && replay_last_))) return false;
  if (!take_retry(RetryReason::kStatus)) return false;
  attempt_ended(AttemptResult::kOk, env_.clock->mono_ns());
  release_upstream();
  response_.clear();
  back_off();
  return true;
}

// Known how it went, though the connection goes on: a tunnel.
void Exchange::attempt_settled(AttemptResult result, int64_t now_ns) {
  record_.upstream_ns += now_ns - attempt_ns_;
  env_.stats->attempt(*upstream_config_, result, now_ns - attempt_ns_);
  env_.pool->settled(attempt_, result, response_.status, now_ns);
}

void Exchange::attempt_ended(AttemptResult result, int64_t now_ns) {
  if (attempt_.endpoint == nullptr) return;
  if (!attempt_.settled) {
    record_.upstream_ns += now_ns - attempt_ns_;
    env_.stats->attempt(*upstream_config_, result, now_ns - attempt_ns_);
  }
  env_.stats->zone_bytes(UpstreamPool::zone_of(attempt_), record_.request_bytes, record_.response_bytes);
  env_.pool->ended(attempt_, result, judged_status(), now_ns);
}

void Exchange::release_upstream() {
  if (upstream_ == nullptr) return;
  UpstreamStream* stream = upstream_;
  upstream_ = nullptr;
  stream->release();
}

}  // namespace gw
