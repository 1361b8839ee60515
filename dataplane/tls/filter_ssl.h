// What a TlsFilter has of BoringSSL, for the .cc files of this folder.
#pragma once

#include <memory>

#include "dataplane/tls/boringssl.h"
#include "dataplane/tls/tls_filter.h"

namespace gw {

class TicketKeys;
struct TlsCertificate;
struct TlsClientRule;

// A signature in work on another thread. `out` and `ok` are the signer's until it has posted to the loop, all else is the loop's.
struct SignJob {
  TlsFilter* filter = nullptr;  // null: gone
  std::shared_ptr<const TlsKeyPair> key;
  uint16_t algorithm = 0;
  std::string in, out;
  bool ok = false;
  bool done = false;
};

struct TlsFilter::Ssl {
  // Of the ex data that leads from an SSL to its filter.
  static int index();
  static TlsFilter& filter_of(const SSL* ssl) { return *static_cast<TlsFilter*>(SSL_get_ex_data(ssl, index())); }
  static Ssl& of(const SSL* ssl) { return *filter_of(ssl).ssl_; }

  bssl::UniquePtr<SSL> ssl;
  std::shared_ptr<const void> context;  // whose SSL it is: must outlive it
  std::shared_ptr<const TicketKeys> tickets;
  // A server's: what the handshake has chosen.
  std::string server_name;
  const TlsCertificate* served = nullptr;
  std::shared_ptr<const TlsKeyPair> key;
  const TlsClientRule* rule = nullptr;
  std::shared_ptr<const ClientIdentity> client;
  std::shared_ptr<SignJob> signing;
  std::shared_ptr<TlsInfo> (*describe)(Ssl& of) = nullptr;
};

}  // namespace gw
