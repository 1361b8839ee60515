// The file of `plan --out`: the objects, and the generations that the plan saw, so that a change in between is a
// conflict when it is applied. JSON; an object in it is written as `-o json` writes it.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "gw/v1/admin.pb.h"

namespace gw::cli {

// `lineage` is the store's. Failures carry exit code 2.
absl::Status write_plan_file(const std::string& path, const v1::ApplyRequest& request, const v1::ApplyResponse& planned,
                             const std::string& lineage);
// The request to send. Fails with 2 when the file cannot be opened, 8 when it is not a plan.
absl::StatusOr<v1::ApplyRequest> read_plan_file(const std::string& path, std::string& lineage);

}  // namespace gw::cli
