#include "common/crypto/certificates.h"

#include <arpa/inet.h>
#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/ec_key.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/mem.h>
#include <openssl/nid.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <algorithm>

#include "common/base/status.h"
#include "common/crypto/hex.h"
#include "common/crypto/key_strength.h"
#include "common/crypto/pem.h"
#include "common/crypto/sha256.h"

namespace gw {
namespace {

using X509Ptr = bssl::UniquePtr<X509>;
using CrlPtr = bssl::UniquePtr<X509_CRL>;
using KeyPtr = bssl::UniquePtr<EVP_PKEY>;

constexpr int kRsaBitsMin = 2048;
constexpr int kRsaBitsMax = 8192;

// Freed by the type's own i2d function's allocator.
template <class T>
std::string der_of(int (*encode)(T*, uint8_t**), const T* thing) {
  uint8_t* bytes = nullptr;
  int size = encode(const_cast<T*>(thing), &bytes);
  std::string out;
  if (size > 0) out.assign(reinterpret_cast<const char*>(bytes), static_cast<size_t>(size));
  OPENSSL_free(bytes);
  return out;
}

std::string name_text(const X509_NAME* name) {
  bssl::UniquePtr<BIO> bio(BIO_new(BIO_s_mem()));
  X509_NAME_print_ex(bio.get(), name, 0, XN_FLAG_RFC2253 & ~ASN1_STRFLGS_ESC_MSB);
  const uint8_t* bytes = nullptr;
  size_t size = 0;
  BIO_mem_contents(bio.get(), &bytes, &size);
  return {reinterpret_cast<const char*>(bytes), size};
}

// Nothing: not a time of RFC 5280.
bool unix_seconds(const ASN1_TIME* time, int64_t& out) {
  bssl::UniquePtr<ASN1_TIME> epoch(ASN1_TIME_set(nullptr, 0));
  int days = 0, seconds = 0;
  if (time == nullptr || ASN1_TIME_diff(&days, &seconds, epoch.get(), time) != 1) return false;
  out = int64_t{days} * 86'400 + seconds;
  return true;
}

std::string text_of(const ASN1_STRING* string) {
  return {reinterpret_cast<const char*>(ASN1_STRING_get0_data(string)), static_cast<size_t>(ASN1_STRING_length(string))};
}

bool printable_ascii(const std::string& text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](unsigned char c) { return c > 0x20 && c < 0x7f; });
}

std::string address_text(const std::string& bytes) {
  char text[INET6_ADDRSTRLEN] = {};
  int family = bytes.size() == 4 ? AF_INET : bytes.size() == 16 ? AF_INET6 : AF_UNSPEC;
  if (family == AF_UNSPEC || inet_ntop(family, bytes.data(), text, sizeof text) == nullptr) return "";
  return text;
}

// What has a form that nobody could ask for is left out.
void read_names(const X509* x509, CertificateFacts& out) {
  bssl::UniquePtr<GENERAL_NAMES> names(
      static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(x509, NID_subject_alt_name, nullptr, nullptr)));
  ERR_clear_error();
  if (!names) return;
  for (const GENERAL_NAME* name : names.get()) {
    int type = 0;
    const auto* value = static_cast<const ASN1_STRING*>(GENERAL_NAME_get0_value(name, &type));
    if (type != GEN_DNS && type != GEN_URI && type != GEN_EMAIL && type != GEN_IPADD) continue;
    std::string text = text_of(value);
    if (type == GEN_IPADD) text = address_text(text);
    if (!printable_ascii(text)) continue;
    if (type == GEN_DNS) std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) { return static_cast<char>(tolower(c)); });
    (type == GEN_DNS ? out.dns : type == GEN_URI ? out.uri : type == GEN_EMAIL ? out.email : out.ip).push_back(std::move(text));
  }
}

void describe_key(const EVP_PKEY* key, CertificateFacts& out) {
  int type = EVP_PKEY_id(key);
  std::string bits = std::to_string(EVP_PKEY_bits(key));
  if (type == EVP_PKEY_RSA) {
    out.key = CertificateFacts::Key::kRsa;
    out.key_text = "RSA " + bits;
  } else if (type == EVP_PKEY_EC) {
    out.key = CertificateFacts::Key::kEcdsa;
    out.key_text = "ECDSA P-" + bits;
  } else {
    out.key_text = type == EVP_PKEY_ED25519 ? "Ed25519" : "of another kind";
  }
}

absl::StatusOr<X509Ptr> read_x509(std::string_view der) {
  const auto* at = reinterpret_cast<const uint8_t*>(der.data());
  const uint8_t* end = at + der.size();
  X509Ptr out(d2i_X509(nullptr, &at, static_cast<long>(der.size())));
  ERR_clear_error();
  if (!out || at != end) return invalid_argument("it cannot be read as X.509");
  return out;
}

