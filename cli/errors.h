// Exit codes of gwctl, and statuses that carry one. 1 is the negative answer to a question; from 2 on, the thing asked
// for was not done.
#pragma once

#include <string_view>

#include "absl/status/status.h"

namespace gw::cli {

enum class ExitCode : int {
  kDone = 0,
  kNo = 1,           // differs, has errors, the rollout ended badly, --expect not met
  kUsage = 2,        // or a file that cannot be opened
  kNotAllowed = 3,
  kNotFound = 4,
  kConflict = 5,     // changed meanwhile, belongs to another set or team, is held
  kUnreachable = 6,  // or the control plane failed by itself
  kTimeout = 7,
  kRefused = 8,      // read and refused: malformed, invalid, lacking a capability
  kInterrupted = 130,
};

// A failure that gwctl found by itself.
absl::Status failure(ExitCode code, std::string_view message);
absl::Status usage_error(std::string_view message);

// The exit code of a failure: its own, or what the server's status code means.
ExitCode exit_code_of(const absl::Status& status);

}  // namespace gw::cli
