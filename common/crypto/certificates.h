// X.509 as checks and tables need it: facts of certificates, key pairs whose parts fit together, CA bundles, lists of revoked
// certificates, OCSP responses. BoringSSL stays behind this header. Errors are INVALID_ARGUMENT, say what is wrong in words for
// people, and never quote what was read. Thread-safe.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace gw {

struct CertificateFacts {
  std::string subject;  // RFC 4514: CN=gw,O=Acme
  std::string issuer;
  std::string serial;   // hex, two digits a byte
  // Subject alternative names.
  std::vector<std::string> dns, ip, uri, email;
  enum class Key : uint8_t { kOther, kEcdsa, kRsa };
  Key key = Key::kOther;
  std::string key_text;    // ECDSA P-256, RSA 2048, Ed25519
  int64_t not_before = 0;  // Unix seconds
  int64_t not_after = 0;
  std::string sha256;      // hex, of the DER
  std::string spki_sha256; // hex, of the SubjectPublicKeyInfo
  bool self_signed = false;
  bool ca = false;
  // What its key usages allow.
  bool server = false, client = false;

  // All alternative names, as identities write them: `dns:…`, `ip:…`, `uri:…`, `email:…`.
  std::vector<std::string> names() const;
};

struct KeyPairFacts {
  std::vector<CertificateFacts> chain;  // leaf first
  const CertificateFacts& leaf() const { return chain.front(); }
};

// Most certificates in one chain or bundle.
inline constexpr size_t kChainMax = 10;
inline constexpr size_t kBundleMax = 1'000;

// One certificate, DER.
absl::StatusOr<CertificateFacts> parse_certificate(std::string_view der);
// Leaf first, each signed by the next; PEM. Keys in it are passed over. Dates are not looked at.
absl::StatusOr<KeyPairFacts> parse_chain(std::string_view pem);
// The same with one private key, which is the leaf's. ECDSA on P-256 or P-384, or RSA of 2048 to 8192 bits.
absl::StatusOr<KeyPairFacts> parse_key_pair(std::string_view pem);
// CA certificates, PEM, in any order.
absl::StatusOr<std::vector<CertificateFacts>> parse_ca_bundle(std::string_view pem);

struct CrlFacts {
  std::string issuer;
  int64_t this_update = 0;  // Unix seconds
  int64_t next_update = 0;
  size_t revoked = 0;
};
absl::StatusOr<std::vector<CrlFacts>> parse_crls(std::string_view pem);
// Every CA of the bundle has a list that it signed and that is in force at `now` (Unix seconds).
absl::Status check_crls(std::string_view ca_pem, std::string_view crl_pem, int64_t now);

struct OcspFacts {
  std::string serial;  // of the certificate that it speaks of
  bool good = false;
  int64_t this_update = 0;  // Unix seconds
  int64_t next_update = 0;  // 0: it does not say
};
// An OCSP response, DER. Its signature is for clients to check.
absl::StatusOr<OcspFacts> parse_ocsp(std::string_view der);

// Whether a client that asks for `host` (exact, or the pattern `*.example.com`) takes the certificate: RFC 6125, alternative
// names only, `*` for one label.
bool covers(const CertificateFacts& leaf, std::string_view host);

// What PEM text has, told by its labels: for messages.
struct PemContents {
  size_t certificates = 0, keys = 0, crls = 0, others = 0;
  bool any() const { return certificates + keys + crls + others > 0; }
};
PemContents look_at_pem(std::string_view text);

}  // namespace gw
