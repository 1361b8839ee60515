// TLS on a TcpStream: BoringSSL between the bytes of the socket and those of the session.
//
// Owner: the TcpStream. Loop's thread. An idle connection keeps neither plain nor ciphered bytes.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "dataplane/exchange/streams.h"
#include "dataplane/loop/loop.h"
#include "dataplane/loop/stream_filter.h"

namespace gw {

class TlsFilter final : public StreamFilter {
 public:
  struct Ssl;  // what BoringSSL has of it

  // What a TLS connection ends with when it does not come to be: for metrics and the log.
  enum class Failure : uint8_t {
    kNone,
    kProtocol,     // malformed, or nothing in common
    kNoHost,       // no certificate for the host that was asked for
    kNoAlpn,       // no protocol in common
    kCertificate,  // the peer's certificate does not hold, or there is none
    kPeer,         // the peer has refused, or left
  };

  TlsFilter(Loop& loop, std::unique_ptr<Ssl> ssl);
  ~TlsFilter() override;

  int begin() override;
  void feed(std::string_view wire) override;
  ssize_t read(std::span<char> room) override;
  void park() override;
  bool has_parked() const override { return !parked_.empty(); }
  bool blocked() const override { return blocked_; }
  bool ready() const override { return ready_; }
  bool write(std::string_view a, std::string_view b, std::string_view c) override;
  void end() override;

  // Once ready().
  std::string_view protocol() const override;
  bool http2() const { return protocol() == "h2"; }
  bool resumed() const;
  const char* version() const;
  // Of a client's connection.
  std::shared_ptr<const TlsInfo> info() const { return info_; }
  Failure failure() const { return failure_; }
  const std::string& why() const override { return why_; }

  // For the callbacks of a handshake.
  void fail(Failure failure, std::string why) {
    failure_ = failure;
    why_ = std::move(why);
  }
  Loop& loop() { return loop_; }
  // A signature that was made elsewhere is there.
  void unblock();

 private:
  friend struct TlsBio;

  ssize_t handshake();
  ssize_t broken(int ssl_error);
  bool seal(const char* data, size_t size);

  Loop& loop_;
  std::unique_ptr<Ssl> ssl_;
  std::string_view wire_;   // fed and not taken
  std::string parked_;      // wire_ is of it, then
  std::string early_;       // written before the handshake was done
  std::shared_ptr<TlsInfo> info_;
  std::string why_;
  Failure failure_ = Failure::kNone;
  bool blocked_ = false;
  bool ready_ = false;
  bool broken_ = false;
  bool ended_ = false;      // close_notify was sent
};

}  // namespace gw
