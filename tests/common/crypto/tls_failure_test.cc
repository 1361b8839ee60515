#include "common/crypto/tls_failure.h"

#include <catch2/catch.hpp>
#include <string>

namespace gw {

TEST_CASE("what went wrong with TLS is told from the words of the library") {
  const char* connect =
      "failed to connect to all addresses; last error: UNKNOWN: ipv4:127.0.0.1:1: ";
  auto of = [&](const char* words) { return tls_failure_of(std::string(connect) + words); };
  CHECK(of("Ssl handshake failed: SSL_ERROR_SSL: error:0A000086:SSL routines::certificate verify "
           "failed") == TlsFailure::kUntrusted);
  CHECK(of("Peer name vm is not in peer certificate") == TlsFailure::kWrongName);
  CHECK(of("Ssl handshake failed: SSL_ERROR_SSL: error:0A00010B:SSL routines::wrong version "
           "number") == TlsFailure::kPlainText);
  CHECK(of("Ssl handshake failed: SSL_ERROR_SSL: error:0A000418:SSL routines::tlsv1 alert unknown "
           "ca") == TlsFailure::kRefused);
  CHECK(of("Socket closed") == TlsFailure::kCut);
  CHECK(of("Failed to connect to remote host: Connection refused") == TlsFailure::kNone);
}

}  // namespace gw
