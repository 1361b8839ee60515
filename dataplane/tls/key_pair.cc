#include "dataplane/tls/key_pair.h"

#include "common/base/status.h"
#include "dataplane/tls/boringssl.h"

namespace gw {
namespace {

bssl::UniquePtr<BIO> open(std::string_view text) {
  return bssl::UniquePtr<BIO>(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

// A key with a passphrase has none to give here.
int no_passphrase(char*, int, int, void*) { return -1; }

uint16_t signature_of(const EVP_PKEY* key) {
  if (EVP_PKEY_id(key) == EVP_PKEY_ED25519) return SSL_SIGN_ED25519;
  if (EVP_PKEY_id(key) != EVP_PKEY_EC) return 0;
  switch (EC_GROUP_get_curve_name(EC_KEY_get0_group(EVP_PKEY_get0_EC_KEY(key)))) {
    case NID_X9_62_prime256v1: return SSL_SIGN_ECDSA_SECP256R1_SHA256;
    case NID_secp384r1: return SSL_SIGN_ECDSA_SECP384R1_SHA384;
    case NID_secp521r1: return SSL_SIGN_ECDSA_SECP521R1_SHA512;
    default: return 0;
  }
}

}  // namespace

std::string take_tls_error() {
  uint32_t error = ERR_peek_error();
  const char* reason = error != 0 ? ERR_reason_error_string(error) : nullptr;
  ERR_clear_error();
  std::string out = reason != nullptr ? reason : "";
  for (char& c : out) c = c == '_' ? ' ' : static_cast<char>(c >= 'A' && c <= 'Z' ? c + 32 : c);
  return out;
}

std::vector<bssl::UniquePtr<X509>> read_certificates(std::string_view pem) {
  std::vector<bssl::UniquePtr<X509>> out;
  bssl::UniquePtr<BIO> in = open(pem);
  while (X509* certificate = PEM_read_bio_X509(in.get(), nullptr, no_passphrase, nullptr)) out.emplace_back(certificate);
  ERR_clear_error();
  return out;
}

bssl::UniquePtr<X509> to_x509(const CRYPTO_BUFFER* buffer) {
  const uint8_t* at = CRYPTO_BUFFER_data(buffer);
  return bssl::UniquePtr<X509>(d2i_X509(nullptr, &at, static_cast<long>(CRYPTO_BUFFER_len(buffer))));
}

absl::StatusOr<std::shared_ptr<const TlsKeyPair>> TlsKeyPair::parse(std::string_view pem, std::string_view ocsp) {
  auto impl = std::make_unique<Impl>();
  std::vector<bssl::UniquePtr<X509>> chain = read_certificates(pem);
  if (chain.empty()) return invalid_argument("there is no certificate in it");
  for (const auto& certificate : chain) {
    uint8_t* der = nullptr;
    int size = i2d_X509(certificate.get(), &der);
    if (size <= 0) return invalid_argument("a certificate cannot be read");
    impl->chain.emplace_back(CRYPTO_BUFFER_new(der, static_cast<size_t>(size), nullptr));
    OPENSSL_free(der);
    impl->chain_view.push_back(impl->chain.back().get());
  }
  bssl::UniquePtr<BIO> in = open(pem);
  impl->key.reset(PEM_read_bio_PrivateKey(in.get(), nullptr, no_passphrase, nullptr));
  ERR_clear_error();
  if (impl->key == nullptr) return invalid_argument("there is no private key in it that can be read");
  if (X509_check_private_key(chain.front().get(), impl->key.get()) != 1) {
    ERR_clear_error();
    return invalid_argument("the private key is not that of the first certificate");
  }
  impl->type = EVP_PKEY_id(impl->key.get());
  impl->signature = signature_of(impl->key.get());
  if (impl->type != EVP_PKEY_RSA && impl->signature == 0) return invalid_argument("keys are RSA, ECDSA P-256, P-384 or P-521, or Ed25519");
  impl->ocsp = ocsp;
  return std::make_shared<TlsKeyPair>(std::move(impl));
}

TlsKeyPair::TlsKeyPair(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
TlsKeyPair::~TlsKeyPair() = default;

}  // namespace gw
