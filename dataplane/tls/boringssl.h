// BoringSSL, for the .cc files of this folder alone: nothing else may see names that gRPC's OpenSSL has, too.
#pragma once

#include <openssl/base.h>
#include <openssl/bytestring.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/mem.h>
#include <openssl/pem.h>
#include <openssl/pool.h>
#include <openssl/rand.h>
#include <openssl/sha.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "dataplane/tls/key_pair.h"
#include "dataplane/tls/trust_store.h"

namespace gw {

struct TlsKeyPair::Impl {
  std::vector<bssl::UniquePtr<CRYPTO_BUFFER>> chain;
  std::vector<CRYPTO_BUFFER*> chain_view;  // of `chain`, as BoringSSL takes it
  bssl::UniquePtr<EVP_PKEY> key;
  std::string ocsp;
  int type = 0;               // EVP_PKEY_RSA, EVP_PKEY_EC, EVP_PKEY_ED25519
  uint16_t signature = 0;     // EC: the algorithm that TLS 1.3 has for its curve
};

struct TrustStore::Impl {
  bssl::UniquePtr<X509_STORE> store;
  bssl::UniquePtr<STACK_OF(CRYPTO_BUFFER)> names;  // of the CAs, as a server tells clients
};

// What stands first in this thread's queue of errors, in words; empties the queue.
std::string take_tls_error();

// The certificates of `pem` in order.
std::vector<bssl::UniquePtr<X509>> read_certificates(std::string_view pem);
bssl::UniquePtr<X509> to_x509(const CRYPTO_BUFFER* buffer);

}  // namespace gw
