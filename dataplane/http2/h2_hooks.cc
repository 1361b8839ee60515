#include "dataplane/http2/h2_hooks.h"

#include <algorithm>
#include <cstring>

namespace gw::http2 {
namespace {

constexpr uint32_t kEarnedByPiece = 4;  // a DATA frame that we send brings WINDOW_UPDATE and PING
constexpr uint32_t kSpareStreams = 1000;
constexpr size_t kFrameHead = 9;        // RFC 9113 §4.1
constexpr size_t kMaxHeadTimes = 8;     // a head that is so many times too large ends the connection
constexpr size_t kFieldOverhead = 32;   // RFC 9113 §6.5.2
constexpr int kFatal = NGHTTP2_ERR_CALLBACK_FAILURE;

Connection& of(void* self) { return *static_cast<Connection*>(self); }

nghttp2_session_callbacks* make_callbacks() {
  nghttp2_session_callbacks* c = nullptr;
  nghttp2_session_callbacks_new(&c);
  nghttp2_session_callbacks_set_send_data_callback(c, &Hooks::send_data);
  nghttp2_session_callbacks_set_on_begin_headers_callback(c, &Hooks::on_begin_headers);
  nghttp2_session_callbacks_set_on_header_callback(c, &Hooks::on_header);
  nghttp2_session_callbacks_set_on_invalid_header_callback(c, &Hooks::on_invalid_header);
  nghttp2_session_callbacks_set_on_data_chunk_recv_callback(c, &Hooks::on_data_chunk);
  nghttp2_session_callbacks_set_on_frame_recv_callback(c, &Hooks::on_frame);
  nghttp2_session_callbacks_set_on_frame_send_callback(c, &Hooks::on_sent);
  nghttp2_session_callbacks_set_on_stream_close_callback(c, &Hooks::on_stream_close);
  return c;
}

// The limits that nghttp2 has of its own are wider than ours, which have names.
nghttp2_option* make_options() {
  nghttp2_option* o = nullptr;
  nghttp2_option_new(&o);
  nghttp2_option_set_no_auto_window_update(o, 1);
  nghttp2_option_set_no_closed_streams(o, 1);
  nghttp2_option_set_builtin_recv_extension_type(o, NGHTTP2_PRIORITY_UPDATE);
  nghttp2_option_set_stream_reset_rate_limit(o, UINT64_MAX / 2, UINT64_MAX / 2);
  nghttp2_option_set_max_continuations(o, 64);
  nghttp2_option_set_max_send_header_block_length(o, 1 << 20);
  nghttp2_option_set_peer_max_concurrent_streams(o, 100);
  return o;
}

std::string_view view(const uint8_t* text, size_t size) { return {reinterpret_cast<const char*>(text), size}; }

}  // namespace

Stream::Trailers::Trailers(const std::vector<nghttp2_nv>& from) {
  size_t size = 0;
  for (const nghttp2_nv& nv : from) size += nv.namelen + nv.valuelen;
  bytes.reserve(size);  // pointers into it stay good
  for (const nghttp2_nv& nv : from) {
    nghttp2_nv field = nv;
    field.flags &= NGHTTP2_NV_FLAG_NO_INDEX;
    field.name = reinterpret_cast<uint8_t*>(bytes.data() + bytes.size());
    bytes.append(view(nv.name, nv.namelen));
    field.value = reinterpret_cast<uint8_t*>(bytes.data() + bytes.size());
    bytes.append(view(nv.value, nv.valuelen));
    fields.push_back(field);
  }
}

nghttp2_session* Hooks::open(Connection& connection, bool server) {
  static nghttp2_session_callbacks* const callbacks = make_callbacks();
  static nghttp2_option* const options = make_options();
  nghttp2_session* session = nullptr;
  if (server) {
    nghttp2_session_server_new2(&session, callbacks, &connection, options);
  } else {
    nghttp2_session_client_new2(&session, callbacks, &connection, options);
  }
  return session;
}

void Hooks::submit_settings(nghttp2_session* session, const Connection::Options& options, bool server) {
  nghttp2_settings_entry entries[6];
  size_t count = 0;
  auto add = [&](int32_t id, uint32_t value) { entries[count++] = {id, value}; };
  if (server) {
    add(NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, options.limits.streams + options.limits.resets + kSpareStreams);
    add(NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1);
    if (options.connect_protocol) add(NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL, 1);
  } else {
    add(NGHTTP2_SETTINGS_ENABLE_PUSH, 0);
    add(NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, 0);
  }
  add(NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, options.limits.stream_window);
  add(NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, static_cast<uint32_t>(std::min<size_t>(options.head.bytes, UINT32_MAX)));
  nghttp2_submit_settings(session, NGHTTP2_FLAG_NONE, entries, count);
  nghttp2_session_set_local_window_size(session, NGHTTP2_FLAG_NONE, 0, static_cast<int32_t>(options.limits.connection_window));
}

void Hooks::announce_streams(char* out, size_t size, uint32_t streams) {
  constexpr size_t kId = 9, kValue = kId + 2;  // of the first entry, behind the frame's head
  if (size < kValue + 4 || out[kId] != 0 || out[kId + 1] != NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS) return;
  for (size_t i = 0; i < 4; ++i) out[kValue + i] = static_cast<char>(streams >> (24 - 8 * i));
}

ssize_t Hooks::read_body(nghttp2_session* session, int32_t id, uint8_t*, size_t length, uint32_t* flags,
                         nghttp2_data_source* source, void*) {
  Stream& stream = *static_cast<Stream*>(source->ptr);
  size_t have = stream.waiting();
  if (have == 0 && !stream.last_) {
    stream.deferred_ = true;
    return NGHTTP2_ERR_DEFERRED;
  }
  size_t take = std::min(have, length);
  *flags |= NGHTTP2_DATA_FLAG_NO_COPY;
  if (take == have && stream.last_) {
    *flags |= NGHTTP2_DATA_FLAG_EOF;
    stream.ended_ = true;
    if (stream.trailers_ != nullptr) {
      *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
      nghttp2_submit_trailer(session, id, stream.trailers_->fields.data(), stream.trailers_->fields.size());
    }
  }
  return static_cast<ssize_t>(take);
}

int Hooks::send_data(nghttp2_session*, nghttp2_frame* frame, const uint8_t* head, size_t length, nghttp2_data_source* source,
                     void* self) {
  Connection& c = of(self);
  Stream& stream = *static_cast<Stream*>(source->ptr);
  c.put(head, kFrameHead);
  if (frame->data.padlen > 0) return kFatal;  // we ask for none
  if (length <= stream.held_.size() - stream.taken_) {
    c.put(stream.held_.data() + stream.taken_, length);
    stream.taken_ += length;
    if (stream.taken_ == stream.held_.size()) {
      stream.held_.clear();
      stream.taken_ = 0;
    }
  } else {
    c.put(stream.piece_.data(), length);
    stream.piece_.remove_prefix(length);
  }
  stream.moved_ms_ = c.loop_.now_ms();
  c.earned_ += kEarnedByPiece;
  if (stream.full_ && stream.waiting() <= Connection::kStreamHighWater / 2) {
    stream.full_ = false;
    if (!stream.let_go_) c.tell({.kind = Connection::Event::Kind::kDrained, .stream = &stream});
  }
  if (stream.ended_ && stream.let_go_) c.stop_request(stream);
  if (c.has_room() || c.views_pending_ > 0) return 0;
  c.send_paused_ = true;
  return NGHTTP2_ERR_PAUSE;
}

int Hooks::on_begin_headers(nghttp2_session* session, const nghttp2_frame* frame, void* self) {
  Connection& c = of(self);
  int32_t id = frame->hd.stream_id;
  c.head_begin_ = c.fields_.size();
  c.head_bytes_ = c.head_count_ = 0;
  if (frame->headers.cat != NGHTTP2_HCAT_REQUEST) {
    c.head_stream_ = stream_of(session, id);
    return 0;
  }
  c.head_stream_ = c.events_.begin_stream();
  if (c.head_stream_ == nullptr) {
    nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, id, NGHTTP2_REFUSED_STREAM);
    return c.stream_reset() ? 0 : kFatal;
  }
  nghttp2_session_set_stream_user_data(session, id, c.head_stream_);
  c.link(*c.head_stream_, id);
  return 0;
}

