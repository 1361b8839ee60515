// Any bytes from an upstream through a client's session of HTTP/2: for the fuzz target `http2_answer` and the unit test that
// walks its corpus.
//
// An input is two bytes and a text: how many requests are sent (0 to 7), the size of the pieces that the text comes in, and
// what the upstream says.
#pragma once

#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "dataplane/http1/writer.h"
#include "dataplane/http2/h2_client_session.h"
#include "dataplane/loop/loop.h"

namespace gw::fuzz {

class Http2AnswerRun {
 public:
  // What does not hold, or null.
  static const char* run(std::string_view input) {
    if (input.size() < 2) return nullptr;
    size_t requests = static_cast<unsigned char>(input[0]) % 8;
    size_t piece = input[1] == 0 ? 1 << 16 : static_cast<unsigned char>(input[1]);
    input.remove_prefix(2);
    Http2AnswerRun run(requests);
    return run.play(input, piece);
  }

 private:
  // The exchange of one request: checks what comes.
  struct Asker final : UpstreamEvents {
    ResponseHead& response_head() override { return head; }
    void on_response_interim(int status, const HeaderList& fields) override {
      check(status > 101 && status < 200, "an interim status that is none");
      check_fields(fields);
    }
    void on_response_head() override {
      check(!got_head && !ended, "a second head");
      got_head = true;
      check(head.status >= 200 && head.status <= 999, "a status that is none");
      check_fields(head.headers);
      ByteBuffer out;
      http1::write_response_head(out, head, head.has_body && head.content_length < 0, http1::ConnectionField::kNone);
      check(out.view().find("\r\n\r\n") == out.size() - 4, "a head that ends before its end");
    }
    void on_response_data(std::string_view piece, bool last, const HeaderList* trailers) override {
      check(got_head && !ended, "a body without a head");
      bytes += static_cast<int64_t>(piece.size());
      ended = last;
      if (trailers != nullptr) check_fields(*trailers);
      if (last && head.has_body && head.content_length >= 0) check(bytes == head.content_length, "a body that is not as long as it says");
      if (!head.has_body) check(bytes == 0, "a body where none may be");
      if (last) release();
    }
    void on_upstream_failed(const ProxyError&) override {
      check(!ended, "a failure behind the end");
      stream = nullptr;
      ended = true;
    }
    void on_upstream_drained() override {}
    void on_response_read_done() override {}
    void on_upstream_available() override {}

    void check(bool holds, const char* what) {
      if (!holds && wrong == nullptr) wrong = what;
    }
    void check_fields(const HeaderList& fields) {
      for (const HeaderField& f : fields.fields()) {
        bool lower = true;
        for (char c : f.name) lower = lower && !(c >= 'A' && c <= 'Z');
        check(is_token(f.name) && lower, "a field name that is none");
        check(is_field_value(f.value), "a field value that is none");
        check(f.id != HeaderId::kConnection && f.id != HeaderId::kTransferEncoding && f.id != HeaderId::kUpgrade, "a connection's field");
      }
    }
    void release() {
      if (stream != nullptr) std::exchange(stream, nullptr)->release();
    }

    RequestHead request;
    ResponseHead head;
    http2::ClientStream* stream = nullptr;
    const char* wrong = nullptr;
    int64_t bytes = 0;
    bool got_head = false, ended = false;
  };

  struct Host final : http2::ClientHost {
    void session_has_room(http2::ClientSession& session) override {
      while (next < askers->size() && session.room() > 0) session.attach(*(*askers)[next++]->stream);
    }
    void session_failed(http2::ClientSession&, const ProxyError&) override {}
    void session_closed(http2::ClientSession&) override { closed = true; }
    bool move_stream(http2::ClientStream&) override { return false; }
    void stream_left(http2::ClientStream&) override {}
    void stream_ended(http2::ClientStream&) override {}
    std::string_view stream_target(const http2::ClientStream&) const override { return "fuzz"; }
    std::vector<std::unique_ptr<Asker>>* askers = nullptr;
    size_t next = 0;
    bool closed = false;
  };

  explicit Http2AnswerRun(size_t requests) {
    for (size_t i = 0; i < requests; ++i) {
      auto asker = std::make_unique<Asker>();
      asker->request.method = i % 3 == 2 ? Method::kHead : Method::kGet;
      asker->request.method_text = i % 3 == 2 ? "HEAD" : "GET";
      asker->request.authority = "x";
      asker->request.target = "/";
      streams_.push_back(std::make_unique<http2::ClientStream>(loop_, host_));
      asker->stream = streams_.back().get();
      asker->stream->lease(*asker, asker->request.method);
      asker->stream->send_head(asker->request);
      askers_.push_back(std::move(asker));
    }
    host_.askers = &askers_;
  }

  const char* play(std::string_view input, size_t piece) {
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    bind(listener, reinterpret_cast<sockaddr*>(&address), sizeof address);
    listen(listener, 1);
    socklen_t size = sizeof address;
    getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size);
    Http2Limits limits;
    limits.resets = http2::ClientSession::kMaxRequests;
    session_ = std::make_unique<http2::ClientSession>(loop_, host_, limits);
    session_->connect(reinterpret_cast<sockaddr*>(&address), size, 20'000);
    int fd = accept(listener, nullptr, nullptr);
    ::close(listener);
    turn();
    while (!input.empty() && !host_.closed) {
      ssize_t sent = send(fd, input.data(), std::min(piece, input.size()), MSG_NOSIGNAL);
      if (sent <= 0) break;
      input.remove_prefix(static_cast<size_t>(sent));
      turn();
      char sink[16384];
      while (recv(fd, sink, sizeof sink, MSG_DONTWAIT) > 0) {
      }
    }
    ::close(fd);
    for (int i = 0; i < kMaxTurns && !host_.closed; ++i) turn();
    const char* wrong = host_.closed ? nullptr : "the session outlives its connection";
    for (auto& asker : askers_) {
      if (asker->wrong != nullptr) wrong = asker->wrong;
      bool attached = static_cast<size_t>(&asker - askers_.data()) < host_.next;
      if (attached && !asker->ended) wrong = "a request that hears of no end";
      asker->release();
    }
    turn();
    session_.reset();
    return wrong;
  }

  void turn() {
    // A few rounds: an event may make others.
    for (int i = 0; i < 3; ++i) uv_run(loop_.uv(), UV_RUN_NOWAIT);
  }

  static constexpr int kMaxTurns = 2000;

  Loop loop_;
  Host host_;
  std::vector<std::unique_ptr<Asker>> askers_;
  std::vector<std::unique_ptr<http2::ClientStream>> streams_;
  std::unique_ptr<http2::ClientSession> session_;
};

}  // namespace gw::fuzz
