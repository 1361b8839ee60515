// One client connection speaking HTTP/1: reads requests one after the other, gives each to an exchange, writes its response.
//
// Owner: the worker's session list; destroyed at the end of the turn in which it closes. Worker's thread.
// Memory: a block from the pool from a request's first byte until its exchange is released; an idle session owns none.
// Pipelined requests stay unparsed in the block until their turn.
#pragma once

#include <cstdint>

#include "dataplane/exchange/connection.h"
#include "dataplane/http1/chunked.h"
#include "dataplane/http1/framing.h"
#include "dataplane/http1/head_parser.h"
#include "dataplane/loop/loop.h"
#include "dataplane/loop/tcp_stream.h"

namespace gw::http1 {

class ServerSession final : public ServerConnection, public DownstreamStream, private TcpStream::Events {
 public:
  // Reading on after the last answer, so that the client gets it: so long after what it sent last, and in all.
  static constexpr int64_t kLingerMs = 2'000;
  static constexpr int64_t kLingerMsMax = 15'000;
  static constexpr size_t kLingerBytes = 16 << 20;
  static constexpr size_t kMinBodyRoom = 4096;         // behind a head in its block

  ServerSession(Loop& loop, ServerHost& host, uint32_t listener);
  ~ServerSession() override;

  // Takes the accepted connection and begins to read. Negative errno: destroy me.
  int start(int fd);
  // Takes a connection over from whoever had it before, with the first bytes of its first request, if some have come.
  void start(TcpStream& from, const ConnectionInfo& info, std::string_view early);

  // ServerConnection
  void drain(int64_t idle_ms) override;
  void abort() override;

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

 private:
  enum class State : uint8_t { kIdle, kHead, kExchange, kLinger, kClosed };

  std::span<char> read_buffer() override;
  void on_read(size_t size) override;
  void on_read_end(int error) override;
  void on_drained() override;
  void on_spliced(uint64_t bytes, bool full) override;
  void on_write_error(int error) override;

  void process();
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
  void linger_on(size_t bytes);
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
  uint32_t requests_ = 0;
  State state_ = State::kIdle;
  Framing::Kind body_ = Framing::Kind::kNone;
  int64_t body_left_ = 0;
  int64_t linger_until_ms_ = 0;
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
