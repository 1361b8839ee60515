#include "dataplane/snapshot/certificates.h"

#include "dataplane/snapshot/tickets.h"
#include "tests/dataplane/snapshot/world.h"
#include "tests/support/certificates.h"

using namespace gw;
using namespace gw::testing;

namespace {

constexpr int64_t kNow = 1'800'000'000;

struct CertificateStream {
  StreamMaker maker{v1::STREAM_CERTIFICATES};
  CertificatesBuilder builder;
  gw::test::CertificateMaker ca{kNow};

  void put(uint64_t uid, const std::vector<std::string>& pems) {
    v1::CertificateEntry entry;
    entry.mutable_name()->set_owner("platform");
    entry.mutable_name()->set_name("site-" + std::to_string(uid));
    entry.add_hosts("a.example.com");
    for (const std::string& pem : pems) entry.add_key_pairs()->set_pem(pem);
    maker.put(v1::ENTRY_CERTIFICATE, uid, entry);
  }
  void secret(uint64_t uid, const std::string& value) {
    v1::SecretEntry entry;
    entry.mutable_name()->set_owner("platform");
    entry.mutable_name()->set_name("ca");
    entry.set_value(value);
    maker.put(v1::ENTRY_SECRET, uid, entry);
  }
  CertificatesBuilder::Result take(const v1::Offer& offer) {
    auto result = builder.prepare(offer);
    auto copy = result;
    if (result.outcome == PrepareOutcome::kReady) builder.commit(std::move(result));
    return copy;
  }
  const CertificateTable& now() const { return *builder.table(); }
};

struct TicketStream {
  StreamMaker maker{v1::STREAM_TICKETS};
  TicketKeysBuilder builder;

  void put(uint64_t uid, int64_t not_before, int64_t not_after, size_t secret_size = 64) {
    v1::TicketKeyEntry entry;
    entry.set_name(std::string(16, static_cast<char>('a' + uid)));
    entry.set_secret(std::string(secret_size, 's'));
    entry.set_not_before(not_before);
    entry.set_not_after(not_after);
    maker.put(v1::ENTRY_TICKET_KEY, uid, entry);
  }
  PrepareOutcome take(const v1::Offer& offer) {
    auto result = builder.prepare(offer);
    PrepareOutcome outcome = result.outcome;
    if (outcome == PrepareOutcome::kReady) builder.commit(std::move(result));
    return outcome;
  }
};

}  // namespace

