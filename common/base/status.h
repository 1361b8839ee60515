// absl::Status for configuration, store, control plane and CLI. Debian's Abseil has its own string_view, so statuses are
// made here, from std types, and nowhere else.
#pragma once

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace gw {

absl::Status make_status(absl::StatusCode code, std::string_view message);

absl::Status invalid_argument(std::string_view message);
absl::Status not_found(std::string_view message);
absl::Status already_exists(std::string_view message);
absl::Status permission_denied(std::string_view message);
absl::Status unauthenticated(std::string_view message);
absl::Status failed_precondition(std::string_view message);
absl::Status aborted(std::string_view message);  // conflict with a concurrent change
absl::Status unavailable(std::string_view message);
absl::Status resource_exhausted(std::string_view message);
absl::Status deadline_exceeded(std::string_view message);
absl::Status internal_error(std::string_view message);
// Data on disk that is not what was written.
absl::Status data_loss(std::string_view message);
// The text of errno after `what`: "open /x: No such file or directory".
absl::Status errno_status(std::string_view what, int error);

std::string message_of(const absl::Status& status);

#define GW_RETURN_IF_ERROR(expr)                    \
  do {                                              \
    if (::absl::Status gw_status_ = (expr); !gw_status_.ok()) return gw_status_; \
  } while (false)

#define GW_CONCAT_INNER_(a, b) a##b
#define GW_CONCAT_(a, b) GW_CONCAT_INNER_(a, b)
#define GW_ASSIGN_OR_RETURN(lhs, expr) GW_ASSIGN_OR_RETURN_(GW_CONCAT_(gw_or_, __LINE__), lhs, expr)
#define GW_ASSIGN_OR_RETURN_(tmp, lhs, expr) \
  auto tmp = (expr);                         \
  if (!tmp.ok()) return tmp.status();        \
  lhs = *std::move(tmp)

}  // namespace gw