absl::StatusOr<CertificateFacts> facts_of(X509* x509) {
  CertificateFacts out;
  KeyPtr key(X509_get_pubkey(x509));
  ERR_clear_error();
  if (!key) return invalid_argument("its public key cannot be read");
  if (!unix_seconds(X509_get0_notBefore(x509), out.not_before) || !unix_seconds(X509_get0_notAfter(x509), out.not_after)) {
    return invalid_argument("its validity cannot be read");
  }
  out.subject = name_text(X509_get_subject_name(x509));
  out.issuer = name_text(X509_get_issuer_name(x509));
  bssl::UniquePtr<BIGNUM> serial(ASN1_INTEGER_to_BN(X509_get0_serialNumber(x509), nullptr));
  std::string number(serial ? BN_num_bytes(serial.get()) : 0, '\0');
  if (serial) BN_bn2bin(serial.get(), reinterpret_cast<uint8_t*>(number.data()));
  out.serial = number.empty() ? "00" : to_hex(number);
  read_names(x509, out);
  describe_key(key.get(), out);
  out.sha256 = to_hex(as_view(sha256(der_of(i2d_X509, x509))));
  out.spki_sha256 = to_hex(as_view(sha256(der_of(i2d_X509_PUBKEY, X509_get_X509_PUBKEY(x509)))));
  out.self_signed = X509_NAME_cmp(X509_get_subject_name(x509), X509_get_issuer_name(x509)) == 0 &&
                    X509_verify(x509, key.get()) == 1;
  out.ca = X509_check_ca(x509) == 1;
  out.server = X509_check_purpose(x509, X509_PURPOSE_SSL_SERVER, 0) == 1;
  out.client = X509_check_purpose(x509, X509_PURPOSE_SSL_CLIENT, 0) == 1;
  ERR_clear_error();
  return out;
}

std::string ordinal(size_t i) { return i == 0 ? "the leaf (the first certificate)" : "certificate " + std::to_string(i + 1); }

// MD5 and SHA-1 can be forged.
bool weak_signature(const X509* x509) {
  int nid = X509_get_signature_nid(x509);
  return nid == NID_md5WithRSAEncryption || nid == NID_sha1WithRSAEncryption || nid == NID_ecdsa_with_SHA1 || nid == NID_md4WithRSAEncryption;
}

struct Chain {
  std::vector<X509Ptr> x509;
  KeyPairFacts facts;
};

absl::Status check_links(const Chain& chain) {
  for (size_t i = 0; i + 1 < chain.x509.size(); ++i) {
    X509 *below = chain.x509[i].get(), *above = chain.x509[i + 1].get();
    if (X509_NAME_cmp(X509_get_issuer_name(below), X509_get_subject_name(above)) != 0) {
      return invalid_argument("the chain is out of order: " + ordinal(i) + " was issued by " + chain.facts.chain[i].issuer +
                              ", and what follows it is " + chain.facts.chain[i + 1].subject);
    }
    if (!chain.facts.chain[i + 1].ca) return invalid_argument(ordinal(i + 1) + " (" + chain.facts.chain[i + 1].subject + ") is not a CA, and the one before it was issued by it");
    bool holds = X509_verify(below, KeyPtr(X509_get_pubkey(above)).get()) == 1;
    ERR_clear_error();
    if (!holds) return invalid_argument("the signature of " + ordinal(i) + " is not that of " + chain.facts.chain[i + 1].subject);
  }
  return absl::OkStatus();
}

absl::StatusOr<Chain> read_chain(const std::vector<PemBlock>& blocks) {
  Chain out;
  for (const PemBlock& block : blocks) {
    if (!block.is_certificate()) continue;
    std::string place = "certificate " + std::to_string(out.x509.size() + 1);
    if (out.x509.size() == kChainMax) return invalid_argument("more than " + std::to_string(kChainMax) + " certificates in a chain");
    auto x509 = read_x509(block.der);
    if (!x509.ok()) return invalid_argument(place + ": " + message_of(x509.status()));
    auto facts = facts_of(x509->get());
    if (!facts.ok()) return invalid_argument(place + ": " + message_of(facts.status()));
    if (weak_signature(x509->get()) && !facts->self_signed) {
      return invalid_argument(place + " (" + facts->subject + ") is signed with MD5 or SHA-1, which clients refuse");
    }
    out.x509.push_back(*std::move(x509));
    out.facts.chain.push_back(*std::move(facts));
  }
  if (out.x509.empty()) return invalid_argument("there is no certificate in it (PEM)");
  return out;
}