int Hooks::on_header(nghttp2_session*, const nghttp2_frame*, const uint8_t* name, size_t name_size, const uint8_t* value,
                     size_t value_size, uint8_t, void* self) {
  Connection& c = of(self);
  c.head_bytes_ += name_size + value_size + kFieldOverhead;
  if (name_size > 0 && name[0] != ':') ++c.head_count_;
  if (c.head_bytes_ > c.options_.head.bytes || c.head_count_ > c.options_.head.fields) {
    if (c.head_bytes_ <= kMaxHeadTimes * c.options_.head.bytes) return 0;
    c.calm_ = true;
    return kFatal;
  }
  Stream* stream = c.head_stream_;
  if (stream == nullptr || stream->let_go_) return 0;
  char* at = stream->arena_.allocate(name_size + value_size);
  std::memcpy(at, name, name_size);
  if (value_size > 0) std::memcpy(at + name_size, value, value_size);
  std::string_view text(at, name_size);
  c.fields_.push_back({text, {at + name_size, value_size}, header_id(text)});
  return 0;
}

// A field that would be left out makes the message malformed (RFC 9113 §8.2.1).
int Hooks::on_invalid_header(nghttp2_session*, const nghttp2_frame*, const uint8_t*, size_t, const uint8_t*, size_t, uint8_t, void*) {
  return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
}

