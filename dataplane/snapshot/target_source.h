// One target as the configuration or the endpoints stream writes it. Internal to dataplane/snapshot.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "dataplane/snapshot/config.h"

namespace gw {

struct TargetProblem {
  std::string_view field;  // url, weight, priority
  std::string what;
  std::string_view code;
};

// Nothing: `out` is it.
std::optional<TargetProblem> read_target(const v1::Target& in, UpstreamTarget& out);

}  // namespace gw
