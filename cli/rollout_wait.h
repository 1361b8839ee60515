// Waiting for a version: follows WatchRollout (over a restart of the control plane too, and on to the version that
// superseded it), and the verdict per node.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "cli/session.h"

namespace gw::cli {

// How many nodes must have it: a number, or a percentage of those that count.
struct Quorum {
  int64_t number = 0;
  bool percent = false;
};
absl::StatusOr<Quorum> parse_quorum(std::string_view text);

struct WaitOptions {
  bool no_wait = false;
  std::string until = "active";  // active, persisted, drained
  std::string quorum;            // empty: every node
};

// What the flags say can be done; exit code 2 else. To be called before anything is sent.
absl::Status check_wait_options(const WaitOptions& options);

struct Verdict {
  v1::RolloutStatus status;  // the last one seen
  uint64_t asked = 0;        // version that was asked for; status.version may be the one that superseded it
  bool timed_out = false;
  bool lost_server = false;  // the control plane went away and did not come back in time
  int exit_code = 0;
};

// REQUIRES: check_wait_options. Fails only where waiting could not begin (not allowed, no such version).
// `switches`, `endpoints` or `certificates` (without `config`): the status tells how far each node is with that stream.
struct RolloutVersions {
  uint64_t config = 0, directory = 0, switches = 0, endpoints = 0, certificates = 0;
};
absl::StatusOr<Verdict> wait_for_rollout(Session& session, const RolloutVersions& versions, const WaitOptions& options);

// Exit code for a last status: 0, 1 (refused, no nodes), 7 (not there yet, or a node is lost and no quorum was given).
int exit_code_for(const v1::RolloutStatus& status, v1::WatchRolloutRequest::Until until, const Quorum* quorum);

// The lines of the verdict:
//   version 142 offered   built 4/4   activated   az-a 2/2  az-b 2/2   active in 0.4 s
// and one line for every node that refused, is lost, or is behind.
std::string verdict_text(const Verdict& verdict, const Paint& paint);
Json verdict_json(const Verdict& verdict);

}  // namespace gw::cli
