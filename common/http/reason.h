// Why the gateway answered by itself: one closed list for problem documents, logs, metric labels, `explain-request` and docs.
#pragma once

#include <cstdint>
#include <string_view>

#include "common/http/grpc_status.h"

namespace gw {

enum class Reason : uint8_t {
  kNone,
  kNoRoute,
  kMethodNotAllowed,
  kMisdirected,
  kTooEarly,
  kBadRequest,
  kTooLarge,
  kHeadersTooLarge,
  kRequestTimeout,
  kNotReady,
  kDraining,
  kOverload,
  kLoop,
  kDisabled,
  kRetired,
  kAuthMissing,
  kAuthInvalid,
  kForbidden,
  kSubscriptionMissing,
  kSuspended,
  kIpDenied,
  kCorsDenied,
  kCsrf,
  kWaf,
  kValidation,
  kRateLimited,
  kQuotaExhausted,
  kConcurrencyLimited,
  kPolicyUnavailable,
  kUpstreamConnect,
  kUpstreamTls,
  kUpstreamTimeout,
  kUpstreamReset,
  kUpstreamInvalid,
  kNoHealthyEndpoint,
  kCircuitOpen,
  kComposeFailed,
  kInternal,
  kClientClosed,
  kCount,
};

struct ReasonInfo {
  std::string_view name;   // NO_ROUTE
  int status;              // of the answer, where nothing says otherwise
  GrpcStatus grpc;         // the same to gRPC calls
  std::string_view title;  // of the problem document
  std::string_view explanation;  // `gwctl explain NO_ROUTE`
};

const ReasonInfo& info(Reason reason);
// kNone when there is no such reason.
Reason parse_reason(std::string_view name);

}  // namespace gw
