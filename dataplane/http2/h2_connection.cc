#include "dataplane/http2/h2_connection.h"

#include <nghttp2/nghttp2.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "dataplane/http2/h2_fields.h"
#include "dataplane/http2/h2_hooks.h"

namespace gw::http2 {
namespace {

constexpr size_t kOutBlock = 81920;   // of a connection that sends much
constexpr size_t kWriteAt = 65536;    // bytes that are worth a write before the turn ends
constexpr uint32_t kEarnedByRequest = 4;
constexpr size_t kKeepQueue = 32;     // events, and fields, that an idle connection keeps room for
constexpr uint8_t kKeepAlivePing[8] = {'g', 'w', 'a', 'l', 'i', 'v', 'e', '?'};
constexpr uint8_t kAskedPing[8] = {'g', 'w', 'a', 's', 'k', 'e', 'd', '?'};

Code code_of(uint32_t code) { return static_cast<Code>(code); }

}  // namespace

HeadFields& head_fields() {
  static thread_local HeadFields fields;
  fields.clear();
  return fields;
}

std::string_view lower_case_name(std::string_view name, Arena& arena) {
  auto capital = [](char c) { return c >= 'A' && c <= 'Z'; };
  if (std::none_of(name.begin(), name.end(), capital)) return name;
  char* out = arena.allocate(name.size());
  std::transform(name.begin(), name.end(), out, [&](char c) { return capital(c) ? static_cast<char>(c | 0x20) : c; });
  return {out, name.size()};
}

Stream::Stream() = default;
Stream::~Stream() = default;

void Stream::drop_waiting() {
  piece_ = {};
  held_.clear();
  taken_ = 0;
  trailers_.reset();
}

void Stream::reset_stream() {
  drop_waiting();
  if (held_.capacity() > TcpStream::kHighWater) std::string().swap(held_);
  arena_.reset();
  unconsumed_ = 0;
  moved_ms_ = 0;
  id_ = 0;
  last_ = ended_ = deferred_ = paused_ = full_ = got_ = received_all_ = let_go_ = ours_ = views_ = closed_ = false;
}

Connection::Connection(Loop& loop, Events& events, Side side)
    : loop_(loop),
      events_(events),
      stream_(loop, *this),
      timer_([](void* self) { static_cast<Connection*>(self)->timed_out(); }, this),
      turn_task_([](void* self) { static_cast<Connection*>(self)->turn_ended(); }, this),
      side_(side) {}

Connection::~Connection() {
  if (session_ != nullptr) nghttp2_session_del(session_);
}

void Connection::start(const Options& options, std::string_view early) {
  options_ = options;
  session_ = Hooks::open(*this, side_ == Side::kServer);
  state_ = State::kOpen;
  read_ms_ = window_ms_ = loop_.now_ms();
  if (side_ == Side::kServer) frame_left_ = NGHTTP2_CLIENT_MAGIC_LEN;
  Hooks::submit_settings(session_, options_, side_ == Side::kServer);
  pump();
  if (side_ == Side::kServer) Hooks::announce_streams(out_.data(), out_size_, options_.limits.streams);
  loop_.defer(turn_task_);
  stream_.read_start();
  if (!early.empty()) feed(early);
}

std::span<char> Connection::read_buffer() { return {loop_.body_buffer(), Loop::kBodyBuffer}; }

void Connection::on_read(size_t size) {
  if (state_ == State::kEnding) {
    lingered_ += size;
    if (lingered_ > kLingerBytes) shut(0);
    return;
  }
  feed({loop_.body_buffer(), size});
}

void Connection::feed(std::string_view bytes) {
  if (!usable()) return;
  read_ms_ = loop_.now_ms();
  ping_ms_ = 0;
  follow(bytes);
  ssize_t taken = 0;
  if (!calm_) {
    inside_ = true;
    taken = nghttp2_session_mem_recv(session_, reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size());
    inside_ = false;
  }
  // A peer that reads nothing makes answers to its frames pile up.
  if (options_.budgets && nghttp2_session_get_outbound_queue_size(session_) >
                              options_.limits.resets + options_.limits.control_frames + 2 * options_.limits.streams) {
    calm_ = true;
  }
  if (calm_ || taken == NGHTTP2_ERR_FLOODED || taken == NGHTTP2_ERR_TOO_MANY_CONTINUATIONS) {
    std::erase_if(queue_, [](const Event& e) { return e.kind != Event::Kind::kClosed; });
    calm();
  } else if (taken < 0) {
    end(taken == NGHTTP2_ERR_BAD_CLIENT_MAGIC ? Code::kProtocolError : Code::kInternalError);
  }
  dispatch();
  if (usable()) events_.on_batch_done();
  loop_.defer(turn_task_);
}

// Whether a head is on its way: nghttp2 does not say of one that it passes over.
void Connection::follow(std::string_view bytes) {
  while (!bytes.empty()) {
    if (frame_left_ > 0) {
      size_t take = std::min(frame_left_, bytes.size());
      frame_left_ -= take;
      bytes.remove_prefix(take);
      continue;
    }
    size_t take = std::min(sizeof frame_head_ - frame_head_size_, bytes.size());
    std::memcpy(frame_head_ + frame_head_size_, bytes.data(), take);
    frame_head_size_ += take;
    bytes.remove_prefix(take);
    if (frame_head_size_ < sizeof frame_head_) return;
    frame_head_size_ = 0;
    frame_left_ = size_t{frame_head_[0]} << 16 | size_t{frame_head_[1]} << 8 | frame_head_[2];
    head_frame_ = frame_head_[3] == NGHTTP2_HEADERS || frame_head_[3] == NGHTTP2_CONTINUATION;
    head_complete_ = (frame_head_[4] & NGHTTP2_FLAG_END_HEADERS) != 0;
    if (options_.budgets && !count_frame()) return;
  }
}

// What comes in, by the frame's head. False: too much.
bool Connection::count_frame() {
  uint32_t id = uint32_t{frame_head_[5] & 0x7fu} << 24 | uint32_t{frame_head_[6]} << 16 | uint32_t{frame_head_[7]} << 8 | frame_head_[8];
  new_window();
  if (frame_head_[3] == NGHTTP2_HEADERS && id > last_id_) {
    last_id_ = id;
    earned_ += kEarnedByRequest;
    return true;
  }
  // DATA carries something, unless it is empty and not the last.
  bool nothing = frame_left_ == 0 && (frame_head_[4] & NGHTTP2_FLAG_END_STREAM) == 0;
  return (frame_head_[3] == NGHTTP2_DATA && !nothing) || control_frame();
}

void Connection::calm() {
  if (!usable()) return;
  events_.on_budget_exceeded();
  end(Code::kEnhanceYourCalm);
}

void Connection::tell(const Event& event) { queue_.push_back(event); }

void Connection::dispatch() {
  if (dispatching_ || queue_.empty()) return;
  dispatching_ = true;
  Stream* last = nullptr;
  // Events make others. What a stream's exchange holds back (a head, in the loop's scratch) leaves before another's turn comes.
  for (size_t i = 0; i < queue_.size() || last != nullptr;) {
    if (last != nullptr && (i == queue_.size() || queue_[i].stream != last)) {
      read_done(*std::exchange(last, nullptr));
      continue;
    }
    Event event = queue_[i++];
    last = event.stream;
    deliver(event);
  }
  dispatching_ = false;
  queue_.clear();
  // What stays is of the head that comes in.
  fields_.erase(fields_.begin(), fields_.begin() + static_cast<std::ptrdiff_t>(head_begin_));
  head_begin_ = 0;
  if (streams_ > 0) return;
  if (queue_.capacity() > kKeepQueue) std::vector<Event>().swap(queue_);
  if (fields_.empty() && fields_.capacity() > kKeepQueue) std::vector<HeaderField>().swap(fields_);
}

void Connection::read_done(Stream& stream) {
  if (!std::exchange(stream.got_, false)) return;
  if (!stream.let_go_) events_.on_read_done(stream);
}

void Connection::deliver(const Event& event) {
  Stream* stream = event.stream;
  if (event.kind == Event::Kind::kClosed) {
    if (state_ != State::kClosed) events_.on_stream_closed(*stream, code_of(event.code), event.code == NGHTTP2_REFUSED_STREAM);
    return;
  }
  // Of a request that its client has reset meanwhile nothing needs to be done.
  bool unwanted = stream != nullptr && (stream->let_go_ || (stream->closed_ && side_ == Side::kServer));
  if (state_ == State::kClosed) return;
  switch (event.kind) {
    case Event::Kind::kHead:
      if (unwanted) return;
      stream->got_ = true;
      events_.on_head(*stream, {{fields_.data() + event.first, event.count}, event.last, event.too_large, event.trailers});
      break;
    case Event::Kind::kData:
      if (!unwanted) {
        stream->got_ = true;
        events_.on_data(*stream, {event.data, event.count}, event.last);
      }
      if (stream->paused_ && !stream->closed_ && !stream->let_go_) {
        stream->unconsumed_ += event.count;
        if (side_ == Side::kClient && session_ != nullptr) nghttp2_session_consume_connection(session_, event.count);
      } else if (event.count > 0) {
        consume(*stream, event.count);
      }
      break;
    case Event::Kind::kDrained:
      if (!unwanted) events_.on_stream_drained(*stream);
      break;
    case Event::Kind::kSettings:
      events_.on_settings();
      break;
    case Event::Kind::kGoaway:
      events_.on_goaway(code_of(event.code));
      break;
    case Event::Kind::kPong:
      events_.on_pong();
      break;
    case Event::Kind::kClosed:
      break;
  }
}

// Takes from nghttp2 what it has to send, while the kernel takes it from us, and heads in any case: their bytes go away.
void Connection::pump() {
  if (session_ == nullptr || inside_ || broken_ || state_ != State::kOpen) return;
  inside_ = true;
  while (!broken_ && (has_room() || views_pending_ > 0)) {
    const uint8_t* bytes = nullptr;
    send_paused_ = false;
    ssize_t size = nghttp2_session_mem_send(session_, &bytes);
    if (size < 0) {
      break_off(-EPROTO);
    } else if (size > 0) {
      put(bytes, static_cast<size_t>(size));
    } else if (!send_paused_) {
      break;
    }
  }
  inside_ = false;
  if (out_size_ > 0 || !queue_.empty()) loop_.defer(turn_task_);
}

void Connection::put(const void* bytes, size_t size) {
  if (!out_) out_ = loop_.blocks().get();
  if (out_size_ + size > out_.capacity()) {
    if (out_size_ >= kWriteAt) write_out();
    if (out_size_ + size > out_.capacity()) {
      Block grown = loop_.blocks().get(std::max(kOutBlock, out_size_ + size));
      std::memcpy(grown.data(), out_.data(), out_size_);
      out_ = std::move(grown);
    }
  }
  std::memcpy(out_.data() + out_size_, bytes, size);
  out_size_ += size;
}

void Connection::write_out() {
  if (out_size_ == 0) return;
  if (!stream_.write({out_.data(), out_size_})) break_off(-EPIPE);
  out_size_ = 0;
}

void Connection::turn_ended() {
  if (session_ == nullptr || state_ == State::kClosed) return;
  pump();
  if (calm_) calm();
  dispatch();
  if (state_ != State::kOpen) return;
  pump();
  write_out();
  out_ = Block();
  if (!queue_.empty()) loop_.defer(turn_task_);
  if (broken_) {
    shut(error_);
  } else if (nghttp2_session_want_read(session_) == 0) {
    if (nghttp2_session_want_write(session_) == 0) {
      begin_ending();
    } else if (!ending_) {
      ending_ = true;
      loop_.arm(timer_, kLingerMs);
    }
  }
}

void Connection::link(Stream& stream, int32_t id) {
  stream.id_ = id;
  stream.prev_ = nullptr;
  stream.next_ = first_;
  if (first_ != nullptr) first_->prev_ = &stream;
  first_ = &stream;
  ++streams_;
  stream.moved_ms_ = loop_.now_ms();
  watch();
}

// nghttp2 has forgotten it; the owner is told behind what came before.
void Connection::stream_gone(Stream& stream, uint32_t code) {
  if (stream.closed_) return;
  stream.closed_ = true;
  if (stream.prev_ != nullptr) stream.prev_->next_ = stream.next_;
  if (stream.next_ != nullptr) stream.next_->prev_ = stream.prev_;
  if (first_ == &stream) first_ = stream.next_;
  stream.next_ = stream.prev_ = nullptr;
  stream.id_ = 0;
  --streams_;
  if (stream.views_) {
    stream.views_ = false;
    --views_pending_;
  }
  if (head_stream_ == &stream) head_stream_ = nullptr;
  stream.drop_waiting();
  give_back(stream);
  tell({.kind = Event::Kind::kClosed, .stream = &stream, .code = code});
}

void Connection::consume(Stream& stream, size_t bytes) {
  if (bytes == 0 || session_ == nullptr) return;
  if (stream.closed_) {
    nghttp2_session_consume_connection(session_, bytes);
  } else {
    nghttp2_session_consume(session_, stream.id_, bytes);
  }
}

// What came while it was paused. An upstream's connection has had its part back at once: what one client does not take is
// bounded by its stream's window and must not hold up what others wait for.
void Connection::give_back(Stream& stream) {
  size_t bytes = std::exchange(stream.unconsumed_, 0);
  if (side_ == Side::kServer) {
    consume(stream, bytes);
  } else if (bytes > 0 && session_ != nullptr && !stream.closed_) {
    nghttp2_session_consume_stream(session_, stream.id_, bytes);
  }
}

size_t Connection::most_streams() const {
  if (session_ == nullptr) return 0;
  uint32_t theirs = nghttp2_session_get_remote_settings(session_, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS);
  return std::min(theirs, options_.limits.streams);
}

bool Connection::peer_takes_connect() const {
  return session_ != nullptr && nghttp2_session_get_remote_settings(session_, NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL) == 1;
}

bool Connection::may_open() const {
  return usable() && streams_ < most_streams() && nghttp2_session_check_request_allowed(session_) != 0;
}

void Connection::submit_head(Stream& stream, const HeadFields& fields, bool last) {
  auto& nva = const_cast<std::vector<nghttp2_nv>&>(fields.fields_);
  bool views = has_room();
  if (!views) {
    for (nghttp2_nv& nv : nva) nv.flags &= NGHTTP2_NV_FLAG_NO_INDEX;
  }
  nghttp2_data_provider body;
  body.source.ptr = &stream;
  body.read_callback = &Hooks::read_body;
  stream.ended_ = stream.last_ = last;
  if (side_ == Side::kServer) {
    if (nghttp2_submit_response(session_, stream.id_, nva.data(), nva.size(), last ? nullptr : &body) != 0) {
      break_off(-ENOMEM);
      return;
    }
  } else {
    int32_t id = nghttp2_submit_request(session_, nullptr, nva.data(), nva.size(), last ? nullptr : &body, &stream);
    if (id < 0) {
      break_off(-ENOMEM);
      return;
    }
    link(stream, id);
  }
  if (views) {
    stream.views_ = true;
    ++views_pending_;
  }
  loop_.defer(turn_task_);
}

void Connection::send_request(Stream& stream, const HeadFields& fields, bool last) {
  if (may_open()) submit_head(stream, fields, last);
}

void Connection::send_response(Stream& stream, const HeadFields& fields, bool last) {
  if (stream.closed_ || !usable()) return;
  submit_head(stream, fields, last);
}

void Connection::send_interim(Stream& stream, const HeadFields& fields) {
  if (stream.closed_ || !usable()) return;
  auto nva = fields.fields_;
  for (nghttp2_nv& nv : nva) nv.flags &= NGHTTP2_NV_FLAG_NO_INDEX;
  nghttp2_submit_headers(session_, NGHTTP2_FLAG_NONE, stream.id_, nullptr, nva.data(), nva.size(), nullptr);
  pump();
}

void Connection::send_data(Stream& stream, std::string_view piece, bool last, const HeadFields* trailers) {
  if (stream.closed_ || stream.last_ || !usable()) return;
  stream.last_ = last;
  if (last && trailers != nullptr && !trailers->fields_.empty()) {
    stream.trailers_ = std::make_unique<Stream::Trailers>(trailers->fields_);
  }
  if (stream.waiting() > 0) {
    stream.held_.append(piece);
  } else {
    stream.piece_ = piece;
  }
  if (stream.deferred_ && (last || !piece.empty())) {
    stream.deferred_ = false;
    nghttp2_session_resume_data(session_, stream.id_);
  }
  pump();
  if (stream.piece_.empty()) return;
  stream.held_.assign(stream.piece_);
  stream.taken_ = 0;
  stream.piece_ = {};
}

void Connection::flush(Stream& stream) {
  if (stream.views_) pump();
}

size_t Connection::queued(Stream& stream) {
  if (stream.waiting() <= kStreamHighWater) return stream.waiting();
  stream.full_ = true;
  return TcpStream::kHighWater + stream.waiting();
}

void Connection::resume(Stream& stream) {
  stream.paused_ = false;
  if (stream.unconsumed_ == 0) return;
  give_back(stream);
  loop_.defer(turn_task_);
}

void Connection::reset(Stream& stream, Code code) {
  if (stream.closed_ || stream.id_ == 0 || !usable()) return;
  if (stream.views_) pump();
  stream.drop_waiting();
  if (stream.closed_) return;
  stream.ours_ = stream.last_ = true;
  nghttp2_submit_rst_stream(session_, NGHTTP2_FLAG_NONE, stream.id_, static_cast<uint32_t>(code));
  loop_.defer(turn_task_);
}

void Connection::let_go(Stream& stream) {
  stream.let_go_ = true;
  if (stream.views_) pump();
  if (stream.closed_ || !usable()) return;
  resume(stream);
  if (stream.ended_) stop_request(stream);
}

// The answer has gone, the rest of the request is not wanted (RFC 9113 §8.1).
void Connection::stop_request(Stream& stream) {
  if (side_ != Side::kServer || stream.received_all_ || stream.ours_) return;
  stream.ours_ = true;
  nghttp2_submit_rst_stream(session_, NGHTTP2_FLAG_NONE, stream.id_, NGHTTP2_NO_ERROR);
  loop_.defer(turn_task_);
}

void Connection::announce_goaway() {
  if (!usable()) return;
  nghttp2_submit_shutdown_notice(session_);
  loop_.defer(turn_task_);
}

void Connection::goaway() {
  if (!usable()) return;
  nghttp2_submit_goaway(session_, NGHTTP2_FLAG_NONE, nghttp2_session_get_last_proc_stream_id(session_), NGHTTP2_NO_ERROR, nullptr, 0);
  loop_.defer(turn_task_);
}

void Connection::ping() { send_ping(false); }

void Connection::send_ping(bool keep_alive) {
  if (!usable()) return;
  nghttp2_submit_ping(session_, NGHTTP2_FLAG_NONE, keep_alive ? kKeepAlivePing : kAskedPing);
  loop_.defer(turn_task_);
}

void Connection::end(Code code) {
  if (!usable()) return;
  nghttp2_session_terminate_session(session_, static_cast<uint32_t>(code));
  ending_ = true;
  loop_.arm(timer_, kLingerMs);
  loop_.defer(turn_task_);
}

void Connection::close() {
  if (inside_ || dispatching_) {
    break_off(0);
  } else {
    shut(0);
  }
}

void Connection::break_off(int error) {
  if (broken_) return;
  broken_ = true;
  error_ = error;
  loop_.defer(turn_task_);
}

// The last has been said: FIN, and a little time for the peer to read it.
void Connection::begin_ending() {
  state_ = State::kEnding;
  while (first_ != nullptr) stream_gone(*first_, NGHTTP2_CANCEL);
  dispatch();
  if (state_ != State::kEnding) return;
  if (broken_) {
    shut(error_);
    return;
  }
  stream_.shutdown();
  loop_.arm(timer_, kLingerMs);
  events_.on_ending();
}

void Connection::shut(int error) {
  if (state_ == State::kClosed) return;
  state_ = State::kEnding;
  while (first_ != nullptr) stream_gone(*first_, NGHTTP2_CANCEL);
  dispatch();
  state_ = State::kClosed;
  timer_.cancel();
  turn_task_.cancel();
  stream_.close();
  out_ = Block();
  out_size_ = 0;
  events_.on_closed(error);
}

// Once streams are there, somebody looks at them from time to time.
void Connection::watch() {
  if (!timer_.armed() && state_ == State::kOpen) loop_.arm(timer_, options_.limits.ping_after_ms);
}

void Connection::timed_out() {
  if (state_ != State::kOpen || ending_) {
    shut(0);
    return;
  }
  if (streams_ == 0) return;
  int64_t now_ms = loop_.now_ms(), silent_ms = now_ms - read_ms_;
  if (ping_ms_ != 0 && stream_.queued() == 0) {  // else it has more to read before the PING
    shut(-ETIMEDOUT);
    return;
  }
  check_tails();
  if (silent_ms >= options_.limits.ping_after_ms) {
    ping_ms_ = now_ms;
    send_ping(true);
    loop_.arm(timer_, std::max(kPongMs, options_.limits.ping_after_ms));
  } else {
    loop_.arm(timer_, options_.limits.ping_after_ms - silent_ms);
  }
}

void Connection::check_tails() {
  for (Stream* stream = first_; stream != nullptr; stream = stream->next_) {
    if (stream->let_go_ && !stream->ended_ && loop_.now_ms() - stream->moved_ms_ >= kTailStallMs) reset(*stream, Code::kCancel);
  }
}

bool Connection::is_asked_ping(const uint8_t* opaque) { return std::memcmp(opaque, kAskedPing, sizeof kAskedPing) == 0; }

// Budgets hold for kBudgetMs, then they begin anew.
void Connection::new_window() {
  int64_t now_ms = loop_.now_ms();
  if (now_ms - window_ms_ < Http2Limits::kBudgetMs) return;
  window_ms_ = now_ms;
  resets_ = control_ = earned_ = 0;
}

// False: one too many.
bool Connection::control_frame() {
  if (!options_.budgets) return true;
  new_window();
  if (++control_ <= options_.limits.control_frames + earned_) return true;
  calm_ = true;
  return false;
}

bool Connection::stream_reset() {
  if (!options_.budgets) return true;
  new_window();
  if (++resets_ <= options_.limits.resets) return true;
  calm_ = true;
  return false;
}

}  // namespace gw::http2
