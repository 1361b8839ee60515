#include "dataplane/tls/trust_store.h"

#include <fstream>
#include <sstream>

#include "common/base/status.h"
#include "dataplane/tls/boringssl.h"

namespace gw {

absl::StatusOr<std::shared_ptr<const TrustStore>> TrustStore::parse(std::string_view ca, std::string_view crls) {
  auto impl = std::make_unique<Impl>();
  impl->store.reset(X509_STORE_new());
  impl->names.reset(sk_CRYPTO_BUFFER_new_null());
  std::vector<bssl::UniquePtr<X509>> certificates = read_certificates(ca);
  if (certificates.empty()) return invalid_argument("there is no CA certificate in it");
  for (const auto& certificate : certificates) {
    X509_STORE_add_cert(impl->store.get(), certificate.get());
    uint8_t* der = nullptr;
    int size = i2d_X509_NAME(X509_get_subject_name(certificate.get()), &der);
    if (size <= 0) continue;
    bssl::UniquePtr<CRYPTO_BUFFER> name(CRYPTO_BUFFER_new(der, static_cast<size_t>(size), nullptr));
    OPENSSL_free(der);
    bssl::PushToStack(impl->names.get(), std::move(name));
  }
  if (!crls.empty()) {
    bssl::UniquePtr<BIO> in(BIO_new_mem_buf(crls.data(), static_cast<int>(crls.size())));
    size_t found = 0;
    while (X509_CRL* crl = PEM_read_bio_X509_CRL(in.get(), nullptr, nullptr, nullptr)) {
      X509_STORE_add_crl(impl->store.get(), crl);
      X509_CRL_free(crl);
      ++found;
    }
    if (found == 0) return invalid_argument("there is no list of revoked certificates in it");
    X509_STORE_set_flags(impl->store.get(), X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL);
  }
  ERR_clear_error();
  return std::make_shared<TrustStore>(std::move(impl));
}

absl::StatusOr<std::shared_ptr<const TrustStore>> TrustStore::system() {
  std::ifstream in(kSystemBundle);
  std::stringstream text;
  text << in.rdbuf();
  if (!in || text.str().empty()) {
    return not_found(std::string(kSystemBundle) + " cannot be read: install ca-certificates, or name a `ca`");
  }
  return parse(text.str(), {});
}

TrustStore::TrustStore(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
TrustStore::~TrustStore() = default;

}  // namespace gw
