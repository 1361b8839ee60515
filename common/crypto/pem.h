// PEM text (RFC 7468) as blocks. Internal to common/crypto.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace gw {

struct PemBlock {
  std::string label;       // CERTIFICATE, PRIVATE KEY, …
  bool encrypted = false;  // the old way, said in its header
  std::string der;

  PemBlock() = default;
  PemBlock(PemBlock&&) = default;
  PemBlock& operator=(PemBlock&&) = default;
  ~PemBlock();  // wipes: it may be a key

  bool is_certificate() const { return label == "CERTIFICATE" || label == "X509 CERTIFICATE" || label == "TRUSTED CERTIFICATE"; }
  bool is_crl() const { return label == "X509 CRL"; }
  bool is_key() const { return label.size() >= 11 && label.ends_with("PRIVATE KEY"); }
};

// Text around the blocks is passed over.
absl::StatusOr<std::vector<PemBlock>> read_pem(std::string_view text);

}  // namespace gw
