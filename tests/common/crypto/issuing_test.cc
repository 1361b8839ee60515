#include "common/crypto/issuing.h"

#include <catch2/catch.hpp>

#include "common/base/status.h"
#include "common/crypto/certificates.h"
#include "tests/support/certificates.h"

namespace gw {
namespace {

constexpr int64_t kIssuingNow = 1'800'000'000;

CaPair test_ca(const std::string& name = "Northgate test") {
  auto ca = make_ca(name, kIssuingNow - 100, kIssuingNow + 1000);
  REQUIRE(ca.ok());
  return *ca;
}

IssueTerms client_terms() {
  IssueTerms out;
  out.name = "n1";
  out.uri = {"urn:northgate:node:n1"};
  out.client = true;
  out.not_before = kIssuingNow - 10;
  out.not_after = kIssuingNow + 60;
  return out;
}

std::string request_of(const std::string& key) {
  auto out = make_signing_request(key, "whatever it says");
  REQUIRE(out.ok());
  return *out;
}

std::string refusal(const CaPair& ca, const std::string& request, const IssueTerms& terms) {
  auto issued = issue_certificate(ca, request, terms);
  REQUIRE_FALSE(issued.ok());
  CHECK(absl::IsInvalidArgument(issued.status()));
  return message_of(issued.status());
}

}  // namespace

TEST_CASE(
    "a CA of one's own issues certificates that say what was asked, for the key of the request") {
  CaPair ca = test_ca();
  auto bundle = parse_ca_bundle(ca.certificate);
  REQUIRE(bundle.ok());
  CHECK((*bundle)[0].subject == "CN=Northgate test");
  CHECK((*bundle)[0].ca);
  CHECK((*bundle)[0].self_signed);
  std::string key = make_private_key();
  auto issued = issue_certificate(ca, request_of(key), client_terms());
  REQUIRE(issued.ok());
  auto pair = parse_key_pair(issued->certificate + ca.certificate + key);
  INFO(message_of(pair.status()));
  REQUIRE(pair.ok());
  const CertificateFacts& leaf = pair->leaf();
  CHECK(leaf.subject == "CN=n1");
  CHECK(leaf.issuer == "CN=Northgate test");
  CHECK(leaf.serial == issued->serial);
  CHECK(leaf.serial.size() == 32);
  CHECK(leaf.uri == std::vector<std::string>{"urn:northgate:node:n1"});
  CHECK(leaf.not_before == kIssuingNow - 10);
  CHECK(leaf.not_after == kIssuingNow + 60);
  CHECK(leaf.client);
  CHECK_FALSE(leaf.server);
  CHECK_FALSE(leaf.ca);
  auto again = issue_certificate(ca, request_of(key), client_terms());
  REQUIRE(again.ok());
  CHECK(again->serial != issued->serial);
}

TEST_CASE("a server's certificate covers its names and addresses") {
  CaPair ca = test_ca();
  IssueTerms terms = client_terms();
  terms.server = true;
  terms.client = false;
  terms.uri.clear();
  terms.dns = {"localhost", "gw.example.com"};
  terms.ip = {"127.0.0.1", "::1"};
  std::string key = make_private_key();
  auto issued = issue_certificate(ca, request_of(key), terms);
  REQUIRE(issued.ok());
  auto chain = parse_chain(issued->certificate);
  REQUIRE(chain.ok());
  for (const char* host : {"localhost", "gw.example.com", "127.0.0.1", "::1"})
    CHECK(covers(chain->leaf(), host));
  CHECK_FALSE(covers(chain->leaf(), "other.example.com"));
  CHECK(chain->leaf().server);
  CHECK_FALSE(chain->leaf().client);
  terms.ip = {"not an address"};
  CHECK(refusal(ca, request_of(key), terms) == "not an address is not an IP address");
}

TEST_CASE("what is no signing request, or is not signed by its key, is refused") {
  CaPair ca = test_ca();
  std::string good = request_of(make_private_key());
  CHECK(refusal(ca, "", client_terms()).find("one signing request") != std::string::npos);
  CHECK(refusal(ca, ca.certificate, client_terms()).find("one signing request") !=
        std::string::npos);
  CHECK(refusal(ca, good + good, client_terms()).find("one signing request") != std::string::npos);
  CHECK(refusal(ca, good + std::string(kSigningRequestMax, ' '), client_terms())
            .find("larger than") != std::string::npos);
  // Another byte in the middle of its body: the DER may still be read, and the signature does not
  // hold.
  std::string broken = good;
  size_t at = broken.find('\n') + 60;
  broken[at] = broken[at] == 'A' ? 'B' : 'A';
  refusal(ca, broken, client_terms());
}

TEST_CASE("a signing request with a weak or uncommon key is refused") {
  CaPair ca = test_ca();
  // RSA of 1024 bits, made once with `openssl req -new -newkey rsa:1024 -subj /CN=weak`.
  const std::string weak = R"(-----BEGIN CERTIFICATE REQUEST-----
MIIBTjCBuAIBADAPMQ0wCwYDVQQDDAR3ZWFrMIGfMA0GCSqGSIb3DQEBAQUAA4GN
ADCBiQKBgQCsXGEucQWNTK+CKTJeY4qztWMgqSjn8cX3BdcDJzpjODBUQ16SGKyu
MkK809qnDTrWt9D8ZUVbfm3ODAlAn1FAyoKeGPHA+n8n+u3vSQ2C/8GXj2A4V8Eh
Gssh2AqZhocPvItxgUtuXJzAqd2aOWjgplAHiuPCjYGtUbJDgu194wIDAQABoAAw
DQYJKoZIhvcNAQELBQADgYEAiCVLlBGhxOjwY+onorXkjtNH84aOyj/iD6LMcLw/
er5Gnyd7UlaNiA+1NsRAjlBw329qCu59I9gXM82lvzOyUzo9JQxnhGrnu1vRA6xg
Mm2U9150rJNJr4qx1hukDmmafS2CWFJg7dWWi2t4XpMOJtL6QMCIaqvN9az+wKdB
Jfo=
-----END CERTIFICATE REQUEST-----
)";
  CHECK(refusal(ca, weak, client_terms()) ==
        "an RSA key of 1024 bits is not taken; 2048 to 8192 are");
  // Ed25519.
  const std::string other = R"(-----BEGIN CERTIFICATE REQUEST-----
MIGPMEMCAQAwEDEOMAwGA1UEAwwFb3RoZXIwKjAFBgMrZXADIQDrYlEBdCmJQ0mZ
PWYIiDueoL1B8eS8m3pmrGxP/qlAhqAAMAUGAytlcANBAFE6M99rY1krD75ymN+K
fLuQSiGVpLrgkISxmbNzTbMUjZo/yENn6cvwMLi/zSd/R7Ed49vRBI62293y64GI
Wwk=
-----END CERTIFICATE REQUEST-----
)";
  CHECK(refusal(ca, other, client_terms()).find("ECDSA (P-256, P-384) or RSA") !=
        std::string::npos);
  test::CertificateMaker maker(kIssuingNow);
  CHECK(issue_certificate(ca, request_of(maker.issue({"r.example.com"}, test::KeyKind::kRsa).key),
                          client_terms())
            .ok());
}

