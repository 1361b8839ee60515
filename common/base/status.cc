#include "common/base/status.h"

#include <cstring>

namespace gw {

absl::Status make_status(absl::StatusCode code, std::string_view message) {
  return absl::Status(code, absl::string_view(message.data(), message.size()));
}
absl::Status invalid_argument(std::string_view m) { return make_status(absl::StatusCode::kInvalidArgument, m); }
absl::Status not_found(std::string_view m) { return make_status(absl::StatusCode::kNotFound, m); }
absl::Status already_exists(std::string_view m) { return make_status(absl::StatusCode::kAlreadyExists, m); }
absl::Status permission_denied(std::string_view m) { return make_status(absl::StatusCode::kPermissionDenied, m); }
absl::Status unauthenticated(std::string_view m) { return make_status(absl::StatusCode::kUnauthenticated, m); }
absl::Status failed_precondition(std::string_view m) { return make_status(absl::StatusCode::kFailedPrecondition, m); }
absl::Status aborted(std::string_view m) { return make_status(absl::StatusCode::kAborted, m); }
absl::Status unavailable(std::string_view m) { return make_status(absl::StatusCode::kUnavailable, m); }
absl::Status resource_exhausted(std::string_view m) { return make_status(absl::StatusCode::kResourceExhausted, m); }
absl::Status deadline_exceeded(std::string_view m) { return make_status(absl::StatusCode::kDeadlineExceeded, m); }
absl::Status internal_error(std::string_view m) { return make_status(absl::StatusCode::kInternal, m); }
absl::Status data_loss(std::string_view m) { return make_status(absl::StatusCode::kDataLoss, m); }

absl::Status errno_status(std::string_view what, int error) {
  std::string text(what);
  text.append(": ").append(std::strerror(error));
  return make_status(absl::ErrnoToStatusCode(error), text);
}

std::string message_of(const absl::Status& status) {
  return std::string(status.message().data(), status.message().size());
}

}  // namespace gw
