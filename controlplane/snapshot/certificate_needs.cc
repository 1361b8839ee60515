#include "controlplane/snapshot/certificate_needs.h"

#include <algorithm>

namespace gw {
namespace {

bool is_needed_kind(v1::EntryKind kind) { return kind == v1::ENTRY_CERTIFICATE || kind == v1::ENTRY_SECRET; }

std::set<EntryKey> needed_by(const EntryData& entry) {
  std::set<EntryKey> out;
  for (const EntryKey& key : entry.references) {
    if (is_needed_kind(key.kind)) out.insert(key);
  }
  return out;
}

}  // namespace

CertificateNeeds certificate_needs(const EntryTable& config) {
  std::map<EntryKey, std::set<EntryKey>> gateways, upstreams;
  std::map<EntryKey, std::vector<EntryKey>> gateways_of_api;
  for (const auto& [key, entry] : config) {
    if (key.kind == v1::ENTRY_UPSTREAM) {
      if (auto needed = needed_by(*entry); !needed.empty()) upstreams[key] = std::move(needed);
    } else if (key.kind == v1::ENTRY_GATEWAY) {
      gateways[key] = needed_by(*entry);
    }
  }
  if (!upstreams.empty()) {
    for (const auto& [key, entry] : config) {  // Apis come before Routes
      if (key.kind == v1::ENTRY_API) {
        for (const EntryKey& r : entry->references) {
          if (r.kind == v1::ENTRY_GATEWAY) gateways_of_api[key].push_back(r);
        }
      } else if (key.kind == v1::ENTRY_ROUTE) {
        for (const EntryKey& upstream : entry->references) {
          auto needed = upstreams.find(upstream);
          if (needed == upstreams.end()) continue;
          for (const EntryKey& api : entry->references) {
            if (api.kind != v1::ENTRY_API) continue;
            for (const EntryKey& gateway : gateways_of_api[api]) gateways[gateway].insert(needed->second.begin(), needed->second.end());
          }
        }
      }
    }
  }
  CertificateNeeds out;
  for (auto& [key, needed] : gateways) {
    auto at = config.find(key);
    v1::GatewayEntry entry;
    if (needed.empty() || at == config.end() || !entry.ParseFromString(at->second->bytes)) continue;
    GatewayNeeds& needs = out[key];
    needs.entries = std::move(needed);
    for (const v1::Pair& label : entry.node_labels()) needs.labels[label.name()] = label.value();
  }
  return out;
}

void add_needed(const CertificateNeeds& needs, const std::map<std::string, std::string>& labels, std::set<EntryKey>& out) {
  for (const auto& [gateway, need] : needs) {
    bool runs = std::all_of(need.labels.begin(), need.labels.end(), [&](const auto& want) {
      auto have = labels.find(want.first);
      return have != labels.end() && have->second == want.second;
    });
    if (runs) out.insert(need.entries.begin(), need.entries.end());
  }
}

}  // namespace gw