absl::StatusOr<KeyPtr> read_key(const std::vector<PemBlock>& blocks) {
  const PemBlock* found = nullptr;
  for (const PemBlock& block : blocks) {
    if (!block.is_key()) continue;
    if (found != nullptr) return invalid_argument("there is more than one private key in it");
    found = &block;
  }
  if (found == nullptr) return invalid_argument("there is no private key in it (PEM)");
  if (found->encrypted || found->label == "ENCRYPTED PRIVATE KEY") {
    return invalid_argument("its private key is encrypted with a password; take it off (`openssl pkey`): what is stored is encrypted anyway");
  }
  const auto* at = reinterpret_cast<const uint8_t*>(found->der.data());
  const uint8_t* end = at + found->der.size();
  KeyPtr key(d2i_AutoPrivateKey(nullptr, &at, static_cast<long>(found->der.size())));
  ERR_clear_error();
  if (!key || at != end) return invalid_argument("its private key cannot be read");
  return key;
}

absl::StatusOr<std::vector<CrlPtr>> read_crls(std::string_view pem) {
  GW_ASSIGN_OR_RETURN(std::vector<PemBlock> blocks, read_pem(pem));
  std::vector<CrlPtr> out;
  for (const PemBlock& block : blocks) {
    if (!block.is_crl()) continue;
    const auto* at = reinterpret_cast<const uint8_t*>(block.der.data());
    const uint8_t* end = at + block.der.size();
    CrlPtr crl(d2i_X509_CRL(nullptr, &at, static_cast<long>(block.der.size())));
    ERR_clear_error();
    if (!crl || at != end) return invalid_argument("list " + std::to_string(out.size() + 1) + " of revoked certificates cannot be read");
    out.push_back(std::move(crl));
  }
  if (out.empty()) return invalid_argument("there is no list of revoked certificates in it (PEM)");
  return out;
}

bool one_label_more(std::string_view host, std::string_view suffix) {  // suffix: ".example.com"
  return host.size() > suffix.size() && host.ends_with(suffix) &&
         host.substr(0, host.size() - suffix.size()).find('.') == std::string_view::npos;
}

}  // namespace

absl::Status check_key_strength(const EVP_PKEY* key) {
  int bits = EVP_PKEY_bits(key);
  if (EVP_PKEY_id(key) == EVP_PKEY_RSA) {
    if (bits >= kRsaBitsMin && bits <= kRsaBitsMax) return absl::OkStatus();
    return invalid_argument("an RSA key of " + std::to_string(bits) + " bits is not taken; 2048 to 8192 are");
  }
  if (EVP_PKEY_id(key) == EVP_PKEY_EC) {
    int curve = EC_GROUP_get_curve_name(EC_KEY_get0_group(EVP_PKEY_get0_EC_KEY(key)));
    if (curve == NID_X9_62_prime256v1 || curve == NID_secp384r1) return absl::OkStatus();
    return invalid_argument("an ECDSA key on this curve is not taken; P-256 and P-384 are");
  }
  return invalid_argument("keys are ECDSA (P-256, P-384) or RSA; clients differ in whether they take others");
}

std::vector<std::string> CertificateFacts::names() const {
  std::vector<std::string> out;
  auto add = [&](const char* type, const std::vector<std::string>& values) {
    for (const std::string& value : values) out.push_back(type + value);
  };
  add("dns:", dns);
  add("ip:", ip);
  add("uri:", uri);
  add("email:", email);
  return out;
}

absl::StatusOr<CertificateFacts> parse_certificate(std::string_view der) {
  GW_ASSIGN_OR_RETURN(X509Ptr x509, read_x509(der));
  return facts_of(x509.get());
}

absl::StatusOr<KeyPairFacts> parse_chain(std::string_view pem) {
  GW_ASSIGN_OR_RETURN(std::vector<PemBlock> blocks, read_pem(pem));
  GW_ASSIGN_OR_RETURN(Chain chain, read_chain(blocks));
  GW_RETURN_IF_ERROR(check_links(chain));
  return std::move(chain.facts);
}

absl::StatusOr<KeyPairFacts> parse_key_pair(std::string_view pem) {
  GW_ASSIGN_OR_RETURN(std::vector<PemBlock> blocks, read_pem(pem));
  GW_ASSIGN_OR_RETURN(Chain chain, read_chain(blocks));
  GW_ASSIGN_OR_RETURN(KeyPtr key, read_key(blocks));
  GW_RETURN_IF_ERROR(check_key_strength(key.get()));
  auto fits = [&](const X509Ptr& x509) { return X509_check_private_key(x509.get(), key.get()) == 1; };
  bool leaf = fits(chain.x509.front());
  bool other = std::any_of(chain.x509.begin() + 1, chain.x509.end(), fits);
  ERR_clear_error();
  if (!leaf && other) return invalid_argument("the private key belongs to a certificate that is not the first: the leaf comes first");
  if (!leaf) return invalid_argument("the private key is not that of the leaf, " + chain.facts.leaf().subject);
  GW_RETURN_IF_ERROR(check_links(chain));
  return std::move(chain.facts);
}

