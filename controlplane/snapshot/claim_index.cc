#include "controlplane/snapshot/claim_index.h"

#include <algorithm>
#include <set>

#include "dataplane/routing/claim.h"

namespace gw {
namespace {

// Patterns that cover an exact host: itself, its wildcards, `*`.
std::vector<std::string> covering_patterns(const std::string& host) {
  std::vector<std::string> out = {host, "*"};
  for (size_t dot = host.find('.'); dot != std::string::npos; dot = host.find('.', dot + 1)) out.push_back("*" + host.substr(dot));
  return out;
}

}  // namespace

void ClaimIndex::add(const v1::Object& object) {
  if (!object.has_api()) return;
  std::string base = normal_base(object.api().base_path());
  for (int i = 0; i < object.api().hosts_size(); ++i) by_host_[object.api().hosts(i)].push_back({&object, i, base});
}

void ClaimIndex::remove(const v1::Object& object) {
  if (!object.has_api()) return;
  for (const std::string& host : object.api().hosts()) {
    auto at = by_host_.find(host);
    if (at == by_host_.end()) continue;
    std::erase_if(at->second, [&](const HeldClaim& claim) { return claim.api == &object; });
    if (at->second.empty()) by_host_.erase(at);
  }
}

std::vector<HeldClaim> ClaimIndex::meeting(const v1::Object& api) const {
  std::set<const std::vector<HeldClaim>*> lists;
  for (const std::string& host : api.api().hosts()) {
    if (host[0] != '*') {
      for (const std::string& pattern : covering_patterns(host)) {
        if (auto at = by_host_.find(pattern); at != by_host_.end()) lists.insert(&at->second);
      }
      continue;
    }
    for (const auto& [pattern, list] : by_host_) {
      if (host_patterns_meet(host, pattern)) lists.insert(&list);
    }
  }
  std::string own = normal_base(api.api().base_path());
  std::vector<HeldClaim> out;
  for (const auto* list : lists) {
    for (const HeldClaim& claim : *list) {
      if (path_covers(own, claim.base) || path_covers(claim.base, own)) out.push_back(claim);
    }
  }
  // Findings come in the same order whatever the addresses are.
  std::sort(out.begin(), out.end(), [](const HeldClaim& a, const HeldClaim& b) {
    auto key = [](const HeldClaim& h) { return std::make_pair(key_of(*h.api), h.host_index); };
    return key(a) < key(b);
  });
  return out;
}

}  // namespace gw
