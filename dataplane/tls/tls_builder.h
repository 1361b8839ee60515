// TLS contexts from the configuration and the certificates that a node holds. What was read once is kept for the next time: a
// rotation of one certificate reads one certificate.
//
// Owner: the Node. The agent's thread.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "dataplane/snapshot/certificates.h"
#include "dataplane/snapshot/snapshot.h"
#include "dataplane/tls/client_context.h"
#include "dataplane/tls/server_context.h"

namespace gw {

class TlsBuilder {
 public:
  // `signer`: may be null.
  explicit TlsBuilder(std::shared_ptr<TlsSigner> signer) : signer_(std::move(signer)) {}

  // For a listener with `protocol: https`. The message of a failure says which object cannot be used, and why.
  absl::StatusOr<std::shared_ptr<const TlsServerContext>> server(const GatewayConfig& gateway, const ListenerConfig& listener,
                                                                 const CertificateTable& table);
  // For every upstream whose targets speak TLS. One that cannot be set up is left out, and `problem` called with what is wrong.
  using Problem = std::function<void(const UpstreamConfig& upstream, const absl::Status& why)>;
  std::shared_ptr<const TlsClients> clients(const Snapshot& snapshot, const CertificateTable& table, const Problem& problem);
  // Forgets what the table has no more.
  void keep_only(const CertificateTable& table);

 private:
  using Trust = std::shared_ptr<const TrustStore>;
  absl::StatusOr<std::shared_ptr<const TlsCertificate>> certificate(uint64_t uid, const CertificateTable& table);
  absl::StatusOr<std::shared_ptr<const TlsClientContext>> client(const UpstreamConfig& upstream, const CertificateTable& table);
  absl::StatusOr<Trust> trust(uint64_t ca, uint64_t crl, const CertificateTable& table);

  std::shared_ptr<TlsSigner> signer_;
  std::map<const CertificateData*, std::pair<std::shared_ptr<const CertificateData>, std::shared_ptr<const TlsCertificate>>> read_;
  // By CA and list; null: none.
  std::map<std::pair<std::shared_ptr<const SecretData>, std::shared_ptr<const SecretData>>, Trust> trusted_;
  Trust system_;  // once it was asked for
  // As it was made, and of what: the same context stands for the same settings.
  struct Client {
    std::shared_ptr<const UpstreamConfig> config;
    std::shared_ptr<const SecretData> ca, key_pair;
    std::shared_ptr<const TlsClientContext> context;
  };
  std::map<uint64_t, Client> clients_;  // by the upstream's uid
};

}  // namespace gw
