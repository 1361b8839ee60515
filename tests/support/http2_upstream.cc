#include "tests/support/http2_upstream.h"

#include <nghttp2/nghttp2.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <map>
#include <set>
#include <thread>

namespace gw::test {

std::string Http2Request::field(std::string_view name) const {
  for (const auto& [n, v] : fields) {
    if (n == name) return v;
  }
  return {};
}

struct Http2Upstream::State {
  Answer answer;
  Http2UpstreamOptions options;
  mutable std::mutex mutex;
  mutable std::condition_variable changed;
  std::vector<Http2Request> requests;
  std::set<int> wakers;  // eventfds
  std::vector<std::string> proxy_headers;
  size_t begun = 0, most_at_once = 0, resets = 0, pings = 0, bytes = 0;
  int open = 0;
  int goaways = 0, let_gos = 0;

  template <class Fn>
  void update(Fn&& fn) {
    std::lock_guard lock(mutex);
    fn();
    changed.notify_all();
  }
};

// One connection. Its own thread.
class Http2Upstream::Peer {
 public:
  Peer(State& state, int fd, int number) : state_(state), fd_(fd), number_(number), waker_(eventfd(0, EFD_CLOEXEC)) {
    nghttp2_session_callbacks* c = nullptr;
    nghttp2_session_callbacks_new(&c);
    nghttp2_session_callbacks_set_on_begin_headers_callback(c, on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback(c, on_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(c, on_data);
    nghttp2_session_callbacks_set_on_frame_recv_callback(c, on_frame);
    nghttp2_session_callbacks_set_on_stream_close_callback(c, on_close);
    nghttp2_option* o = nullptr;
    nghttp2_option_new(&o);
    nghttp2_option_set_no_auto_window_update(o, 1);
    nghttp2_option_set_no_http_messaging(o, 1);
    nghttp2_session_server_new2(&session_, c, this, o);
    nghttp2_option_del(o);
    nghttp2_session_callbacks_del(c);
    std::vector<nghttp2_settings_entry> settings{{NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, state.options.max_streams},
                                                 {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, state.options.window}};
    if (state.options.connect_protocol) settings.push_back({NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL, 1});
    nghttp2_submit_settings(session_, NGHTTP2_FLAG_NONE, settings.data(), settings.size());
    state_.update([&] {
      state_.wakers.insert(waker_);
      ++state_.open;
      goaways_ = state_.goaways;
      let_gos_ = state_.let_gos;
    });
  }
  ~Peer() {
    nghttp2_session_del(session_);
    state_.update([&] {
      state_.wakers.erase(waker_);
      --state_.open;
    });
    ::close(waker_);
  }

  void run() {
    serve();
    if (hang_up_) return;
    // Closing with something unread would be a reset, and take what was said last with it.
    ::shutdown(fd_, SHUT_WR);
    char buffer[16384];
    pollfd ready{fd_, POLLIN, 0};
    while (poll(&ready, 1, kCapMs) > 0 && recv(fd_, buffer, sizeof buffer, 0) > 0) {
    }
  }

 private:
  void serve() {
    char buffer[16384];
    if (state_.options.proxy_header && !take_proxy_header()) return;
    while (send() && !hang_up_) {
      pollfd ready[2] = {{fd_, POLLIN, 0}, {waker_, POLLIN, 0}};
      if (poll(ready, 2, kCapMs) <= 0) return;
      if (ready[1].revents != 0) {
        uint64_t count = 0;
        if (read(waker_, &count, sizeof count) < 0) return;
        woken();
      }
      if (ready[0].revents == 0) continue;
      ssize_t n = recv(fd_, buffer, sizeof buffer, 0);
      if (n <= 0 || nghttp2_session_mem_recv(session_, reinterpret_cast<uint8_t*>(buffer), static_cast<size_t>(n)) < 0) return;
    }
  }

  struct Stream {
    Http2Request request;
    Http2Reply answer;
    size_t sent = 0;
    bool tunnel = false, ended = false, in_trailers = false;
    std::string echo;
  };

  static Peer& self(void* peer) { return *static_cast<Peer*>(peer); }
  static std::string text(const uint8_t* at, size_t size) { return {reinterpret_cast<const char*>(at), size}; }

  static std::vector<nghttp2_nv> nva(const Http2Fields& fields) {
    std::vector<nghttp2_nv> out;
    for (const auto& [n, v] : fields) {
      out.push_back({reinterpret_cast<uint8_t*>(const_cast<char*>(n.data())), reinterpret_cast<uint8_t*>(const_cast<char*>(v.data())),
                     n.size(), v.size(), NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_COPY_VALUE});
    }
    return out;
  }

  bool take_proxy_header() {
    std::string header;
    char byte = 0;
    while (!header.ends_with("\r\n")) {
      if (header.size() > 107 || recv(fd_, &byte, 1, 0) != 1) return false;
      header.push_back(byte);
    }
    state_.update([&] { state_.proxy_headers.push_back(header); });
    return true;
  }

  bool send() {
    const uint8_t* bytes = nullptr;
    ssize_t n;
    while ((n = nghttp2_session_mem_send(session_, &bytes)) > 0) {
      for (ssize_t at = 0; at < n;) {
        ssize_t taken = ::send(fd_, bytes + at, static_cast<size_t>(n - at), MSG_NOSIGNAL);
        if (taken <= 0) return false;
        at += taken;
      }
    }
    return n == 0 && (nghttp2_session_want_read(session_) != 0 || nghttp2_session_want_write(session_) != 0);
  }

  void woken() {
    int goaways, let_gos;
    {
      std::lock_guard lock(state_.mutex);
      goaways = state_.goaways;
      let_gos = state_.let_gos;
    }
    if (goaways != goaways_) say_goaway();
    goaways_ = goaways;
    if (let_gos == let_gos_) return;
    let_gos_ = let_gos;
    for (auto& [id, size] : std::exchange(withheld_, {})) nghttp2_session_consume(session_, id, size);
    for (int32_t id : std::exchange(held_, {})) {
      if (streams_.contains(id)) answer(id, streams_[id]);
    }
  }

  void say_goaway() { say_goaway(nghttp2_session_get_last_proc_stream_id(session_)); }
  // A second one may not name a later stream, and nghttp2 looks at those alone that it has sent already.
  void say_goaway(int32_t last) {
    last_said_ = std::min(last_said_, last);
    nghttp2_submit_goaway(session_, NGHTTP2_FLAG_NONE, last_said_, NGHTTP2_NO_ERROR, nullptr, 0);
  }

  static int on_begin_headers(nghttp2_session*, const nghttp2_frame* frame, void* peer) {
    Peer& p = self(peer);
    Stream& s = p.streams_[frame->hd.stream_id];
    if (s.request.stream != 0) {
      s.in_trailers = true;
      return 0;
    }
    s.request.connection = p.number_;
    s.request.stream = frame->hd.stream_id;
    p.state_.update([&] {
      ++p.state_.begun;
      p.state_.most_at_once = std::max(p.state_.most_at_once, p.streams_.size());
    });
    return 0;
  }
  static int on_header(nghttp2_session*, const nghttp2_frame* frame, const uint8_t* name, size_t name_size, const uint8_t* value,
                       size_t value_size, uint8_t, void* peer) {
    Stream& s = self(peer).streams_[frame->hd.stream_id];
    (s.in_trailers ? s.request.trailers : s.request.fields).emplace_back(text(name, name_size), text(value, value_size));
    return 0;
  }
  static int on_data(nghttp2_session* session, uint8_t, int32_t id, const uint8_t* data, size_t size, void* peer) {
    Peer& p = self(peer);
    Stream& s = p.streams_[id];
    p.state_.update([&] { p.state_.bytes += size; });
    if (s.tunnel) {
      s.echo.append(text(data, size));
      nghttp2_session_resume_data(session, id);
    } else {
      s.request.body.append(text(data, size));
    }
    bool withheld;
    {
      std::lock_guard lock(p.state_.mutex);
      withheld = p.state_.options.withhold_window && p.state_.let_gos == 0;
    }
    if (withheld) {
      p.withheld_.emplace_back(id, size);
    } else {
      nghttp2_session_consume(session, id, size);
    }
    return 0;
  }
  static int on_frame(nghttp2_session* session, const nghttp2_frame* frame, void* peer) {
    Peer& p = self(peer);
    if (frame->hd.type == NGHTTP2_RST_STREAM) p.state_.update([&] { ++p.state_.resets; });
    if (frame->hd.type == NGHTTP2_PING) p.state_.update([&] { ++p.state_.pings; });
    if (frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA) return 0;
    auto at = p.streams_.find(frame->hd.stream_id);
    if (at == p.streams_.end()) return 0;
    Stream& s = at->second;
    if (frame->hd.type == NGHTTP2_HEADERS && s.request.field(":protocol") == "websocket") {
      s.tunnel = true;
      s.answer = p.state_.answer ? p.state_.answer(s.request) : Http2Reply{.fields = {{":status", "200"}}};
      s.answer.body.clear();
      p.answer(frame->hd.stream_id, s);
      p.state_.update([&] { p.state_.requests.push_back(s.request); });
      return 0;
    }
    if (frame->hd.type == NGHTTP2_HEADERS && !s.tunnel && p.state_.options.echo_calls &&
        s.request.field("content-type").starts_with("application/grpc") && s.request.field(":path").ends_with("/Echo")) {
      s.tunnel = true;
      s.answer = {.fields = {{":status", "200"}, {"content-type", "application/grpc"}, {"x-initial", "1"}}, .trailers = {{"grpc-status", "0"}, {"x-last", "2"}}};
      s.answer.body.clear();
      p.answer(frame->hd.stream_id, s);
      p.state_.update([&] { p.state_.requests.push_back(s.request); });
    }
    if ((frame->hd.flags & NGHTTP2_FLAG_END_STREAM) == 0) return 0;
    if (s.tunnel) {
      s.ended = true;
      nghttp2_session_resume_data(session, frame->hd.stream_id);
      return 0;
    }
    s.request.complete = true;
    s.answer = p.state_.answer ? p.state_.answer(s.request) : Http2Reply();
    p.state_.update([&] { p.state_.requests.push_back(s.request); });
    if (s.answer.hold) {
      p.held_.push_back(frame->hd.stream_id);
    } else {
      p.answer(frame->hd.stream_id, s);
    }
    return 0;
  }
  static int on_close(nghttp2_session*, int32_t id, uint32_t, void* peer) {
    self(peer).streams_.erase(id);
    return 0;
  }

  void answer(int32_t id, Stream& s) {
    const Http2Reply& a = s.answer;
    if (a.goaway_last > 0) say_goaway(a.goaway_last);
    switch (a.how) {
      case Http2Reply::How::kRefuse: reset(id, NGHTTP2_REFUSED_STREAM); return;
      case Http2Reply::How::kReset: reset(id, NGHTTP2_INTERNAL_ERROR); return;
      case Http2Reply::How::kHangUp: hang_up_ = true; return;
      case Http2Reply::How::kNothing: return;
      default: break;
    }
    for (const Http2Fields& fields : a.interim) {
      auto interim = nva(fields);
      nghttp2_submit_headers(session_, NGHTTP2_FLAG_NONE, id, nullptr, interim.data(), interim.size(), nullptr);
    }
    auto head = nva(a.fields);
    nghttp2_data_provider body{{.ptr = &s}, read_body};
    bool bodyless = a.body.empty() && a.trailers.empty() && !s.tunnel && a.how == Http2Reply::How::kAnswer;
    nghttp2_submit_response(session_, id, head.data(), head.size(), bodyless ? nullptr : &body);
    if (a.goaway) say_goaway();
  }
  void reset(int32_t id, uint32_t code) { nghttp2_submit_rst_stream(session_, NGHTTP2_FLAG_NONE, id, code); }

  static ssize_t read_body(nghttp2_session* session, int32_t id, uint8_t* buffer, size_t size, uint32_t* flags,
                           nghttp2_data_source* source, void* peer) {
    Stream& s = *static_cast<Stream*>(source->ptr);
    if (s.tunnel) {
      size_t take = std::min(size, s.echo.size());
      if (take == 0 && !s.ended) return NGHTTP2_ERR_DEFERRED;
      std::copy_n(s.echo.data(), take, buffer);
      s.echo.erase(0, take);
      if (!s.ended || !s.echo.empty()) return static_cast<ssize_t>(take);
      *flags |= NGHTTP2_DATA_FLAG_EOF;
      if (!s.answer.trailers.empty()) {
        *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
        auto trailers = nva(s.answer.trailers);
        nghttp2_submit_trailer(session, id, trailers.data(), trailers.size());
      }
      return static_cast<ssize_t>(take);
    }
    size_t take = std::min(size, s.answer.body.size() - s.sent);
    std::copy_n(s.answer.body.data() + s.sent, take, buffer);
    s.sent += take;
    if (s.sent < s.answer.body.size()) return static_cast<ssize_t>(take);
    if (s.answer.how == Http2Reply::How::kResetMidBody) {
      if (take == 0) return NGHTTP2_ERR_DEFERRED;
      self(peer).reset_behind(id);
      return static_cast<ssize_t>(take);
    }
    *flags |= NGHTTP2_DATA_FLAG_EOF;
    if (!s.answer.trailers.empty()) {
      *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
      auto trailers = nva(s.answer.trailers);
      nghttp2_submit_trailer(session, id, trailers.data(), trailers.size());
    }
    return static_cast<ssize_t>(take);
  }
  void reset_behind(int32_t id) { reset(id, NGHTTP2_INTERNAL_ERROR); }

  State& state_;
  const int fd_, number_;
  const int waker_;
  nghttp2_session* session_ = nullptr;
  std::map<int32_t, Stream> streams_;
  std::vector<int32_t> held_;
  std::vector<std::pair<int32_t, size_t>> withheld_;
  int goaways_ = 0, let_gos_ = 0;
  int32_t last_said_ = INT32_MAX;
  bool hang_up_ = false;
};

Http2Upstream::Http2Upstream(Answer answer, Http2UpstreamOptions options) : state_(std::make_unique<State>()) {
  state_->answer = std::move(answer);
  state_->options = options;
  server_ = std::make_unique<Server>([this](Connection& connection, int number) { Peer(*state_, connection.fd(), number).run(); });
}

Http2Upstream::~Http2Upstream() { server_.reset(); }

uint16_t Http2Upstream::port() const { return server_->port(); }
int Http2Upstream::connections() const { return server_->connections(); }
int Http2Upstream::open_connections() const {
  std::lock_guard lock(state_->mutex);
  return state_->open;
}
std::vector<Http2Request> Http2Upstream::requests() const {
  std::lock_guard lock(state_->mutex);
  return state_->requests;
}
size_t Http2Upstream::begun() const {
  std::lock_guard lock(state_->mutex);
  return state_->begun;
}
size_t Http2Upstream::most_at_once() const {
  std::lock_guard lock(state_->mutex);
  return state_->most_at_once;
}
size_t Http2Upstream::resets() const {
  std::lock_guard lock(state_->mutex);
  return state_->resets;
}
size_t Http2Upstream::pings() const {
  std::lock_guard lock(state_->mutex);
  return state_->pings;
}
std::vector<std::string> Http2Upstream::proxy_headers() const {
  std::lock_guard lock(state_->mutex);
  return state_->proxy_headers;
}
size_t Http2Upstream::bytes_taken() const {
  std::lock_guard lock(state_->mutex);
  return state_->bytes;
}

namespace {

void wake(const std::set<int>& wakers) {
  for (int fd : wakers) {
    uint64_t one = 1;
    if (write(fd, &one, sizeof one) < 0) continue;
  }
}

}  // namespace

void Http2Upstream::let_go() {
  state_->update([&] {
    ++state_->let_gos;
    wake(state_->wakers);
  });
}

void Http2Upstream::say_goaway() {
  state_->update([&] {
    ++state_->goaways;
    wake(state_->wakers);
  });
}

bool Http2Upstream::wait(const std::function<bool()>& done) const {
  auto deadline = std::chrono::steady_clock::now() + std::chrono::milliseconds(kCapMs);
  while (!done()) {
    std::unique_lock lock(state_->mutex);
    // Some of what is waited for is the gateway's, which tells nobody here.
    state_->changed.wait_for(lock, std::chrono::milliseconds(2));
    if (std::chrono::steady_clock::now() > deadline) return false;
  }
  return true;
}

}  // namespace gw::test
