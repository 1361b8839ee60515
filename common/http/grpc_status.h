// What gRPC says of how a call ended (doc/statuscodes.md of gRPC).
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace gw {

enum class GrpcStatus : int8_t {
  kNone = -1,  // no gRPC call
  kOk,
  kCancelled,
  kUnknown,
  kInvalidArgument,
  kDeadlineExceeded,
  kNotFound,
  kAlreadyExists,
  kPermissionDenied,
  kResourceExhausted,
  kFailedPrecondition,
  kAborted,
  kOutOfRange,
  kUnimplemented,
  kInternal,
  kUnavailable,
  kDataLoss,
  kUnauthenticated,
  kMissing,  // the upstream's answer ended without one that gRPC knows
  kCount,
};

inline constexpr size_t kGrpcStatuses = static_cast<size_t>(GrpcStatus::kCount);

// As the field `grpc-status` has it; kMissing for anything else.
GrpcStatus parse_grpc_status(std::string_view digits);
// `resource-exhausted` as people write it in a configuration; kNone: there is none of that name.
GrpcStatus grpc_status_named(std::string_view name);
std::string_view grpc_status_name(GrpcStatus status);
// "0" to "16", and "unknown" for kMissing: the label of metrics.
std::string_view grpc_status_label(GrpcStatus status);
// The number that a client sees: a status that is missing is UNKNOWN to it.
inline int grpc_status_seen(GrpcStatus status) {
  return static_cast<int>(status == GrpcStatus::kMissing ? GrpcStatus::kUnknown : status);
}
// What clients make of an HTTP answer without a grpc-status (doc/http-grpc-status-mapping.md of gRPC).
GrpcStatus grpc_status_of_http(int status);
// The like of it in HTTP, as errors are counted: 200, 400 where the caller's, 500 where the server's.
int http_class_of(GrpcStatus status);

}  // namespace gw
