#include "controlplane/admin/certificate_views.h"

#include "controlplane/snapshot/check.h"

namespace gw {
namespace {

void add_fact(v1::ObjectView& view, const char* name, std::string value) {
  v1::Pair& fact = *view.add_facts();
  fact.set_name(name);
  fact.set_value(std::move(value));
}

}  // namespace

v1::CertificateInfo info_of(const CertificateFacts& leaf, size_t chain) {
  v1::CertificateInfo out;
  for (const std::string& name : leaf.dns) out.add_names(name);
  for (const std::string& name : leaf.ip) out.add_names(name);
  out.set_serial(leaf.serial);
  out.set_key(leaf.key_text);
  out.set_issuer(leaf.issuer);
  out.set_not_before(leaf.not_before);
  out.set_not_after(leaf.not_after);
  out.set_sha256(leaf.sha256);
  out.set_chain(static_cast<int>(chain));
  return out;
}

std::vector<v1::CertificateInfo> certificate_infos(const Catalog& now, const v1::Object& certificate, int64_t now_ms, bool full) {
  DiagnosticList found;
  if (full) {
    CompileOptions options;
    options.now_ms = now_ms;
    MatchCache matches;
    check_certificate({now, options, {}, matches, found}, certificate);
  }
  std::vector<v1::CertificateInfo> out;
  for (const v1::KeyPair& pair : certificate.certificate().key_pairs()) {
    const v1::Object* object = now.referenced(certificate, v1::Object::kSecret, pair.secret());
    SecretPtr secret = object ? now.secret(object->uid()) : nullptr;
    v1::CertificateInfo info;
    if (secret && secret->chain.ok()) {
      info = info_of(secret->chain->leaf(), secret->chain->chain.size());
      if (!full) {
        check_dates(key_of(certificate).label(), "spec.keyPairs[" + std::to_string(out.size()) + "].secret", *secret->chain, now_ms / 1000, found);
      }
    }
    info.set_certificate(key_of(certificate).full_name());
    info.set_secret(object ? key_of(*object).full_name() : pair.secret());
    *info.mutable_hosts() = certificate.certificate().hosts();
    out.push_back(std::move(info));
  }
  for (const Diagnostic& d : found.items()) {
    size_t pair = 0;
    for (size_t i = 0; i < out.size(); ++i) {
      if (d.path().starts_with("spec.keyPairs[" + std::to_string(i) + "]")) pair = i;
    }
    if (pair < out.size()) *out[pair].add_diagnostics() = d;
  }
  return out;
}

void add_certificate_facts(const Catalog& now, const v1::Object& object, v1::ObjectView& view) {
  if (object.has_secret()) {
    SecretPtr value = now.secret(object.uid());
    if (!value) return;
    add_fact(view, "value", "(set) " + value->summary());
    add_fact(view, "changed", date_text(value->changed_at_ms / 1000) + " by " + value->changed_by);
    if (!value->chain.ok()) return;
    for (const CertificateFacts& one : value->chain->chain) {
      add_fact(view, "certificate", one.subject + ", serial " + one.serial + ", " + one.key_text + ", until " + date_text(one.not_after));
    }
  } else if (object.has_certificate()) {
    for (const v1::CertificateInfo& info : certificate_infos(now, object, 0, false)) {
      add_fact(view, "key pair", info.secret() + ": " + info.key() + ", serial " + info.serial() + ", issued by " + info.issuer() + ", until " + date_text(info.not_after()));
    }
  }
}

}  // namespace gw
