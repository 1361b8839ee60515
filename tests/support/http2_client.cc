#include "tests/support/http2_client.h"

#include <nghttp2/nghttp2.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <chrono>

namespace gw::test {

struct Http2ClientHooks {
  static Http2Client& of(void* self) { return *static_cast<Http2Client*>(self); }

  static ssize_t read_body(nghttp2_session* session, int32_t id, uint8_t* out, size_t length, uint32_t* flags,
                           nghttp2_data_source*, void* self) {
    Http2Client::Body& body = of(self).bodies_[id];
    size_t size = std::min(length, body.bytes.size() - body.at);
    if (size == 0 && !body.last) {
      body.deferred = true;
      return NGHTTP2_ERR_DEFERRED;
    }
    std::copy_n(body.bytes.data() + body.at, size, out);
    body.at += size;
    if (body.at == body.bytes.size() && body.last) {
      *flags |= NGHTTP2_DATA_FLAG_EOF;
      if (!body.trailers.empty()) {
        *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
        std::vector<nghttp2_nv> nva = fields_of(body.trailers);
        nghttp2_submit_trailer(session, id, nva.data(), nva.size());
      }
    }
    return static_cast<ssize_t>(size);
  }

  static std::vector<nghttp2_nv> fields_of(const Http2Fields& fields) {
    std::vector<nghttp2_nv> out;
    auto bytes = [](const std::string& text) { return reinterpret_cast<uint8_t*>(const_cast<char*>(text.data())); };
    for (const auto& [name, value] : fields) out.push_back({bytes(name), bytes(value), name.size(), value.size(), NGHTTP2_NV_FLAG_NONE});
    return out;
  }

