// The two ends of an exchange, free of the HTTP version. Sessions (http1, later http2) implement the streams, the exchange
// implements the events. All on the worker's thread.
//
// Rules: pieces of a body are views that are good during the call; whoever gets one writes or copies it. Pausing stops
// reading; what was read already is still delivered. flush() is called once at the end of each read event, so that a head
// and its first piece leave in one write. After release() or reset() neither side calls the other again.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "common/http/address.h"
#include "common/http/client_identity.h"
#include "common/http/message.h"
#include "common/http/path_normal.h"
#include "common/http/reason.h"

namespace gw {

class TcpStream;

// Every failure of an exchange, in one form.
struct ProxyError {
  enum class Retry : uint8_t {
    kNever,
    kIfReused,  // the connection had served before and died before it gave a byte: the request was most likely not seen
    kSafe,      // nothing was sent
  };
  Reason reason = Reason::kNone;
  Retry retry = Retry::kNever;
  const char* detail = "";
  int status = 0;  // 0: the reason's own
};

// What is known of a client's TLS.
class TlsInfo {
 public:
  virtual ~TlsInfo() = default;
  // Whether requests for `host` (lower case, no port) belong on this connection: its certificate and what was asked of the client
  // are those that the host has (RFC 9110 §7.4).
  virtual bool covers(std::string_view host) const = 0;

  std::string server_name;  // that the client asked for (SNI), in lower case; may be empty
  const char* version = "";
  bool resumed = false;
  // What is read comes before the handshake has ended (RFC 8446 §2.3): it may be a replay. Renewed by the connection.
  bool early = false;
  std::shared_ptr<const ClientIdentity> client;  // null: it has shown no certificate
};

// What is known of the client's connection.
struct ConnectionInfo {
  IpAddress peer;   // or whom a PROXY protocol header names
  IpAddress local;  // where the client connected to
  char peer_text[46];  // of `peer`
  uint8_t peer_text_size = 0;
  uint16_t peer_port = 0;
  uint16_t local_port = 0;
  bool http10 = false;
  bool http2 = false;
  std::shared_ptr<const TlsInfo> tls;  // null: plain text
  PathRule path_rule = PathRule::kReject;  // of the listener
};

class DownstreamEvents {
 public:
  virtual ~DownstreamEvents() = default;
  // Filled by the session before on_request_head: method, target (raw), headers, has_body, content_length.
  virtual RequestHead& request_head() = 0;
  virtual void on_request_head() = 0;
  // The message breaks the protocol: in place of on_request_head, or within the body. The connection ends after the answer.
  virtual void on_request_invalid(const ProxyError& error) = 0;
  virtual void on_request_data(std::string_view piece, bool last, const HeaderList* trailers) = 0;
  // After splice_body(): so many bytes of the body have gone on; `full`: the other side takes no more for now.
  virtual void on_request_spliced(uint64_t /*bytes*/, bool /*last*/, bool /*full*/) {}
  // The client is gone.
  virtual void on_downstream_closed() = 0;
  virtual void on_downstream_drained() = 0;
  // The node goes away: what has no end of its own should find one.
  virtual void on_downstream_draining() {}
  // End of a read event: what was held back may be written now.
  virtual void on_request_read_done() = 0;
};

class DownstreamStream {
 public:
  virtual ~DownstreamStream() = default;
  virtual const ConnectionInfo& connection() const = 0;
  // 100 or 103.
  virtual void send_interim(int status, const HeaderList* headers) = 0;
  // `close`: the connection must not be used again.
  virtual void send_head(const ResponseHead& head, bool close) = 0;
  virtual void send_data(std::string_view piece, bool last, const HeaderList* trailers) = 0;
  // Of a request that wants a WebSocket: checks what this version of HTTP asks of a handshake (RFC 6455 §4.2.1; later RFC 8441
  // §4) and takes those fields out of `head`. Reason kNone: it may go on.
  virtual ProxyError take_handshake(RequestHead& head) = 0;
  // Agrees to the handshake with the fields of `head`. What the client sent behind its handshake and whatever follows go to
  // `events`, as pieces of which none is the last; send_data() sends bytes as they are. Ends with release().
  virtual void open_tunnel(const ResponseHead& head, DownstreamEvents& events) = 0;
  virtual void flush() = 0;
  // Bytes that the kernel has not taken.
  virtual size_t queued() const = 0;
  virtual void pause_request() = 0;
  // The connection that bytes of the response's body may be spliced to as they are; null: they must pass through send_data(),
  // now or always (chunks, encryption, something is queued).
  virtual TcpStream* splice_sink() { return nullptr; }
  // What is left of the request's body goes to `sink` in the kernel; on_request_spliced() tells. False: it cannot, go on as before.
  virtual bool splice_body(TcpStream& /*sink*/) { return false; }
  virtual void resume_request() = 0;
  // Ends the response so that the client sees that it is not complete.
  virtual void reset() = 0;
  // The exchange is done with this request; the last call.
  virtual void release() = 0;
};

class UpstreamEvents {
 public:
  virtual ~UpstreamEvents() = default;
  // Filled by the session before on_response_head. Status 101 comes only for a request that wants a WebSocket, and only when
  // the upstream has agreed to that in due form.
  virtual ResponseHead& response_head() = 0;
  virtual void on_response_interim(int status, const HeaderList& headers) = 0;
  virtual void on_response_head() = 0;
  virtual void on_response_data(std::string_view piece, bool last, const HeaderList* trailers) = 0;
  // After splice_body(), as on_request_spliced().
  virtual void on_response_spliced(uint64_t /*bytes*/, bool /*last*/, bool /*full*/) {}
  // The stream is gone; nothing else comes. Never from within a call of the exchange's.
  virtual void on_upstream_failed(const ProxyError& error) = 0;
  // All that was queued, and the connection if it was not there yet, is done.
  virtual void on_upstream_drained() = 0;
  virtual void on_response_read_done() = 0;
  // There is room at the upstream for an exchange that waits.
  virtual void on_upstream_available() = 0;
};

class UpstreamStream {
 public:
  virtual ~UpstreamStream() = default;
  // `head` must stay good until the stream has ended.
  virtual void send_head(const RequestHead& head) = 0;
  virtual void send_data(std::string_view piece, bool last, const HeaderList* trailers) = 0;
  virtual void flush() = 0;
  virtual size_t queued() const = 0;
  // Within on_response_head with status 101: bytes go both ways as they are from now on, those that come to `events`. A piece
  // that is the last: the upstream has closed. release() sends what is queued, then closes.
  virtual void open_tunnel(UpstreamEvents& events) = 0;
  virtual void pause_response() = 0;
  // As the DownstreamStream's: where the request's body may go, and sending on what is left of the response's.
  virtual TcpStream* splice_sink() { return nullptr; }
  virtual bool splice_body(TcpStream& /*sink*/) { return false; }
  virtual void resume_response() = 0;
  // The connection had served another exchange before.
  virtual bool reused() const = 0;
  // False: what was sent is still held back.
  virtual bool connected() const = 0;
  // Once connected.
  virtual bool http2() const { return false; }
  // host:port, for logs.
  virtual std::string_view target() const = 0;
  // Done with it, whether or not it is finished; the last call. A connection in doubt is closed.
  virtual void release() = 0;
};

// Gives sessions exchanges; the worker implements it.
class ExchangeHost {
 public:
  virtual ~ExchangeHost() = default;
  virtual DownstreamEvents& open_exchange(DownstreamStream& stream, uint32_t listener) = 0;
};

}  // namespace gw
