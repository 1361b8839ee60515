#include "common/crypto/issuing.h"

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/ec_key.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/nid.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <array>

#include "common/base/random.h"
#include "common/base/status.h"
#include "common/crypto/hex.h"
#include "common/crypto/key_strength.h"
#include "common/crypto/pem.h"
#include "common/crypto/sealed.h"

namespace gw {
namespace {

constexpr size_t kCommonNameMax = 64;  // RFC 5280: ub-common-name
constexpr size_t kSerialBytes = 16;

absl::Status cannot(const char* what) {
  ERR_clear_error();
  return internal_error(std::string("BoringSSL cannot ") + what);
}

bssl::UniquePtr<EVP_PKEY> new_p256() {
  bssl::UniquePtr<EC_KEY> ec(EC_KEY_new_by_curve_name(NID_X9_62_prime256v1));
  bssl::UniquePtr<EVP_PKEY> out(EVP_PKEY_new());
  if (!ec || !out || EC_KEY_generate_key(ec.get()) != 1 ||
      EVP_PKEY_set1_EC_KEY(out.get(), ec.get()) != 1)
    return nullptr;
  return out;
}

template <class Write>
std::string written_as_pem(Write write) {
  bssl::UniquePtr<BIO> bio(BIO_new(BIO_s_mem()));
  const uint8_t* bytes = nullptr;
  size_t size = 0;
  if (!bio || write(bio.get()) != 1 || BIO_mem_contents(bio.get(), &bytes, &size) != 1) return "";
  return {reinterpret_cast<const char*>(bytes), size};
}

std::string pem_of_key(EVP_PKEY* key) {
  return written_as_pem([&](BIO* bio) {
    return PEM_write_bio_PKCS8PrivateKey(bio, key, nullptr, nullptr, 0, nullptr, nullptr);
  });
}

absl::StatusOr<bssl::UniquePtr<EVP_PKEY>> key_of_pem(std::string_view text) {
  GW_ASSIGN_OR_RETURN(std::vector<PemBlock> blocks, read_pem(text));
  for (const PemBlock& block : blocks) {
    if (!block.is_key()) continue;
    const auto* at = reinterpret_cast<const uint8_t*>(block.der.data());
    bssl::UniquePtr<EVP_PKEY> key(
        d2i_AutoPrivateKey(nullptr, &at, static_cast<long>(block.der.size())));
    ERR_clear_error();
    if (!key) return invalid_argument("the private key cannot be read");
    return key;
  }
  return invalid_argument("there is no private key in it (PEM)");
}

absl::StatusOr<std::vector<bssl::UniquePtr<X509>>> certificates_of_pem(std::string_view text) {
  GW_ASSIGN_OR_RETURN(std::vector<PemBlock> blocks, read_pem(text));
  std::vector<bssl::UniquePtr<X509>> out;
  for (const PemBlock& block : blocks) {
    if (!block.is_certificate()) continue;
    const auto* at = reinterpret_cast<const uint8_t*>(block.der.data());
    bssl::UniquePtr<X509> x509(d2i_X509(nullptr, &at, static_cast<long>(block.der.size())));
    ERR_clear_error();
    if (!x509) return invalid_argument("a certificate cannot be read");
    out.push_back(std::move(x509));
  }
  if (out.empty()) return invalid_argument("there is no certificate in it (PEM)");
  return out;
}

// The key that a request asks a certificate for, once it has proved to be the asker's.
absl::StatusOr<bssl::UniquePtr<EVP_PKEY>> requested_key(std::string_view text) {
  if (text.size() > kSigningRequestMax) {
    return invalid_argument("the signing request is larger than " +
                            std::to_string(kSigningRequestMax) + " bytes");
  }
  GW_ASSIGN_OR_RETURN(std::vector<PemBlock> blocks, read_pem(text));
  if (blocks.size() != 1 || !blocks[0].label.ends_with("CERTIFICATE REQUEST")) {
    return invalid_argument("one signing request is expected (PEM, PKCS #10)");
  }
  const auto* at = reinterpret_cast<const uint8_t*>(blocks[0].der.data());
  const uint8_t* end = at + blocks[0].der.size();
  bssl::UniquePtr<X509_REQ> request(
      d2i_X509_REQ(nullptr, &at, static_cast<long>(blocks[0].der.size())));
  ERR_clear_error();
  if (!request || at != end) return invalid_argument("the signing request cannot be read");
  bssl::UniquePtr<EVP_PKEY> key(X509_REQ_get_pubkey(request.get()));
  ERR_clear_error();
  if (!key) return invalid_argument("the public key of the signing request cannot be read");
  GW_RETURN_IF_ERROR(check_key_strength(key.get()));
  bool holds = X509_REQ_verify(request.get(), key.get()) == 1;
  ERR_clear_error();
  if (!holds)
    return invalid_argument("the signing request is not signed with the key that it is for");
  return key;
}

bool set_common_name(X509_NAME* name, std::string_view text) {
  return X509_NAME_add_entry_by_NID(name, NID_commonName, MBSTRING_UTF8,
                                    reinterpret_cast<const uint8_t*>(text.data()),
                                    static_cast<int>(text.size()), -1, 0) == 1;
}

bool add_extension(X509* x509, X509* issuer, int nid, const char* value) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer, x509, nullptr, nullptr, 0);
  bssl::UniquePtr<X509_EXTENSION> extension(X509V3_EXT_nconf_nid(nullptr, &context, nid, value));
  return extension && X509_add_ext(x509, extension.get(), -1) == 1;
}