  static int on_header(nghttp2_session*, const nghttp2_frame* frame, const uint8_t* name, size_t name_size, const uint8_t* value,
                       size_t value_size, uint8_t, void* self) {
    Http2Answer& answer = of(self).answers_[frame->hd.stream_id];
    std::string n(reinterpret_cast<const char*>(name), name_size), v(reinterpret_cast<const char*>(value), value_size);
    if (n == ":status") {
      int status = std::stoi(v);
      if (status < 200) {
        answer.interim.push_back(status);
      } else {
        answer.status = status;
        answer.fields.clear();  // those of the 1xx heads before
      }
    } else if (frame->headers.cat == NGHTTP2_HCAT_HEADERS && answer.status != 0 && (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0) {
      answer.trailers.emplace_back(std::move(n), std::move(v));
    } else {
      answer.fields.emplace_back(std::move(n), std::move(v));
    }
    return 0;
  }

  static int on_data(nghttp2_session* session, uint8_t, int32_t id, const uint8_t* data, size_t size, void* self) {
    Http2Answer& answer = of(self).answers_[id];
    answer.body.append(reinterpret_cast<const char*>(data), size);
    answer.received += size;
    if (of(self).options_.consume) nghttp2_session_consume(session, id, size);
    return 0;
  }

  static int on_frame(nghttp2_session*, const nghttp2_frame* frame, void* self) {
    Http2Client& c = of(self);
    switch (frame->hd.type) {
      case NGHTTP2_DATA:
      case NGHTTP2_HEADERS:
        if ((frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0) c.answers_[frame->hd.stream_id].ended = true;
        break;
      case NGHTTP2_SETTINGS:
        if ((frame->hd.flags & NGHTTP2_FLAG_ACK) != 0) break;
        c.settled_ = true;
        for (size_t i = 0; i < frame->settings.niv; ++i) c.settings_[frame->settings.iv[i].settings_id] = frame->settings.iv[i].value;
        break;
      case NGHTTP2_PING:
        if ((frame->hd.flags & NGHTTP2_FLAG_ACK) != 0) ++c.pongs_;
        break;
      case NGHTTP2_GOAWAY:
        c.goaways_.push_back(frame->goaway.last_stream_id);
        c.goaway_code_ = frame->goaway.error_code;
        break;
      default:
        break;
    }
    return 0;
  }

  static int on_close(nghttp2_session*, int32_t id, uint32_t code, void* self) {
    Http2Answer& answer = of(self).answers_[id];
    answer.closed = true;
    answer.code = code;
    return 0;
  }
};

std::string Http2Answer::field(std::string_view name) const {
  for (const auto& [n, v] : fields) {
    if (n == name) return v;
  }
  return {};
}

Http2Client::Http2Client(uint16_t port, const Options& options) : socket_(Connection::to(port)), options_(options) {
  nghttp2_session_callbacks* c = nullptr;
  nghttp2_session_callbacks_new(&c);
  nghttp2_session_callbacks_set_on_header_callback(c, &Http2ClientHooks::on_header);
  nghttp2_session_callbacks_set_on_data_chunk_recv_callback(c, &Http2ClientHooks::on_data);
  nghttp2_session_callbacks_set_on_frame_recv_callback(c, &Http2ClientHooks::on_frame);
  nghttp2_session_callbacks_set_on_stream_close_callback(c, &Http2ClientHooks::on_close);
  nghttp2_option* o = nullptr;
  nghttp2_option_new(&o);
  nghttp2_option_set_no_auto_window_update(o, 1);
  nghttp2_option_set_peer_max_concurrent_streams(o, 1000);
  nghttp2_session_client_new2(&session_, c, this, o);
  nghttp2_option_del(o);
  nghttp2_session_callbacks_del(c);
  nghttp2_settings_entry entries[] = {{NGHTTP2_SETTINGS_ENABLE_PUSH, 0}, {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, options.window}};
  nghttp2_submit_settings(session_, NGHTTP2_FLAG_NONE, entries, 2);
  if (options.connection_window != 65535) {
    nghttp2_session_set_local_window_size(session_, NGHTTP2_FLAG_NONE, 0, static_cast<int32_t>(options.connection_window));
  }
}

Http2Client::~Http2Client() { nghttp2_session_del(session_); }

int32_t Http2Client::submit(const std::string& path, const Http2Fields& more, bool has_body) {
  Http2Fields fields = {{":method", has_body ? "POST" : "GET"}, {":scheme", "http"}, {":authority", "x"}, {":path", path}};
  for (const auto& [name, value] : more) {
    auto same = std::find_if(fields.begin(), fields.end(), [&, n = name](const auto& f) { return f.first == n && n[0] == ':'; });
    if (same != fields.end()) {
      same->second = value;
    } else if (name[0] == ':') {
      fields.insert(fields.begin(), {name, value});
    } else {
      fields.emplace_back(name, value);
    }
  }
  std::vector<nghttp2_nv> nva = Http2ClientHooks::fields_of(fields);
  nghttp2_data_provider body{};
  body.read_callback = &Http2ClientHooks::read_body;
  int32_t id = nghttp2_submit_request(session_, nullptr, nva.data(), nva.size(), has_body ? &body : nullptr, nullptr);
  answers_[id];
  return id;
}

int32_t Http2Client::request(const std::string& path, const Http2Fields& more, const std::string& body, const Http2Fields& trailers) {
  int32_t id = submit(path, more, !body.empty() || !trailers.empty());
  bodies_[id] = {body, 0, true, false, trailers};
  return id;
}

int32_t Http2Client::open(const std::string& path, const Http2Fields& more) { return submit(path, more, true); }

void Http2Client::send(int32_t id, const std::string& piece, bool last) {
  Body& body = bodies_[id];
  body.bytes.erase(0, std::exchange(body.at, 0));
  body.bytes += piece;
  body.last = last;
  if (std::exchange(body.deferred, false)) nghttp2_session_resume_data(session_, id);
  flush();
}

size_t Http2Client::unsent(int32_t id) { return bodies_[id].bytes.size() - bodies_[id].at; }

void Http2Client::reset(int32_t id, uint32_t code) {
  nghttp2_submit_rst_stream(session_, NGHTTP2_FLAG_NONE, id, code);
  flush();
}

void Http2Client::ping() {
  nghttp2_submit_ping(session_, NGHTTP2_FLAG_NONE, nullptr);
  flush();
}

void Http2Client::settings_again() {
  nghttp2_submit_settings(session_, NGHTTP2_FLAG_NONE, nullptr, 0);
  flush();
}

void Http2Client::goaway() {
  nghttp2_submit_goaway(session_, NGHTTP2_FLAG_NONE, 0, NGHTTP2_NO_ERROR, nullptr, 0);
  flush();
}

void Http2Client::priority_update(int32_t id, const std::string& value) {
  nghttp2_submit_priority_update(session_, NGHTTP2_FLAG_NONE, id, reinterpret_cast<const uint8_t*>(value.data()), value.size());
  flush();
}

void Http2Client::window_update(int32_t id, uint32_t bytes) {
  nghttp2_submit_window_update(session_, NGHTTP2_FLAG_NONE, id, static_cast<int32_t>(bytes));
  flush();
}

bool Http2Client::flush() {
  const uint8_t* bytes = nullptr;
  ssize_t size;
  while ((size = nghttp2_session_mem_send(session_, &bytes)) > 0) {
    if (!socket_.send({reinterpret_cast<const char*>(bytes), static_cast<size_t>(size)})) return false;
  }
  return size == 0;
}

bool Http2Client::run(const std::function<bool()>& done) {
  auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(kCapMs);
  while (!done()) {
    flush();  // what the server may have closed against still has something to read
    if (std::chrono::steady_clock::now() > end) return false;
    pollfd p{socket_.fd(), POLLIN, 0};
    if (poll(&p, 1, kCapMs) <= 0) return false;
    char chunk[65536];
    ssize_t n = recv(socket_.fd(), chunk, sizeof chunk, 0);
    if (n <= 0) return done();
    if (nghttp2_session_mem_recv(session_, reinterpret_cast<const uint8_t*>(chunk), static_cast<size_t>(n)) < 0) return false;
  }
  flush();
  return true;
}

Http2Answer& Http2Client::finish(int32_t id) {
  run([&] { return answers_[id].closed; });
  return answers_[id];
}

bool Http2Client::run_to_end() {
  run([] { return false; });
  return socket_.at_end();
}

int64_t Http2Client::setting(int32_t id) const {
  auto at = settings_.find(id);
  return at == settings_.end() ? -1 : int64_t{at->second};
}

std::string http2_frame(uint8_t type, uint8_t flags, int32_t stream, std::string_view payload) {
  std::string out;
  for (int shift : {16, 8, 0}) out += static_cast<char>(payload.size() >> shift);
  out += static_cast<char>(type);
  out += static_cast<char>(flags);
  for (int shift : {24, 16, 8, 0}) out += static_cast<char>(stream >> shift);
  return out.append(payload);
}

std::string http2_literal(std::string_view name, std::string_view value) {
  auto text = [](std::string_view t) {
    std::string out;
    if (t.size() < 127) {
      out += static_cast<char>(t.size());
    } else {
      out += '\x7f';
      size_t rest = t.size() - 127;
      for (; rest >= 128; rest >>= 7) out += static_cast<char>((rest & 127) | 128);
      out += static_cast<char>(rest);
    }
    return out.append(t);
  };
  return std::string(1, '\0') + text(name) + text(value);
}

std::string http2_literals(const Http2Fields& fields) {
  std::string out;
  for (const auto& [name, value] : fields) out += http2_literal(name, value);
  return out;
}

std::string http2_get(int32_t stream, const std::string& path, bool last) {
  return http2_frame(1, last ? 5 : 4, stream,
                     http2_literals({{":method", last ? "GET" : "POST"}, {":scheme", "http"}, {":authority", "x"}, {":path", path}}));
}

uint32_t Http2Frame::code() const {
  size_t at = type == 7 ? 4 : 0;
  uint32_t out = 0;
  for (size_t i = at; i < at + 4 && i < payload.size(); ++i) out = out << 8 | static_cast<unsigned char>(payload[i]);
  return out;
}

Http2Frame read_http2_frame(Connection& connection) {
  std::string head = connection.take(9);
  if (head.size() < 9) return {};
  auto byte = [&](size_t i) { return static_cast<unsigned char>(head[i]); };
  Http2Frame frame;
  size_t size = size_t{byte(0)} << 16 | size_t{byte(1)} << 8 | byte(2);
  frame.type = byte(3);
  frame.flags = byte(4);
  frame.stream = static_cast<int32_t>((uint32_t{byte(5)} << 24 | uint32_t{byte(6)} << 16 | uint32_t{byte(7)} << 8 | byte(8)) & 0x7fffffff);
  frame.payload = connection.take(size);
  return frame.payload.size() == size ? frame : Http2Frame{};
}

Http2Frame read_http2_until(Connection& connection, uint8_t type, int32_t stream) {
  while (true) {
    Http2Frame frame = read_http2_frame(connection);
    if (frame.type == 0xff || (frame.type == type && (stream < 0 || frame.stream == stream))) return frame;
  }
}

}  // namespace gw::test
