// One connection to an upstream's target speaking HTTP/1.1: one request at a time, used again when nothing is in doubt.
//
// Owner: the pool. Worker's thread. An idle session owns no block; bytes or an end while idle close it.
#pragma once

#include <cstdint>
#include <string>

#include "dataplane/exchange/streams.h"
#include "dataplane/http1/chunked.h"
#include "dataplane/http1/framing.h"
#include "dataplane/http1/head_parser.h"
#include "dataplane/loop/loop.h"
#include "dataplane/loop/tcp_stream.h"

namespace gw::http1 {

class ClientSession;

// The pool, as a session sees it.
class ClientHost {
 public:
  virtual ~ClientHost() = default;
  // Free for the next exchange.
  virtual void session_idle(ClientSession& session) = 0;
  // Closed; the host destroys it at the end of the turn.
  virtual void session_closed(ClientSession& session) = 0;
  virtual std::string_view session_target(const ClientSession& session) const = 0;
  // The handshake of its filter has failed; the session fails at the end of the turn.
  virtual void session_not_secured(ClientSession& /*session*/, StreamFilter& /*filter*/) {}
};

class ClientSession final : public UpstreamStream, private TcpStream::Events {
 public:
  static constexpr HeadLimits kHeadLimits{65536, 200};
  static constexpr int kMaxInterim = 16;  // 1xx heads before the answer
  static constexpr int64_t kIdleMs = 60'000;
  static constexpr int64_t kFlushMs = 2'000;  // for what a tunnel has queued at its end

  ClientSession(Loop& loop, ClientHost& host);
  ~ClientSession() override;

  // The pool's side. connect_failed() is for when there is no address to connect to.
  void connect(const sockaddr* address, socklen_t size, int64_t timeout_ms);
  void connect_failed(const char* why);
  // The target's name is being resolved; counts as connecting.
  void wait_for_address(int64_t timeout_ms) { loop_.arm(timer_, timeout_ms); }
  // Before anything else is sent: the connection speaks for this client alone.
  void announce(std::string_view proxy_header, const IpAddress& client) {
    waiting_.append(proxy_header);
    announced_size_ = waiting_.size();
    announced = client;
  }
  // Before connect(): what goes over the connection, but for what announces it, goes through the filter.
  void secure(std::unique_ptr<StreamFilter> filter) { filter_ = std::move(filter); }
  // Gives it to an exchange; it may send at once, also before the connection stands.
  void lease(UpstreamEvents& events, Method method);
  bool leased() const { return events_ != nullptr; }
  // Not to be used again after this exchange.
  void retire() { reusable_ = false; }
  void close();

  // UpstreamStream
  void send_head(const RequestHead& head) override;
  void send_data(std::string_view piece, bool last, const HeaderList* trailers) override;
  void flush() override;
  void open_tunnel(UpstreamEvents& events) override { events_ = &events; }
  size_t queued() const override { return waiting_.size() + stream_.queued(); }
  void pause_response() override;
  TcpStream* splice_sink() override;
  bool splice_body(TcpStream& sink) override;
  void resume_response() override;
  bool reused() const override { return uses_ > 1; }
  bool connected() const override { return connected_; }
  std::string_view target() const override { return host_.session_target(*this); }
  void release() override;

  // The pool's: which endpoint, and its lists.
  void* endpoint = nullptr;
  bool pooled = false;  // in the idle list
  IpAddress announced;  // of announce(); zeroes: none
  ClientSession* next = nullptr;
  ClientSession* prev = nullptr;

 private:
  std::span<char> read_buffer() override;
  void on_read(size_t size) override;
  void on_read_end(int error) override;
  void on_drained() override;
  void on_spliced(uint64_t bytes, bool full) override;
  void on_write_error(int error) override;
  void on_connected(int error) override;
  void on_secured() override;

  void established();
  void not_secured();
  void process();
  bool read_head();
  void switch_protocols(const char* base, size_t head_size);
  void deliver_body(std::string_view input);
  void give(std::string_view piece, bool last, const HeaderList* trailers);
  void fail(const ProxyError& error);
  void timed_out();
  void write(std::string_view a, std::string_view b = {}, std::string_view c = {});

  Loop& loop_;
  ClientHost& host_;
  TcpStream stream_;
  HeadParser parser_{HeadParser::Side::kResponse};
  ChunkedDecoder chunks_;
  Block block_;
  size_t begin_ = 0, end_ = 0;  // of the response's head
  UpstreamEvents* events_ = nullptr;
  Timer timer_;                 // connect or idle
  Deferred failed_task_;        // tells of a failure at the end of the turn
  ProxyError failure_;
  std::string waiting_;         // before the connection stands
  size_t announced_size_ = 0;   // of it, at its front
  std::unique_ptr<StreamFilter> filter_;  // until it is connected
  std::string accept_;          // of the WebSocket handshake in work
  int64_t body_left_ = 0;
  uint32_t uses_ = 0;
  int interim_ = 0;
  Method method_ = Method::kGet;
  Framing::Kind body_ = Framing::Kind::kNone;
  bool connected_ = false;
  bool closed_ = false;
  bool reusable_ = true;
  bool got_bytes_ = false;
  bool in_body_ = false;
  bool request_chunked_ = false;
  bool request_done_ = false;
  bool response_done_ = false;
  bool tunnel_ = false;
  bool head_pending_ = false;   // a request head waits in the loop's scratch
};

}  // namespace gw::http1
