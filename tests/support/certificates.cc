#include "tests/support/certificates.h"

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/ec_key.h>
#include <openssl/evp.h>
#include <openssl/mem.h>
#include <openssl/nid.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <cstdlib>

namespace gw::test {
namespace {

void must(bool ok) {
  if (!ok) std::abort();
}

bssl::UniquePtr<EVP_PKEY> make_key(KeyKind kind) {
  bssl::UniquePtr<EVP_PKEY> out(EVP_PKEY_new());
  if (kind == KeyKind::kRsa) {
    bssl::UniquePtr<RSA> rsa(RSA_new());
    bssl::UniquePtr<BIGNUM> e(BN_new());
    must(BN_set_word(e.get(), RSA_F4) == 1 && RSA_generate_key_ex(rsa.get(), 2048, e.get(), nullptr) == 1);
    must(EVP_PKEY_set1_RSA(out.get(), rsa.get()) == 1);
  } else {
    bssl::UniquePtr<EC_KEY> ec(EC_KEY_new_by_curve_name(NID_X9_62_prime256v1));
    must(EC_KEY_generate_key(ec.get()) == 1 && EVP_PKEY_set1_EC_KEY(out.get(), ec.get()) == 1);
  }
  return out;
}

template <class Write>
std::string pem(Write write) {
  bssl::UniquePtr<BIO> bio(BIO_new(BIO_s_mem()));
  must(write(bio.get()) == 1);
  const uint8_t* bytes = nullptr;
  size_t size = 0;
  must(BIO_mem_contents(bio.get(), &bytes, &size) == 1);
  return {reinterpret_cast<const char*>(bytes), size};
}

bssl::UniquePtr<EVP_PKEY> read_key(const std::string& text) {
  bssl::UniquePtr<BIO> bio(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
  return bssl::UniquePtr<EVP_PKEY>(PEM_read_bio_PrivateKey(bio.get(), nullptr, nullptr, nullptr));
}

void set_name(X509_NAME* name, const std::string& cn) {
  must(X509_NAME_add_entry_by_NID(name, NID_commonName, MBSTRING_UTF8, reinterpret_cast<const uint8_t*>(cn.data()), static_cast<int>(cn.size()), -1, 0) == 1);
}

void extend(X509* x509, int nid, const std::string& value) {
  bssl::UniquePtr<X509_EXTENSION> extension(X509V3_EXT_nconf_nid(nullptr, nullptr, nid, value.c_str()));
  must(extension && X509_add_ext(x509, extension.get(), -1) == 1);
}

}  // namespace

CertificateMaker::CertificateMaker(int64_t now, const std::string& name) : now_(now), name_(name) {
  IssueOptions options;
  options.subject = name;
  options.ca = true;
  options.not_after = 3650 * int64_t{86'400};
  root_ = issue_by({}, name, "", options);
}

Issued CertificateMaker::issue(std::vector<std::string> dns, KeyKind key) {
  IssueOptions options;
  options.dns = std::move(dns);
  options.key = key;
  return issue(options);
}

Issued CertificateMaker::intermediate(const std::string& name) {
  IssueOptions options;
  options.subject = name;
  options.ca = true;
  return issue(options);
}

Issued CertificateMaker::issue_below(const Issued& ca, const std::string& ca_name, const IssueOptions& options) {
  return issue_by(ca, ca_name, ca.certificate + ca.chain, options);
}

Issued CertificateMaker::issue_by(const Issued& ca, const std::string& ca_name, const std::string& chain, const IssueOptions& options) {
  bssl::UniquePtr<EVP_PKEY> key = make_key(options.key);
  bssl::UniquePtr<EVP_PKEY> signer = ca.key.empty() ? nullptr : read_key(ca.key);
  bssl::UniquePtr<X509> x509(X509_new());
  Issued out;
  out.serial = next_serial_++;
  must(X509_set_version(x509.get(), 2) == 1 && ASN1_INTEGER_set(X509_get_serialNumber(x509.get()), static_cast<long>(out.serial)) == 1);
  must(ASN1_TIME_set(X509_getm_notBefore(x509.get()), now_ + options.not_before) != nullptr);
  must(ASN1_TIME_set(X509_getm_notAfter(x509.get()), now_ + options.not_after) != nullptr);
  std::string subject = !options.subject.empty() ? options.subject : !options.dns.empty() ? options.dns.front() : "nobody";
  set_name(X509_get_subject_name(x509.get()), subject);
  set_name(X509_get_issuer_name(x509.get()), ca_name);
  must(X509_set_pubkey(x509.get(), key.get()) == 1);
  if (options.ca) {
    extend(x509.get(), NID_basic_constraints, "critical,CA:TRUE");
    extend(x509.get(), NID_key_usage, "critical,keyCertSign,cRLSign");
  } else {
    std::string usage;
    if (options.server) usage = "serverAuth";
    if (options.client) usage += usage.empty() ? "clientAuth" : ",clientAuth";
    if (!usage.empty()) extend(x509.get(), NID_ext_key_usage, usage);
    std::string names;
    for (const std::string& name : options.dns) names += (names.empty() ? "DNS:" : ",DNS:") + name;
    for (const std::string& name : options.uri) names += (names.empty() ? "URI:" : ",URI:") + name;
    if (!names.empty()) extend(x509.get(), NID_subject_alt_name, names);
  }
  must(X509_sign(x509.get(), signer ? signer.get() : key.get(), EVP_sha256()) > 0);
  out.certificate = pem([&](BIO* bio) { return PEM_write_bio_X509(bio, x509.get()); });
  out.key = pem([&](BIO* bio) { return PEM_write_bio_PrivateKey(bio, key.get(), nullptr, nullptr, 0, nullptr, nullptr); });
  out.chain = chain;
  return out;
}

std::string CertificateMaker::crl(const std::vector<uint64_t>& serials, int64_t good_for) {
  bssl::UniquePtr<X509_CRL> crl(X509_CRL_new());
  bssl::UniquePtr<X509_NAME> issuer(X509_NAME_new());
  set_name(issuer.get(), name_);
  bssl::UniquePtr<ASN1_TIME> since(ASN1_TIME_set(nullptr, now_ - 3600)), until(ASN1_TIME_set(nullptr, now_ + good_for));
  must(X509_CRL_set_version(crl.get(), 1) == 1 && X509_CRL_set_issuer_name(crl.get(), issuer.get()) == 1);
  must(X509_CRL_set1_lastUpdate(crl.get(), since.get()) == 1 && X509_CRL_set1_nextUpdate(crl.get(), until.get()) == 1);
  for (uint64_t serial : serials) {
    X509_REVOKED* revoked = X509_REVOKED_new();
    bssl::UniquePtr<ASN1_INTEGER> number(ASN1_INTEGER_new());
    must(ASN1_INTEGER_set(number.get(), static_cast<long>(serial)) == 1 && X509_REVOKED_set_serialNumber(revoked, number.get()) == 1);
    must(X509_REVOKED_set_revocationDate(revoked, since.get()) == 1 && X509_CRL_add0_revoked(crl.get(), revoked) == 1);
  }
  bssl::UniquePtr<EVP_PKEY> key = read_key(root_.key);
  must(X509_CRL_sort(crl.get()) == 1 && X509_CRL_sign(crl.get(), key.get(), EVP_sha256()) > 0);
  return pem([&](BIO* bio) { return PEM_write_bio_X509_CRL(bio, crl.get()); });
}

}  // namespace gw::test