TEST_CASE("terms that make no certificate are refused") {
  CaPair ca = test_ca();
  std::string request = request_of(make_private_key());
  IssueTerms terms = client_terms();
  terms.client = false;
  CHECK(refusal(ca, request, terms) == "a certificate is for a server, a client or both");
  terms = client_terms();
  terms.not_after = terms.not_before;
  CHECK(refusal(ca, request, terms) == "a certificate must begin before it ends");
  terms = client_terms();
  terms.name = std::string(65, 'n');
  CHECK(refusal(ca, request, terms) == "a common name has 1 to 64 bytes");
  terms = client_terms();
  terms.uri.assign(kIssuedNamesMax + 1, "urn:x");
  CHECK(refusal(ca, request, terms).find("at most 100 names") != std::string::npos);
  CHECK_FALSE(make_ca("", 0, 10).ok());
  CHECK_FALSE(make_signing_request("no key", "n1").ok());
}

TEST_CASE("a certificate is known to be of its CA, and not of another of that name") {
  CaPair ca = test_ca(), other = test_ca();
  auto issued = issue_certificate(ca, request_of(make_private_key()), client_terms());
  REQUIRE(issued.ok());
  CHECK(is_issued_by(issued->certificate, ca.certificate));
  CHECK(is_issued_by(issued->certificate, other.certificate + ca.certificate));
  CHECK_FALSE(is_issued_by(issued->certificate, other.certificate));
  CHECK_FALSE(is_issued_by(issued->certificate, "nothing"));
  CHECK_FALSE(is_issued_by("nothing", ca.certificate));
}

}  // namespace gw
