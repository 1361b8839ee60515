// What is shown of Certificates and Secrets. Pure.
#pragma once

#include <vector>

#include "controlplane/push/rollouts.h"
#include "controlplane/snapshot/catalog.h"
#include "gw/v1/admin.pb.h"

namespace gw {

// One line for each key pair, with what is wrong or soon will be. `full`: keys and signatures are looked at again, too.
std::vector<v1::CertificateInfo> certificate_infos(const Catalog& now, const v1::Object& certificate, int64_t now_ms, bool full);
// Facts of a Secret or Certificate, for describe.
void add_certificate_facts(const Catalog& now, const v1::Object& object, v1::ObjectView& view);
v1::CertificateInfo info_of(const CertificateFacts& leaf, size_t chain);

}  // namespace gw
