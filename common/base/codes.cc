// Every diagnostic code with what `gwctl explain GWnnnn` says of it. Ranges: 10xx reading YAML, 11xx values, 12xx
// references and ownership, 13xx claims and routes, 14xx policies and gateways, 15xx plans, products and subscriptions,
// 16xx sizes, 20xx warnings, 30xx nodes, 40xx control plane.
#include "common/base/diagnostic.h"

namespace gw {

const std::vector<CodeInfo>& all_codes() {
  static const std::vector<CodeInfo> codes = {
      {"GW1004", "unknown field", "The object has no field of this name. Field names are case-sensitive; `gwctl explain KIND.path` lists those that exist."},
  };
  return codes;
}

}  // namespace gw
