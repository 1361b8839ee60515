// Certificates with their keys, and the secrets that TLS needs, as a node holds them: plain data, by uid. Immutable, any thread;
// what did not change from one table to the next is the same pointer. A stream of its own beside the configuration: a rotation
// makes no new snapshot. Nothing here is ever logged or given back.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "common/base/diagnostic.h"
#include "common/crypto/certificates.h"
#include "dataplane/snapshot/entry.h"

namespace gw {

struct CertificateData {
  struct KeyPair {
    std::string pem;     // leaf first, and the private key
    std::string ocsp;    // DER; empty: nothing is stapled
    KeyPairFacts facts;  // of the chain
  };

  uint64_t uid = 0;
  std::string name;                // owner/name
  std::vector<std::string> hosts;  // exact, or `*.example.com`
  std::string min_tls;             // "1.2" or "1.3"
  std::vector<KeyPair> key_pairs;  // of different kinds of key; not empty

  // Unix seconds: the first end of a leaf.
  int64_t not_after() const;
};

// CA certificates, lists of revoked ones, or a client's key pair: whoever names the secret knows which.
struct SecretData {
  uint64_t uid = 0;
  std::string name;  // owner/name
  std::string value;
};

class CertificateTable {
 public:
  // Most certificates and secrets together; beyond it an offer is refused (GW3006).
  static constexpr size_t kMax = 20'000;

  // There are none. Shared by all, never null.
  static const std::shared_ptr<const CertificateTable>& none();

  uint64_t version() const { return state_.version; }
  // Null: there is none.
  std::shared_ptr<const CertificateData> certificate(uint64_t uid) const;
  std::shared_ptr<const SecretData> secret(uint64_t uid) const;
  const std::map<uint64_t, std::shared_ptr<const CertificateData>>& certificates() const { return certificates_; }
  const std::map<uint64_t, std::shared_ptr<const SecretData>>& secrets() const { return secrets_; }

 private:
  friend class CertificatesBuilder;
  StreamState state_;
  std::map<uint64_t, std::shared_ptr<const CertificateData>> certificates_;
  std::map<uint64_t, std::shared_ptr<const SecretData>> secrets_;
};

// Prepares on the side, then commits, as SwitchesBuilder does. A key pair that cannot be used refuses the offer (GW3030). Owner:
// the agent. One thread.
class CertificatesBuilder {
 public:
  CertificatesBuilder();

  struct Result {
    PrepareOutcome outcome = PrepareOutcome::kRefused;
    DiagnosticList diagnostics;
    std::shared_ptr<const CertificateTable> table;  // kReady
    EntrySet::Delta delta;
  };
  Result prepare(const v1::Offer& offer) const;
  // REQUIRES: made by this builder's prepare(), no commit since.
  void commit(Result result);

  const StreamState& state() const { return entries_.state(); }
  // Never null.
  const std::shared_ptr<const CertificateTable>& table() const { return table_; }
  v1::Offer whole() const { return entries_.whole(v1::STREAM_CERTIFICATES); }

 private:
  EntrySet entries_;
  std::shared_ptr<const CertificateTable> table_;
};

}  // namespace gw
