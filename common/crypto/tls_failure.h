// What went wrong with a TLS connection, from the words that OpenSSL and gRPC have for it.
// Thread-safe.
#pragma once

#include <string_view>

namespace gw {

enum class TlsFailure {
  kNone,       // another failure
  kUntrusted,  // the other side's certificate is of another CA, or not in force
  kWrongName,  // it is for other names
  kPlainText,  // the other side does not talk TLS
  kRefused,    // the other side did not take our certificate
  kCut,        // the connection ended without a word: a plain-text client at a TLS server sees that
};
TlsFailure tls_failure_of(std::string_view message);

}  // namespace gw
