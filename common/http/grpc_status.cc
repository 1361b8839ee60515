#include "common/http/grpc_status.h"

#include <cstddef>

namespace gw {
namespace {

struct Words {
  std::string_view label, name;
};
constexpr Words kWords[] = {
    {"0", "ok"},
    {"1", "cancelled"},
    {"2", "unknown"},
    {"3", "invalid-argument"},
    {"4", "deadline-exceeded"},
    {"5", "not-found"},
    {"6", "already-exists"},
    {"7", "permission-denied"},
    {"8", "resource-exhausted"},
    {"9", "failed-precondition"},
    {"10", "aborted"},
    {"11", "out-of-range"},
    {"12", "unimplemented"},
    {"13", "internal"},
    {"14", "unavailable"},
    {"15", "data-loss"},
    {"16", "unauthenticated"},
    {"unknown", ""},
};
static_assert(sizeof kWords / sizeof kWords[0] == kGrpcStatuses);

const Words& words_of(GrpcStatus status) {
  return kWords[static_cast<size_t>(status == GrpcStatus::kNone ? GrpcStatus::kMissing : status)];
}

}  // namespace

GrpcStatus parse_grpc_status(std::string_view digits) {
  if (digits.empty() || digits.size() > 2) return GrpcStatus::kMissing;
  int value = 0;
  for (char c : digits) {
    if (c < '0' || c > '9') return GrpcStatus::kMissing;
    value = value * 10 + (c - '0');
  }
  return value < static_cast<int>(GrpcStatus::kMissing) ? static_cast<GrpcStatus>(value) : GrpcStatus::kMissing;
}

GrpcStatus grpc_status_named(std::string_view name) {
  for (size_t i = 0; i < static_cast<size_t>(GrpcStatus::kMissing); ++i) {
    if (kWords[i].name == name) return static_cast<GrpcStatus>(i);
  }
  return GrpcStatus::kNone;
}

std::string_view grpc_status_name(GrpcStatus status) { return words_of(status).name; }
std::string_view grpc_status_label(GrpcStatus status) { return words_of(status).label; }

GrpcStatus grpc_status_of_http(int status) {
  switch (status) {
    case 400: return GrpcStatus::kInternal;
    case 401: return GrpcStatus::kUnauthenticated;
    case 403: return GrpcStatus::kPermissionDenied;
    case 404: return GrpcStatus::kUnimplemented;
    case 429:
    case 502:
    case 503:
    case 504: return GrpcStatus::kUnavailable;
    case 200: return GrpcStatus::kMissing;
    default: return GrpcStatus::kUnknown;
  }
}

int http_class_of(GrpcStatus status) {
  switch (status) {
    case GrpcStatus::kNone:
    case GrpcStatus::kOk: return 200;
    case GrpcStatus::kUnknown:
    case GrpcStatus::kDeadlineExceeded:
    case GrpcStatus::kInternal:
    case GrpcStatus::kUnavailable:
    case GrpcStatus::kDataLoss:
    case GrpcStatus::kMissing: return 500;
    default: return 400;
  }
}

}  // namespace gw
