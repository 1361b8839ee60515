#include "dataplane/tls/server_context.h"

#include <catch2/catch.hpp>
#include <ctime>

#include "dataplane/snapshot/tickets.h"
#include "tests/dataplane/snapshot/stream_maker.h"
#include "tests/dataplane/tls/tls_echo.h"
#include "tests/support/certificates.h"
#include "tests/support/tls_client.h"

namespace gw::test {
namespace {

using Failure = TlsFilter::Failure;

const std::string kBoth("\x02h2\x08http/1.1", 12);
const std::string kHttp1("\x08http/1.1", 9);

std::shared_ptr<const TlsKeyPair> pair_of(const Issued& issued, std::string_view ocsp = {}) {
  auto pair = TlsKeyPair::parse(issued.pem(), ocsp);
  REQUIRE(pair.ok());
  return *pair;
}

std::shared_ptr<TlsCertificate> certificate(std::vector<std::string> hosts, std::vector<Issued> issued) {
  auto out = std::make_shared<TlsCertificate>();
  out->name = "platform/" + hosts.front();
  out->hosts = std::move(hosts);
  for (const Issued& one : issued) out->key_pairs.push_back(pair_of(one));
  return out;
}

std::shared_ptr<const TlsServerContext> make(TlsServerConfig config) {
  auto context = TlsServerContext::make(std::move(config));
  REQUIRE(context.ok());
  return *context;
}

std::shared_ptr<const TrustStore> trust(const std::string& ca, const std::string& crl = {}) {
  auto store = TrustStore::parse(ca, crl);
  REQUIRE(store.ok());
  return *store;
}

// Keys by the letter that fills them, each in force from now for a day.
std::shared_ptr<const TicketKeys> tickets(const std::string& letters) {
  testing::StreamMaker stream(v1::STREAM_TICKETS);
  int64_t now = std::time(nullptr), n = 0;
  for (char letter : letters) {
    v1::TicketKeyEntry key;
    key.set_name(std::string(16, letter));
    key.set_secret(std::string(64, letter));
    key.set_not_before(now - 100 + n);
    key.set_not_after(now + 86'400);
    stream.put(v1::ENTRY_TICKET_KEY, static_cast<uint64_t>(++n), key);
  }
  TicketKeysBuilder builder;
  auto result = builder.prepare(stream.whole());
  REQUIRE(result.outcome == PrepareOutcome::kReady);
  return result.keys;
}

bool echoes(TlsConnection& client, std::string_view text = "hello") {
  if (!client.send(text)) return false;
  std::string got;
  while (got.size() < text.size()) {
    std::string more = client.read();
    if (more.empty()) return false;
    got += more;
  }
  return got == text;
}

struct Ask {
  bool done;
  std::string subject, alert;
};

Ask ask(uint16_t port, const std::string& name, TlsOptions options = {}) {
  options.server_name = name;
  TlsConnection client(port, options);
  bool done = client.handshake() && echoes(client);
  return {done, client.peer_subject(), client.alert()};
}

TEST_CASE("A host gets the certificate that covers it, exact before wildcard", "[tls]") {
  CertificateMaker ca(std::time(nullptr));
  TlsServerConfig config;
  config.certificates = {certificate({"*.example.com"}, {ca.issue({"*.example.com"})}),
                         certificate({"api.example.com"}, {ca.issue({"api.example.com"})})};
  TlsEcho echo(make(config));
  CHECK(ask(echo.port(), "api.example.com").subject == "api.example.com");
  CHECK(ask(echo.port(), "API.Example.com").subject == "api.example.com");
  CHECK(ask(echo.port(), "other.example.com").subject == "*.example.com");
  // A wildcard is one label, and is not the domain itself.
  for (const char* name : {"a.b.example.com", "example.com", "example.net", ""}) {
    Ask refused = ask(echo.port(), name);
    CHECK_FALSE(refused.done);
    CHECK(refused.alert == "unrecognized name");
  }
  TlsEcho::Ended last = echo.ended(7);
  CHECK(last.failure == Failure::kNoHost);
  CHECK(last.why == "the client names no host");
}

TEST_CASE("A default certificate serves hosts that no other covers", "[tls]") {
  CertificateMaker ca(std::time(nullptr));
  TlsServerConfig config;
  config.certificates = {certificate({"api.example.com"}, {ca.issue({"api.example.com"})})};
  config.fallback = certificate({"fallback.example.com"}, {ca.issue({"fallback.example.com"})});
  TlsEcho echo(make(config));
  CHECK(ask(echo.port(), "api.example.com").subject == "api.example.com");
  CHECK(ask(echo.port(), "else.example.com").subject == "fallback.example.com");
  CHECK(ask(echo.port(), "").subject == "fallback.example.com");
}

TEST_CASE("The client's abilities choose between ECDSA and RSA, also where RSA signs on another thread", "[tls]") {
  CertificateMaker ca(std::time(nullptr));
  TlsServerConfig config;
  auto both = certificate({"api.example.com"}, {ca.issue({"api.example.com"}, KeyKind::kRsa), ca.issue({"api.example.com"})});
  config.certificates = {both};
  bool elsewhere = GENERATE(false, true);
  std::shared_ptr<TlsSigner> signer = elsewhere ? std::make_shared<TlsSigner>(1) : nullptr;
  config.signer = signer;
  {
    TlsEcho echo(make(config));
    struct Case {
      const char* signatures;
      uint16_t version;
      const char* key;
    };
    for (const Case& c : {Case{"", 0x0304, "EC"}, Case{"", 0x0303, "EC"}, Case{"RSA-PSS+SHA256", 0x0304, "RSA"},
                          Case{"RSA-PSS+SHA256", 0x0303, "RSA"}, Case{"RSA+SHA256", 0x0303, "RSA"}}) {
      TlsOptions options;
      options.server_name = "api.example.com";
      options.signatures = c.signatures;
      options.min_version = options.max_version = c.version;
      options.ca = ca.root();
      TlsConnection client(echo.port(), options);
      INFO(c.signatures << " " << c.version);
      REQUIRE(client.handshake());
      CHECK(client.peer_key() == c.key);
      CHECK(echoes(client));
    }
  }
  if (signer != nullptr) signer->stop();
}

TEST_CASE("Versions below the certificate's are refused", "[tls]") {
  CertificateMaker ca(std::time(nullptr));
  auto modern = certificate({"modern.example.com"}, {ca.issue({"modern.example.com"})});
  modern->tls13_only = true;
  TlsServerConfig config;
  config.certificates = {certificate({"api.example.com"}, {ca.issue({"api.example.com"})}), modern};
  TlsEcho echo(make(config));
  TlsOptions old;
  old.min_version = old.max_version = 0x0303;
  CHECK(ask(echo.port(), "api.example.com", old).done);
  CHECK(ask(echo.port(), "modern.example.com").done);
  CHECK(ask(echo.port(), "modern.example.com", old).alert == "protocol version");
  TlsOptions older;
  older.min_version = older.max_version = 0x0302;
  CHECK(ask(echo.port(), "api.example.com", older).alert == "protocol version");
}

TEST_CASE("ALPN prefers HTTP/2 where the listener speaks it, and refuses what nobody speaks", "[tls]") {
  CertificateMaker ca(std::time(nullptr));
  TlsServerConfig config;
  config.certificates = {certificate({"api.example.com"}, {ca.issue({"api.example.com"})})};
  config.http2 = GENERATE(true, false);
  TlsEcho echo(make(config));
  auto chosen = [&](const std::string& alpn) {
    TlsOptions options;
    options.server_name = "api.example.com";
    options.alpn = alpn;
    TlsConnection client(echo.port(), options);
    return client.handshake() ? client.alpn() : client.alert();
  };
  CHECK(chosen(kBoth) == (config.http2 ? "h2" : "http/1.1"));
  CHECK(chosen(kHttp1) == "http/1.1");
  CHECK(chosen("") == "");
  CHECK(chosen(std::string("\x03" "foo")) == "no application protocol");
  CHECK(echo.ended(4).failure == Failure::kNoAlpn);
}

TEST_CASE("Sessions resume on every context that has the key, and after a rotation", "[tls]") {
  CertificateMaker ca(std::time(nullptr));
  TlsServerConfig config;
  config.certificates = {certificate({"api.example.com"}, {ca.issue({"api.example.com"})})};
  TlsEcho one(make(config), tickets("a")), other(make(config), tickets("ab")), foreign(make(config), tickets("c")), none(make(config));
  uint16_t version = GENERATE(0x0303, 0x0304);
  TlsOptions options;
  options.server_name = "api.example.com";
  options.min_version = options.max_version = version;
  auto session = [&](TlsEcho& echo) {
    TlsConnection client(echo.port(), options);
    REQUIRE(client.handshake());
    REQUIRE(echoes(client));  // a ticket of TLS 1.3 comes behind the handshake
    return client.session();
  };
  options.session = session(one);
  REQUIRE_FALSE(options.session.empty());
  auto resumes = [&](TlsEcho& echo) {
    TlsConnection client(echo.port(), options);
    return client.handshake() && echoes(client) && client.resumed();
  };
  CHECK(resumes(one));
  CHECK(resumes(other));
  CHECK_FALSE(resumes(foreign));
  CHECK_FALSE(resumes(none));
  CHECK(other.ended(1).resumed);
  options.session.clear();
  CHECK(session(none).empty());
}

TEST_CASE("Early data is taken where the listener allows it, and told from what comes after the handshake", "[tls]") {
  CertificateMaker ca(std::time(nullptr));
  TlsServerConfig config;
  config.certificates = {certificate({"api.example.com"}, {ca.issue({"api.example.com"})})};
  TlsServerConfig allows = config, no_tickets = config;
  allows.early_data = no_tickets.early_data = true;
  no_tickets.tickets = false;
  TlsEcho echo(make(allows), tickets("a")), closed(make(config), tickets("a")), none(make(no_tickets), tickets("a"));
  TlsOptions options;
  options.server_name = "api.example.com";
  options.alpn = kHttp1;
  {
    TlsConnection first(echo.port(), options);
    REQUIRE(first.handshake());
    REQUIRE(echoes(first));
    options.session = first.session();
  }
  CHECK(echo.ended(1).early == 0);
  options.early = true;
  {
    TlsConnection client(echo.port(), options);
    REQUIRE(client.handshake());  // done as soon as there may be early data
    REQUIRE(echoes(client, "early"));
    CHECK(client.early_accepted());
    REQUIRE(echoes(client, "after the handshake"));
  }
  TlsEcho::Ended ended = echo.ended(2);
  CHECK(ended.resumed);
  CHECK(ended.early == 5);
  REQUIRE(ended.info != nullptr);
  CHECK_FALSE(ended.info->early);
  // One that does not take it makes an ordinary handshake of it; what was sent is lost, and the client knows.
  TlsConnection refused(closed.port(), options);
  CHECK((!refused.handshake() || !refused.send("early") || refused.read().empty()));
  CHECK_FALSE(refused.early_accepted());
  CHECK(closed.ended(1).early == 0);
  options.session.clear();
  TlsConnection fresh(none.port(), options);
  REQUIRE(fresh.handshake());
  REQUIRE(echoes(fresh));
  CHECK(fresh.session().empty());
}

TEST_CASE("Clients' certificates are asked for by host and checked in the handshake", "[tls]") {
  int64_t now = std::time(nullptr);
  CertificateMaker ca(now), clients(now, "Clients"), strangers(now, "Strangers");
  IssueOptions good{.dns = {"gw.acme.example"}, .uri = {"spiffe://acme.example/mobile"}, .server = false, .client = true};
  IssueOptions expired = good, early = good, wrong = good;
  expired.not_before = -7200;
  expired.not_after = -3600;
  early.not_before = 3600;
  wrong.server = true;
  wrong.client = false;
  Issued fine = clients.issue(good), revoked = clients.issue(good);
  TlsServerConfig config;
  config.certificates = {certificate({"*.example.com"}, {ca.issue({"*.example.com"})})};
  TlsClientRule must{{"partners.example.com"}, TlsClientRule::Mode::kRequire,
                     trust(clients.root(), clients.crl({revoked.serial})), "x-client"};
  TlsClientRule may = must;
  may.hosts = {"may.example.com"};
  may.mode = TlsClientRule::Mode::kRequest;
  config.clients = {must, may};
  TlsEcho echo(make(config), tickets("a"));
  TlsOptions options;
  uint16_t version = GENERATE(0x0303, 0x0304);
  options.min_version = options.max_version = version;
  CHECK(ask(echo.port(), "open.example.com", options).done);
  CHECK_FALSE(ask(echo.port(), "partners.example.com", options).done);
  CHECK(echo.ended(2).failure == Failure::kCertificate);
  CHECK(ask(echo.port(), "may.example.com", options).done);
  auto show = [&](const Issued& shown, const char* host = "partners.example.com") {
    options.key_pair = shown.pem();
    return ask(echo.port(), host, options);
  };
  CHECK(show(fine).done);
  std::shared_ptr<const TlsInfo> info = echo.ended(4).info;
  REQUIRE(info != nullptr);
  REQUIRE(info->client != nullptr);
  CHECK(info->client->names == std::vector<std::string>{"dns:gw.acme.example", "uri:spiffe://acme.example/mobile"});
  CHECK(info->client->header == "x-client");
  CHECK(info->client->text.find("san=\"dns:gw.acme.example\"") != std::string::npos);
  CHECK(show(clients.issue(expired)).alert == "certificate expired");
  CHECK(show(clients.issue(early)).alert == "certificate expired");
  CHECK(show(clients.issue(wrong)).alert == "unsupported certificate");
  CHECK(show(revoked).alert == "certificate revoked");
  CHECK(show(strangers.issue(good)).alert == "unknown CA");
  CHECK(show(strangers.issue(good), "may.example.com").alert == "unknown CA");
  CHECK(echo.ended(10).why.find("the client's certificate does not hold") == 0);
  // A session that was made without a certificate is none with one.
  CHECK(info->covers("partners.example.com"));
  CHECK_FALSE(info->covers("open.example.com"));
}

TEST_CASE("A connection covers the hosts that have its certificate and ask no more of clients", "[tls]") {
  CertificateMaker ca(std::time(nullptr));
  TlsServerConfig config;
  config.certificates = {certificate({"*.example.com", "example.com"}, {ca.issue({"*.example.com", "example.com"})}),
                         certificate({"own.example.com"}, {ca.issue({"own.example.com"})})};
  config.fallback = certificate({"fallback.test"}, {ca.issue({"fallback.test"})});
  config.clients = {{{"secret.example.com"}, TlsClientRule::Mode::kRequire, trust(ca.root()), "x"}};
  TlsEcho echo(make(config));
  CHECK(ask(echo.port(), "a.example.com").done);
  std::shared_ptr<const TlsInfo> info = echo.ended(1).info;
  REQUIRE(info != nullptr);
  CHECK(info->server_name == "a.example.com");
  CHECK(info->covers("a.example.com"));
  CHECK(info->covers("b.example.com"));
  CHECK(info->covers("example.com"));
  CHECK_FALSE(info->covers("own.example.com"));
  CHECK_FALSE(info->covers("secret.example.com"));
  CHECK_FALSE(info->covers("other.test"));
  CHECK(ask(echo.port(), "").done);
  info = echo.ended(2).info;
  REQUIRE(info != nullptr);
  CHECK(info->covers("127.0.0.1"));
  CHECK_FALSE(info->covers("a.example.com"));
}

TEST_CASE("A stapled OCSP response reaches clients that ask for it", "[tls]") {
  CertificateMaker ca(std::time(nullptr));
  auto stapled = std::make_shared<TlsCertificate>();
  stapled->hosts = {"api.example.com"};
  stapled->key_pairs = {pair_of(ca.issue({"api.example.com"}), "an answer")};
  TlsServerConfig config;
  config.certificates = {stapled};
  TlsEcho echo(make(config));
  TlsOptions options;
  options.server_name = "api.example.com";
  TlsConnection client(echo.port(), options);
  REQUIRE(client.handshake());
  CHECK(client.stapled() == "an answer");
}

TEST_CASE("Large bodies pass through TLS both ways, and both ends are seen", "[tls]") {
  CertificateMaker ca(std::time(nullptr));
  TlsServerConfig config;
  config.certificates = {certificate({"api.example.com"}, {ca.issue({"api.example.com"})})};
  TlsEcho echo(make(config));
  TlsOptions options;
  options.server_name = "api.example.com";
  TlsConnection client(echo.port(), options);
  REQUIRE(client.handshake());
  std::string text;
  for (int i = 0; text.size() < 3'000'000; ++i) text += std::to_string(i) + ",";
  for (size_t at = 0; at < text.size(); at += 100'000) {
    std::string part = text.substr(at, 100'000);
    REQUIRE(echoes(client, part));
  }
  client.shutdown();
  CHECK(client.read().empty());
  CHECK(client.clean());
  CHECK(echo.ended(1).error == 0);
  TlsConnection cut(echo.port(), options);
  REQUIRE(cut.handshake());
  REQUIRE(echoes(cut));
  cut.connection().close();
  CHECK(echo.ended(2).error == -ECONNABORTED);
}

TEST_CASE("What is no TLS ends the handshake", "[tls]") {
  CertificateMaker ca(std::time(nullptr));
  TlsServerConfig config;
  config.certificates = {certificate({"api.example.com"}, {ca.issue({"api.example.com"})})};
  TlsEcho echo(make(config));
  Connection plain = Connection::to(echo.port());
  plain.send("GET / HTTP/1.1\r\nHost: api.example.com\r\n\r\n");
  plain.read_to_end();
  CHECK(echo.ended(1).failure == Failure::kProtocol);
  Connection cut = Connection::to(echo.port());
  cut.send(std::string("\x16\x03\x01\x02", 4));
  cut.close();
  CHECK(echo.ended(2).error != 0);
  Connection bad = Connection::to(echo.port());
  bad.send(std::string("\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00", 10));
  bad.read_to_end();
  CHECK(echo.ended(3).failure == Failure::kProtocol);
}

}  // namespace
}  // namespace gw::test
