// One client connection speaking HTTP/2: each request gets an exchange of its own.
//
// Owner: the worker's list of connections; destroyed at the end of the turn in which it closes. Worker's thread.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "dataplane/exchange/connection.h"
#include "dataplane/http2/h2_connection.h"
#include "dataplane/loop/loop.h"
#include "dataplane/loop/tcp_stream.h"

namespace gw::http2 {

class RequestPool;
class ServerSession;

// One request and its answer. Owner: the worker's RequestPool; given to a session from the request's first frame until the
// stream has closed.
class RequestStream final : public Stream, public DownstreamStream {
 public:
  RequestStream() = default;

  // DownstreamStream
  const ConnectionInfo& connection() const override;
  void send_interim(int status, const HeaderList* headers) override;
  void send_head(const ResponseHead& head, bool close) override;
  void send_data(std::string_view piece, bool last, const HeaderList* trailers) override;
  ProxyError take_handshake(RequestHead& head) override;
  void open_tunnel(const ResponseHead& head, DownstreamEvents& events) override;
  void flush() override;
  size_t queued() const override;
  void pause_request() override;
  void resume_request() override;
  void reset() override;
  void release() override;

 private:
  friend class RequestPool;
  friend class ServerSession;

  // Of the request; what is wrong with it, or empty.
  std::string_view read_head(const Connection::Head& from, RequestHead& head);
  void join_cookies(HeaderList& headers);
  void write_fields(HeadFields& out, const HeaderList& headers, uint64_t skip);
  void give(std::string_view piece, bool last, const HeaderList* trailers);
  void give_early();
  void recycle();

  ServerSession* session_ = nullptr;
  DownstreamEvents* events_ = nullptr;
  RequestStream* next_live_ = nullptr;  // the session's list
  RequestStream* prev_live_ = nullptr;
  RequestStream* next_free_ = nullptr;  // the pool's
  std::string early_;          // came behind a WebSocket's handshake before the upstream had agreed
  Deferred early_task_{[](void* self) { static_cast<RequestStream*>(self)->give_early(); }, this};
  bool response_begun_ = false;
  bool response_has_body_ = true;
  bool websocket_ = false;     // asked for
  bool tunnel_ = false;
  bool early_end_ = false;     // the client has ended its side with that
  bool reset_ = false;
};

// Streams for all sessions of one worker.
class RequestPool {
 public:
  static constexpr size_t kKeepFree = 256;  // beyond that they are freed at the end of the turn

  explicit RequestPool(Loop& loop) : loop_(loop), trim_task_([](void* self) { static_cast<RequestPool*>(self)->trim(); }, this) {}
  ~RequestPool();
  RequestPool(const RequestPool&) = delete;

 private:
  friend class ServerSession;
  RequestStream& get();
  void give_back(RequestStream& stream);
  void trim();

  Loop& loop_;
  Deferred trim_task_;
  RequestStream* free_ = nullptr;
  size_t kept_ = 0;
};

class ServerSession final : public ServerConnection, private Connection::Events {
 public:
  static constexpr int64_t kNoticeMs = 1'000;  // between the two GOAWAYs, where the client does not answer the PING before

  ServerSession(Loop& loop, ServerHost& host, RequestPool& pool, uint32_t listener);
  ~ServerSession() override;

  // Takes the connection over from whoever had it before, with what has come of its preface.
  void start(TcpStream& from, const ConnectionInfo& info, std::string_view early);

  // ServerConnection
  const ConnectionInfo& connection() const override { return info_; }
  void drain(int64_t idle_ms) override;
  void abort() override { connection_.close(); }

 private:
  friend class RequestStream;
  enum class Wait : uint8_t { kNothing, kPreface, kHead, kIdle };

  // Connection::Events
  Stream* begin_stream() override;
  void on_head(Stream& stream, const Connection::Head& head) override;
  void on_data(Stream& stream, std::string_view piece, bool last) override;
  void on_read_done(Stream& stream) override;
  void on_stream_drained(Stream& stream) override;
  void on_stream_closed(Stream& stream, Code code, bool unseen) override;
  void on_pong() override;
  void on_batch_done() override { wait(); }
  void on_budget_exceeded() override { host_.http2_budget_exceeded(); }
  void on_closed(int error) override;

  void go_away();
  void count_answer();
  void wait();
  void timed_out();
  void notice_over();

  Loop& loop_;
  ServerHost& host_;
  RequestPool& pool_;
  Connection connection_;
  ConnectionInfo info_;
  RequestStream* live_ = nullptr;
  Timer wait_timer_;       // for what `waits_` says
  Timer notice_timer_;
  Deferred leave_task_;
  size_t streams_ = 0;     // with an exchange, or before it; those that were reset until their exchange is recycled
  size_t leaving_ = 0;     // of those: recycled at the end of the turn
  size_t most_streams_ = 0;
  uint32_t requests_ = 0;
  Wait waits_ = Wait::kNothing;
  bool going_away_ = false;
  bool goaway_done_ = false;
};

}  // namespace gw::http2