TEST_CASE("certificates and secrets are found by uid, with the facts of their leaves") {
  CertificateStream s;
  gw::test::Issued ecdsa = s.ca.issue({"a.example.com"}), rsa = s.ca.issue({"a.example.com"}, gw::test::KeyKind::kRsa);
  s.put(10, {ecdsa.pem(), rsa.pem()});
  s.secret(20, s.ca.root());
  REQUIRE(s.take(s.maker.whole()).outcome == PrepareOutcome::kReady);
  auto certificate = s.now().certificate(10);
  REQUIRE(certificate);
  CHECK(certificate->name == "platform/site-10");
  CHECK(certificate->hosts == std::vector<std::string>{"a.example.com"});
  CHECK(certificate->min_tls == "1.2");
  REQUIRE(certificate->key_pairs.size() == 2);
  CHECK(certificate->key_pairs[0].pem == ecdsa.pem());
  CHECK(certificate->key_pairs[1].facts.leaf().key_text == "RSA 2048");
  CHECK(certificate->not_after() == kNow + 90 * 86'400);
  REQUIRE(s.now().secret(20));
  CHECK(s.now().secret(20)->value == s.ca.root());
  CHECK(s.now().certificate(20) == nullptr);
  CHECK(CertificateTable::none()->certificates().empty());
}

TEST_CASE("what did not change from one table to the next is the same data") {
  CertificateStream s;
  s.put(10, {s.ca.issue({"a.example.com"}).pem()});
  s.put(11, {s.ca.issue({"a.example.com"}).pem()});
  s.secret(20, "x");
  s.take(s.maker.whole());
  std::shared_ptr<const CertificateTable> before = s.builder.table();
  s.put(11, {s.ca.issue({"a.example.com"}).pem()});
  REQUIRE(s.take(s.maker.delta()).outcome == PrepareOutcome::kReady);
  CHECK(s.now().certificate(10) == before->certificate(10));
  CHECK(s.now().certificate(11) != before->certificate(11));
  CHECK(s.now().secret(20) == before->secret(20));
  s.maker.remove(v1::ENTRY_CERTIFICATE, 10);
  s.take(s.maker.delta());
  CHECK(s.now().certificate(10) == nullptr);
  CHECK(before->certificate(10) != nullptr);
  CertificatesBuilder other;  // as after a restart from disk
  auto again = other.prepare(s.builder.whole());
  REQUIRE(again.outcome == PrepareOutcome::kReady);
  CHECK(again.table->certificates().size() == 1);
}

TEST_CASE("a key pair that cannot be used is refused by name, without its bytes, and what was there stays") {
  CertificateStream s;
  gw::test::Issued good = s.ca.issue({"a.example.com"}), other = s.ca.issue({"a.example.com"});
  s.put(10, {good.pem()});
  s.take(s.maker.whole());
  std::string code = "GW3030";
  SECTION("a foreign key") { s.put(11, {good.certificate + other.key}); }
  SECTION("no key") { s.put(11, {good.certificate}); }
  SECTION("the second pair") { s.put(11, {good.pem(), "nothing"}); }
  SECTION("none at all") {
    s.put(11, {});
    code = "GW3004";
  }
  SECTION("another stream's entry") {
    s.maker.put(v1::ENTRY_BLOCK, 2, v1::BlockEntry());
    code = "GW3005";
  }
  auto result = s.take(s.maker.whole());
  CHECK(result.outcome == PrepareOutcome::kRefused);
  REQUIRE(result.diagnostics.has_errors());
  CHECK(result.diagnostics.items()[0].code() == code);
  if (code == "GW3030") CHECK(result.diagnostics.items()[0].object() == "platform/site-11");
  for (const Diagnostic& d : result.diagnostics.items()) CHECK(d.message().find("BEGIN") == std::string::npos);
  CHECK(s.now().certificates().size() == 1);
}

TEST_CASE("tickets are sealed with the newest key in force and opened with any that has not ended") {
  TicketStream s;
  CHECK(s.builder.keys()->sealing(100) == nullptr);
  s.put(1, 100, 500);
  s.put(2, 200, 600);
  REQUIRE(s.take(s.maker.whole()) == PrepareOutcome::kReady);
  const TicketKeys& keys = *s.builder.keys();
  CHECK(keys.sealing(99) == nullptr);
  CHECK(keys.sealing(100)->not_before == 100);
  CHECK(keys.sealing(199)->not_before == 100);
  CHECK(keys.sealing(200)->not_before == 200);
  CHECK(keys.sealing(600) == nullptr);
  std::string first(16, 'b'), second(16, 'c');
  CHECK(keys.opening(first, 499)->not_before == 100);
  CHECK(keys.opening(first, 500) == nullptr);
  CHECK(keys.opening(second, 150)->not_before == 200);  // another node's clock may be ahead
  CHECK(keys.opening("short", 150) == nullptr);
  CHECK(keys.keys().front().not_before == 200);
}

TEST_CASE("a ticket key of another size is refused, and what was there stays") {
  TicketStream s;
  s.put(1, 100, 500);
  s.take(s.maker.whole());
  SECTION("secret") { s.put(2, 100, 500, 32); }
  SECTION("no time") { s.put(2, 500, 500); }
  SECTION("another stream's entry") { s.maker.put(v1::ENTRY_BLOCK, 2, v1::BlockEntry()); }
  CHECK(s.take(s.maker.whole()) == PrepareOutcome::kRefused);
  CHECK(s.builder.keys()->keys().size() == 1);
}
