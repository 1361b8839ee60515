#include "dataplane/tls/peer_check.h"

#include <arpa/inet.h>

#include <algorithm>

namespace gw {
namespace {

uint8_t alert_of(int error) {
  switch (error) {
    case X509_V_ERR_CERT_HAS_EXPIRED:
    case X509_V_ERR_CERT_NOT_YET_VALID: return SSL_AD_CERTIFICATE_EXPIRED;
    case X509_V_ERR_CERT_REVOKED: return SSL_AD_CERTIFICATE_REVOKED;
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE: return SSL_AD_UNKNOWN_CA;
    case X509_V_ERR_INVALID_PURPOSE: return SSL_AD_UNSUPPORTED_CERTIFICATE;
    default: return SSL_AD_BAD_CERTIFICATE;
  }
}

bool has_name(X509* leaf, const std::vector<std::string>& uris, const std::string& name) {
  if (name.find("://") != std::string::npos) return std::find(uris.begin(), uris.end(), name) != uris.end();
  unsigned char address[16];
  if (inet_pton(AF_INET, name.c_str(), address) == 1) return X509_check_ip(leaf, address, 4, 0) == 1;
  if (inet_pton(AF_INET6, name.c_str(), address) == 1) return X509_check_ip(leaf, address, 16, 0) == 1;
  return X509_check_host(leaf, name.data(), name.size(), X509_CHECK_FLAG_NEVER_CHECK_SUBJECT, nullptr) == 1;
}

std::string x509_der(X509* certificate) {
  uint8_t* der = nullptr;
  int size = i2d_X509(certificate, &der);
  std::string out(reinterpret_cast<const char*>(der), size > 0 ? static_cast<size_t>(size) : 0);
  OPENSSL_free(der);
  return out;
}

bool is_pinned(std::string_view der, const std::vector<std::string>& pins) {
  absl::StatusOr<CertificateFacts> facts = parse_certificate(der);
  return facts.ok() && std::find(pins.begin(), pins.end(), facts->spki_sha256) != pins.end();
}

PeerVerdict refuse(uint8_t alert, std::string why) {
  ERR_clear_error();
  return {false, alert, std::move(why)};
}

constexpr const char* kNotPinned = "no public key of the chain is one of the pins";

}  // namespace

std::string_view der_of(const CRYPTO_BUFFER* certificate) {
  return {reinterpret_cast<const char*>(CRYPTO_BUFFER_data(certificate)), CRYPTO_BUFFER_len(certificate)};
}

PeerVerdict check_peer(const SSL* ssl, const PeerRules& rules) {
  const STACK_OF(CRYPTO_BUFFER)* sent = SSL_get0_peer_certificates(ssl);
  if (sent == nullptr || sk_CRYPTO_BUFFER_num(sent) == 0) return refuse(SSL_AD_CERTIFICATE_UNKNOWN, "the peer showed no certificate");
  const CRYPTO_BUFFER* first = sk_CRYPTO_BUFFER_value(sent, 0);
  const bool pins = rules.pins != nullptr && !rules.pins->empty();
  if (rules.trust == nullptr) {
    if (pins && !is_pinned(der_of(first), *rules.pins)) return refuse(SSL_AD_BAD_CERTIFICATE, kNotPinned);
    return {true, 0, {}};
  }
  bssl::UniquePtr<X509> leaf = to_x509(first);
  bssl::UniquePtr<STACK_OF(X509)> others(sk_X509_new_null());
  for (size_t i = 1; i < sk_CRYPTO_BUFFER_num(sent); ++i) {
    bssl::UniquePtr<X509> certificate = to_x509(sk_CRYPTO_BUFFER_value(sent, i));
    if (certificate == nullptr) return refuse(SSL_AD_BAD_CERTIFICATE, "a certificate of the peer cannot be read");
    bssl::PushToStack(others.get(), std::move(certificate));
  }
  absl::StatusOr<CertificateFacts> facts = parse_certificate(der_of(first));
  if (leaf == nullptr || !facts.ok()) return refuse(SSL_AD_BAD_CERTIFICATE, "the peer's certificate cannot be read");
  bssl::UniquePtr<X509_STORE_CTX> context(X509_STORE_CTX_new());
  if (context == nullptr || X509_STORE_CTX_init(context.get(), rules.trust->impl().store.get(), leaf.get(), others.get()) != 1) {
    return refuse(SSL_AD_INTERNAL_ERROR, "no memory");
  }
  X509_STORE_CTX_set_default(context.get(), rules.server ? "ssl_server" : "ssl_client");
  X509_VERIFY_PARAM_set_flags(X509_STORE_CTX_get0_param(context.get()), X509_V_FLAG_PARTIAL_CHAIN);
  if (X509_verify_cert(context.get()) != 1) {
    int error = X509_STORE_CTX_get_error(context.get());
    return refuse(alert_of(error), X509_verify_cert_error_string(error));
  }
  auto fits = [&](const std::string& name) { return has_name(leaf.get(), facts->uri, name); };
  if (!rules.names.empty() && std::none_of(rules.names.begin(), rules.names.end(), fits)) {
    return refuse(SSL_AD_BAD_CERTIFICATE, "the certificate is not for " + rules.names.front());
  }
  if (pins) {
    const STACK_OF(X509)* chain = X509_STORE_CTX_get0_chain(context.get());
    bool pinned = false;
    for (X509* certificate : chain) pinned = pinned || is_pinned(x509_der(certificate), *rules.pins);
    if (!pinned) return refuse(SSL_AD_BAD_CERTIFICATE, kNotPinned);
  }
  ERR_clear_error();
  return {true, 0, {}};
}

}  // namespace gw
