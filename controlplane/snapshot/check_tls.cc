// TLS settings of Gateways and Upstreams.
#include <algorithm>
#include <map>

#include "common/base/status.h"
#include "common/crypto/base64.h"
#include "controlplane/snapshot/check.h"

namespace gw {
namespace {

using v1::Listener;

std::string item(const std::string& path, int i) { return path + "[" + std::to_string(i) + "]"; }

// Fields that mean nothing with the other protocol would be taken for protection that is not there.
void check_protocol(const CheckContext& c, const ObjectLabel& label, const std::string& path, const Listener& listener) {
  bool https = listener.protocol() == Listener::PROTOCOL_HTTPS;
  auto only = [&](bool written, const char* field, const char* protocol) {
    if (!written) return;
    c.out.error("GW1444", label, path + "." + field, "it belongs to `protocol: " + std::string(protocol) + "`").set_cure("leave it out, or change the protocol");
  };
  only(!https && listener.certificates_size() > 0, "certificates", "https");
  only(!https && !listener.default_certificate().empty(), "defaultCertificate", "https");
  only(!https && listener.has_tls(), "tls", "https");
  only(!https && listener.has_hsts(), "hsts", "https");
  only(https && listener.redirect_to_https(), "redirectToHttps", "http");
  only(https && listener.https_port() != 0, "httpsPort", "http");
  if (!https && listener.https_port() != 0 && !listener.redirect_to_https()) {
    c.out.error("GW1444", label, path + ".httpsPort", "it is the port of `redirectToHttps: true`").set_cure("set redirectToHttps too, or leave it out");
  }
  if (listener.tls().early_data() && listener.tls().has_session_tickets() && !listener.tls().session_tickets()) {
    c.out.error("GW1444", label, path + ".tls.earlyData", "early data comes with resumed sessions, and `sessionTickets: false` allows none").set_cure("leave one of the two out");
  }
  if (https && listener.certificates_size() == 0 && listener.default_certificate().empty()) {
    c.out.error("GW1447", label, path, "`protocol: https` without a certificate: no handshake could succeed").set_cure("name Certificates in `certificates`");
  }
}

// Kinds of key that a Certificate has, by its Secrets.
std::vector<CertificateFacts::Key> key_kinds(const Catalog& catalog, const v1::Object& certificate) {
  std::vector<CertificateFacts::Key> out;
  for (const v1::KeyPair& pair : certificate.certificate().key_pairs()) {
    const v1::Object* object = catalog.referenced(certificate, v1::Object::kSecret, pair.secret());
    SecretPtr secret = object ? catalog.secret(object->uid()) : nullptr;
    if (secret && secret->chain.ok()) out.push_back(secret->chain->leaf().key);
  }
  return out;
}

void check_listener_certificates(const CheckContext& c, const v1::Object& gateway, const std::string& path, const Listener& listener) {
  ObjectLabel label = key_of(gateway).label();
  std::map<std::pair<std::string, CertificateFacts::Key>, const v1::Object*> shown;
  std::map<const v1::Object*, int> seen;
  for (int i = 0; i < listener.certificates_size(); ++i) {
    const v1::Object* certificate = c.catalog.referenced(gateway, v1::Object::kCertificate, listener.certificates(i));
    if (!certificate) continue;
    std::string here = item(path + ".certificates", i);
    if (!seen.emplace(certificate, i).second) {
      c.out.error("GW1503", label, here, key_of(*certificate).full_name() + " is there twice").set_cure("leave one out");
      continue;
    }
    for (CertificateFacts::Key kind : key_kinds(c.catalog, *certificate)) {
      for (const std::string& host : certificate->certificate().hosts()) {
        auto [at, fresh] = shown.try_emplace({host, kind}, certificate);
        if (fresh || at->second == certificate) continue;
        Diagnostic& d = c.out.error("GW1448", label, here, key_of(*certificate).full_name() + " and " + key_of(*at->second).full_name() +
                                                               " are both for " + host + ", with keys of one kind (" + std::string(key_kind_text(kind)) + ")");
        d.set_cure("leave the host to one of them");
        d.add_related(key_of(*at->second).full_name());
      }
    }
  }
}

// A Secret with CA certificates.
SecretPtr check_bundle(const CheckContext& c, const v1::Object& user, const std::string& path, const std::string& name) {
  SecretPtr secret = secret_of(c, user, path, name);
  if (!secret) return nullptr;
  auto bundle = parse_ca_bundle(secret->bytes);
  if (!bundle.ok()) {
    c.out.error("GW1451", key_of(user).label(), path, "Secret " + name + ": " + message_of(bundle.status())).set_cure("store CA certificates as PEM: `gwctl secret set`");
    return nullptr;
  }
  int64_t now_s = c.options.now_ms / 1000;
  for (const CertificateFacts& ca : *bundle) {
    if (ca.not_after > now_s + kEndsSoonS) continue;
    c.out.warning("GW2030", key_of(user).label(), path, "CA " + ca.subject + (ca.not_after <= now_s ? " ended on " : " ends on ") + date_text(ca.not_after));
  }
  return secret;
}

void check_client_auth(const CheckContext& c, const v1::Object& gateway, int i) {
  const v1::ClientAuth& auth = gateway.gateway().client_auth(i);
  ObjectLabel label = key_of(gateway).label();
  std::string path = item("spec.clientAuth", i);
  bool none = auth.mode() == v1::ClientAuth::MODE_NONE;
  if (none && (auth.has_trust() || auth.has_crl())) {
    c.out.error("GW1449", label, path + ".mode", "`mode: none` asks for no certificate, so that nothing is checked with `trust` or `crl`")
        .set_cure("leave them out, or say `request` or `require`");
    return;
  }
  if (!none && !auth.has_trust()) {
    c.out.error("GW1449", label, path + ".trust", "nobody's certificates could be told from anybody's").set_cure("name the Secret with the CAs: `trust: {secret: NAME}`");
    return;
  }
  if (none) return;
  SecretPtr trust = check_bundle(c, gateway, path + ".trust.secret", auth.trust().secret());
  if (!auth.has_crl()) return;
  SecretPtr crl = secret_of(c, gateway, path + ".crl.secret", auth.crl().secret());
  if (!trust || !crl) return;
  absl::Status status = check_crls(trust->bytes, crl->bytes, c.options.now_ms / 1000);
  if (!status.ok()) {
    c.out.error("GW1452", label, path + ".crl.secret", "Secret " + auth.crl().secret() + ": " + message_of(status))
        .set_cure("store the current list of every CA in `trust`, as PEM");
  }
}

bool is_pin(const std::string& text) {
  constexpr std::string_view kPrefix = "sha256/";
  if (!text.starts_with(kPrefix)) return false;
  std::optional<std::string> hash = from_base64(std::string_view(text).substr(kPrefix.size()));
  return hash && hash->size() == 32;
}

void check_client_pair(const CheckContext& c, const v1::Object& upstream, const std::string& name) {
  std::string path = "spec.tls.clientCertificate.secret";
  SecretPtr secret = secret_of(c, upstream, path, name);
  if (!secret) return;
  ObjectLabel label = key_of(upstream).label();
  auto pair = parse_key_pair(secret->bytes);
  if (!pair.ok()) {
    c.out.error("GW1451", label, path, "Secret " + name + ": " + message_of(pair.status())).set_cure("store the chain, leaf first, and its private key as PEM");
  } else if (!pair->leaf().client) {
    c.out.error("GW1451", label, path, "Secret " + name + ": the certificate's key usage does not allow it for clients").set_cure("ask the CA for a client's certificate");
  } else {
    check_dates(label, path, *pair, c.options.now_ms / 1000, c.out);
  }
}

}  // namespace

void check_gateway_tls(const CheckContext& c, const v1::Object& gateway) {
  const v1::GatewaySpec& spec = gateway.gateway();
  for (int i = 0; i < spec.listeners_size(); ++i) {
    std::string path = item("spec.listeners", i);
    check_protocol(c, key_of(gateway).label(), path, spec.listeners(i));
    check_listener_certificates(c, gateway, path, spec.listeners(i));
  }
  for (int i = 0; i < spec.client_auth_size(); ++i) check_client_auth(c, gateway, i);
}

void check_upstream_tls(const CheckContext& c, const v1::Object& upstream) {
  if (!upstream.upstream().has_tls()) return;
  const v1::UpstreamTls& tls = upstream.upstream().tls();
  ObjectLabel label = key_of(upstream).label();
  const auto& targets = upstream.upstream().targets();
  bool https = std::any_of(targets.begin(), targets.end(), [](const v1::Target& t) { return t.url().starts_with("https://"); });
  if (!https && !targets.empty() && !upstream.upstream().has_discovery()) {
    c.out.error("GW1450", label, "spec.tls", "no target is https://, so that nothing would be encrypted").set_cure("write https:// in the targets, or leave `tls` out");
  }
  check_min_tls(c, label, "spec.tls.minTls", tls.min_tls());
  bool unverified = tls.has_verify() && !tls.verify();
  if (unverified && tls.reason().empty()) {
    c.out.error("GW1453", label, "spec.tls.reason", "`verify: false` believes whoever answers").set_cure("say why in `reason`, or give the `ca` of the targets");
  }
  if (unverified && (tls.has_ca() || tls.names_size() > 0 || tls.pins_size() > 0)) {
    c.out.error("GW1450", label, "spec.tls.verify", "`verify: false` looks at neither `ca`, `names` nor `pins`").set_cure("leave out the one or the others");
  }
  for (int i = 0; i < tls.pins_size(); ++i) {
    if (is_pin(tls.pins(i))) continue;
    c.out.error("GW1456", label, item("spec.tls.pins", i), "a pin is `sha256/` and the base64 of 32 bytes")
        .set_cure("openssl x509 -pubkey -noout | openssl pkey -pubin -outform der | openssl dgst -sha256 -binary | base64");
  }
  for (int i = 0; i < tls.names_size(); ++i) {
    const std::string& name = tls.names(i);
    bool good = !name.empty() && name.size() <= 2048 && std::all_of(name.begin(), name.end(), [](unsigned char ch) { return ch > 0x20 && ch < 0x7f; });
    if (good && (name.find("://") != std::string::npos || name.find_first_of("/:@") == std::string::npos)) continue;
    c.out.error("GW1108", label, item("spec.tls.names", i), "a name is a host, or a URI such as spiffe://acme.example/orders").set_cure("write the name as it stands in the certificate");
  }
  if (tls.has_ca()) check_bundle(c, upstream, "spec.tls.ca.secret", tls.ca().secret());
  if (tls.has_client_certificate()) check_client_pair(c, upstream, tls.client_certificate().secret());
}

}  // namespace gw