absl::StatusOr<std::vector<CertificateFacts>> parse_ca_bundle(std::string_view pem) {
  GW_ASSIGN_OR_RETURN(std::vector<PemBlock> blocks, read_pem(pem));
  std::vector<CertificateFacts> out;
  for (const PemBlock& block : blocks) {
    if (!block.is_certificate()) continue;
    std::string place = "certificate " + std::to_string(out.size() + 1);
    if (out.size() == kBundleMax) return invalid_argument("more than " + std::to_string(kBundleMax) + " certificates");
    auto facts = parse_certificate(block.der);
    if (!facts.ok()) return invalid_argument(place + ": " + message_of(facts.status()));
    if (!facts->ca) return invalid_argument(place + " (" + facts->subject + ") is not a CA");
    out.push_back(*std::move(facts));
  }
  if (out.empty()) return invalid_argument("there is no certificate in it (PEM)");
  return out;
}

absl::StatusOr<std::vector<CrlFacts>> parse_crls(std::string_view pem) {
  GW_ASSIGN_OR_RETURN(std::vector<CrlPtr> crls, read_crls(pem));
  std::vector<CrlFacts> out;
  for (const CrlPtr& crl : crls) {
    CrlFacts& facts = out.emplace_back();
    facts.issuer = name_text(X509_CRL_get_issuer(crl.get()));
    if (!unix_seconds(X509_CRL_get0_lastUpdate(crl.get()), facts.this_update) ||
        !unix_seconds(X509_CRL_get0_nextUpdate(crl.get()), facts.next_update)) {
      return invalid_argument("the list of revoked certificates of " + facts.issuer + " does not say until when it is good");
    }
    const STACK_OF(X509_REVOKED)* revoked = X509_CRL_get_REVOKED(crl.get());
    facts.revoked = revoked == nullptr ? 0 : sk_X509_REVOKED_num(revoked);
  }
  return out;
}

absl::Status check_crls(std::string_view ca_pem, std::string_view crl_pem, int64_t now) {
  GW_ASSIGN_OR_RETURN(std::vector<PemBlock> blocks, read_pem(ca_pem));
  GW_ASSIGN_OR_RETURN(std::vector<CrlFacts> facts, parse_crls(crl_pem));
  GW_ASSIGN_OR_RETURN(std::vector<CrlPtr> crls, read_crls(crl_pem));
  for (const PemBlock& block : blocks) {
    if (!block.is_certificate()) continue;
    GW_ASSIGN_OR_RETURN(X509Ptr ca, read_x509(block.der));
    std::string name = name_text(X509_get_subject_name(ca.get()));
    KeyPtr key(X509_get_pubkey(ca.get()));
    bool signed_one = false, in_force = false;
    for (size_t i = 0; i < crls.size(); ++i) {
      if (X509_NAME_cmp(X509_CRL_get_issuer(crls[i].get()), X509_get_subject_name(ca.get())) != 0 ||
          X509_CRL_verify(crls[i].get(), key.get()) != 1) {
        continue;
      }
      signed_one = true;
      in_force = in_force || (facts[i].this_update <= now && now < facts[i].next_update);
    }
    ERR_clear_error();
    if (!signed_one) return invalid_argument("there is no list that " + name + " signed");
    if (!in_force) return invalid_argument("the list of " + name + " is out of date");
  }
  return absl::OkStatus();
}

bool covers(const CertificateFacts& leaf, std::string_view host) {
  std::string wanted(host);
  std::transform(wanted.begin(), wanted.end(), wanted.begin(), [](unsigned char c) { return static_cast<char>(tolower(c)); });
  if (std::find(leaf.ip.begin(), leaf.ip.end(), wanted) != leaf.ip.end()) return true;
  return std::any_of(leaf.dns.begin(), leaf.dns.end(), [&](const std::string& name) {
    if (name == wanted) return true;
    return name.starts_with("*.") && !wanted.starts_with("*.") && one_label_more(wanted, std::string_view(name).substr(1));
  });
}

PemContents look_at_pem(std::string_view text) {
  PemContents out;
  auto blocks = read_pem(text);
  if (!blocks.ok()) return out;
  for (const PemBlock& block : *blocks) {
    ++(block.is_certificate() ? out.certificates : block.is_key() ? out.keys : block.is_crl() ? out.crls : out.others);
  }
  return out;
}

}  // namespace gw