bool add_text_name(GENERAL_NAMES* names, int type, const std::string& text) {
  bssl::UniquePtr<GENERAL_NAME> name(GENERAL_NAME_new());
  bssl::UniquePtr<ASN1_IA5STRING> value(ASN1_IA5STRING_new());
  if (!name || !value ||
      ASN1_STRING_set(value.get(), text.data(), static_cast<int>(text.size())) != 1)
    return false;
  GENERAL_NAME_set0_value(name.get(), type, value.release());
  return sk_GENERAL_NAME_push(names, name.release()) > 0;
}

bool add_address_name(GENERAL_NAMES* names, const std::string& text) {
  bssl::UniquePtr<GENERAL_NAME> name(GENERAL_NAME_new());
  bssl::UniquePtr<ASN1_OCTET_STRING> value(a2i_IPADDRESS(text.c_str()));
  if (!name || !value) return false;
  GENERAL_NAME_set0_value(name.get(), GEN_IPADD, value.release());
  return sk_GENERAL_NAME_push(names, name.release()) > 0;
}

absl::Status add_alternative_names(X509* x509, const IssueTerms& terms) {
  size_t count = terms.dns.size() + terms.ip.size() + terms.uri.size();
  if (count == 0) return absl::OkStatus();
  if (count > kIssuedNamesMax)
    return invalid_argument("a certificate has at most " + std::to_string(kIssuedNamesMax) +
                            " names");
  bssl::UniquePtr<GENERAL_NAMES> names(GENERAL_NAMES_new());
  bool fine = names != nullptr;
  for (const std::string& name : terms.dns)
    fine = fine && add_text_name(names.get(), GEN_DNS, name);
  for (const std::string& name : terms.uri)
    fine = fine && add_text_name(names.get(), GEN_URI, name);
  for (const std::string& name : terms.ip) {
    if (!fine) break;
    if (!add_address_name(names.get(), name)) {
      ERR_clear_error();
      return invalid_argument(name + " is not an IP address");
    }
  }
  if (!fine ||
      X509_add1_ext_i2d(x509, NID_subject_alt_name, names.get(), 0, X509V3_ADD_APPEND) != 1)
    return cannot("write names");
  return absl::OkStatus();
}

// Version, serial, times and key: what every certificate has.
absl::StatusOr<std::string> begin_certificate(X509* x509, EVP_PKEY* key, int64_t not_before,
                                              int64_t not_after) {
  if (not_before >= not_after) return invalid_argument("a certificate must begin before it ends");
  std::string bytes = secure_random_bytes(kSerialBytes);
  bytes[0] = static_cast<char>((static_cast<uint8_t>(bytes[0]) & 0x3f) |
                               0x40);  // positive, and of full length
  bssl::UniquePtr<BIGNUM> serial(
      BN_bin2bn(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size(), nullptr));
  bool fine = serial && X509_set_version(x509, 2) == 1 &&
              BN_to_ASN1_INTEGER(serial.get(), X509_get_serialNumber(x509)) != nullptr &&
              ASN1_TIME_set(X509_getm_notBefore(x509), not_before) != nullptr &&
              ASN1_TIME_set(X509_getm_notAfter(x509), not_after) != nullptr &&
              X509_set_pubkey(x509, key) == 1;
  if (!fine) return cannot("begin a certificate");
  return to_hex(bytes);
}

absl::StatusOr<std::string> signed_pem(X509* x509, EVP_PKEY* signer) {
  if (X509_sign(x509, signer, EVP_sha256()) <= 0) return cannot("sign a certificate");
  return written_as_pem([&](BIO* bio) { return PEM_write_bio_X509(bio, x509); });
}

}  // namespace

std::string make_private_key() {
  bssl::UniquePtr<EVP_PKEY> key = new_p256();
  return key ? pem_of_key(key.get()) : "";
}

