// What apply, plan, diff, delete and undo have in common: showing changes, and waiting for the version they made.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "cli/rollout_wait.h"
#include "cli/session.h"

namespace gw::cli {

using Changes = google::protobuf::RepeatedPtrField<v1::Change>;

bool has_changes(const Changes& changes);
// One line for each object that changes, its fields and notes below each other, then `N unchanged`.
std::string changes_text(const Changes& changes, const Paint& paint);
// The same as + and - lines.
std::string diff_text(const Changes& changes, const Paint& paint);
// {"changes": […], "unchanged": N}: unchanged objects are only counted.
Json changes_json(const Changes& changes);
// plan/platform/free
std::vector<std::string> changed_names(const Changes& changes);

// Prints the answer to something that changes the configuration, and waits as `wait` says: data on stdout, how to undo
// it on stderr. The exit code.
absl::StatusOr<int> finish_change(Session& session, const v1::ApplyResponse& response, const WaitOptions& wait);

// Waits until the nodes have the directory version and says how far it came; never fails the command for it.
// True when every leased node has it.
bool wait_for_directory(Session& session, uint64_t directory_version);

}  // namespace gw::cli
