// What one TLS listener shows and asks: certificates by host, clients' certificates by host, protocols. Immutable and shared by
// all workers; a change makes a new one, connections keep theirs.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "absl/status/statusor.h"
#include "common/http/client_identity.h"
#include "dataplane/tls/key_pair.h"
#include "dataplane/tls/signer.h"
#include "dataplane/tls/tls_filter.h"
#include "dataplane/tls/trust_store.h"

namespace gw {

class TicketKeys;

struct TlsCertificate {
  std::string name;  // owner/name
  std::vector<std::string> hosts;  // lower case; exact or `*.` and a host
  std::vector<std::shared_ptr<const TlsKeyPair>> key_pairs;
  bool tls13_only = false;
};

struct TlsClientRule {
  enum class Mode : uint8_t { kNone, kRequest, kRequire };
  std::vector<std::string> hosts;  // as above, or `*`
  Mode mode = Mode::kNone;
  std::shared_ptr<const TrustStore> trust;  // unless kNone
  std::string header;                       // that tells the upstream
};

struct TlsServerConfig {
  std::vector<std::shared_ptr<const TlsCertificate>> certificates;
  std::shared_ptr<const TlsCertificate> fallback;  // for hosts that none of them covers; null: refused
  std::vector<TlsClientRule> clients;
  bool http2 = true;
  bool tickets = true;
  bool early_data = false;
  // Where signatures that take long are made; null: where the handshake runs.
  std::shared_ptr<TlsSigner> signer;
};

// A server's side of what is known of a connection.
class TlsServerInfo;

class TlsServerContext : public std::enable_shared_from_this<TlsServerContext> {
 public:
  static absl::StatusOr<std::shared_ptr<const TlsServerContext>> make(TlsServerConfig config);
  ~TlsServerContext();

  // A new connection's filter. `tickets`: may be null, no session is resumed then.
  std::unique_ptr<TlsFilter> open(Loop& loop, std::shared_ptr<const TicketKeys> tickets) const;

  // For a host in lower case; null: none.
  const TlsCertificate* certificate_for(std::string_view host) const;
  const TlsClientRule* rule_for(std::string_view host) const;

 private:
  struct Callbacks;
  struct Impl;
  TlsServerContext();
  void add(const std::shared_ptr<const TlsCertificate>& certificate);

  TlsServerConfig config_;
  std::unordered_map<std::string, const TlsCertificate*> exact_, wildcard_;  // wildcards without `*`
  std::unique_ptr<Impl> impl_;
};

}  // namespace gw
