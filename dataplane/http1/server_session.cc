#include "dataplane/http1/server_session.h"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "dataplane/http1/writer.h"
#include "dataplane/exchange/describe.h"

namespace gw::http1 {
ServerSession::ServerSession(Loop& loop, ServerHost& host, uint32_t listener)
    : ServerConnection(listener),
      loop_(loop),
      host_(host),
      stream_(loop, *this),
      timer_([](void* self) { static_cast<ServerSession*>(self)->timed_out(); }, this),
      next_task_([](void* self) { static_cast<ServerSession*>(self)->process(); }, this),
      failed_task_([](void* self) { static_cast<ServerSession*>(self)->write_failed(); }, this) {}

ServerSession::~ServerSession() = default;

int ServerSession::start(int fd) {
  if (int error = stream_.accept(fd); error != 0) return error;
  describe(stream_, info_);
  // A new connection has the head's time to begin, not the idle time.
  loop_.arm(timer_, host_.limits(listener()).head_timeout_ms);
  return stream_.read_start();
}

void ServerSession::start(TcpStream& from, const ConnectionInfo& info, std::string_view early) {
  stream_.take(from);
  info_ = info;
  loop_.arm(timer_, host_.limits(listener()).head_timeout_ms);
  if (!early.empty()) {
    block_ = loop_.blocks().get(early.size());
    std::memcpy(block_.data(), early.data(), early.size());
    end_ = early.size();
    loop_.defer(next_task_);
  }
  stream_.read_start();
}

std::span<char> ServerSession::read_buffer() {
  if (tunnel_) return {loop_.body_buffer(), Loop::kBodyBuffer};
  if (!block_) {
    block_ = loop_.blocks().get();
    begin_ = pos_ = end_ = 0;
  }
  if (end_ == block_.capacity()) {
    if (state_ != State::kHead) return {};  // a full block of pipelined requests waits: stop reading
    grow_block((end_ - begin_) * 2);
  }
  return {block_.data() + end_, block_.capacity() - end_};
}

// Moves what is not done with to the front of a larger block.
void ServerSession::grow_block(size_t capacity) {
  Block grown = loop_.blocks().get(capacity);
  std::memcpy(grown.data(), block_.data() + begin_, end_ - begin_);
  block_ = std::move(grown);
  pos_ -= begin_;
  end_ -= begin_;
  begin_ = 0;
}

void ServerSession::on_read(size_t size) {
  if (tunnel_) {
    read_tunnel(size);
    return;
  }
  end_ += size;
  process();
}

void ServerSession::process() {
  in_process_ = true;
  bool more = true;
  while (more && state_ != State::kClosed) {
    switch (state_) {
      case State::kIdle:
        more = pos_ < end_;
        if (more) {
          begin_ = pos_;
          state_ = State::kHead;
        }
        break;
      case State::kHead:
        more = read_head();
        break;
      case State::kExchange:
        if (tunnel_) {
          deliver_early();
        } else {
          deliver_body();
        }
        if (events_ != nullptr) events_->on_request_read_done();
        more = state_ != State::kExchange;
        break;
      case State::kLinger:
        linger_on(end_ - pos_);
        pos_ = end_ = begin_ = 0;
        more = false;
        break;
      case State::kClosed:
        break;
    }
  }
  in_process_ = false;
  if (state_ == State::kIdle && block_ && pos_ == end_) block_ = Block();
}

// False: wait for more bytes.
bool ServerSession::read_head() {
  HeadResult result = parser_.feed(block_.data() + begin_, end_ - begin_, host_.limits(listener()).head);
  if (result == HeadResult::kMore) {
    // The head's time runs from its first byte: an idle timer is replaced once, the head's own timer goes on.
    if (!timer_.armed() || pos_ == begin_) loop_.arm(timer_, host_.limits(listener()).head_timeout_ms);
    pos_ = end_;
    return false;
  }
  timer_.cancel();
  if (result == HeadResult::kComplete) {
    begin_exchange();
  } else {
    Reason reason = result == HeadResult::kTooLarge ? Reason::kHeadersTooLarge : Reason::kBadRequest;
    refuse_head({reason, ProxyError::Retry::kNever, parser_.why()});
  }
  return true;
}

void ServerSession::open_exchange(bool http10) {
  info_.path_rule = host_.limits(listener()).path_rule;
  ++requests_;
  events_ = &host_.open_exchange(*this, listener());
  state_ = State::kExchange;
  info_.http10 = http10;
  response_begun_ = response_done_ = response_chunked_ = head_pending_ = false;
  response_has_body_ = true;
}

void ServerSession::begin_exchange() {
  size_t head_end = begin_ + parser_.head_size();
  open_exchange(parser_.http10());
  RequestHead& head = events_->request_head();
  parser_.fill(block_.data() + begin_, head.headers);
  Framing framing = request_framing(head.headers, info_.http10);
  if (framing.kind != Framing::Kind::kNone && framing.kind != Framing::Kind::kBad &&
      block_.capacity() - head_end < kMinBodyRoom) {
    grow_block(parser_.head_size() + BlockPool::kBlock);  // views into the head are made after it has moved
    head.headers.clear();
    parser_.fill(block_.data() + begin_, head.headers);
    head_end = begin_ + parser_.head_size();
  }
  const char* base = block_.data() + begin_;
  head.method = parser_.method();
  head.method_text = parser_.method_text(base);
  head.target = parser_.target(base);
  body_begin_ = pos_ = head_end;
  keep_alive_ = keeps_alive(head.headers, info_.http10);
  body_ = framing.kind;
  body_left_ = framing.length;
  if (body_ == Framing::Kind::kChunked) chunks_.restart();
  body_done_ = framing.kind == Framing::Kind::kNone || framing.kind == Framing::Kind::kBad;
  head.has_body = !body_done_;
  head.content_length = framing.kind == Framing::Kind::kLength ? framing.length : -1;
  if (framing.kind == Framing::Kind::kNone && head.headers.maybe_has(HeaderId::kContentLength)) head.content_length = 0;
  if (framing.kind == Framing::Kind::kBad) {
    keep_alive_ = false;
    events_->on_request_invalid({Reason::kBadRequest, ProxyError::Retry::kNever, framing.why});
  } else {
    events_->on_request_head();
  }
}

// In place of a request: the exchange makes the answer, then the connection ends.
void ServerSession::refuse_head(const ProxyError& error) {
  open_exchange(false);
  keep_alive_ = false;
  body_done_ = true;
  pos_ = end_;
  events_->on_request_invalid(error);
}

void ServerSession::deliver_body() {
  while (pos_ < end_ && !body_done_ && events_ != nullptr && state_ == State::kExchange) {
    std::string_view input(block_.data() + pos_, end_ - pos_);
    if (body_ == Framing::Kind::kLength) {
      size_t take = body_left_ < static_cast<int64_t>(input.size()) ? static_cast<size_t>(body_left_) : input.size();
      pos_ += take;
      body_left_ -= static_cast<int64_t>(take);
      body_done_ = body_left_ == 0;
      events_->on_request_data(input.substr(0, take), body_done_, nullptr);
      continue;
    }
    // Looks one step ahead, so that the last piece is known as such.
    std::string_view piece, following;
    ChunkedDecoder::Result result = chunks_.next(input, piece);
    std::string_view rest = input;
    ChunkedDecoder::Result ahead = result == ChunkedDecoder::Result::kData ? chunks_.next(rest, following) : result;
    while (result == ChunkedDecoder::Result::kData) {
      bool last = ahead == ChunkedDecoder::Result::kDone;
      pos_ = end_ - rest.size() - (ahead == ChunkedDecoder::Result::kData ? following.size() : 0);
      if (last && !chunks_.has_trailers()) break;
      if (!piece.empty()) events_->on_request_data(piece, false, nullptr);
      if (events_ == nullptr || state_ != State::kExchange) return;
      piece = following;
      result = ahead;
      if (result == ChunkedDecoder::Result::kData) ahead = chunks_.next(rest, following);
    }
    pos_ = end_ - rest.size();
    if (ahead == ChunkedDecoder::Result::kBad) {
      keep_alive_ = false;
      body_done_ = true;
      events_->on_request_invalid({Reason::kBadRequest, ProxyError::Retry::kNever, "malformed chunked body"});
    } else if (ahead == ChunkedDecoder::Result::kDone) {
      body_done_ = true;
      HeaderList trailers;
      if (chunks_.has_trailers()) chunks_.trailers(trailers);
      events_->on_request_data(result == ChunkedDecoder::Result::kData ? piece : std::string_view(), true,
                               chunks_.has_trailers() ? &trailers : nullptr);
    } else {
      break;
    }
  }
  // The body's room is used again; the head before it stays.
  if (!body_done_ && pos_ == end_ && state_ == State::kExchange) pos_ = end_ = body_begin_;
}

void ServerSession::on_read_end(int error) {
  peer_ended_ = true;
  switch (state_) {
    case State::kIdle:
    case State::kHead:
    case State::kLinger:
      close();
      break;
    case State::kExchange:
      keep_alive_ = false;
      // A client that has sent its whole request may close its side and still wait for the answer.
      if ((error != 0 || !body_done_) && events_ != nullptr) events_->on_downstream_closed();
      break;
    case State::kClosed:
      break;
  }
}

void ServerSession::on_drained() {
  if (events_ != nullptr) events_->on_downstream_drained();
}

void ServerSession::on_write_error(int) { write_failed(); }

void ServerSession::write_failed() {
  peer_ended_ = true;
  if (events_ != nullptr) {
    keep_alive_ = false;
    events_->on_downstream_closed();
  } else if (state_ != State::kClosed) {
    close();
  }
}

void ServerSession::send_interim(int status, const HeaderList* headers) {
  if (info_.http10 || response_begun_) return;
  if (status == 100) {
    stream_.write("HTTP/1.1 100 Continue\r\n\r\n");
    return;
  }
  ByteBuffer out;
  out.append("HTTP/1.1 " + std::to_string(status) + " Early Hints\r\n");
  if (headers != nullptr) write_fields(out, *headers);
  out.append("\r\n");
  stream_.write(out.view());
}

void ServerSession::send_head(const ResponseHead& head, bool close) {
  // What is left of the request's body would have to be read first: the connection ends instead.
  if (close || !body_done_ || peer_ended_ || host_.draining()) keep_alive_ = false;
  if (keep_alive_ && requests_ >= host_.limits(listener()).requests) {
    keep_alive_ = false;
    host_.requests_used_up();
  } else if (keep_alive_ && host_.sheds_connections()) {
    keep_alive_ = false;
  }
  response_begun_ = true;
  response_has_body_ = head.has_body;
  response_chunked_ = head.has_body && head.content_length < 0 && !info_.http10;
  if (head.has_body && head.content_length < 0 && info_.http10) keep_alive_ = false;  // ends with the connection
  ConnectionField field = ConnectionField::kNone;
  if (!keep_alive_) field = ConnectionField::kClose;
  if (keep_alive_ && info_.http10) field = ConnectionField::kKeepAlive;
  ByteBuffer& out = loop_.downstream_scratch();
  out.clear();
  write_response_head(out, head, response_chunked_, field);
  head_pending_ = true;
}

void ServerSession::send_data(std::string_view piece, bool last, const HeaderList* trailers) {
  ByteBuffer& out = loop_.downstream_scratch();
  if (!head_pending_) out.clear();
  head_pending_ = false;
  response_done_ = response_done_ || last;
  if (!response_has_body_) piece = {};
  bool ok = true;
  if (response_chunked_) {
    std::string_view tail;
    if (!piece.empty()) {
      write_chunk_size(out, piece.size());
      tail = last ? "\r\n0\r\n\r\n" : "\r\n";
    } else if (last) {
      tail = "0\r\n\r\n";
    }
    if (last && trailers != nullptr) {
      ByteBuffer end;
      end.append(piece.empty() ? "0\r\n" : "\r\n0\r\n");
      write_trailers(end, *trailers);
      end.append("\r\n");
      ok = stream_.write(out.view(), piece, end.view());
    } else {
      ok = stream_.write(out.view(), piece, tail);
    }
  } else {
    ok = stream_.write(out.view(), piece);
  }
  if (!ok) loop_.defer(failed_task_);
}

void ServerSession::flush() {
  if (!head_pending_) return;
  head_pending_ = false;
  if (!stream_.write(loop_.downstream_scratch().view())) loop_.defer(failed_task_);
}

void ServerSession::pause_request() {
  if (state_ == State::kExchange && !body_done_) stream_.read_stop();
}

TcpStream* ServerSession::splice_sink() {
  return response_has_body_ && !response_chunked_ && !head_pending_ && stream_.may_sink() ? &stream_ : nullptr;
}

bool ServerSession::splice_body(TcpStream& sink) {
  return body_ == Framing::Kind::kLength && !body_done_ && pos_ == end_ && stream_.reading() &&
         stream_.splice_to(sink, static_cast<uint64_t>(body_left_));
}

void ServerSession::on_spliced(uint64_t bytes, bool full) {
  body_left_ -= static_cast<int64_t>(bytes);
  body_done_ = body_left_ == 0;
  if (events_ != nullptr) events_->on_request_spliced(bytes, body_done_, full);
}

void ServerSession::resume_request() {
  if (state_ == State::kExchange && !peer_ended_) stream_.read_start();
}

void ServerSession::reset() {
  keep_alive_ = false;
  reset_ = true;
}

void ServerSession::release() {
  events_ = nullptr;
  if (reset_) {
    // FIN within a chunked body or short of its length: the client sees that something is missing.
    stream_.reset_on_close();
    close();
    return;
  }
  if (!keep_alive_ || !response_done_ || !body_done_ || peer_ended_ || host_.draining()) {
    linger();
    return;
  }
  next_request();
}

void ServerSession::next_request() {
  state_ = State::kIdle;
  parser_.restart();
  if (pos_ < end_) {
    begin_ = pos_;
    if (!in_process_) loop_.defer(next_task_);
  } else {
    if (!in_process_) block_ = Block();
    loop_.arm(timer_, host_.limits(listener()).idle_timeout_ms);
  }
  if (!stream_.reading()) stream_.read_start();
}

// Closing with unread bytes in the socket would send RST, and the client might lose the answer: FIN first, then read on a
// little.
void ServerSession::linger() {
  state_ = State::kLinger;
  body_left_ = 0;
  pos_ = end_ = begin_ = 0;
  if (peer_ended_ && stream_.queued() == 0) {
    close();
    return;
  }
  stream_.shutdown();
  linger_until_ms_ = loop_.now_ms() + kLingerMsMax;
  loop_.arm(timer_, kLingerMs);
  if (!stream_.reading() && !peer_ended_) stream_.read_start();
}

void ServerSession::linger_on(size_t bytes) {
  body_left_ += static_cast<int64_t>(bytes);
  int64_t left_ms = linger_until_ms_ - loop_.now_ms();
  if (body_left_ > static_cast<int64_t>(kLingerBytes) || left_ms <= 0) {
    close();
  } else {
    loop_.arm(timer_, std::min(left_ms, kLingerMs));
  }
}

void ServerSession::timed_out() {
  switch (state_) {
    case State::kIdle:
      // A request that crosses the end of the idle time is not cut: it is read in this turn.
      if (stream_.has_unread()) loop_.arm(timer_, host_.limits(listener()).head_timeout_ms);
      else close();
      break;
    case State::kLinger:
      close();
      break;
    case State::kHead:
      refuse_head({Reason::kRequestTimeout, ProxyError::Retry::kNever, "the request's head took too long"});
      break;
    case State::kExchange:
    case State::kClosed:
      break;
  }
}

// A client that sends its next request while its connection is closed loses it, and cannot tell whether it was served. So
// the request that comes is answered with `Connection: close`.
void ServerSession::drain(int64_t idle_ms) {
  keep_alive_ = false;
  if (state_ == State::kIdle && !next_task_.pending()) {
    const ServerLimits& limits = host_.limits(listener());
    int64_t wait_ms = std::min(idle_ms, requests_ == 0 ? limits.head_timeout_ms : limits.idle_timeout_ms);
    if (wait_ms > 0 || stream_.has_unread()) loop_.arm(timer_, std::max<int64_t>(wait_ms, 1));
    else close();
  }
  if (tunnel_ && events_ != nullptr) events_->on_downstream_draining();
}

void ServerSession::abort() {
  if (events_ != nullptr) {
    keep_alive_ = false;
    peer_ended_ = true;
    events_->on_downstream_closed();
  }
  if (state_ != State::kClosed) close();
}

void ServerSession::close() {
  if (state_ == State::kClosed) return;
  state_ = State::kClosed;
  timer_.cancel();
  next_task_.cancel();
  failed_task_.cancel();
  stream_.close();
  host_.connection_closed(*this);
}

}  // namespace gw::http1
