// What a peer's certificate chain is worth. For the .cc files of this folder.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/crypto/certificates.h"
#include "dataplane/tls/boringssl.h"

namespace gw {

struct PeerVerdict {
  bool ok = false;
  uint8_t alert = SSL_AD_CERTIFICATE_UNKNOWN;  // unless ok
  std::string why;
};

struct PeerRules {
  const TrustStore* trust = nullptr;  // null: whoever it is
  bool server = false;                // the peer is one
  // Hosts, addresses or URIs of which the leaf must have one; empty: any.
  std::vector<std::string> names;
  // Hex SHA-256 of public keys of which one must be in the chain; empty: any. Null: none asked for.
  const std::vector<std::string>* pins = nullptr;
};

PeerVerdict check_peer(const SSL* ssl, const PeerRules& rules);
std::string_view der_of(const CRYPTO_BUFFER* certificate);

}  // namespace gw