absl::StatusOr<CaPair> make_ca(std::string_view name, int64_t not_before, int64_t not_after) {
  if (name.empty() || name.size() > kCommonNameMax)
    return invalid_argument("a CA's name has 1 to 64 bytes");
  bssl::UniquePtr<EVP_PKEY> key = new_p256();
  bssl::UniquePtr<X509> x509(X509_new());
  if (!key || !x509) return cannot("make a key");
  GW_RETURN_IF_ERROR(begin_certificate(x509.get(), key.get(), not_before, not_after).status());
  bool fine =
      set_common_name(X509_get_subject_name(x509.get()), name) &&
      set_common_name(X509_get_issuer_name(x509.get()), name) &&
      add_extension(x509.get(), x509.get(), NID_basic_constraints, "critical,CA:TRUE,pathlen:0") &&
      add_extension(x509.get(), x509.get(), NID_key_usage, "critical,keyCertSign,cRLSign") &&
      add_extension(x509.get(), x509.get(), NID_subject_key_identifier, "hash");
  if (!fine) return cannot("write a CA certificate");
  CaPair out;
  GW_ASSIGN_OR_RETURN(out.certificate, signed_pem(x509.get(), key.get()));
  out.key = pem_of_key(key.get());
  return out;
}

absl::StatusOr<std::string> make_signing_request(std::string_view key_pem, std::string_view name) {
  if (name.empty() || name.size() > kCommonNameMax)
    return invalid_argument("a common name has 1 to 64 bytes");
  GW_ASSIGN_OR_RETURN(bssl::UniquePtr<EVP_PKEY> key, key_of_pem(key_pem));
  bssl::UniquePtr<X509_REQ> request(X509_REQ_new());
  bool fine = request && X509_REQ_set_version(request.get(), 0) == 1 &&
              set_common_name(X509_REQ_get_subject_name(request.get()), name) &&
              X509_REQ_set_pubkey(request.get(), key.get()) == 1 &&
              X509_REQ_sign(request.get(), key.get(), EVP_sha256()) > 0;
  if (!fine) return cannot("make a signing request");
  return written_as_pem([&](BIO* bio) { return PEM_write_bio_X509_REQ(bio, request.get()); });
}

absl::StatusOr<IssuedCertificate> issue_certificate(const CaPair& ca,
                                                    std::string_view signing_request,
                                                    const IssueTerms& terms) {
  if (terms.name.empty() || terms.name.size() > kCommonNameMax)
    return invalid_argument("a common name has 1 to 64 bytes");
  GW_ASSIGN_OR_RETURN(bssl::UniquePtr<EVP_PKEY> key, requested_key(signing_request));
  GW_ASSIGN_OR_RETURN(bssl::UniquePtr<EVP_PKEY> signer, key_of_pem(ca.key));
  GW_ASSIGN_OR_RETURN(std::vector<bssl::UniquePtr<X509>> issuer,
                      certificates_of_pem(ca.certificate));
  bssl::UniquePtr<X509> x509(X509_new());
  if (!x509) return cannot("make a certificate");
  IssuedCertificate out;
  GW_ASSIGN_OR_RETURN(out.serial,
                      begin_certificate(x509.get(), key.get(), terms.not_before, terms.not_after));
  std::string usage = terms.server ? "serverAuth" : "";
  if (terms.client) usage += usage.empty() ? "clientAuth" : ",clientAuth";
  if (usage.empty()) return invalid_argument("a certificate is for a server, a client or both");
  bool fine =
      X509_set_issuer_name(x509.get(), X509_get_subject_name(issuer[0].get())) == 1 &&
      set_common_name(X509_get_subject_name(x509.get()), terms.name) &&
      add_extension(x509.get(), issuer[0].get(), NID_basic_constraints, "critical,CA:FALSE") &&
      add_extension(x509.get(), issuer[0].get(), NID_key_usage, "critical,digitalSignature") &&
      add_extension(x509.get(), issuer[0].get(), NID_ext_key_usage, usage.c_str()) &&
      add_extension(x509.get(), issuer[0].get(), NID_subject_key_identifier, "hash") &&
      add_extension(x509.get(), issuer[0].get(), NID_authority_key_identifier, "keyid");
  if (!fine) return cannot("write a certificate");
  GW_RETURN_IF_ERROR(add_alternative_names(x509.get(), terms));
  GW_ASSIGN_OR_RETURN(out.certificate, signed_pem(x509.get(), signer.get()));
  return out;
}

bool is_issued_by(std::string_view certificate, std::string_view ca) {
  auto leaf = certificates_of_pem(certificate);
  auto above = certificates_of_pem(ca);
  if (!leaf.ok() || !above.ok()) return false;
  for (const bssl::UniquePtr<X509>& one : *above) {
    bssl::UniquePtr<EVP_PKEY> key(X509_get_pubkey(one.get()));
    bool named = X509_NAME_cmp(X509_get_issuer_name((*leaf)[0].get()),
                               X509_get_subject_name(one.get())) == 0;
    bool holds = named && key && X509_verify((*leaf)[0].get(), key.get()) == 1;
    ERR_clear_error();
    if (holds) return true;
  }
  return false;
}

}  // namespace gw
