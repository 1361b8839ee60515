// The beginning of a client's connection, before it is known what it speaks: a PROXY protocol header, a TLS handshake, the first
// bytes that tell HTTP/2 from HTTP/1. Then the worker puts a session in its place.
//
// Owner: the worker's list of connections; destroyed at the end of the turn in which it is replaced or closes. Worker's thread.
#pragma once

#include <cstdint>
#include <memory>

#include "dataplane/exchange/connection.h"
#include "dataplane/loop/loop.h"
#include "dataplane/loop/tcp_stream.h"
#include "dataplane/tls/tls_filter.h"

namespace gw {

class Front;

// What a listener's connections begin with.
struct FrontRules {
  bool proxy_header = false;
  bool tls = false;
  bool http2 = false;  // without TLS: by prior knowledge
  int64_t head_timeout_ms = 10'000;
  int64_t handshake_timeout_ms = 10'000;
  // A plain HTTP/1 connection needs no Front.
  bool any() const { return proxy_header || tls || http2; }
};

// The worker, as a front sees it.
class FrontHost {
 public:
  virtual ~FrontHost() = default;
  // Whether a PROXY protocol header from this socket's peer is believed.
  virtual bool believes_proxy_header(uint32_t listener, const IpAddress& peer) = 0;
  // A connection was closed for a bad, late or unbelieved PROXY protocol header.
  virtual void proxy_header_refused() = 0;
  // The client is known: false where it has too many connections.
  virtual bool admit(ServerConnection& connection) = 0;
  // A filter for a TLS handshake on this listener; null: there may be none now.
  virtual std::unique_ptr<TlsFilter> open_tls(Front& front) = 0;
  // How each handshake that was opened ended; `filter` null: it was given up, for taking too long if `late`.
  virtual void tls_ended(Front& front, TlsFilter* filter, bool late) = 0;
  // It speaks HTTP/1 or HTTP/2, and `early` has come already: take the stream.
  virtual void promote(Front& front, TcpStream& stream, bool http2, std::string_view early) = 0;
  virtual void connection_closed(ServerConnection& connection) = 0;
};

class Front final : public ServerConnection, private TcpStream::Events {
 public:
  Front(Loop& loop, FrontHost& host, uint32_t listener, const FrontRules& rules);
  ~Front() override;

  // Takes the accepted connection. Negative errno: destroy me (EACCES: it may not speak here).
  int start(int fd);
  // The client is not known before its PROXY protocol header has come.
  bool awaits_proxy_header() const { return state_ == State::kProxyHeader; }

  const ConnectionInfo& connection() const override { return info_; }
  void drain(int64_t idle_ms) override;
  void abort() override { close(); }

 private:
  enum class State : uint8_t { kProxyHeader, kHandshake, kPreface, kGone };

  std::span<char> read_buffer() override;
  void on_read(size_t size) override;
  void on_read_end(int error) override;
  void on_secured() override;
  void on_write_error(int error) override;

  int enter_next();
  bool read_proxy_header();
  void read_preface();
  void promote(bool http2);
  void close();
  void end_handshake(bool done, bool late);
  void timed_out();

  Loop& loop_;
  FrontHost& host_;
  const FrontRules rules_;
  TcpStream stream_;
  Block block_;
  size_t begin_ = 0, end_ = 0;
  ConnectionInfo info_;
  Timer timer_;
  State state_ = State::kGone;
  TlsFilter* tls_ = nullptr;  // of stream_, until the handshake has ended
};

}  // namespace gw
