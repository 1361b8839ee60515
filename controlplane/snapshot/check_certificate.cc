// Certificates, the Secrets that they are made of, and who Apps are by certificate.
#include <ctime>
#include <map>

#include "common/base/status.h"
#include "common/crypto/base64.h"
#include "controlplane/snapshot/check.h"

namespace gw {

std::string date_text(int64_t unix_seconds) {
  std::time_t seconds = unix_seconds;
  std::tm utc{};
  gmtime_r(&seconds, &utc);
  char text[32];
  return std::string(text, std::strftime(text, sizeof text, "%Y-%m-%d %H:%M UTC", &utc));
}

std::string_view key_kind_text(CertificateFacts::Key key) {
  return key == CertificateFacts::Key::kEcdsa ? "ECDSA" : key == CertificateFacts::Key::kRsa ? "RSA" : "another kind";
}

bool check_min_tls(const CheckContext& c, const ObjectLabel& label, const std::string& path, const std::string& value) {
  if (value.empty() || value == "1.2" || value == "1.3") return true;
  c.out.error("GW1445", label, path, "\"" + value + "\" is not a version of TLS that is spoken").set_cure("write \"1.2\" or \"1.3\"");
  return false;
}

SecretPtr secret_of(const CheckContext& c, const v1::Object& user, const std::string& path, const std::string& name) {
  const v1::Object* object = c.catalog.referenced(user, v1::Object::kSecret, name);
  if (!object) return nullptr;  // said elsewhere
  SecretPtr value = c.catalog.secret(object->uid());
  if (!value) {
    c.out.warning("GW2008", key_of(user).label(), path, key_of(*object).text() + " has no value in these files; it is not checked");
  }
  return value;
}

void check_dates(const ObjectLabel& label, const std::string& path, const KeyPairFacts& pair, int64_t now_s, DiagnosticList& out) {
  for (const CertificateFacts& one : pair.chain) {
    bool leaf = &one == &pair.chain.front();
    std::string what = leaf ? "the certificate" : one.subject + " of its chain";
    if (one.self_signed && !leaf) continue;  // clients have their own copy
    if (one.not_after <= now_s) {
      out.error("GW1442", label, path, what + " ended on " + date_text(one.not_after)).set_cure("renew it, then `gwctl cert rotate`");
    } else if (one.not_before > now_s) {
      out.error("GW1442", label, path, what + " begins on " + date_text(one.not_before)).set_cure("wait until then, or set the clock of whoever issues it");
    } else if (one.not_after - now_s < kEndsSoonS) {
      out.warning("GW2030", label, path, what + " ends on " + date_text(one.not_after)).set_cure("renew it, then `gwctl cert rotate`");
    }
  }
}

void check_hosts(const ObjectLabel& label, const std::string& secret, const NameList& hosts, const CertificateFacts& leaf, DiagnosticList& out) {
  for (int i = 0; i < hosts.size(); ++i) {
    if (hosts[i] == "*" || covers(leaf, hosts[i])) continue;
    std::string names;
    for (const std::string& name : leaf.dns) names += (names.empty() ? "" : ", ") + name;
    out.error("GW1441", label, secret.empty() ? "" : "spec.hosts[" + std::to_string(i) + "]",
              hosts[i] + " is not covered by the certificate" + (secret.empty() ? "" : " in Secret " + secret) +
                  (names.empty() ? ", which has no names (subjectAltName)" : ", which is for " + names))
        .set_cure("take the host out, or use a certificate that has it");
  }
}

namespace {

void check_ocsp(const CheckContext& c, const v1::Object& object, const std::string& path, const std::string& name, const CertificateFacts& leaf) {
  SecretPtr secret = secret_of(c, object, path, name);
  if (!secret) return;
  ObjectLabel label = key_of(object).label();
  std::optional<std::string> der = from_base64(secret->bytes);
  absl::StatusOr<OcspFacts> facts = der ? parse_ocsp(*der) : absl::StatusOr<OcspFacts>(invalid_argument("it is not base64"));
  if (!facts.ok()) {
    c.out.error("GW1446", label, path, "Secret " + name + ": " + message_of(facts.status()))
        .set_cure("store the base64 of the DER response that the CA gave");
  } else if (facts->serial != leaf.serial) {
    c.out.error("GW1446", label, path, "Secret " + name + " speaks of serial " + facts->serial + ", the leaf has " + leaf.serial)
        .set_cure("ask the CA for a response for this certificate");
  } else if (!facts->good) {
    c.out.error("GW1446", label, path, "the response says that the certificate is not good").set_cure("get another certificate");
  } else if (facts->next_update != 0 && facts->next_update * 1000 <= c.options.now_ms) {
    c.out.warning("GW2031", label, path, "the response was good until " + date_text(facts->next_update)).set_cure("store a new one");
  }
}

}  // namespace

void check_certificate(const CheckContext& c, const v1::Object& object) {
  const v1::CertificateSpec& spec = object.certificate();
  ObjectLabel label = key_of(object).label();
  check_min_tls(c, label, "spec.minTls", spec.min_tls());
  for (int i = 0; i < spec.hosts_size(); ++i) {
    if (spec.hosts(i) != "*") continue;
    c.out.error("GW1441", label, "spec.hosts[" + std::to_string(i) + "]", "no certificate is for every host")
        .set_cure("name the hosts; a listener's `defaultCertificate` is shown to all others");
  }
  std::map<CertificateFacts::Key, int> kinds;
  for (int i = 0; i < spec.key_pairs_size(); ++i) {
    std::string path = "spec.keyPairs[" + std::to_string(i) + "].secret";
    const std::string& name = spec.key_pairs(i).secret();
    SecretPtr secret = secret_of(c, object, path, name);
    if (!secret) continue;
    absl::StatusOr<KeyPairFacts> pair = parse_key_pair(secret->bytes);
    if (!pair.ok()) {
      c.out.error("GW1440", label, path, "Secret " + name + ": " + message_of(pair.status()))
          .set_cure("store the chain, leaf first, and its private key as PEM: `gwctl secret set`");
      continue;
    }
    if (!pair->leaf().server) {
      c.out.error("GW1440", label, path, "Secret " + name + ": the certificate's key usage does not allow it for servers").set_cure("ask the CA for a server's certificate");
    }
    check_dates(label, path, *pair, c.options.now_ms / 1000, c.out);
    check_hosts(label, name, spec.hosts(), pair->leaf(), c.out);
    auto [at, fresh] = kinds.try_emplace(pair->leaf().key, i);
    if (!fresh) {
      c.out.error("GW1443", label, path, "its key is " + std::string(key_kind_text(pair->leaf().key)) + ", as that of keyPairs[" + std::to_string(at->second) + "] is")
          .set_cure("leave one out, or use keys of different kinds");
    }
    if (!spec.key_pairs(i).ocsp().empty()) check_ocsp(c, object, "spec.keyPairs[" + std::to_string(i) + "].ocsp", spec.key_pairs(i).ocsp(), pair->leaf());
  }
}

void check_identities(const CheckContext& c, const v1::Object& object) {
  ObjectLabel label = key_of(object).label();
  const auto& identities = object.app().identities();
  for (int i = 0; i < identities.size(); ++i) {
    std::string path = "spec.identities[" + std::to_string(i) + "]";
    const v1::Object* policy = c.catalog.referenced(object, v1::Object::kPolicy, identities[i].policy());
    if (!policy) continue;
    if (!policy->policy().config().has_client_certificate()) {
      c.out.error("GW1454", label, path + ".policy", key_of(*policy).full_name() + " does not find callers by what they are")
          .set_cure("name a policy of type clientCertificate");
      continue;
    }
    for (const ObjectKey& key : c.catalog.apps_identified_by(identities[i].value())) {
      const v1::Object* app = c.catalog.find(key);
      if (!app) continue;
      for (int j = 0; j < app->app().identities_size(); ++j) {
        const v1::AppIdentity& other = app->app().identities(j);
        bool same = other.value() == identities[i].value() && c.catalog.referenced(*app, v1::Object::kPolicy, other.policy()) == policy;
        if (!same || (app == &object && j >= i)) continue;
        Diagnostic& d = c.out.error("GW1455", label, path + ".value",
                                    app == &object ? identities[i].value() + " is there twice" : identities[i].value() + " is " + key.text() + " already");
        d.set_cure("one identity is one App");
        d.add_related(key.full_name());
        break;
      }
    }
  }
}

}  // namespace gw
