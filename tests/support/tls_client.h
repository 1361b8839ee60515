// A client that speaks TLS to 127.0.0.1, blocking, every wait capped; and a server's side of the same.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "tests/support/net.h"

namespace gw::test {

struct TlsOptions {
  std::string server_name = {};          // empty: none is named
  std::string alpn = {};                 // as ALPN writes it: "\x02h2\x08http/1.1"
  std::string ca = {};                   // PEM; empty: whoever it is
  std::string key_pair = {};             // PEM of chain and key, to show
  std::string signatures = {};           // "RSA-PSS+SHA256"; empty: all
  uint16_t min_version = 0x0303, max_version = 0x0304;
  std::string session = {};              // of an earlier connection, to resume
  bool early = false;                    // send with the first flight, where the session allows it
};

class TlsConnection {
 public:
  TlsConnection(uint16_t port, TlsOptions options);
  // A server's: over an accepted connection.
  TlsConnection(Connection& accepted, TlsOptions options);
  ~TlsConnection();

  bool handshake();
  // Of a handshake or read that failed: what the peer said, "unrecognized_name"; empty: it said nothing.
  std::string alert() const;
  bool send(std::string_view bytes);
  // Until the peer's answer is whole.
  Message read_message(bool head_only = false);
  // Some bytes; empty: the end (`clean()`: in due form), or the cap.
  std::string read();
  bool clean() const;
  void shutdown();

  std::string version() const;      // "TLSv1.3"
  std::string alpn() const;
  std::string server_name() const;  // that a client asked this server for
  bool resumed() const;
  bool early_accepted() const;
  std::string session();            // the newest ticket's; reads on for one if need be. Empty: there is none
  std::string peer_subject() const;
  std::string peer_key() const;     // "EC" or "RSA"
  std::string stapled() const;
  Connection& connection();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace gw::test
