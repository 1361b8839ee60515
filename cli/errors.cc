#include "cli/errors.h"

#include <string>

#include "common/base/status.h"

namespace gw::cli {
namespace {

constexpr char kExitUrl[] = "northgate/exit-code";

}  // namespace

absl::Status failure(ExitCode code, std::string_view message) {
  absl::Status status = make_status(absl::StatusCode::kUnknown, message);
  status.SetPayload(kExitUrl, absl::Cord(std::to_string(static_cast<int>(code))));
  return status;
}

absl::Status usage_error(std::string_view message) { return failure(ExitCode::kUsage, message); }

ExitCode exit_code_of(const absl::Status& status) {
  if (status.ok()) return ExitCode::kDone;
  if (auto payload = status.GetPayload(kExitUrl)) {
    return static_cast<ExitCode>(std::stoi(std::string(*payload)));
  }
  switch (status.code()) {
    case absl::StatusCode::kUnauthenticated:
    case absl::StatusCode::kPermissionDenied:
      return ExitCode::kNotAllowed;
    case absl::StatusCode::kNotFound:
      return ExitCode::kNotFound;
    case absl::StatusCode::kAborted:
    case absl::StatusCode::kAlreadyExists:
      return ExitCode::kConflict;
    case absl::StatusCode::kDeadlineExceeded:
      return ExitCode::kTimeout;
    case absl::StatusCode::kInvalidArgument:
    case absl::StatusCode::kOutOfRange:
    case absl::StatusCode::kFailedPrecondition:
    case absl::StatusCode::kResourceExhausted:
    case absl::StatusCode::kUnimplemented:
      return ExitCode::kRefused;
    case absl::StatusCode::kCancelled:
      return ExitCode::kInterrupted;
    default:
      return ExitCode::kUnreachable;
  }
}

}  // namespace gw::cli
