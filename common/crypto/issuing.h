// Makes X.509: private keys, a CA of one's own, signing requests, and certificates for them.
// BoringSSL stays behind this header. PEM goes in and out; keys are PKCS #8. Errors are
// INVALID_ARGUMENT, say what is wrong in words for people, and never quote what was read.
// Thread-safe.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace gw {

// Largest signing request that is looked at, in bytes.
inline constexpr size_t kSigningRequestMax = 16 << 10;
// Most names in one certificate.
inline constexpr size_t kIssuedNamesMax = 100;

// ECDSA on P-256. Whoever holds it wipes it (sealed.h).
std::string make_private_key();

struct CaPair {
  std::string certificate;
  std::string key;
};
// Signed by itself, with a new key; certificates below it are leaves. Times are Unix seconds.
absl::StatusOr<CaPair> make_ca(std::string_view name, int64_t not_before, int64_t not_after);

// PKCS #10, for the public half of `key`. What it says of names is not looked at by those who
// issue: they know whom they talk to.
absl::StatusOr<std::string> make_signing_request(std::string_view key, std::string_view name);

struct IssueTerms {
  std::string name;                       // common name, 1 to 64 bytes
  std::vector<std::string> dns, ip, uri;  // alternative names
  bool server = false, client = false;    // what the key is for
  int64_t not_before = 0, not_after = 0;  // Unix seconds
};
struct IssuedCertificate {
  std::string certificate;
  std::string serial;  // as in CertificateFacts; 16 random bytes
};
// A certificate for the key that signed the request: ECDSA on P-256 or P-384, or RSA of 2048 to
// 8192 bits.
absl::StatusOr<IssuedCertificate> issue_certificate(const CaPair& ca,
                                                    std::string_view signing_request,
                                                    const IssueTerms& terms);

// Whether the first certificate of `certificate` was signed by one of the CAs of `ca`. Dates are
// not looked at.
bool is_issued_by(std::string_view certificate, std::string_view ca);

}  // namespace gw
