// One client connection speaking HTTP/1: reads requests one after the other, gives each to an exchange, writes its response.
//
// Owner: the worker's session list; destroyed at the end of the turn in which it closes. Worker's thread.
// Memory: a block from the pool from a request's first byte until its exchange is released; an idle session owns none.
// Pipelined requests stay unparsed in the block until their turn.
#pragma once

#include <cstdint>

#include "dataplane/exchange/streams.h"
#include "dataplane/http1/chunked.h"
#include "dataplane/http1/framing.h"
#include "dataplane/http1/head_parser.h"
#include "dataplane/loop/loop.h"
#include "dataplane/loop/tcp_stream.h"

namespace gw::http1 {

// Limits of one listener; replaced as a whole when the configuration changes.
struct ServerLimits {
  HeadLimits head;
  int64_t head_timeout_ms = 10'000;
  int64_t idle_timeout_ms = 60'000;
  uint32_t requests = UINT32_MAX;  // of one connection
  PathRule path_rule = PathRule::kReject;
  bool proxy_protocol = false;     // connections begin with a PROXY protocol header
};

class ServerSession;

// The worker, as a session sees it.
class ServerHost : public ExchangeHost {
 public:
  virtual const ServerLimits& limits(uint32_t listener) = 0;
  // No further request on any connection once true: responses carry `Connection: close`.
  virtual bool draining() const = 0;
  // Responses carry `Connection: close` for now, to make room.
  virtual bool sheds_connections() { return false; }
  // The connection is closed after this answer: it has had all the requests that it may have.
  virtual void requests_used_up() {}
  // Whether a PROXY protocol header from this socket's peer is believed.
  virtual bool believes_proxy_header(uint32_t /*listener*/, const IpAddress& /*peer*/) { return false; }
  // A connection was closed for a bad, late or unbelieved PROXY protocol header.
  virtual void proxy_header_refused() {}
  // The session's client is known: false where it has too many connections. Called once, before the first request.
  virtual bool admit(ServerSession& /*session*/) { return true; }
  // The session has closed; the host destroys it at the end of the turn.
  virtual void session_closed(ServerSession& session) = 0;
};

class ServerSession final : public DownstreamStream, private TcpStream::Events {
 public:
  static constexpr int64_t kLingerMs = 2'000;          // reading on after the last answer, so that the client gets it
  static constexpr size_t kLingerBytes = 1 << 20;
  static constexpr size_t kMinBodyRoom = 4096;         // behind a head in its block

  ServerSession(Loop& loop, ServerHost& host, uint32_t listener);
  ~ServerSession() override;

  // Takes the accepted connection and begins to read. Negative errno: destroy me (EACCES: it may not speak here).
  int start(int fd);
  // Closes after the response in work; when idle, after one more request, or when none has come for `idle_ms`.
  void drain(int64_t idle_ms);
  // At once, dropping what is in work (the exchange is told).
  void abort();
  // The client is not known before its PROXY protocol header has come.
  bool awaits_proxy_header() const { return state_ == State::kProxyHeader; }
  uint32_t listener() const { return listener_; }

  // DownstreamStream
  const ConnectionInfo& connection() const override { return info_; }
  void send_interim(int status, const HeaderList* headers) override;
  void send_head(const ResponseHead& head, bool close) override;
  void send_data(std::string_view piece, bool last, const HeaderList* trailers) override;
  ProxyError take_handshake(RequestHead& head) override;
  void open_tunnel(const ResponseHead& head, DownstreamEvents& events) override;
  void flush() override;
  size_t queued() const override { return stream_.queued(); }
  void pause_request() override;
  TcpStream* splice_sink() override;
  bool splice_body(TcpStream& sink) override;
  void resume_request() override;
  void reset() override;
  void release() override;

  // The host's list.
  ServerSession* next = nullptr;
  ServerSession* prev = nullptr;
  // The host's: the Gateway that counts this client's connections; 0: none does.
  uint64_t counted_for = 0;

 private:
  enum class State : uint8_t { kProxyHeader, kIdle, kHead, kExchange, kLinger, kClosed };

  std::span<char> read_buffer() override;
  void on_read(size_t size) override;
  void on_read_end(int error) override;
  void on_drained() override;
  void on_spliced(uint64_t bytes, bool full) override;
  void on_write_error(int error) override;

  void process();
  bool read_proxy_header();
  bool read_head();
  void begin_exchange();
  void open_exchange(bool http10);
  void refuse_head(const ProxyError& error);
  void deliver_body();
  void deliver_early();
  void read_tunnel(size_t size);
  void next_request();
  void grow_block(size_t capacity);
  void linger();
  void close();
  void timed_out();
  void write_failed();

  Loop& loop_;
  ServerHost& host_;
  TcpStream stream_;
  HeadParser parser_{HeadParser::Side::kRequest};
  ChunkedDecoder chunks_;
  Block block_;
  size_t begin_ = 0;       // of the head in work
  size_t body_begin_ = 0;  // behind it
  size_t pos_ = 0;         // taken up to here
  size_t end_ = 0;         // read up to here
  DownstreamEvents* events_ = nullptr;
  ConnectionInfo info_;
  std::string_view websocket_key_;  // in the block
  Timer timer_;            // head, idle or linger
  Deferred next_task_;     // the next pipelined request
  Deferred failed_task_;   // a write failed while nobody reads
  const uint32_t listener_;
  uint32_t requests_ = 0;
  State state_ = State::kIdle;
  Framing::Kind body_ = Framing::Kind::kNone;
  int64_t body_left_ = 0;
  bool body_done_ = true;
  bool keep_alive_ = true;
  bool head_pending_ = false;  // a response head waits in the loop's scratch
  bool response_begun_ = false;
  bool response_done_ = false;
  bool response_chunked_ = false;
  bool response_has_body_ = true;
  bool in_process_ = false;
  bool peer_ended_ = false;
  bool reset_ = false;
  bool tunnel_ = false;        // bytes as they are, read to the loop's buffer
};

}  // namespace gw::http1
