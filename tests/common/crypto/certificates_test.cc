#include "common/crypto/certificates.h"

#include <catch2/catch.hpp>

#include "common/base/status.h"
#include "tests/support/certificates.h"

namespace gw {
namespace {

constexpr int64_t kNow = 1'800'000'000;

std::string why(const absl::Status& status) { return message_of(status); }

}  // namespace

TEST_CASE("a certificate's facts are read as it was made") {
  test::CertificateMaker ca(kNow);
  test::IssueOptions options;
  options.dns = {"API.example.com", "*.example.com"};
  options.uri = {"spiffe://acme.example/x"};
  options.subject = "api";
  test::Issued made = ca.issue(options);
  auto pair = parse_key_pair(made.pem());
  REQUIRE(pair.ok());
  REQUIRE(pair->chain.size() == 1);
  const CertificateFacts& leaf = pair->leaf();
  CHECK(leaf.subject == "CN=api");
  CHECK(leaf.issuer == "CN=Test CA");
  CHECK(leaf.serial == "1002");
  CHECK(leaf.dns == std::vector<std::string>{"api.example.com", "*.example.com"});
  CHECK(leaf.uri == std::vector<std::string>{"spiffe://acme.example/x"});
  CHECK(leaf.key_text == "ECDSA P-256");
  CHECK(leaf.key == CertificateFacts::Key::kEcdsa);
  CHECK(leaf.not_before == kNow - 3600);
  CHECK(leaf.not_after == kNow + 90 * 86'400);
  CHECK(leaf.server);
  CHECK_FALSE(leaf.client);
  CHECK_FALSE(leaf.ca);
  CHECK(leaf.sha256.size() == 64);
  CHECK(leaf.names() == std::vector<std::string>{"dns:api.example.com", "dns:*.example.com", "uri:spiffe://acme.example/x"});
  CHECK(parse_key_pair(ca.issue({"r.example.com"}, test::KeyKind::kRsa).pem())->leaf().key_text == "RSA 2048");
}

TEST_CASE("a host is covered by its own name or a wildcard one label above it") {
  CertificateFacts leaf;
  leaf.dns = {"example.com", "*.example.com", "exact.example.org"};
  leaf.ip = {"192.0.2.1"};
  CHECK(covers(leaf, "example.com"));
  CHECK(covers(leaf, "a.Example.com"));
  CHECK(covers(leaf, "*.example.com"));
  CHECK(covers(leaf, "192.0.2.1"));
  CHECK_FALSE(covers(leaf, "a.b.example.com"));
  CHECK_FALSE(covers(leaf, "*.a.example.com"));
  CHECK_FALSE(covers(leaf, "*.example.org"));
  CHECK_FALSE(covers(leaf, "*"));
  CHECK_FALSE(covers(leaf, ".example.com"));
}

TEST_CASE("a chain is leaf first, each signed by the next") {
  test::CertificateMaker ca(kNow);
  test::Issued middle = ca.intermediate("Middle");
  test::IssueOptions options;
  options.dns = {"a.example.com"};
  test::Issued leaf = ca.issue_below(middle, "Middle", options);
  auto pair = parse_key_pair(leaf.pem());
  REQUIRE(pair.ok());
  CHECK(pair->chain.size() == 2);
  CHECK(parse_key_pair(leaf.key + leaf.certificate + middle.certificate + ca.root()).ok());
  CHECK(parse_chain(leaf.certificate + leaf.chain).ok());

  CHECK(why(parse_key_pair(leaf.chain + leaf.certificate + leaf.key).status()) ==
        "the private key belongs to a certificate that is not the first: the leaf comes first");
  CHECK(why(parse_key_pair(leaf.certificate + ca.root() + middle.certificate + leaf.key).status()) ==
        "the chain is out of order: the leaf (the first certificate) was issued by CN=Middle, and what follows it is CN=Test CA");
  // Another CA of the same name.
  test::CertificateMaker other(kNow);
  test::Issued forged = other.intermediate("Middle");
  CHECK(why(parse_key_pair(leaf.certificate + forged.certificate + leaf.key).status()) ==
        "the signature of the leaf (the first certificate) is not that of CN=Middle");
}

TEST_CASE("a key pair whose parts do not fit is refused with the reason, and without quoting it") {
  test::CertificateMaker ca(kNow);
  test::Issued a = ca.issue({"a.example.com"}), b = ca.issue({"b.example.com"});
  auto refused = [](const std::string& pem) { return why(parse_key_pair(pem).status()); };
  CHECK(refused(a.certificate + b.key) == "the private key is not that of the leaf, CN=a.example.com");
  CHECK(refused(a.certificate) == "there is no private key in it (PEM)");
  CHECK(refused(a.key) == "there is no certificate in it (PEM)");
  CHECK(refused(a.pem() + b.key) == "there is more than one private key in it");
  CHECK(refused("hello") == "there is no certificate in it (PEM)");
  CHECK(refused("") == "there is no certificate in it (PEM)");
  std::string cut = a.certificate.substr(0, a.certificate.size() / 2) + "\n-----END CERTIFICATE-----\n" + a.key;
  CHECK_FALSE(parse_key_pair(cut).ok());
  std::string damaged = a.key;
  damaged[damaged.size() / 2] = damaged[damaged.size() / 2] == 'A' ? 'B' : 'A';
  CHECK_FALSE(parse_key_pair(a.certificate + damaged).ok());
  CHECK(refused(a.certificate + "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n").find("encrypted with a password") !=
        std::string::npos);
}

TEST_CASE("a bundle of CAs takes CAs alone") {
  test::CertificateMaker ca(kNow), other(kNow, "Other CA");
  auto bundle = parse_ca_bundle(ca.root() + other.root());
  REQUIRE(bundle.ok());
  CHECK(bundle->size() == 2);
  CHECK(bundle->at(1).subject == "CN=Other CA");
  CHECK(bundle->at(0).self_signed);
  CHECK(why(parse_ca_bundle(ca.root() + ca.issue({"a.example.com"}).certificate).status()) == "certificate 2 (CN=a.example.com) is not a CA");
  CHECK_FALSE(parse_ca_bundle("").ok());
}

TEST_CASE("every CA needs a list of revoked certificates that it signed and that is in force") {
  test::CertificateMaker ca(kNow), other(kNow, "Other CA"), impostor(kNow);
  test::Issued gone = ca.issue({"gone.example.com"});
  std::string list = ca.crl({gone.serial});
  auto facts = parse_crls(list);
  REQUIRE(facts.ok());
  CHECK(facts->at(0).revoked == 1);
  CHECK(facts->at(0).issuer == "CN=Test CA");
  CHECK(facts->at(0).next_update == kNow + 30 * 86'400);
  CHECK(check_crls(ca.root(), list, kNow).ok());
  CHECK(check_crls(ca.root() + other.root(), list + other.crl({}), kNow).ok());
  CHECK(why(check_crls(ca.root() + other.root(), list, kNow)) == "there is no list that CN=Other CA signed");
  CHECK(why(check_crls(ca.root(), impostor.crl({}), kNow)) == "there is no list that CN=Test CA signed");
  CHECK(why(check_crls(ca.root(), list, kNow + 30 * 86'400)) == "the list of CN=Test CA is out of date");
  CHECK_FALSE(parse_crls(ca.root()).ok());
}

TEST_CASE("what is not an OCSP response is refused") {
  CHECK_FALSE(parse_ocsp("").ok());
  CHECK_FALSE(parse_ocsp("hello").ok());
  CHECK(why(parse_ocsp(std::string("\x30\x03\x0a\x01\x06", 5)).status()) == "the OCSP responder did not answer the question (status 6)");
}

TEST_CASE("PEM text is told by its labels") {
  test::CertificateMaker ca(kNow);
  PemContents pair = look_at_pem(ca.issue({"a.example.com"}).pem());
  CHECK(pair.certificates == 1);
  CHECK(pair.keys == 1);
  CHECK(look_at_pem(ca.crl({})).crls == 1);
  CHECK_FALSE(look_at_pem("a password").any());
}

}  // namespace gw
