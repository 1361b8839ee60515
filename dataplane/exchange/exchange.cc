#include "dataplane/exchange/exchange.h"

#include "dataplane/exchange/grpc.h"
#include "dataplane/exchange/grpc_web.h"
#include "dataplane/exchange/mirror.h"
#include "dataplane/policy/rate_table.h"
#include "dataplane/snapshot/directory.h"
#include "dataplane/snapshot/forward.h"
#include "dataplane/snapshot/stopped.h"
#include "dataplane/telemetry/access_log.h"
#include "dataplane/telemetry/usage_meter.h"
#include "dataplane/upstream/pool.h"

namespace gw {

// The way of a request:
//
//   on_request_head   rules, route, policies        → decided
//   decided           go on, answer, or pause       → choose_target | respond | resume later
//   choose_target     upstream, split, own answer   → prepare_forward
//   prepare_forward   fields, body pipe, attempt    → send_upstream
//                     attempts.cc: a target, a connection, failures that are tried again; hedge.h: two tries at once
//   on_request_data   body, through the pipe        → send_upstream
//   on_response_head  policies in reverse           → send_response_head
//   on_response_data  body, through the pipe        → send_downstream → finish
//                     admission.cc: who is not let in; bodies.cc: the pipes; grpc_call.cc: what is gRPC's
//
// A WebSocket leaves it at on_response_head: websocket.cc. Copies for a mirror are made on the way to the upstream: mirror.h.
//
// Every failure goes through fail(), every answer of the gateway's own through respond(), every end through finish().

Exchange::Exchange(ExchangeEnv& env)
    : env_(env),
      timer_([](void* self) { static_cast<Exchange*>(self)->timed_out(); }, this),
      total_timer_([](void* self) { static_cast<Exchange*>(self)->total_timed_out(); }, this) {
  request_.headers.fields().reserve(32);
  response_.headers.fields().reserve(32);
}

Exchange::~Exchange() = default;

DownstreamEvents& Exchange::open(DownstreamStream& stream, PinnedTables& tables, const GatewayConfig* gateway,
                                 const ListenerConfig* listener, uint32_t log_target, ExchangeRef ref) {
  downstream_ = &stream;
  tables_ = &tables;
  listener_ = listener;
  log_target_ = log_target;
  step_ = Step::kHead;
  ctx_ = PolicyContext{};
  ctx_.request = &request_;
  ctx_.tables = &tables.tables;
  ctx_.gateway = gateway;
  ctx_.arena = &arena_;
  ctx_.services = env_.services;
  ctx_.rates = env_.rates;
  ctx_.ref = ref;
  pipeline_.reset(env_.counters);
  return *this;
}

void Exchange::recycle() {
  request_.clear();
  response_.clear();
  record_ = RequestRecord{};
  ids_ = RequestIds{};
  downstream_ = nullptr;
  upstream_ = nullptr;
  tables_ = nullptr;
  listener_ = nullptr;
  upstream_config_ = nullptr;
  attempt_ = {};
  avoid_ = nullptr;
  tunnel_.reset();
  hedge_.reset();
  grpc_.reset();
  request_pipe_.reset();
  response_pipe_.reset();
  held_.clear();
  piped_.clear();
  replay_.clear();
  problem_.clear();
  sticky_cookie_ = target_cookie_ = {};
  attempt_ns_ = 0;
  step_ = Step::kFree;
  request_done_ = request_forwarded_ = held_last_ = body_sent_ = response_begun_ = response_head_held_ = close_ = false;
  expects_continue_ = upstream_paused_ = downstream_paused_ = false;
  waiting_ = replaying_ = replay_last_ = piped_last_ = false;
  arena_.reset();
}

// What every exchange needs before anything else can be said about it, also a malformed one.
void Exchange::begin(int64_t now_ns) {
  ctx_.now_ns = now_ns;
  ctx_.wall_ns = now_ns + env_.wall_offset_ns;
  ++env_.stats->gauges().active_requests;
  const ConnectionInfo& connection = downstream_->connection();
  if (connection.http2) env_.stats->count(Counter::kHttp2Requests);
  record_.protocol = connection.http2 ? "2" : connection.http10 ? "1.0" : "1.1";
  const IpAddress& peer = connection.peer;
  ctx_.over_tls = connection.tls != nullptr;
  if (ctx_.gateway != nullptr && !ctx_.gateway->trusted_proxies.empty()) {
    ctx_.peer_trusted = ctx_.gateway->trusted_proxies.contains(peer);
  }
  ctx_.client = ctx_.peer_trusted ? client_address(request_, peer, ctx_.gateway->trusted_proxies) : peer;
  ids_ = make_ids(request_, ctx_.peer_trusted, *env_.random, arena_);
  if (request_.headers.maybe_has(HeaderId::kContentType)) recognise_call();
}

void Exchange::on_request_head() {
  begin(env_.clock->mono_ns());
  request_done_ = !request_.has_body;
  if (env_.admit_ns != INT64_MAX && ctx_.now_ns - env_.loop->turn_begin_ns() >= env_.admit_ns) {
    shed();
    return;
  }
  RuleVerdict rule = check_request(request_, arena_, downstream_->connection(), ctx_.peer_trusted, expects_continue_);
  if (rule.reason != Reason::kNone) {
    refuse(rule.reason, rule.detail, rule.status, rule.close);
    return;
  }
  if (ctx_.gateway == nullptr) {
    refuse(Reason::kNotReady, "the node has no configuration for this listener", 0, true);
    return;
  }
  if (!door_is_right()) return;
  const Switches& switches = *tables_->tables.switches;
  if (switches.any() && stopped(blocked_answer(switches, ctx_.client, ctx_.wall_ns, arena_), Counter::kRequestsBlocked)) return;
  if (request_.headers.maybe_has(HeaderId::kVia) && !way_is_free()) return;
  RouteResult found = ctx_.gateway->match(request_, arena_);
  ctx_.route = found.route;
  if (switches.any() && found.api != nullptr &&
      stopped(disabled_answer(switches, found.api->uid, arena_), Counter::kRequestsDisabled)) {
    return;
  }
  if (found.kind != RouteResult::Kind::kFound) {
    if (found.kind == RouteResult::Kind::kMethodNotAllowed) {
      LocalResponse local;
      local.reason = Reason::kMethodNotAllowed;
      HeaderField allow{"allow", found.allow, HeaderId::kOther};
      local.headers = &allow;
      local.header_count = 1;
      respond(local, {});
    } else {
      refuse(Reason::kNoRoute, found.api == nullptr ? "no Api claims this host and path" : "no route of the Api matches");
    }
    return;
  }
  ctx_.preflight = found.preflight;
  if (request_.wants_websocket && !admit_websocket(*found.route)) return;
  if (request_.content_length > found.route->body_bytes) {
    env_.stats->count(Counter::kRequestBodyTooLarge);
    refuse(Reason::kTooLarge, "the body is larger than limits.bodyBytes", 0, true);
    return;
  }
  if (found.route->request_ms > 0) env_.loop->arm(total_timer_, found.route->request_ms);
  if ((grpc_ != nullptr || found.route->grpc_web()) && !admit_call()) return;
  decided(pipeline_.run(ctx_));
}

void Exchange::decided(Decision d) {
  switch (d.kind) {
    case Decision::Kind::kNext:
      choose_target();
      break;
    case Decision::Kind::kRespond:
      respond(*d.response, pipeline_.refused_by());
      break;
    case Decision::Kind::kPause:
      step_ = Step::kPaused;
      if (!request_done_) {
        downstream_->pause_request();
        downstream_paused_ = true;
      }
      break;
  }
}

void Exchange::resume(Decision d) {
  switch (step_) {
    case Step::kPaused:
      if (!pipeline_.paused()) return;
      step_ = Step::kHead;
      decided(pipeline_.resume(ctx_, d));
      break;
    case Step::kBodyPaused:
      step_ = Step::kForward;
      piped_.clear();
      pipe_request(request_pipe_->resume(ctx_, d, piped_), request_done_ && held_.empty() && !held_last_, nullptr);
      break;
    case Step::kResponsePaused:
      step_ = Step::kForward;
      piped_.clear();
      pipe_response(response_pipe_->resume(ctx_, d, piped_), held_last_, nullptr);
      break;
    default:
      return;  // it went on without
  }
  if (step_ != Step::kDone) {
    if (upstream_ != nullptr) upstream_->flush();
    downstream_->flush();
  }
}

void Exchange::choose_target() {
  const RouteTo& to = ctx_.route->to();
  if (const auto* ref = std::get_if<UpstreamRef>(&to)) {
    prepare_forward(ref->upstream);
  } else if (const auto* split = std::get_if<SplitTo>(&to)) {
    ArmPick pick = pick_arm(*split, {&request_, &ctx_.identity, ctx_.client, env_.random, &arena_});
    if (pick.arm == kNoIndex) {
      refuse(Reason::kNoHealthyEndpoint, "every side of the split has weight 0");
      return;
    }
    sticky_cookie_ = pick.set_cookie;
    prepare_forward(pick.upstream);
  } else if (const auto* redirect = std::get_if<RedirectTo>(&to)) {
    respond(*redirect_to(*redirect, request_, ctx_.over_tls, arena_), {});
  } else {
    respond(*respond_with(std::get<RespondWith>(to), arena_), {});
  }
}

void Exchange::prepare_forward(uint32_t upstream_index) {
  upstream_config_ = tables_->tables.snapshot->upstream(upstream_index);
  if (upstream_config_ == nullptr) {
    refuse(Reason::kInternal, "the upstream is not in the snapshot");
    return;
  }
  step_ = Step::kForward;
  first_byte_ms_ = ctx_.route->first_byte_ms > 0 ? ctx_.route->first_byte_ms : upstream_config_->first_byte_ms;
  idle_ms_ = ctx_.route->idle_ms > 0 ? ctx_.route->idle_ms : upstream_config_->idle_ms;
  body_idle_ms_ = ctx_.route->body_idle_ms;
  if (grpc_ != nullptr) prepare_call();
  add_forwarded(request_, downstream_->connection(), ctx_.peer_trusted, ctx_.over_tls, ids_, ctx_.identity,
                downstream_->connection().http2    ? ctx_.gateway->via_http2
                : downstream_->connection().http10 ? ctx_.gateway->via_http10
                                                   : ctx_.gateway->via_http11,
                arena_);
  if (!ctx_.gateway->client_auth_headers.empty()) tell_client_certificate();
  const RewriteRule& rewrite = ctx_.route->rewrite();
  if (rewrite.any()) {
    request_.target = upstream_target(rewrite, request_, arena_);
    if (!rewrite.host.empty()) request_.authority = rewrite.host;
  }
  if (BodyPipe::wants(ctx_, pipeline_, BodyPipe::Direction::kRequest)) {
    request_pipe_ = std::make_unique<BodyPipe>(ctx_, pipeline_, BodyPipe::Direction::kRequest);
    if (request_pipe_->transforms() && request_.has_body) request_.content_length = -1;
  }
  if (expects_continue_ && !request_done_) downstream_->send_interim(100, nullptr);
  plan_replay();
  if (request_pipe_ == nullptr && attempt() != Tried::kSent) return;
  if (request_pipe_ != nullptr && !request_.has_body) {
    request_body({}, true, nullptr);
  } else {
    send_request_on();
  }
}

// The request's head has gone, or waits in the pipe: what has come of the body follows.
void Exchange::send_request_on() {
  if (!request_.has_body) {
    request_sent();
    return;
  }
  wait_for_request();
  if (!held_.empty() || held_last_) {
    std::string held;
    held.swap(held_);
    bool last = held_last_;
    held_last_ = false;
    request_body(held, last, nullptr);
    if (step_ == Step::kDone) return;
  }
  if (downstream_paused_ && (upstream_ == nullptr || upstream_->queued() <= kHighWater)) {
    downstream_paused_ = false;
    downstream_->resume_request();
  }
}

void Exchange::on_request_data(std::string_view piece, bool last, const HeaderList* trailers) {
  if (last) request_done_ = true;
  record_.request_bytes += piece.size();
  if (step_ == Step::kDone) return;
  if (record_.request_bytes > static_cast<uint64_t>(ctx_.route->body_bytes)) {
    env_.stats->count(Counter::kRequestBodyTooLarge);
    fail({Reason::kTooLarge, ProxyError::Retry::kNever, "the body is larger than limits.bodyBytes"});
    return;
  }
  if (step_ == Step::kPaused || step_ == Step::kBodyPaused || step_ == Step::kWait || step_ == Step::kBackoff) {
    held_.append(piece);
    held_last_ = held_last_ || last;
    return;
  }
  if (!last && !downstream_paused_) wait_for_request();
  request_body(piece, last, trailers);
}

void Exchange::send_upstream(std::string_view piece, bool last, const HeaderList* trailers) {
  if (upstream_ == nullptr) return;  // the answer came before the body's end
  if (replaying_) keep_for_replay(piece, last, trailers);
  body_sent_ = true;
  upstream_->send_data(piece, last, request_.wants_trailers ? trailers : nullptr);
  if (mirror_ != nullptr && env_.mirrors->body(*mirror_, piece, last)) mirror_ = nullptr;
  if (last) {
    request_sent();
  } else if (upstream_->queued() > (upstream_->connected() ? kHighWater : 0) && !downstream_paused_) {
    downstream_paused_ = true;
    downstream_->pause_request();
    wait_for(upstream_->connected() ? idle_ms_ : upstream_config_->connect_ms + kClientStallMs);
  }
}

void Exchange::request_sent() {
  request_forwarded_ = true;
  if (response_begun_) {
    if (grpc_ != nullptr && !upstream_paused_) wait_for(idle_ms_);
    return;
  }
  int64_t per_try_ms = upstream_config_->retry.per_try_ms;
  wait_for(per_try_ms > 0 && (per_try_ms < first_byte_ms_ || first_byte_ms_ == 0) ? per_try_ms : first_byte_ms_);
  if (upstream_config_->retry.hedge_after_ms > 0) arm_hedge();
}

void Exchange::on_request_read_done() {
  if (upstream_ == nullptr) return;
  upstream_->flush();
  if (request_.content_length >= kSpliceFrom && body_sent_ && !request_done_) splice_request();
}

void Exchange::on_upstream_drained() {
  if (downstream_paused_ && step_ == Step::kForward && !request_done_) {
    downstream_paused_ = false;
    downstream_->resume_request();
    wait_for_request();
  }
}

void Exchange::on_response_interim(int status, const HeaderList& headers) {
  if (status == 103 && !response_begun_) downstream_->send_interim(103, &headers);
}

void Exchange::on_response_head() {
  record_.reached_upstream = true;
  if (hedge_ != nullptr && !hedge_gives_way()) return;
  if (!upstream_config_->retry.statuses.empty() && retry_status()) return;
  if (grpc_ != nullptr) {
    if (upstream_config_->retry.grpc_statuses != 0 && retry_call()) return;
    call_answered();
  }
  remove_connection_fields(response_.headers);
  response_.headers.add("via", response_.http2 ? ctx_.gateway->via_http2 : response_.http10 ? ctx_.gateway->via_http10 : ctx_.gateway->via_http11,
                        HeaderId::kVia);
  if (!target_cookie_.empty()) response_.headers.add("set-cookie", target_cookie_, HeaderId::kSetCookie);
  if (!sticky_cookie_.empty()) response_.headers.add("set-cookie", sticky_cookie_, HeaderId::kSetCookie);
  if (pipeline_.wants_response(ctx_)) pipeline_.on_response(ctx_, response_);
  if (response_.status == 101) {
    start_tunnel();
    return;
  }
  if (BodyPipe::wants(ctx_, pipeline_, BodyPipe::Direction::kResponse) && request_.method != Method::kHead) {
    response_pipe_ = std::make_unique<BodyPipe>(ctx_, pipeline_, BodyPipe::Direction::kResponse);
    if (response_pipe_->transforms() && response_.has_body) response_.content_length = -1;
    response_head_held_ = true;
    return;
  }
  send_response_head();
}

void Exchange::send_response_head() {
  response_head_held_ = false;
  response_begun_ = true;
  record_.status = response_.status;
  if (ctx_.over_tls) add_hsts();
  if (!request_done_) close_ = true;
  downstream_->send_head(response_, close_);
}

void Exchange::on_response_data(std::string_view piece, bool last, const HeaderList* trailers) {
  if (step_ == Step::kDone) return;
  if (response_pipe_ == nullptr) {
    send_downstream(piece, last, trailers);
    return;
  }
  if (step_ == Step::kResponsePaused) {
    held_.append(piece);
    held_last_ = held_last_ || last;
    return;
  }
  piped_.clear();
  pipe_response(response_pipe_->write(ctx_, piece, last, piped_), last, trailers);
}

void Exchange::send_downstream(std::string_view piece, bool last, const HeaderList* trailers) {
  record_.response_bytes += piece.size();
  if (grpc_ != nullptr && !call_piece(piece, last, trailers)) return;
  downstream_->send_data(piece, last, request_.wants_trailers ? trailers : nullptr);
  if (last) {
    int64_t now_ns = env_.clock->mono_ns();
    attempt_ended(AttemptResult::kOk, now_ns);
    finish(now_ns);
    return;
  }
  if (downstream_->queued() > kHighWater && !upstream_paused_ && upstream_ != nullptr) {
    upstream_paused_ = true;
    upstream_->pause_response();
    env_.loop->arm(timer_, kClientStallMs);
  }
}

void Exchange::on_response_read_done() {
  if (step_ == Step::kDone) return;
  downstream_->flush();
  if (step_ != Step::kForward || !response_begun_ || upstream_paused_) return;
  wait_for_response();
  if (response_.content_length >= kSpliceFrom) splice_response();
}

void Exchange::on_downstream_drained() {
  if (upstream_paused_ && step_ == Step::kForward && upstream_ != nullptr) {
    upstream_paused_ = false;
    upstream_->resume_response();
    wait_for(idle_ms_);
  }
}

void Exchange::refuse(Reason reason, std::string_view detail, int status, bool close) {
  LocalResponse local;
  local.reason = reason;
  local.detail = detail;
  local.status = status;
  close_ = close_ || close;
  respond(local, {});
}

// An answer of the gateway's own, whole, at once.
void Exchange::respond(const LocalResponse& local, std::string_view by) {
  if (upstream_ != nullptr) {
    record_.reached_upstream = record_.reached_upstream || upstream_->connected();
    release_upstream();
  }
  response_.clear();
  response_.status = status_of(local);
  for (size_t i = 0; i < local.header_count; ++i) response_.headers.add(local.headers[i].name, local.headers[i].value);
  std::string_view body, type;
  if (local.has_own_body) {
    body = local.body;
    type = local.content_type;
    if (!sticky_cookie_.empty()) response_.headers.add("set-cookie", sticky_cookie_, HeaderId::kSetCookie);
  } else if (grpc_ != nullptr) {
    refuse_call(local, by);
    response_.headers.add("cache-control", "no-store");
  } else {
    bool html = prefers_html(request_), full = ctx_.gateway != nullptr && ctx_.gateway->full_error_detail;
    problem_.clear();
    write_problem(problem_, local,
                  {ids_.request_id, full ? by : std::string_view(), full ? tables_->tables.snapshot->version() : 0}, html);
    body = problem_;
    type = problem_type(html);
    response_.headers.add("cache-control", "no-store");
  }
  bool call = grpc_ != nullptr && !local.has_own_body;
  bool bodyless = response_.status == 204 || response_.status == 304 || response_.status < 200;
  if (!bodyless && !type.empty()) response_.headers.add("content-type", type, HeaderId::kContentType);
  response_.headers.add("x-request-id", ids_.request_id, HeaderId::kXRequestId);
  response_.headers.add("date", env_.date, HeaderId::kDate);
  response_.content_length = bodyless || (call && downstream_->connection().http2) ? -1 : static_cast<int64_t>(body.size());
  response_.has_body = !bodyless && !call && request_.method != Method::kHead;
  if (!response_.has_body) body = {};
  if (ctx_.gateway != nullptr) {
    if (local.has_own_body && pipeline_.wants_response(ctx_)) {
      pipeline_.on_response(ctx_, response_);
    } else {
      pipeline_.on_local_response(ctx_, response_);
    }
  }
  record_.status = response_.status;
  record_.reason = local.reason;
  record_.policy = by;
  record_.response_bytes = body.size();
  if (ctx_.over_tls) add_hsts();
  response_begun_ = true;
  downstream_->send_head(response_, close_ || local.reason == Reason::kBadRequest);
  downstream_->send_data(body, true, nullptr);
  finish();
}

void Exchange::on_request_invalid(const ProxyError& error) {
  if (ctx_.now_ns == 0) begin(env_.clock->mono_ns());
  if (error.reason == Reason::kHeadersTooLarge) env_.stats->count(Counter::kRequestHeadTooLarge);
  if (error.reason == Reason::kRequestTimeout) env_.stats->count(Counter::kRequestTimeouts);
  request_done_ = true;
  fail(error);
}

void Exchange::fail(const ProxyError& error) {
  if (step_ == Step::kDone) return;
  if (!response_begun_) {
    refuse(error.reason, error.detail, error.status, !request_done_ || error.reason == Reason::kBadRequest ||
                                                         error.reason == Reason::kHeadersTooLarge ||
                                                         error.reason == Reason::kRequestTimeout);
    return;
  }
  if (grpc_ != nullptr) {
    cut_call(error);
    return;
  }
  record_.reason = error.reason;
  downstream_->reset();
  finish();
}

void Exchange::on_downstream_closed() {
  if (step_ == Step::kDone) return;
  if (grpc_ != nullptr) grpc_->status = GrpcStatus::kCancelled;
  env_.stats->count(Counter::kClientClosed);
  if (upstream_ != nullptr) {
    record_.reached_upstream = record_.reached_upstream || upstream_->connected();
    attempt_ended(AttemptResult::kCancelled, env_.clock->mono_ns());
  }
  record_.reason = Reason::kClientClosed;
  if (!response_begun_) record_.status = info(Reason::kClientClosed).status;
  downstream_->reset();
  finish();
}

void Exchange::timed_out() {
  if (step_ == Step::kBackoff) {
    try_again();
    return;
  }
  if (step_ == Step::kWait) {
    env_.stats->count(Counter::kUpstreamCircuitOpen);
    fail({Reason::kCircuitOpen, ProxyError::Retry::kNever, "no connection to the upstream became free within timeouts.connect"});
    return;
  }
  if (step_ != Step::kForward) return;
  if (upstream_paused_) {
    on_downstream_closed();  // the client takes nothing
  } else if (!request_done_ && !downstream_paused_ && !response_begun_) {
    env_.stats->count(Counter::kRequestTimeouts);
    fail({Reason::kRequestTimeout, ProxyError::Retry::kNever, "the request's body stalled"});
  } else {
    bool connecting = upstream_ != nullptr && !upstream_->connected();  // nothing was sent yet
    record_.reached_upstream = record_.reached_upstream || (upstream_ != nullptr && !connecting);
    release_upstream();
    on_upstream_failed({Reason::kUpstreamTimeout, connecting ? ProxyError::Retry::kSafe : ProxyError::Retry::kNever,
                        response_begun_ ? "the upstream's answer stalled" : "the upstream did not answer in time"});
  }
}

void Exchange::total_timed_out() {
  if (step_ == Step::kDone || step_ == Step::kFree) return;
  if (grpc_ != nullptr) {
    if (deadline_is_ahead()) return;
    grpc_->answer = GrpcStatus::kDeadlineExceeded;
  }
  env_.stats->count(Counter::kRequestTimeouts);
  if (upstream_ != nullptr) {
    record_.reached_upstream = record_.reached_upstream || upstream_->connected();
    attempt_ended(AttemptResult::kTimeout, env_.clock->mono_ns());
  }
  Reason reason = request_done_ && upstream_config_ != nullptr ? Reason::kUpstreamTimeout : Reason::kRequestTimeout;
  fail({reason, ProxyError::Retry::kNever,
        grpc_ != nullptr ? "the call took longer than grpc-timeout or timeouts.request" : "the request took longer than timeouts.request"});
}

void Exchange::finish() { finish(env_.clock->mono_ns()); }

void Exchange::finish(int64_t now_ns) {
  step_ = Step::kDone;
  timer_.cancel();
  total_timer_.cancel();
  attempt_ended(AttemptResult::kCancelled, now_ns);
  if (waiting_) env_.pool->stop_waiting(*upstream_config_, *this);
  if (hedge_ != nullptr) hedge_->drop(AttemptResult::kCancelled, 0);
  release_upstream();
  if (mirror_ != nullptr) {
    env_.mirrors->abandon(*mirror_);
    mirror_ = nullptr;
  }
  pipeline_.done(ctx_);
  record(now_ns);
  --env_.stats->gauges().active_requests;
  DownstreamStream* stream = downstream_;
  env_.finished(env_.worker, *this);
  stream->release();
}

void Exchange::record(int64_t now_ns) {
  RequestRecord& r = record_;
  r.wall_ns = ctx_.wall_ns;
  r.duration_ns = now_ns - ctx_.now_ns;
  r.request_id = ids_.request_id;
  r.trace_id = ids_.trace_id;
  r.config_version = tables_->tables.snapshot->version();
  r.gateway = ctx_.gateway;
  r.route = ctx_.route;
  r.app = ctx_.identity.app;
  r.subscription = ctx_.identity.subscription;
  r.plan = ctx_.identity.plan;
  r.method = request_.method;
  r.method_text = request_.method_text;
  r.host = request_.host;
  r.path = request_.path;
  r.client = ctx_.client;
  if (upstream_config_ != nullptr) {
    r.upstream_index = upstream_config_->index;
    r.upstream = upstream_config_->name;
  }
  if (grpc_ != nullptr) r.grpc = grpc_->status == GrpcStatus::kNone ? GrpcStatus::kMissing : grpc_->status;
  r.metered = r.reached_upstream && ctx_.route != nullptr && ctx_.route->metered();
  env_.stats->record(r);
  if (r.metered && env_.usage != nullptr) env_.usage->record(r);
  if (env_.log != nullptr && log_target_ != UINT32_MAX) {
    r.user_agent = request_.headers.get(HeaderId::kUserAgent);
    env_.log->write(r, log_target_);
  }
}

}  // namespace gw
