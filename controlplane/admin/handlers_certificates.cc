// Certificates and the master key.
#include <algorithm>

#include "common/base/status.h"
#include "controlplane/admin/admin_handlers.h"
#include "controlplane/admin/certificate_views.h"
#include "controlplane/snapshot/check.h"
#include "controlplane/snapshot/emit.h"

namespace gw {

absl::StatusOr<v1::ListCertificatesResponse> AdminHandlers::list_certificates(const v1::ListCertificatesRequest& request) {
  v1::ListCertificatesResponse out;
  out.set_certificates_version(parts_.engine->certificates_version());
  std::vector<std::pair<EntryKey, v1::CertificateInfo>> infos;
  absl::Status status;
  parts_.engine->read([&](const Catalog& now) {
    auto add = [&](const v1::Object& certificate) {
      for (v1::CertificateInfo& info : certificate_infos(now, certificate, parts_.engine->now_ms(), true)) {
        infos.emplace_back(entry_key(certificate), std::move(info));
      }
    };
    if (request.certificate().empty()) return now.for_each(v1::Object::kCertificate, add);
    uint64_t uid = 0;
    auto key = find_object(now, v1::Object::kCertificate, request.certificate(), uid);
    status = key.status();
    if (key.ok()) add(*now.find(*key));
  });
  GW_RETURN_IF_ERROR(status);
  std::vector<CertificateHolder> holders = parts_.nodes->certificate_holders();
  for (auto& [key, info] : infos) {
    uint64_t changed_in = parts_.engine->certificate_changed_in(key);
    for (const CertificateHolder& holder : holders) {
      if (!holder.entries.contains(key)) continue;
      (holder.applied >= changed_in ? info.add_serving() : info.add_waiting())->assign(holder.node);
    }
    *out.add_certificates() = std::move(info);
  }
  return out;
}

void AdminHandlers::add_serving_facts(v1::ObjectView& view) const {
  if (!view.object().has_certificate()) return;
  EntryKey key = entry_key(view.object());
  uint64_t changed_in = parts_.engine->certificate_changed_in(key);
  for (const CertificateHolder& holder : parts_.nodes->certificate_holders()) {
    if (!holder.entries.contains(key)) continue;
    v1::Pair& fact = *view.add_facts();
    fact.set_name(holder.applied >= changed_in ? "served by" : "not yet served by");
    fact.set_value("node " + holder.node);
  }
}

void AdminHandlers::add_ending(v1::StatusResponse& out) const {
  std::vector<v1::CertificateInfo> ending;
  int64_t now_s = parts_.engine->now_s();
  parts_.engine->read([&](const Catalog& now) {
    now.for_each(v1::Object::kCertificate, [&](const v1::Object& certificate) {
      for (v1::CertificateInfo& info : certificate_infos(now, certificate, now_s * 1000, false)) {
        if (info.not_after() != 0 && info.not_after() - now_s < kEndsSoonS) ending.push_back(std::move(info));
      }
    });
  });
  std::sort(ending.begin(), ending.end(), [](const auto& a, const auto& b) { return a.not_after() < b.not_after(); });
  for (v1::CertificateInfo& info : ending) *out.add_ending() = std::move(info);
}

absl::StatusOr<v1::RotateMasterResponse> AdminHandlers::rotate_master(const Caller& caller) {
  GW_RETURN_IF_ERROR(must_be_admin(caller, "changing the master key"));
  v1::RotateMasterResponse out;
  GW_ASSIGN_OR_RETURN(int secrets, parts_.engine->rotate_master(caller.actor()));
  out.set_secrets(secrets);
  out.set_key_id(parts_.engine->master_key_id());
  return out;
}

}  // namespace gw
