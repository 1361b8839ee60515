#include "dataplane/http2/h2_server_session.h"

#include <algorithm>
#include <utility>

#include "dataplane/http2/h2_fields.h"

namespace gw::http2 {
namespace {

RequestStream& request_of(Stream& stream) { return static_cast<RequestStream&>(stream); }

}  // namespace

RequestPool::~RequestPool() {
  while (free_ != nullptr) delete std::exchange(free_, free_->next_free_);
}

RequestStream& RequestPool::get() {
  if (free_ == nullptr) return *new RequestStream;
  --kept_;
  return *std::exchange(free_, std::exchange(free_->next_free_, nullptr));
}

void RequestPool::give_back(RequestStream& stream) {
  stream.recycle();
  stream.next_free_ = free_;
  free_ = &stream;
  if (++kept_ > kKeepFree) loop_.defer(trim_task_);
}

void RequestPool::trim() {
  for (; kept_ > kKeepFree; --kept_) delete std::exchange(free_, free_->next_free_);
}

ServerSession::ServerSession(Loop& loop, ServerHost& host, RequestPool& pool, uint32_t listener)
    : ServerConnection(listener),
      loop_(loop),
      host_(host),
      pool_(pool),
      connection_(loop, *this, Connection::Side::kServer),
      wait_timer_([](void* self) { static_cast<ServerSession*>(self)->timed_out(); }, this),
      notice_timer_([](void* self) { static_cast<ServerSession*>(self)->notice_over(); }, this),
      leave_task_([](void* self) {
        auto& session = *static_cast<ServerSession*>(self);
        session.streams_ -= std::exchange(session.leaving_, 0);
      }, this) {
  ++host_.http2_gauges().connections;
}

ServerSession::~ServerSession() = default;

void ServerSession::start(TcpStream& from, const ConnectionInfo& info, std::string_view early) {
  const ServerLimits& limits = host_.limits(listener());
  info_ = info;
  connection_.tcp().take(from);
  most_streams_ = limits.http2.streams;
  waits_ = Wait::kPreface;
  loop_.arm(wait_timer_, limits.head_timeout_ms);
  Connection::Options options;
  options.head = limits.head;
  options.limits = limits.http2;
  options.connect_protocol = limits.websockets;
  options.budgets = true;
  connection_.start(options, early);
}

Stream* ServerSession::begin_stream() {
  if (streams_ >= most_streams_) return nullptr;
  ++streams_;
  ++host_.http2_gauges().streams;
  RequestStream& stream = pool_.get();
  stream.session_ = this;
  stream.next_live_ = live_;
  if (live_ != nullptr) live_->prev_live_ = &stream;
  live_ = &stream;
  return &stream;
}

void ServerSession::on_head(Stream& of, const Connection::Head& from) {
  RequestStream& stream = request_of(of);
  if (from.trailers) {
    HeaderList trailers;
    for (const HeaderField& f : from.fields) trailers.add(f.name, f.value, f.id);
    stream.give({}, true, &trailers);
    return;
  }
  ++requests_;
  info_.path_rule = host_.limits(listener()).path_rule;
  stream.events_ = &host_.open_exchange(stream, listener());
  RequestHead& head = stream.events_->request_head();
  std::string_view fault = stream.read_head(from, head);
  if (from.too_large) {
    stream.events_->on_request_invalid({Reason::kHeadersTooLarge, ProxyError::Retry::kNever,
                                        "the head is larger than limits.headerBytes or has more fields than limits.headerFields"});
  } else if (!fault.empty()) {
    stream.events_->on_request_invalid({Reason::kBadRequest, ProxyError::Retry::kNever, fault.data()});
  } else {
    stream.events_->on_request_head();
  }
}

void ServerSession::on_data(Stream& stream, std::string_view piece, bool last) { request_of(stream).give(piece, last, nullptr); }

void ServerSession::on_read_done(Stream& stream) {
  if (DownstreamEvents* events = request_of(stream).events_) events->on_request_read_done();
}

void ServerSession::on_stream_drained(Stream& stream) {
  if (DownstreamEvents* events = request_of(stream).events_) events->on_downstream_drained();
}

void ServerSession::on_stream_closed(Stream& of, Code, bool) {
  RequestStream& stream = request_of(of);
  bool whole = stream.sent_all() && !stream.reset_;
  if (stream.events_ != nullptr) stream.events_->on_downstream_closed();  // and is released
  if (stream.prev_live_ != nullptr) stream.prev_live_->next_live_ = stream.next_live_;
  if (stream.next_live_ != nullptr) stream.next_live_->prev_live_ = stream.prev_live_;
  if (live_ == &stream) live_ = stream.next_live_;
  pool_.give_back(stream);
  --host_.http2_gauges().streams;
  if (whole) {
    --streams_;
  } else {
    ++leaving_;
    loop_.defer(leave_task_);
  }
  wait();
}

// What the connection waits for when nothing comes.
void ServerSession::wait() {
  Wait next = connection_.head_open() ? Wait::kHead : live_ != nullptr ? Wait::kNothing : Wait::kIdle;
  if (waits_ == Wait::kPreface && next != Wait::kNothing && !connection_.settled()) return;
  if (next == waits_) return;
  waits_ = next;
  const ServerLimits& limits = host_.limits(listener());
  if (next == Wait::kNothing) {
    wait_timer_.cancel();
  } else {
    loop_.arm(wait_timer_, next == Wait::kHead ? limits.head_timeout_ms : limits.idle_timeout_ms);
  }
}

void ServerSession::timed_out() {
  Wait waited = std::exchange(waits_, Wait::kNothing);
  if (waited == Wait::kIdle && connection_.tcp().has_unread()) {  // it is read in this turn
    loop_.arm(wait_timer_, host_.limits(listener()).head_timeout_ms);
    waits_ = Wait::kHead;
    return;
  }
  if (waited == Wait::kHead) host_.head_timed_out();
  connection_.end(waited == Wait::kHead ? Code::kEnhanceYourCalm : Code::kNoError);
}

// Requests that come until the client has heard of it are served: the final GOAWAY names them (RFC 9113 §6.8).
void ServerSession::go_away() {
  if (going_away_) return;
  going_away_ = true;
  connection_.announce_goaway();
  connection_.ping();
  loop_.arm(notice_timer_, kNoticeMs);
}

void ServerSession::on_pong() {
  if (going_away_ && !goaway_done_) notice_over();
}

void ServerSession::notice_over() {
  notice_timer_.cancel();
  goaway_done_ = true;
  connection_.goaway();
}

void ServerSession::drain(int64_t) {
  go_away();
  for (RequestStream* stream = live_; stream != nullptr; stream = stream->next_live_) {
    if (stream->tunnel_ && stream->events_ != nullptr) stream->events_->on_downstream_draining();
  }
}

void ServerSession::count_answer() {
  if (going_away_) return;
  if (requests_ >= host_.limits(listener()).requests) {
    host_.requests_used_up();
    go_away();
  } else if (host_.sheds_connections()) {
    go_away();
  }
}

void ServerSession::on_closed(int) {
  wait_timer_.cancel();
  notice_timer_.cancel();
  leave_task_.cancel();
  --host_.http2_gauges().connections;
  host_.connection_closed(*this);
}

}  // namespace gw::http2
