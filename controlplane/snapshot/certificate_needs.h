// Which Gateways need which entries of the certificates stream: their listeners' Certificates, the Secrets of their `clientAuth`,
// and those of the Upstreams that their Routes lead to. A node holds what the Gateways that it runs need, and nothing more. Pure.
#pragma once

#include <map>
#include <set>
#include <string>

#include "controlplane/snapshot/publication.h"

namespace gw {

struct GatewayNeeds {
  std::map<std::string, std::string> labels;  // that a node must have to run the Gateway
  std::set<EntryKey> entries;                 // not empty
  friend bool operator==(const GatewayNeeds&, const GatewayNeeds&) = default;
};
// By Gateway; those without needs are left out.
using CertificateNeeds = std::map<EntryKey, GatewayNeeds>;

CertificateNeeds certificate_needs(const EntryTable& config);
// Of a node with these labels.
void add_needed(const CertificateNeeds& needs, const std::map<std::string, std::string>& labels, std::set<EntryKey>& out);

}  // namespace gw
