// Names that the format will have and this version does not: they are told apart from typing errors
// (GW1010, not GW1004). Internal to common/config. A name leaves this list when its field works: one that
// the .proto has already is hidden until then.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace gw {

struct FutureName {
  // Message ("GatewaySpec"), enum ("Protocol"), typed oneof ("PolicyConfig"), or "Object" for
  // kinds.
  std::string_view where;
  std::string_view name;  // as written in YAML
};

const std::vector<FutureName>& future_names();
bool is_future(std::string_view where, std::string_view name);

}  // namespace gw
