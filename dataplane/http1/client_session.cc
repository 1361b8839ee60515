#include "dataplane/http1/client_session.h"

#include <cstring>

#include "common/crypto/websocket_key.h"
#include "dataplane/http1/websocket.h"
#include "dataplane/http1/writer.h"

namespace gw::http1 {
namespace {

constexpr ProxyError kInvalid{Reason::kUpstreamInvalid, ProxyError::Retry::kNever, "the upstream's answer is malformed"};

}  // namespace

ClientSession::ClientSession(Loop& loop, ClientHost& host)
    : loop_(loop),
      host_(host),
      stream_(loop, *this),
      timer_([](void* self) { static_cast<ClientSession*>(self)->timed_out(); }, this),
      failed_task_(
          [](void* arg) {
            auto* self = static_cast<ClientSession*>(arg);
            if (UpstreamEvents* events = self->events_; events != nullptr) {
              self->events_ = nullptr;
              self->close();
              events->on_upstream_failed(self->failure_);
            } else {
              self->close();
            }
          },
          this) {}

ClientSession::~ClientSession() = default;

void ClientSession::connect(const sockaddr* address, socklen_t size, int64_t timeout_ms) {
  loop_.arm(timer_, timeout_ms);
  if (stream_.connect(address, size) != 0) connect_failed("cannot connect to the target");
}

void ClientSession::connect_failed(const char* why) {
  if (connected_ || closed_) return;
  timer_.cancel();
  fail({Reason::kUpstreamConnect, ProxyError::Retry::kSafe, why});
}

void ClientSession::on_connected(int error) {
  if (error != 0) {
    connect_failed("the target refused the connection or cannot be reached");
    return;
  }
  if (filter_ == nullptr) {
    established();
    return;
  }
  if (announced_size_ > 0) stream_.write(std::string_view(waiting_).substr(0, announced_size_));
  waiting_.erase(0, announced_size_);
  if (stream_.secure(std::move(filter_)) != 0) {
    not_secured();
    return;
  }
  stream_.read_start();
}

void ClientSession::on_secured() { established(); }

void ClientSession::not_secured() {
  host_.session_not_secured(*this, *stream_.filter());
  fail({Reason::kUpstreamTls, ProxyError::Retry::kSafe, "the TLS handshake with the target failed"});
}

void ClientSession::established() {
  connected_ = true;
  timer_.cancel();
  stream_.read_start();
  if (!waiting_.empty()) {
    stream_.write(waiting_);
    std::string().swap(waiting_);
  }
  if (events_ != nullptr && stream_.queued() == 0) events_->on_upstream_drained();
}

void ClientSession::timed_out() {
  if (!connected_) {
      fail({Reason::kUpstreamTimeout, ProxyError::Retry::kSafe, "connecting to the target took longer than timeouts.connect"});
  } else {
    close();  // idle for long
  }
}

void ClientSession::lease(UpstreamEvents& events, Method method) {
  timer_.cancel();
  events_ = &events;
  method_ = method;
  ++uses_;
  interim_ = 0;
  got_bytes_ = in_body_ = request_chunked_ = request_done_ = response_done_ = head_pending_ = false;
}

void ClientSession::write(std::string_view a, std::string_view b, std::string_view c) {
  if (!connected_) {
    waiting_.append(a).append(b).append(c);
    return;
  }
  // A failure is told by the read side: the target may have answered before it closed.
  stream_.write(a, b, c);
}

void ClientSession::send_head(const RequestHead& head) {
  ByteBuffer& out = loop_.upstream_scratch();
  out.clear();
  if (head.wants_websocket) {
    std::string key = make_websocket_key();
    accept_ = websocket_accept(key);
    write_request_head(out, head, websocket_lines(key));
  } else {
    accept_.clear();
    write_request_head(out, head);
  }
  request_chunked_ = head.has_body && head.content_length < 0;
  if (head.has_body) {
    head_pending_ = true;
  } else {
    request_done_ = true;
    write(out.view());
  }
}

void ClientSession::send_data(std::string_view piece, bool last, const HeaderList* trailers) {
  ByteBuffer& out = loop_.upstream_scratch();
  if (!head_pending_) out.clear();
  head_pending_ = false;
  request_done_ = last;
  if (!request_chunked_) {
    write(out.view(), piece);
    return;
  }
  if (!piece.empty()) write_chunk_size(out, piece.size());
  if (!last) {
    write(out.view(), piece, piece.empty() ? "" : "\r\n");
    return;
  }
  if (trailers == nullptr) {
    write(out.view(), piece, piece.empty() ? "0\r\n\r\n" : "\r\n0\r\n\r\n");
    return;
  }
  ByteBuffer end;
  end.append(piece.empty() ? "0\r\n" : "\r\n0\r\n");
  write_trailers(end, *trailers);
  end.append("\r\n");
  write(out.view(), piece, end.view());
}

void ClientSession::flush() {
  if (!head_pending_) return;
  head_pending_ = false;
  write(loop_.upstream_scratch().view());
}

void ClientSession::pause_response() {
  if (connected_) stream_.read_stop();
}

TcpStream* ClientSession::splice_sink() {
  return connected_ && !request_chunked_ && !request_done_ && !head_pending_ && stream_.may_sink() ? &stream_ : nullptr;
}

bool ClientSession::splice_body(TcpStream& sink) {
  return in_body_ && body_ == Framing::Kind::kLength && body_left_ > 0 && stream_.splice_to(sink, static_cast<uint64_t>(body_left_));
}

void ClientSession::on_spliced(uint64_t bytes, bool full) {
  body_left_ -= static_cast<int64_t>(bytes);
  response_done_ = body_left_ == 0;
  if (events_ != nullptr) events_->on_response_spliced(bytes, response_done_, full);
}

void ClientSession::resume_response() {
  if (connected_) stream_.read_start();
}

std::span<char> ClientSession::read_buffer() {
  // Bodies are handed on within the read event, so all sessions of the loop share one large buffer for them.
  if (in_body_) return {loop_.body_buffer(), Loop::kBodyBuffer};
  if (!block_) {
    block_ = loop_.blocks().get();
    begin_ = end_ = 0;
  }
  if (end_ == block_.capacity()) {
    Block grown = loop_.blocks().get((end_ - begin_) * 2);
    std::memcpy(grown.data(), block_.data() + begin_, end_ - begin_);
    block_ = std::move(grown);
    end_ -= begin_;
    begin_ = 0;
  }
  return {block_.data() + end_, block_.capacity() - end_};
}

void ClientSession::on_read(size_t size) {
  if (events_ == nullptr) {
    close();  // nobody asked: what would be read next could be taken for another exchange's answer
    return;
  }
  got_bytes_ = true;
  if (in_body_) {
    deliver_body({loop_.body_buffer(), size});
  } else {
    end_ += size;
    process();
  }
  if (events_ != nullptr) events_->on_response_read_done();
}

void ClientSession::process() {
  while (read_head()) {
  }
}

// True: an interim head was taken, another may follow.
bool ClientSession::read_head() {
  const char* base = block_.data() + begin_;
  HeadResult result = parser_.feed(base, end_ - begin_, kHeadLimits);
  if (result == HeadResult::kMore) return false;
  if (result != HeadResult::kComplete) {
    fail(kInvalid);
    return false;
  }
  int status = parser_.status();
  size_t head_size = parser_.head_size();
  if (status < 200) {
    if (status == 101 && !accept_.empty()) {
      switch_protocols(base, head_size);
      return false;
    }
    if (status == 101 || ++interim_ > kMaxInterim) {
      fail({Reason::kUpstreamInvalid, ProxyError::Retry::kNever, "the upstream switched protocols or sent too many interim answers"});
      return false;
    }
    if (status != 100) {
      HeaderList headers;
      parser_.fill(base, headers);
      events_->on_response_interim(status, headers);
      if (events_ == nullptr) return false;
    }
    begin_ += head_size;
    parser_.restart();
    return begin_ < end_;
  }
  ResponseHead& head = events_->response_head();
  head.status = status;
  head.http10 = parser_.http10();
  parser_.fill(base, head.headers);
  Framing framing = response_framing(head.headers, status, method_, parser_.http10());
  if (framing.kind == Framing::Kind::kBad) {
    fail({Reason::kUpstreamInvalid, ProxyError::Retry::kNever, framing.why});
    return false;
  }
  body_ = framing.kind;
  body_left_ = framing.length;
  if (body_ == Framing::Kind::kUntilClose || !keeps_alive(head.headers, parser_.http10())) reusable_ = false;
  if (body_ == Framing::Kind::kChunked) chunks_.restart();
  head.has_body = body_ != Framing::Kind::kNone;
  head.content_length = body_ == Framing::Kind::kLength ? framing.length : -1;
  if (body_ == Framing::Kind::kNone && status != 204) {
    // Of an answer to HEAD or a 304 the length is the one that GET would have; an empty body says 0.
    const HeaderField* length = head.headers.find(HeaderId::kContentLength);
    if (length != nullptr) {
      head.content_length = 0;
      for (char c : length->value) head.content_length = head.content_length * 10 + (c - '0');
    } else if (method_ != Method::kHead && status != 304) {
      head.content_length = 0;
    }
  }
  in_body_ = true;
  std::string_view rest(base + head_size, end_ - begin_ - head_size);
  events_->on_response_head();
  if (events_ == nullptr) return false;
  if (body_ == Framing::Kind::kNone) {
    if (!rest.empty()) reusable_ = false;
    give({}, true, nullptr);
  } else if (!rest.empty()) {
    deliver_body(rest);
  }
  return false;
}

// The upstream's answer to a WebSocket handshake (RFC 6455 §4.1).
void ClientSession::switch_protocols(const char* base, size_t head_size) {
  ResponseHead& head = events_->response_head();
  head.status = 101;
  parser_.fill(base, head.headers);
  reusable_ = false;
  if (!agrees_to_websocket(head.headers, accept_)) {
    fail({Reason::kUpstreamInvalid, ProxyError::Retry::kNever, "the upstream's 101 does not fit the WebSocket handshake"});
    return;
  }
  head.has_body = false;
  head.content_length = -1;
  body_ = Framing::Kind::kUntilClose;
  in_body_ = tunnel_ = true;
  std::string_view rest(base + head_size, end_ - begin_ - head_size);
  events_->on_response_head();
  if (events_ != nullptr && !rest.empty()) deliver_body(rest);
}

void ClientSession::give(std::string_view piece, bool last, const HeaderList* trailers) {
  if (last) response_done_ = true;
  events_->on_response_data(piece, last, trailers);
}

void ClientSession::deliver_body(std::string_view input) {
  if (response_done_) {
    reusable_ = false;  // bytes behind the answer
    return;
  }
  if (body_ == Framing::Kind::kUntilClose) {
    give(input, false, nullptr);
    return;
  }
  if (body_ == Framing::Kind::kLength) {
    if (static_cast<int64_t>(input.size()) > body_left_) {
      reusable_ = false;
      input = input.substr(0, static_cast<size_t>(body_left_));
    }
    body_left_ -= static_cast<int64_t>(input.size());
    give(input, body_left_ == 0, nullptr);
    return;
  }
  // One step ahead, so that the last piece and the end leave in one write.
  std::string_view held;
  while (true) {
    std::string_view piece;
    ChunkedDecoder::Result result = chunks_.next(input, piece);
    if (result == ChunkedDecoder::Result::kDone) {
      if (!input.empty()) reusable_ = false;
      HeaderList trailers;
      if (chunks_.has_trailers()) chunks_.trailers(trailers);
      give(held, true, chunks_.has_trailers() ? &trailers : nullptr);
      return;
    }
    if (!held.empty()) give(held, false, nullptr);
    if (events_ == nullptr) return;
    if (result == ChunkedDecoder::Result::kBad) {
      fail({Reason::kUpstreamInvalid, ProxyError::Retry::kNever, "the upstream's chunked body is malformed"});
      return;
    }
    if (result == ChunkedDecoder::Result::kMore) return;
    held = piece;
  }
}

void ClientSession::on_read_end(int error) {
  if (!connected_) {
    not_secured();
    return;
  }
  if (events_ == nullptr) {
    close();
    return;
  }
  if (in_body_ && body_ == Framing::Kind::kUntilClose && error == 0) {
    reusable_ = false;
    give({}, true, nullptr);
    return;
  }
  if (response_done_) {
    reusable_ = false;
    return;
  }
  ProxyError::Retry retry = !got_bytes_ && reused() ? ProxyError::Retry::kIfReused : ProxyError::Retry::kNever;
  fail({Reason::kUpstreamReset, retry, got_bytes_ ? "the upstream closed the connection within its answer"
                                                  : "the upstream closed the connection without an answer"});
}

void ClientSession::on_drained() {
  if (tunnel_ && events_ == nullptr) close();
  if (events_ != nullptr) events_->on_upstream_drained();
}

void ClientSession::on_write_error(int) {
  if (tunnel_ && events_ == nullptr) {
    close();
    return;
  }
  // The read side tells; where reading is stopped, nobody would.
  if (!stream_.reading() && events_ != nullptr && !response_done_) {
    fail({Reason::kUpstreamReset, ProxyError::Retry::kNever, "the upstream closed the connection"});
  }
}

void ClientSession::fail(const ProxyError& error) {
  failure_ = error;
  reusable_ = false;
  timer_.cancel();
  stream_.read_stop();
  loop_.defer(failed_task_);
}

void ClientSession::release() {
  events_ = nullptr;
  failed_task_.cancel();
  if (tunnel_ && stream_.queued() > 0) {
    stream_.read_stop();
    stream_.shutdown();
    loop_.arm(timer_, kFlushMs);
    return;
  }
  if (!reusable_ || !response_done_ || !request_done_ || !connected_) {
    close();
    return;
  }
  block_ = Block();
  in_body_ = false;
  parser_.restart();
  if (!stream_.reading()) stream_.read_start();
  loop_.arm(timer_, kIdleMs);
  host_.session_idle(*this);
}

void ClientSession::close() {
  if (closed_) return;
  closed_ = true;
  reusable_ = false;
  timer_.cancel();
  stream_.close();
  host_.session_closed(*this);
}

}  // namespace gw::http1
