// Secrets and Certificates through the compiler: checks, entries, and who needs what.
#include <catch2/catch.hpp>

#include <algorithm>

#include "common/crypto/base64.h"
#include "controlplane/snapshot/certificate_needs.h"
#include "controlplane/snapshot/compiler.h"
#include "tests/controlplane/snapshot/yaml_objects.h"
#include "tests/support/certificates.h"

namespace gw {
namespace {

constexpr int64_t kNow = 1'800'000'000;

struct Config {
  test::CertificateMaker ca{kNow};
  std::string yaml =
      "{apiVersion: gw/v1, kind: Team, metadata: {name: platform}, spec: {title: Platform}}\n"
      "---\n{apiVersion: gw/v1, kind: Team, metadata: {name: shop}, spec: {title: Shop}}\n";
  std::vector<std::pair<std::string, std::string>> values;

  void add(const std::string& kind, const std::string& metadata, const std::string& spec) {
    yaml += "---\n{apiVersion: gw/v1, kind: " + kind + ", metadata: {owner: platform, " + metadata + "}, spec: " + spec + "}\n";
  }
  void secret(const std::string& name, std::string value, const std::string& more = "") {
    add("Secret", "name: " + name + more, "{}");
    values.emplace_back(name, std::move(value));
  }
  void certificate(const std::string& name, const std::string& hosts, const std::string& rest) {
    add("Certificate", "name: " + name, "{hosts: [" + hosts + "], " + rest + "}");
  }
  void https(const std::string& listener, const std::string& more = "") {
    add("Gateway", "name: edge, shareWith: [all]",
        "{nodes: {labels: {}}, listeners: [{name: https, address: 127.0.0.1, port: 8443, protocol: https, " + listener + "}]" + more + "}");
  }
  std::vector<v1::Object> objects() const {
    std::vector<v1::Object> out = objects_of_yaml(yaml);
    for (v1::Object& object : out) {
      for (const auto& [name, value] : values) {
        if (object.has_secret() && object.metadata().name() == name) object.mutable_secret()->set_value(value);
      }
    }
    return out;
  }
  Compiled compiled(bool partial = false) const {
    CompileOptions options;
    options.now_ms = kNow * 1000;
    options.partial = partial;
    return compile(objects(), options);
  }
  // "GW1441 spec.hosts[0]", sorted.
  std::vector<std::string> findings() const {
    std::vector<std::string> out;
    Compiled done = compiled();
    for (const Diagnostic& d : done.diagnostics.items()) {
      CHECK(d.message().find("BEGIN") == std::string::npos);
      out.push_back(d.code() + " " + d.path());
    }
    std::sort(out.begin(), out.end());
    return out;
  }
};

using Findings = std::vector<std::string>;

template <class Entry>
Entry entry_of(const EntryTable& table, v1::EntryKind kind) {
  Entry out;
  for (const auto& [key, entry] : table) {
    if (key.kind == kind) REQUIRE(out.ParseFromString(entry->bytes));
  }
  return out;
}

}  // namespace

TEST_CASE("of a value is told what it is, and of a short text no hash that it could be guessed by") {
  test::CertificateMaker ca(kNow);
  auto told = [](const std::string& value) { return SecretValue::make(value, 0, "test")->summary(); };
  CHECK(told("hunter2") == "text, 7 bytes");
  CHECK(told(std::string(32, 'x')) == "text, 32 bytes, sha256 c62e4615");
  CHECK(told(ca.issue({"a.example.com"}).pem()).starts_with("key pair, 1 certificate, "));
  CHECK(told(ca.root()).starts_with("certificates, 1 certificate, "));
  CHECK(told(ca.crl({})).starts_with("revocation list, "));
  CHECK(told(ca.issue({"a.example.com"}).key).starts_with("private key, "));
}

TEST_CASE("a certificate and its keys become one entry, and its Gateway names it by uid") {
  Config c;
  test::Issued ecdsa = c.ca.issue({"a.example.com", "*.example.com"}), rsa = c.ca.issue({"*.example.com"}, test::KeyKind::kRsa);
  c.secret("ecdsa", ecdsa.pem());
  c.secret("rsa", rsa.pem());
  c.secret("unused", "hello");
  c.certificate("site", "'*.example.com'", "keyPairs: [{secret: ecdsa}, {secret: rsa}], minTls: '1.3'");
  c.https("certificates: [site], defaultCertificate: site");
  CHECK(c.findings() == Findings{});
  Compiled done = c.compiled();
  REQUIRE(done.certificates.size() == 1);  // Secrets go in the Certificate, or not at all
  auto entry = entry_of<v1::CertificateEntry>(done.certificates, v1::ENTRY_CERTIFICATE);
  CHECK(entry.name().name() == "site");
  CHECK(entry.hosts(0) == "*.example.com");
  CHECK(entry.min_tls() == "1.3");
  REQUIRE(entry.key_pairs_size() == 2);
  CHECK(entry.key_pairs(0).pem() == ecdsa.pem());
  CHECK(entry.key_pairs(1).pem() == rsa.pem());
  auto gateway = entry_of<v1::GatewayEntry>(done.config, v1::ENTRY_GATEWAY);
  REQUIRE(gateway.certificates_size() == 1);
  CHECK(gateway.certificates(0).listener() == "https");
  CHECK(gateway.certificates(0).certificates(0) == done.certificates.begin()->first.uid);
  CHECK(gateway.certificates(0).default_certificate() == done.certificates.begin()->first.uid);
  CHECK(gateway.listeners(0).certificates().empty());
  for (const auto& [key, config] : done.config) CHECK(config->bytes.find("PRIVATE KEY") == std::string::npos);
  done.catalog.for_each([](const ObjectPtr& object) { CHECK(object->SerializeAsString().find("PRIVATE KEY") == std::string::npos); });
  CertificateNeeds needs = certificate_needs(done.config);
  REQUIRE(needs.size() == 1);
  CHECK(needs.begin()->second.entries == std::set<EntryKey>{done.certificates.begin()->first});
}

TEST_CASE("what is wrong with a certificate is said where it is written") {
  Config c;
  test::Issued pair = c.ca.issue({"a.example.com"});
  std::string site = "keyPairs: [{secret: pair}]";
  SECTION("no key") {
    c.secret("pair", pair.certificate);
    c.certificate("site", "a.example.com", site);
    CHECK(c.findings() == Findings{"GW1440 spec.keyPairs[0].secret"});
  }
  SECTION("a host that the leaf does not have") {
    c.secret("pair", pair.pem());
    c.certificate("site", "a.example.com, b.example.com", site);
    CHECK(c.findings() == Findings{"GW1441 spec.hosts[1]"});
  }
  SECTION("every host") {
    c.secret("pair", pair.pem());
    c.certificate("site", "'*'", site);
    CHECK(c.findings() == Findings{"GW1441 spec.hosts[0]"});
  }
  SECTION("two keys of a kind") {
    c.secret("pair", pair.pem());
    c.secret("again", c.ca.issue({"a.example.com"}).pem());
    c.certificate("site", "a.example.com", "keyPairs: [{secret: pair}, {secret: again}]");
    CHECK(c.findings() == Findings{"GW1443 spec.keyPairs[1].secret"});
  }
  SECTION("a version of TLS that is not spoken") {
    c.secret("pair", pair.pem());
    c.certificate("site", "a.example.com", site + ", minTls: '1.1'");
    CHECK(c.findings() == Findings{"GW1445 spec.minTls"});
  }
  SECTION("dates") {
    test::IssueOptions options;
    options.dns = {"a.example.com"};
    std::string code = "GW1442";
    SECTION("ended") { options.not_after = -1; }
    SECTION("not begun") { options.not_before = 60; }
    SECTION("ends soon") {
      options.not_after = 29 * 86'400;
      code = "GW2030";
    }
    c.secret("pair", c.ca.issue(options).pem());
    c.certificate("site", "a.example.com", site);
    CHECK(c.findings() == Findings{code + " spec.keyPairs[0].secret"});
  }
  SECTION("a client's certificate") {
    test::IssueOptions options;
    options.dns = {"a.example.com"};
    options.server = false;
    options.client = true;
    c.secret("pair", c.ca.issue(options).pem());
    c.certificate("site", "a.example.com", site);
    CHECK(c.findings() == Findings{"GW1440 spec.keyPairs[0].secret"});
  }
  SECTION("no OCSP response") {
    c.secret("pair", pair.pem());
    c.secret("staple", to_base64("hello"));
    c.certificate("site", "a.example.com", "keyPairs: [{secret: pair, ocsp: staple}]");
    CHECK(c.findings() == Findings{"GW1446 spec.keyPairs[0].ocsp"});
  }
  SECTION("a Secret that does not exist") {
    c.certificate("site", "a.example.com", site);
    CHECK(c.findings() == Findings{"GW1201 spec.keyPairs[0].secret"});
  }
}

TEST_CASE("fields of a listener belong to its protocol") {
  Config c;
  c.secret("pair", c.ca.issue({"a.example.com"}).pem());
  c.certificate("site", "a.example.com", "keyPairs: [{secret: pair}]");
  SECTION("https without certificate") {
    c.https("http2: false");
    CHECK(c.findings() == Findings{"GW1447 spec.listeners[0]"});
  }
  SECTION("http") {
    c.add("Gateway", "name: edge",
          "{nodes: {labels: {}}, listeners: [{name: http, address: 127.0.0.1, port: 80, protocol: http, certificates: [site], tls: {}, hsts: {maxAge: 1d}, httpsPort: 443}]}");
    CHECK(c.findings() == Findings{"GW1444 spec.listeners[0].certificates", "GW1444 spec.listeners[0].hsts", "GW1444 spec.listeners[0].httpsPort",
                                   "GW1444 spec.listeners[0].tls"});
  }
  SECTION("redirect of https") {
    c.https("certificates: [site], redirectToHttps: true");
    CHECK(c.findings() == Findings{"GW1444 spec.listeners[0].redirectToHttps"});
  }
  SECTION("two certificates for one host") {
    c.secret("pair2", c.ca.issue({"a.example.com"}).pem());
    c.secret("pair3", c.ca.issue({"a.example.com"}, test::KeyKind::kRsa).pem());
    c.certificate("other", "a.example.com", "keyPairs: [{secret: pair2}]");
    c.certificate("rsa", "a.example.com", "keyPairs: [{secret: pair3}]");
    c.https("certificates: [site, other, rsa, site]");
    CHECK(c.findings() == Findings{"GW1448 spec.listeners[0].certificates[1]", "GW1503 spec.listeners[0].certificates[3]"});
  }
}

TEST_CASE("clients' certificates are trusted by a Secret of CAs, with their lists of revoked ones") {
  Config c;
  c.secret("pair", c.ca.issue({"a.example.com"}).pem());
  c.secret("cas", c.ca.root());
  c.secret("lists", c.ca.crl({}));
  c.certificate("site", "a.example.com", "keyPairs: [{secret: pair}]");
  auto with = [&](const std::string& auth) {
    c.https("certificates: [site]", ", clientAuth: [" + auth + "]");
    return c.findings();
  };
  SECTION("all is there") {
    CHECK(with("{hosts: ['*'], mode: require, trust: {secret: cas}, crl: {secret: lists}}") == Findings{});
    Compiled done = c.compiled();
    CHECK(done.certificates.size() == 3);  // the Certificate, and two Secrets by themselves
    auto gateway = entry_of<v1::GatewayEntry>(done.config, v1::ENTRY_GATEWAY);
    REQUIRE(gateway.client_auth_size() == 1);
    CHECK(gateway.client_auth(0).trust() != 0);
    CHECK(gateway.client_auth(0).crl() != gateway.client_auth(0).trust());
    CHECK(gateway.client_auth(0).header() == "x-gw-client-certificate");
    CHECK(certificate_needs(done.config).begin()->second.entries.size() == 3);
  }
  SECTION("no trust") { CHECK(with("{hosts: ['*'], mode: request}") == Findings{"GW1449 spec.clientAuth[0].trust"}); }
  SECTION("trust with none") { CHECK(with("{hosts: ['*'], mode: none, trust: {secret: cas}}") == Findings{"GW1449 spec.clientAuth[0].mode"}); }
  SECTION("not CAs") { CHECK(with("{hosts: ['*'], mode: require, trust: {secret: pair}}") == Findings{"GW1451 spec.clientAuth[0].trust.secret"}); }
  SECTION("a CA without list") {
    c.secret("more", c.ca.root() + test::CertificateMaker(kNow, "Other").root());
    CHECK(with("{hosts: ['*'], mode: require, trust: {secret: more}, crl: {secret: lists}}") == Findings{"GW1452 spec.clientAuth[0].crl.secret"});
  }
}

TEST_CASE("TLS of an Upstream is checked, and its Secrets are needed where its Routes are served") {
  Config c;
  test::IssueOptions client;
  client.subject = "gw";
  client.server = false;
  client.client = true;
  c.secret("cas", c.ca.root());
  c.secret("client", c.ca.issue(client).pem());
  auto with = [&](const std::string& tls, const std::string& scheme = "https") {
    c.add("Upstream", "name: orders", "{targets: [{url: '" + scheme + "://orders.internal:8443'}], tls: {" + tls + "}}");
    return c.findings();
  };
  std::string pin = "'sha256/" + to_base64(std::string(32, 'x')) + "'";
  SECTION("all is there") {
    CHECK(with("ca: {secret: cas}, clientCertificate: {secret: client}, serverName: orders, pins: [" + pin + "], names: ['spiffe://acme/orders', a.b]") == Findings{});
    c.secret("pair", c.ca.issue({"a.example.com"}).pem());
    c.certificate("site", "a.example.com", "keyPairs: [{secret: pair}]");
    c.https("certificates: [site]");
    c.add("Api", "name: api", "{title: Api, version: '1', hosts: [a.example.com], basePath: /, auth: [anonymous]}");
    c.add("Route", "name: route", "{api: api, match: {path: {prefix: /}}, to: {upstream: orders}}");
    Compiled done = c.compiled();
    CHECK_FALSE(done.diagnostics.has_errors());
    auto upstream = entry_of<v1::UpstreamEntry>(done.config, v1::ENTRY_UPSTREAM);
    CHECK(upstream.tls().ca() != 0);
    CHECK(upstream.tls().client_certificate() != 0);
    CHECK(upstream.tls().min_tls() == "1.2");
    CHECK_FALSE(upstream.tls().unverified());
    CHECK(certificate_needs(done.config).begin()->second.entries.size() == 3);
  }
  SECTION("no https target") { CHECK(with("ca: {secret: cas}", "http") == Findings{"GW1450 spec.tls"}); }
  SECTION("unverified without a reason") { CHECK(with("verify: false") == Findings{"GW1453 spec.tls.reason"}); }
  SECTION("unverified with a CA") { CHECK(with("verify: false, reason: tests, ca: {secret: cas}") == Findings{"GW1450 spec.tls.verify"}); }
  SECTION("no pin") { CHECK(with("pins: [" + pin + ", 'sha256/abc']") == Findings{"GW1456 spec.tls.pins[1]"}); }
  SECTION("no name") { CHECK(with("names: ['a b']") == Findings{"GW1108 spec.tls.names[0]"}); }
  SECTION("minTls") { CHECK(with("minTls: '1.0'") == Findings{"GW1445 spec.tls.minTls"}); }
  SECTION("not CAs") { CHECK(with("ca: {secret: client}") == Findings{"GW1451 spec.tls.ca.secret"}); }
  SECTION("not a client's") {
    c.secret("server", c.ca.issue({"a"}).pem());
    CHECK(with("clientCertificate: {secret: server}") == Findings{"GW1451 spec.tls.clientCertificate.secret"});
  }
}

TEST_CASE("one identity is one App, found by a policy that finds identities") {
  Config c;
  c.add("Policy", "name: by-certificate", "{type: clientCertificate, config: {match: san}}");
  c.add("Policy", "name: by-key", "{type: apiKey, config: {in: header, name: x-key}}");
  c.add("Consumer", "name: acme", "{title: Acme}");
  auto app = [&](const std::string& name, const std::string& identities) { c.add("App", "name: " + name, "{consumer: acme, identities: [" + identities + "]}"); };
  SECTION("different ones") {
    app("one", "{policy: by-certificate, value: 'dns:one'}, {policy: by-certificate, value: 'dns:uno'}");
    app("two", "{policy: by-certificate, value: 'dns:two'}");
    CHECK(c.findings() == Findings{});
    Compiled done = c.compiled();
    CHECK(entry_of<v1::AppEntry>(done.directory, v1::ENTRY_APP).identities_size() >= 1);
  }
  SECTION("the same") {
    app("one", "{policy: by-certificate, value: 'dns:one'}");
    app("two", "{policy: by-certificate, value: 'dns:one'}");
    CHECK(c.findings() == Findings{"GW1455 spec.identities[0].value", "GW1455 spec.identities[0].value"});
  }
  SECTION("twice in one App") {
    app("one", "{policy: by-certificate, value: 'dns:one'}, {policy: by-certificate, value: 'dns:one'}");
    CHECK(c.findings() == Findings{"GW1455 spec.identities[1].value"});
  }
  SECTION("another type of policy") {
    app("one", "{policy: by-key, value: 'dns:one'}");
    CHECK(c.findings() == Findings{"GW1454 spec.identities[0].policy"});
  }
}

TEST_CASE("a new value makes anew what is made of it, and nothing of the configuration") {
  Config c;
  c.secret("pair", c.ca.issue({"a.example.com"}).pem());
  c.secret("cas", c.ca.root());
  c.certificate("site", "a.example.com", "keyPairs: [{secret: pair}]");
  c.https("certificates: [site]", ", clientAuth: [{hosts: ['*'], mode: request, trust: {secret: cas}}]");
  Compiler compiler;
  CompileOptions options;
  options.now_ms = kNow * 1000;
  std::vector<ObjectChange> changes;
  uint64_t uid = 0;
  for (const v1::Object& object : c.objects()) {
    auto copy = std::make_shared<v1::Object>(object);
    copy->set_uid(++uid);
    SecretPtr secret;
    if (copy->has_secret()) {
      secret = SecretValue::make(copy->secret().value(), 0, "test");
      copy->mutable_secret()->clear_value();
    }
    changes.push_back({key_of(*copy), nullptr, copy, secret});
  }
  CHECK(compiler.apply(changes, options).certificates.upserts.size() == 2);
  compiler.keep();
  ObjectKey key{v1::Object::kSecret, "platform", "pair"};
  auto change = [&](std::string value) {
    auto after = std::make_shared<v1::Object>(*compiler.catalog().find(key));
    return compiler.apply({{key, compiler.catalog().get(key), after, SecretValue::make(std::move(value), 0, "test")}}, options);
  };
  test::Issued next = c.ca.issue({"a.example.com"});
  Compilation rotated = change(next.pem());
  CHECK_FALSE(rotated.diagnostics.has_errors());
  CHECK(rotated.config.empty());
  CHECK(rotated.directory.empty());
  REQUIRE(rotated.certificates.upserts.size() == 1);
  CHECK(rotated.certificates.upserts[0]->bytes.find(next.key.substr(0, 100)) != std::string::npos);
  compiler.rollback();
  uint64_t secret_uid = compiler.catalog().find(key)->uid();
  CHECK(compiler.catalog().secret(secret_uid)->bytes != next.pem());

  Compilation refused = change(c.ca.issue({"b.example.com"}).pem());
  REQUIRE(refused.diagnostics.has_errors());
  CHECK(refused.diagnostics.items()[0].code() == "GW1441");

  Compilation gone = compiler.apply({{key, compiler.catalog().get(key), nullptr, nullptr}}, options);
  REQUIRE(gone.diagnostics.has_errors());
  CHECK(gone.diagnostics.items()[0].code() == "GW1201");
  CHECK(gone.diagnostics.items()[0].object() == "platform/site");
  CHECK(compiler.catalog().secret(secret_uid) != nullptr);
}

}  // namespace gw
