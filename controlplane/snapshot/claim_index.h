// Claims by host, so that the few that meet an Api's are found among thousands. Part of the Catalog.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "controlplane/snapshot/object_key.h"

namespace gw {

struct HeldClaim {
  const v1::Object* api = nullptr;
  int host_index = 0;
  std::string base;  // normal form
  const std::string& host() const { return api->api().hosts(host_index); }
};

class ClaimIndex {
 public:
  // Objects of other kinds are passed over.
  void add(const v1::Object& object);
  void remove(const v1::Object& object);
  // Every claim that meets one of `api`'s, its own among them.
  std::vector<HeldClaim> meeting(const v1::Object& api) const;

 private:
  std::map<std::string, std::vector<HeldClaim>> by_host_;
};

}  // namespace gw
