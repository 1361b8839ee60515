// The value of a Secret, with what may be said of it. It stands beside the object in the catalog and goes nowhere but into the
// entries of the certificates stream and, sealed, into the store. Immutable, shared.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/crypto/certificates.h"

namespace gw {

struct SecretValue {
  std::string bytes;
  std::string content;  // "key pair", "certificates", "revocation list", "private key", "text"
  std::string sha256;   // hex
  int64_t changed_at_ms = 0;
  std::string changed_by;
  // Of its certificates, leaf first; why not, where it has none or they do not hold together.
  absl::StatusOr<KeyPairFacts> chain;

  // "key pair, 2 certificates, 3412 bytes, sha256 ab12cd34": all that is ever shown. Of a short text no hash is: it could be
  // guessed by it.
  std::string summary() const;

  ~SecretValue();
  SecretValue(const SecretValue&) = delete;
  SecretValue& operator=(const SecretValue&) = delete;
  static std::shared_ptr<const SecretValue> make(std::string bytes, int64_t changed_at_ms, std::string changed_by);

 private:
  SecretValue() : chain(KeyPairFacts()) {}
};
using SecretPtr = std::shared_ptr<const SecretValue>;

}  // namespace gw
