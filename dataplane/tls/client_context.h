// How an upstream's targets are spoken to over TLS: what is asked of their certificates, and what is shown to them. Immutable; any
// thread.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "absl/status/statusor.h"
#include "dataplane/tls/key_pair.h"
#include "dataplane/tls/tls_filter.h"
#include "dataplane/tls/trust_store.h"

namespace gw {

struct TlsClientConfig {
  std::string server_name;               // empty: the target's host
  std::vector<std::string> names;        // of which the certificate must have one; empty: the server's name
  std::vector<std::string> pins;         // hex SHA-256 of public keys, of which one must be in the chain; empty: any
  std::shared_ptr<const TrustStore> trust;
  std::shared_ptr<const TlsKeyPair> key_pair;  // null: none is shown
  bool verify = true;
  bool tls13_only = false;
};

class TlsClientContext : public std::enable_shared_from_this<TlsClientContext> {
 public:
  static absl::StatusOr<std::shared_ptr<const TlsClientContext>> make(TlsClientConfig config);
  ~TlsClientContext();

  // For a new connection to a target of that host, which is to speak HTTP/2 or HTTP/1.1 (ALPN).
  std::unique_ptr<TlsFilter> open(Loop& loop, std::string_view host, bool http2) const;

 private:
  struct Callbacks;
  struct Impl;
  TlsClientContext();

  TlsClientConfig config_;
  std::unique_ptr<Impl> impl_;
};

// By the upstream's uid.
using TlsClients = std::unordered_map<uint64_t, std::shared_ptr<const TlsClientContext>>;

}  // namespace gw
