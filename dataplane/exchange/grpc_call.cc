// gRPC calls: recognised by their type, bounded by their deadline, refused with a status, translated where browsers make them.

#include <algorithm>

#include "dataplane/exchange/exchange.h"
#include "dataplane/exchange/grpc.h"
#include "dataplane/exchange/grpc_web.h"

namespace gw {
namespace {

constexpr std::string_view kTimeoutField = "grpc-timeout", kStatusField = "grpc-status";

bool is_grpc_answer(const ResponseHead& response) {
  return grpc_type(response.headers.get(HeaderId::kContentType)).kind == GrpcType::Kind::kGrpc;
}

}  // namespace

// A request with a Content-Type; most are no calls.
void Exchange::recognise_call() {
  if (request_.method != Method::kPost) return;
  GrpcType type = grpc_type(request_.headers.get(HeaderId::kContentType));
  if (type.kind != GrpcType::Kind::kGrpc) return;
  grpc_ = std::make_unique<GrpcCall>();
  grpc_->type = type;
}

// On a route that translates.
void Exchange::recognise_web_call() {
  if (request_.method != Method::kPost) return;
  GrpcType type = grpc_type(request_.headers.get(HeaderId::kContentType));
  if (type.kind == GrpcType::Kind::kNone) return;
  grpc_ = std::make_unique<GrpcCall>();
  grpc_->type = type;
  grpc_->web = std::make_unique<GrpcWeb>(type, request_);
}

// The call has found its route: its deadline begins. False: it has been answered.
bool Exchange::admit_call() {
  if (grpc_ == nullptr) recognise_web_call();
  if (grpc_ == nullptr) return true;
  const HeaderField* asked = request_.headers.find(kTimeoutField);
  if (asked == nullptr) {
    if (ctx_.route->request_ms > 0) grpc_->deadline_ns = ctx_.now_ns + ctx_.route->request_ms * 1'000'000;
    return true;
  }
  std::optional<int64_t> left_ns = parse_grpc_timeout(asked->value);
  if (!left_ns) {
    grpc_->answer = GrpcStatus::kInternal;  // as gRPC's own servers say
    refuse(Reason::kBadRequest, "malformed grpc-timeout: one to eight digits and one of H, M, S, m, u, n");
    return false;
  }
  if (ctx_.route->request_ms > 0) left_ns = std::min(*left_ns, ctx_.route->request_ms * 1'000'000);
  grpc_->deadline_ns = ctx_.now_ns + *left_ns;
  if (*left_ns == 0) {
    total_timed_out();
    return false;
  }
  env_.loop->arm(total_timer_, (*left_ns + 999'999) / 1'000'000);
  return true;
}

// True: the deadline lies further off than a timer reaches.
bool Exchange::deadline_is_ahead() {
  int64_t left_ns = grpc_->deadline_ns - env_.clock->mono_ns();
  if (left_ns <= 0) return false;
  env_.loop->arm(total_timer_, (left_ns + 999'999) / 1'000'000);
  return true;
}

// Before the first attempt.
void Exchange::prepare_call() {
  // gRPC's servers ask for it, and a call without trailers has no status.
  if (downstream_->connection().http2) request_.wants_trailers = true;
  if (grpc_->web != nullptr) grpc_->web->translate(request_, arena_);
  if (upstream_config_->protocol == v1::UpstreamSpec::PROTOCOL_HTTP1) return;
  // A stream may be silent: the PINGs of both sides tell whether somebody is there.
  if (ctx_.route->first_byte_ms == 0) first_byte_ms_ = 0;
  if (ctx_.route->idle_ms == 0) idle_ms_ = 0;
  if (!ctx_.route->body_idle_given) body_idle_ms_ = 0;
}

// The server is told what is left of the time.
void Exchange::tell_deadline(int64_t now_ns) {
  if (grpc_->deadline_ns == 0) return;
  request_.headers.remove(kTimeoutField);
  request_.headers.add(kTimeoutField, grpc_timeout(std::max<int64_t>(grpc_->deadline_ns - now_ns, 1), arena_), HeaderId::kOther);
}

// True: the answer, a status and nothing else, is dropped and the call tried again.
bool Exchange::retry_call() {
  const HeaderField* field = response_.headers.find(kStatusField);
  if (field == nullptr) return false;
  const RetryConfig& config = upstream_config_->retry;
  GrpcStatus status = parse_grpc_status(field->value);
  if ((config.grpc_statuses & 1u << static_cast<unsigned>(status)) == 0 || record_.attempts > config.tries) return false;
  if (request_.has_body && !(replaying_ && replay_last_)) return false;
  if (!take_retry(RetryReason::kGrpcStatus)) return false;
  grpc_->status = status;
  attempt_ended(AttemptResult::kOk, env_.clock->mono_ns());
  grpc_->status = GrpcStatus::kNone;
  release_upstream();
  response_.clear();
  back_off();
  return true;
}

// The upstream's head, before policies see it.
void Exchange::call_answered() {
  if (const HeaderField* field = response_.headers.find(kStatusField)) {
    grpc_->status = parse_grpc_status(field->value);
  } else if (!is_grpc_answer(response_)) {
    grpc_->status = grpc_status_of_http(response_.status);  // what the client makes of it
  }
  if (grpc_->web != nullptr) grpc_->web->begin(response_, arena_);
}

// A piece of the request's body as gRPC has it. False: it makes no sense, the exchange has ended.
bool Exchange::decode_call(std::string_view& piece, bool last) {
  if (grpc_->web == nullptr || !grpc_->web->decodes() || grpc_->web->decode(piece, last, piece)) return true;
  fail({Reason::kBadRequest, ProxyError::Retry::kNever, "the body of application/grpc-web-text is no base64"});
  return false;
}

// The status that comes behind the messages.
void Exchange::note_call_status(const HeaderList* trailers) {
  const HeaderField* field = trailers != nullptr ? trailers->find(kStatusField) : nullptr;
  if (field != nullptr) {
    grpc_->status = parse_grpc_status(field->value);
  } else if (grpc_->status == GrpcStatus::kNone) {
    grpc_->status = GrpcStatus::kMissing;
  }
}

// A piece of the answer in the client's form; gRPC-Web takes the trailers into it. False: it makes no sense, and that was the end.
bool Exchange::call_piece(std::string_view& piece, bool last, const HeaderList*& trailers) {
  if (last) note_call_status(trailers);
  if (grpc_->web == nullptr) return true;
  if (!grpc_->web->begun()) {
    trailers = nullptr;  // the browser has not asked for them
    return true;
  }
  bool good;
  if (!last) {
    good = grpc_->web->encode(piece, piece);
  } else {
    HeaderList made;
    if (trailers == nullptr || trailers->find(kStatusField) == nullptr) {
      // A status that stands in the head, and one that the upstream owes, stand here, too.
      for (const HeaderField& f : response_.headers.fields()) {
        if (f.id == HeaderId::kOther && f.name.substr(0, 5) == "grpc-") made.add(f.name, f.value, f.id);
      }
      if (made.find(kStatusField) == nullptr) made.add(kStatusField, "2", HeaderId::kOther);
      if (trailers != nullptr) {
        for (const HeaderField& f : trailers->fields()) made.add(f.name, f.value, f.id);
      }
      trailers = &made;
    }
    good = grpc_->web->finish(piece, *trailers, piece);
    trailers = nullptr;
  }
  if (good) return true;
  if (upstream_ != nullptr) attempt_ended(AttemptResult::kInvalid, env_.clock->mono_ns());
  cut_call({Reason::kUpstreamInvalid, ProxyError::Retry::kNever, "the upstream's frames are malformed"});
  return false;
}

// After the answer has begun: with a status behind it where the client can still hear one, else cut off.
void Exchange::cut_call(const ProxyError& error) {
  LocalResponse local;
  local.reason = record_.reason = error.reason;
  local.detail = error.detail;
  grpc_->status = grpc_->answer != GrpcStatus::kNone ? grpc_->answer : info(error.reason).grpc;
  HeaderList trailers;
  add_grpc_status(trailers, grpc_->status, local, {ids_.request_id, {}, 0}, arena_);
  bool open = response_.has_body && response_.content_length < 0;
  std::string_view piece;
  if (open && grpc_->web != nullptr && grpc_->web->begun() && grpc_->web->may_finish() &&
      grpc_->web->finish({}, trailers, piece)) {
    downstream_->send_data(piece, true, nullptr);
  } else if (open && grpc_->web == nullptr && downstream_->connection().http2) {
    downstream_->send_data({}, true, &trailers);
  } else {
    downstream_->reset();
  }
  finish();
}

// A refusal: a head with the status in it and nothing behind.
void Exchange::refuse_call(const LocalResponse& local, std::string_view by) {
  bool full = ctx_.gateway != nullptr && ctx_.gateway->full_error_detail;
  grpc_->status = grpc_->answer != GrpcStatus::kNone ? grpc_->answer : info(local.reason).grpc;
  response_.status = 200;
  response_.headers.add("content-type",
                        grpc_->web != nullptr ? grpc_->web->content_type(arena_) : std::string_view("application/grpc"),
                        HeaderId::kContentType);
  add_grpc_status(response_.headers, grpc_->status, local,
                  {ids_.request_id, full ? by : std::string_view(), full ? tables_->tables.snapshot->version() : 0}, arena_);
}

// By what the call says, for the target's health: a deadline says nothing of it.
int Exchange::judged_status() const {
  bool says = grpc_ != nullptr && grpc_->status != GrpcStatus::kNone && grpc_->status != GrpcStatus::kDeadlineExceeded;
  return !says ? response_.status : std::max(response_.status, http_class_of(grpc_->status));
}

}  // namespace gw
