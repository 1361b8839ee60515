#include "dataplane/http2/h2_client_session.h"

#include <utility>

#include "common/http/field_rules.h"
#include "dataplane/http2/h2_fields.h"

namespace gw::http2 {
namespace {

constexpr ProxyError::Retry kNever = ProxyError::Retry::kNever, kSafe = ProxyError::Retry::kSafe;

// Different with every request, or with every client.
constexpr uint64_t kOwnValue = header_bit(HeaderId::kXRequestId) | header_bit(HeaderId::kTraceparent) |
                               header_bit(HeaderId::kXForwardedFor);

void write_request(HeadFields& out, const RequestHead& head, std::string_view scheme, Arena& arena) {
  out.add(":method", head.wants_websocket ? std::string_view("CONNECT") : head.method_text);
  if (head.wants_websocket) out.add(":protocol", "websocket");
  out.add(":scheme", scheme);
  out.add(":authority", head.authority);
  out.add(":path", head.target);
  for (const HeaderField& f : head.headers.fields()) {
    if ((header_bit(f.id) & kNotForwarded) != 0) continue;
    if ((header_bit(f.id) & kOwnValue) != 0) {
      out.add_unindexed(lower_case_name(f.name, arena), f.value);
    } else {
      out.add(lower_case_name(f.name, arena), f.value);
    }
  }
  if (head.content_length >= 0 && !head.wants_websocket) out.add("content-length", head.content_length, arena);
  if (head.wants_websocket) out.add("sec-websocket-version", "13");
  if (head.wants_trailers) out.add("te", "trailers");
}

int status_of(std::string_view text) {
  int status = 0;
  for (char c : text) status = status * 10 + (c - '0');
  return status;
}

int64_t length_of(const HeaderList& headers) {
  const HeaderField* field = headers.find(HeaderId::kContentLength);
  if (field == nullptr) return -1;
  int64_t length = 0;
  for (char c : field->value) length = length * 10 + (c - '0');
  return length;
}

}  // namespace

ClientStream::ClientStream(Loop& loop, ClientHost& host)
    : loop_(loop),
      host_(host),
      timer_([](void* self) { static_cast<ClientStream*>(self)->timed_out(); }, this),
      failed_task_([](void* self) { static_cast<ClientStream*>(self)->failed(); }, this) {}

ClientStream::~ClientStream() = default;

void ClientStream::lease(UpstreamEvents& events, Method method) {
  events_ = &events;
  method_ = method;
}

void ClientStream::recycle() {
  reset_stream();
  endpoint = nullptr;
  next = prev = nullptr;
  announced = IpAddress();
  announcement.clear();
  moves = 0;
  session_ = nullptr;
  head_ = nullptr;
  fields_.clear();
  trailers_.clear();
  if (held_.capacity() > TcpStream::kHighWater) std::string().swap(held_);
  held_.clear();
  reads_at_ = 0;
  interim_ = 0;
  movable_ = true;
  reused_ = request_done_ = got_any_ = response_done_ = tunnel_ = waiting_ = on_wire_ = false;
}

void ClientStream::wait(int64_t timeout_ms) {
  waiting_ = true;
  if (!timer_.armed()) loop_.arm(timer_, timeout_ms);
}

void ClientStream::fail(const ProxyError& error) {
  waiting_ = false;
  timer_.cancel();
  failure_ = error;
  loop_.defer(failed_task_);
}

void ClientStream::failed() {
  UpstreamEvents* events = std::exchange(events_, nullptr);
  host_.stream_ended(*this);
  if (events != nullptr) events->on_upstream_failed(failure_);
}

void ClientStream::timed_out() {
  if (session_ != nullptr) {  // a tunnel that the target does not end
    session_->connection_.reset(*this, Code::kCancel);
    return;
  }
  host_.stream_left(*this);
  fail({Reason::kUpstreamTimeout, kSafe, "no connection with room for the request was there within timeouts.connect"});
}

void ClientStream::send_head(const RequestHead& head) {
  head_ = &head;
  request_done_ = !head.has_body && !head.wants_websocket;
  if (session_ != nullptr) session_->begin(*this);
}

void ClientStream::send_data(std::string_view piece, bool last, const HeaderList* trailers) {
  request_done_ = last;
  if (on_wire_) {
    keep(piece, trailers != nullptr);
    session_->send(*this, piece, last, trailers);
    return;
  }
  held_.append(piece);
  if (!last || trailers == nullptr) return;
  for (const HeaderField& f : trailers->fields()) trailers_.add(arena().copy(f.name), arena().copy(f.value), f.id);
}

// What goes out is kept while it is little: a GOAWAY may leave the request out.
void ClientStream::keep(std::string_view piece, bool has_trailers) {
  if (!movable_) return;
  if (has_trailers || tunnel_ || held_.size() + piece.size() > kKeptBody) {
    movable_ = false;
    held_.clear();
  } else {
    held_.append(piece);
  }
}

void ClientStream::flush() {
  if (session_ != nullptr) session_->connection_.flush(*this);
}

size_t ClientStream::queued() const {
  // What is held back does not count until it is known: the connection's queue asks for a pause by itself.
  return session_ == nullptr ? held_.size() : session_->connection_.queued(const_cast<ClientStream&>(*this));
}

void ClientStream::open_tunnel(UpstreamEvents& events) { events_ = &events; }

void ClientStream::pause_response() {
  if (session_ != nullptr) session_->connection_.pause(*this);
}

void ClientStream::resume_response() {
  if (session_ != nullptr) session_->connection_.resume(*this);
}

void ClientStream::release() {
  events_ = nullptr;
  failed_task_.cancel();
  if (waiting_) host_.stream_left(*this);
  waiting_ = false;
  timer_.cancel();
  if (session_ != nullptr) {
    session_->released(*this);
  } else {
    host_.stream_ended(*this);
  }
}

ClientSession::ClientSession(Loop& loop, ClientHost& host, const Http2Limits& limits)
    : loop_(loop),
      host_(host),
      limits_(limits),
      connection_(loop, *this, Connection::Side::kClient),
      timer_([](void* self) { static_cast<ClientSession*>(self)->timed_out(); }, this),
      failed_task_([](void* self) { static_cast<ClientSession*>(self)->failed(); }, this) {}

ClientSession::~ClientSession() = default;

void ClientSession::wait_for_address(int64_t timeout_ms) {
  if (!timer_.armed()) loop_.arm(timer_, timeout_ms);
}

void ClientSession::announce(std::string_view proxy_header, const IpAddress& client) {
  announcement_ = proxy_header;
  announced = client;
}

void ClientSession::connect(const sockaddr* address, socklen_t size, int64_t timeout_ms) {
  state_ = State::kConnecting;
  if (!timer_.armed()) loop_.arm(timer_, timeout_ms);
  if (connection_.tcp().connect(address, size) != 0) connect_failed("cannot connect to the target");
}

void ClientSession::connect_failed(const char* why) { fail({Reason::kUpstreamConnect, kSafe, why}); }

void ClientSession::fail(const ProxyError& why) {
  if (!in_the_making() || failed_task_.pending()) return;
  timer_.cancel();
  failure_ = why;
  loop_.defer(failed_task_);
}

void ClientSession::failed() {
  host_.session_failed(*this, failure_);
  close();
}

void ClientSession::on_connected(int error) {
  if (error != 0) {
    connect_failed("the target refused the connection or cannot be reached");
    return;
  }
  if (!announcement_.empty()) connection_.tcp().write(announcement_);
  if (filter_ == nullptr) {
    start();
  } else if (connection_.tcp().secure(std::move(filter_)) != 0) {
    on_not_secured();
  } else {
    connection_.tcp().read_start();
  }
}

void ClientSession::on_secured() {
  if (connection_.tcp().filter()->protocol() == "h2") {
    start();
  } else {
    fail({Reason::kUpstreamTls, kSafe, "the target does not agree to speak HTTP/2"});
  }
}

void ClientSession::on_not_secured() {
  host_.session_not_secured(*this, *connection_.tcp().filter());
  fail({Reason::kUpstreamTls, kSafe, "the TLS handshake with the target failed"});
}

void ClientSession::start() {
  state_ = State::kSettling;
  Connection::Options options;
  options.head = kHeadLimits;
  options.limits = limits_;
  options.budgets = true;
  connection_.start(options, {});
}

void ClientSession::on_settings() {
  if (state_ == State::kSettling) {
    state_ = State::kReady;
    idle_since_ms_ = loop_.now_ms();
    loop_.arm(timer_, kIdleMs);
  }
  if (room() > 0) host_.session_has_room(*this);
}

size_t ClientSession::room() const {
  if (state_ != State::kReady || retired_ || broken_ != nullptr || uses_ >= kMaxRequests || !connection_.may_open()) return 0;
  size_t most = connection_.most_streams();
  return most > streams_ ? most - streams_ : 0;
}

void ClientSession::attach(ClientStream& stream) {
  stream.waiting_ = false;
  stream.timer_.cancel();
  stream.session_ = this;
  stream.reused_ = ++uses_ > 1;
  stream.prev = nullptr;
  stream.next = first_;
  if (first_ != nullptr) first_->prev = &stream;
  first_ = &stream;
  ++streams_;
  if (stream.head_ == nullptr) return;
  begin(stream);
  // Its exchange may have stopped the client while it waited.
  if (stream.on_wire_ && !stream.request_done_ && connection_.queued(stream) <= TcpStream::kHighWater) {
    stream.events_->on_upstream_drained();
  }
}

void ClientSession::detach(ClientStream& stream) {
  if (stream.prev != nullptr) stream.prev->next = stream.next;
  if (stream.next != nullptr) stream.next->prev = stream.prev;
  if (first_ == &stream) first_ = stream.next;
  stream.next = stream.prev = nullptr;
  stream.session_ = nullptr;
  stream.on_wire_ = false;
  stream.timer_.cancel();
  if (--streams_ == 0) idle_since_ms_ = loop_.now_ms();
}

// The stream's head goes out, and what it has held back.
void ClientSession::begin(ClientStream& stream) {
  const RequestHead& head = *stream.head_;
  if (head.wants_websocket && !connection_.peer_takes_connect()) {
    detach(stream);
    stream.fail({Reason::kUpstreamInvalid, kNever, "the upstream takes no WebSocket over HTTP/2 (RFC 8441)"});
    return;
  }
  if (!connection_.may_open()) {  // its limit has become less
    detach(stream);
    if (!host_.move_stream(stream)) stream.fail({Reason::kUpstreamReset, kSafe, "the upstream takes no more requests"});
    return;
  }
  HeadFields& fields = head_fields();
  write_request(fields, head, connection_.tcp().filter() != nullptr ? "https" : "http", stream.arena());
  bool bodyless = !head.has_body && !head.wants_websocket;
  stream.reads_at_ = reads_;
  stream.on_wire_ = true;
  connection_.send_request(stream, fields, bodyless);
  if (stream.held_.empty() && !(stream.request_done_ && !bodyless)) return;
  const HeaderList* trailers = stream.trailers_.size() > 0 ? &stream.trailers_ : nullptr;
  send(stream, stream.held_, stream.request_done_, trailers);
  stream.keep({}, trailers != nullptr);
}

void ClientSession::send(ClientStream& stream, std::string_view piece, bool last, const HeaderList* trailers) {
  if (trailers == nullptr) {
    connection_.send_data(stream, piece, last, nullptr);
    return;
  }
  HeadFields& fields = head_fields();
  for (const HeaderField& f : trailers->fields()) {
    if ((header_bit(f.id) & kNotInTrailers) == 0) fields.add(lower_case_name(f.name, stream.arena()), f.value);
  }
  connection_.send_data(stream, piece, last, &fields);
}

void ClientSession::released(ClientStream& stream) {
  if (!stream.on_wire_) {
    detach(stream);
    host_.stream_ended(stream);
    stream_left();
    return;
  }
  if (stream.tunnel_ && !stream.response_done_) {
    connection_.send_data(stream, {}, true, nullptr);
    loop_.arm(stream.timer_, kTunnelFlushMs);
  } else if (!stream.response_done_ || !stream.sent_all()) {
    connection_.reset(stream, Code::kCancel);
  }
  connection_.let_go(stream);
}

void ClientSession::on_head(Stream& on, const Connection::Head& in) {
  auto& stream = static_cast<ClientStream&>(on);
  if (stream.events_ == nullptr) return;
  stream.got_any_ = true;
  if (in.too_large) {
    refuse(stream, "the upstream's answer has too many or too large fields");
    return;
  }
  stream.fields_.clear();
  int status = 0;
  for (const HeaderField& f : in.fields) {
    if (!f.name.empty() && f.name.front() == ':') {
      status = status_of(f.value);
    } else {
      stream.fields_.add(f.name, f.value, f.id);
    }
  }
  if (in.trailers) {
    stream.response_done_ = true;
    stream.events_->on_response_data({}, true, &stream.fields_);
  } else if (status >= 200) {
    take_answer(stream, status, in.last);
  } else if (++stream.interim_ > kMaxInterim) {
    refuse(stream, "the upstream sent too many interim answers");
  } else if (status != 100) {
    stream.events_->on_response_interim(status, stream.fields_);
  }
}

void ClientSession::take_answer(ClientStream& stream, int status, bool last) {
  ResponseHead& head = stream.events_->response_head();
  std::swap(head.headers, stream.fields_);
  head.status = status;
  head.http2 = true;
  if (stream.head_->wants_websocket && status < 300) {
    head.status = 101;  // agreed (RFC 8441 §5)
    head.has_body = false;
    head.content_length = -1;
    stream.tunnel_ = true;
  } else {
    bool bodyless = stream.method_ == Method::kHead || status == 204 || status == 304;
    head.has_body = !last && !bodyless;
    head.content_length = length_of(head.headers);
    if (last && !bodyless) head.content_length = 0;
    if (status == 204) head.content_length = -1;
  }
  stream.events_->on_response_head();
  if (!last || stream.events_ == nullptr) return;
  stream.response_done_ = true;
  stream.events_->on_response_data({}, true, nullptr);
}

void ClientSession::on_data(Stream& on, std::string_view piece, bool last) {
  auto& stream = static_cast<ClientStream&>(on);
  if (stream.events_ == nullptr) return;
  stream.response_done_ = last;
  if (last || !piece.empty()) stream.events_->on_response_data(piece, last, nullptr);
}

void ClientSession::on_read_done(Stream& on) {
  auto& stream = static_cast<ClientStream&>(on);
  if (stream.events_ != nullptr) stream.events_->on_response_read_done();
}

void ClientSession::on_stream_drained(Stream& on) {
  auto& stream = static_cast<ClientStream&>(on);
  if (stream.events_ != nullptr) stream.events_->on_upstream_drained();
}

// The answer cannot go on to a client.
void ClientSession::refuse(ClientStream& stream, const char* why) {
  connection_.reset(stream, Code::kProtocolError);
  connection_.let_go(stream);
  std::exchange(stream.events_, nullptr)->on_upstream_failed({Reason::kUpstreamInvalid, kNever, why});
}

ProxyError ClientSession::why_closed(const ClientStream& stream, Code code, bool unseen) const {
  if (unseen) return {Reason::kUpstreamReset, kSafe, "the upstream refused the request unseen"};
  if (!connection_.usable() || broken_ != nullptr) {
    // Nothing at all was read since the request was sent on a connection that had served before: it was dead by then.
    bool was_dead = stream.reused_ && !stream.got_any_ && stream.reads_at_ == reads_;
    ProxyError::Retry retry = was_dead ? ProxyError::Retry::kIfReused : kNever;
    if (broken_ != nullptr) return {Reason::kUpstreamInvalid, retry, broken_};
    return {Reason::kUpstreamReset, retry, stream.got_any_ ? "the upstream closed the connection within its answer"
                                                          : "the upstream closed the connection without an answer"};
  }
  if (code == Code::kProtocolError) return {Reason::kUpstreamInvalid, kNever, "the upstream's answer is malformed"};
  return {Reason::kUpstreamReset, kNever, "the upstream reset the request"};
}

void ClientSession::on_stream_closed(Stream& on, Code code, bool unseen) {
  auto& stream = static_cast<ClientStream&>(on);
  if (stream.session_ != this) return;
  detach(stream);
  UpstreamEvents* events = stream.events_;
  if (events == nullptr) {
    host_.stream_ended(stream);
  } else if (!stream.response_done_) {
    bool moves = unseen && state_ == State::kGoingAway && stream.movable_ && !stream.got_any_;
    ProxyError why = why_closed(stream, code, unseen);
    if (moves) stream.reset_stream();
    if (!moves || !host_.move_stream(stream)) {
      stream.events_ = nullptr;
      host_.stream_ended(stream);
      events->on_upstream_failed(why);
    }
  }  // else the exchange has it whole and releases it
  stream_left();
}

// There is room for another, or it was the last.
void ClientSession::stream_left() {
  if (room() > 0) {
    host_.session_has_room(*this);
  } else if (streams_ == 0 && (state_ == State::kGoingAway || retired_)) {
    finish();
  }
}

void ClientSession::on_goaway(Code) {
  host_.session_going_away(*this);
  if (state_ != State::kReady) return;  // one that is made fails by what follows
  state_ = State::kGoingAway;
  timer_.cancel();
  if (streams_ == 0) finish();
}

void ClientSession::on_budget_exceeded() {
  broken_ = "the upstream sends too many frames that are of no use";
  host_.session_beyond_budget(*this);
}

void ClientSession::on_batch_done() { ++reads_; }

void ClientSession::retire() {
  retired_ = true;
  if (streams_ == 0) {
    if (in_the_making()) close();
    else finish();
  }
}

// Says goodbye; on_closed() follows.
void ClientSession::finish() {
  if (state_ == State::kClosed) return;
  state_ = State::kGoingAway;
  timer_.cancel();
  connection_.end(Code::kNoError);
}

void ClientSession::timed_out() {
  if (in_the_making()) {
    fail({Reason::kUpstreamTimeout, kSafe, "connecting to the target took longer than timeouts.connect"});
    return;
  }
  int64_t idle_ms = streams_ > 0 ? 0 : loop_.now_ms() - idle_since_ms_;
  if (idle_ms >= kIdleMs) {
    finish();
  } else {
    loop_.arm(timer_, kIdleMs - idle_ms);
  }
}

void ClientSession::on_closed(int) {
  if (state_ == State::kClosed) return;
  if (in_the_making()) {
    if (!failed_task_.pending()) {
      failure_ = {Reason::kUpstreamConnect, kSafe, "the target closed the connection or does not speak HTTP/2"};
    }
    host_.session_failed(*this, failure_);
  }
  close();
}

void ClientSession::close() {
  if (state_ == State::kClosed) return;
  state_ = State::kClosed;
  timer_.cancel();
  failed_task_.cancel();
  host_.session_closed(*this);
  while (first_ != nullptr) {
    ClientStream& stream = *first_;
    detach(stream);
    if (stream.events_ == nullptr) {
      host_.stream_ended(stream);
    } else if (!stream.response_done_) {
      stream.fail({Reason::kUpstreamReset, kNever, "the connection to the upstream was closed"});
    }
  }
  connection_.close();
}

}  // namespace gw::http2