int Hooks::on_data_chunk(nghttp2_session* session, uint8_t, int32_t id, const uint8_t* data, size_t size, void* self) {
  Connection& c = of(self);
  Stream* stream = stream_of(session, id);
  if (stream == nullptr || stream->let_go_) {
    nghttp2_session_consume(session, id, size);
    return 0;
  }
  c.tell({.kind = Connection::Event::Kind::kData, .stream = stream, .data = reinterpret_cast<const char*>(data), .count = size});
  return 0;
}

void Hooks::head_done(Connection& c, const nghttp2_frame& frame) {
  Stream* stream = c.head_stream_;
  if (stream == nullptr) return;
  Connection::Event event{.kind = Connection::Event::Kind::kHead, .stream = stream};
  event.first = c.head_begin_;
  event.count = c.fields_.size() - c.head_begin_;
  event.last = (frame.hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
  event.too_large = c.head_bytes_ > c.options_.head.bytes || c.head_count_ > c.options_.head.fields;
  // Behind 1xx heads the answer's own comes as another one.
  bool status = event.count > 0 && c.fields_[event.first].name == ":status";
  event.trailers = frame.headers.cat == NGHTTP2_HCAT_HEADERS && !status;
  stream->received_all_ = event.last;
  c.head_stream_ = nullptr;
  c.head_begin_ = c.fields_.size();
  c.tell(event);
}

int Hooks::on_frame(nghttp2_session* session, const nghttp2_frame* frame, void* self) {
  Connection& c = of(self);
  using Kind = Connection::Event::Kind;
  switch (frame->hd.type) {
    case NGHTTP2_DATA: {
      // Padding alone is no more than nothing.
      bool last = (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
      if (frame->hd.length > 0 && frame->hd.length == frame->data.padlen && !last && !c.control_frame()) return kFatal;
      Stream* stream = stream_of(session, frame->hd.stream_id);
      if (!last || stream == nullptr) break;
      stream->received_all_ = true;
      if (!c.queue_.empty() && c.queue_.back().stream == stream && c.queue_.back().kind == Kind::kData) {
        c.queue_.back().last = true;
      } else {
        c.tell({.kind = Kind::kData, .last = true, .stream = stream});
      }
      break;
    }
    case NGHTTP2_HEADERS:
      head_done(c, *frame);
      break;
    case NGHTTP2_RST_STREAM: {
      Stream* stream = stream_of(session, frame->hd.stream_id);
      if (stream != nullptr && !stream->ended_ && !c.stream_reset()) return kFatal;
      break;
    }
    case NGHTTP2_SETTINGS:
      if ((frame->hd.flags & NGHTTP2_FLAG_ACK) != 0) break;
      c.settled_ = true;
      c.tell({.kind = Kind::kSettings});
      break;
    case NGHTTP2_GOAWAY:
      c.tell({.kind = Kind::kGoaway, .code = frame->goaway.error_code});
      break;
    case NGHTTP2_PING:
      if ((frame->hd.flags & NGHTTP2_FLAG_ACK) != 0 && Connection::is_asked_ping(frame->ping.opaque_data)) c.tell({.kind = Kind::kPong});
      break;
    default:
      break;
  }
  return 0;
}

int Hooks::on_sent(nghttp2_session* session, const nghttp2_frame* frame, void* self) {
  Connection& c = of(self);
  if (frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_RST_STREAM) return 0;
  Stream* stream = stream_of(session, frame->hd.stream_id);
  if (stream == nullptr) return 0;
  if (frame->hd.type == NGHTTP2_RST_STREAM) {
    // One that the peer's frames have earned (CVE-2025-8671): counted as one of its own.
    if (!stream->ours_) c.stream_reset();
  } else if (stream->views_) {
    stream->views_ = false;
    --c.views_pending_;
  }
  return 0;
}

int Hooks::on_stream_close(nghttp2_session* session, int32_t id, uint32_t code, void* self) {
  Stream* stream = stream_of(session, id);
  if (stream != nullptr) of(self).stream_gone(*stream, code);
  return 0;
}

}  // namespace gw::http2
