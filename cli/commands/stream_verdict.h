// What came of a change on a stream that nodes take at once: switches, endpoints.
#pragma once

#include <string>

#include "cli/output.h"
#include "cli/rollout_wait.h"

namespace gw::cli {

// A line for each node, and the sum.
std::string stream_verdict_text(const Verdict& verdict, const Paint& paint);

}  // namespace gw::cli
