// What is known of an exchange when it is done: the one input of access log, metrics and usage. A plain value, filled by
// the exchange on its worker's thread; views live until the sinks return.
#pragma once

#include <cstdint>
#include <string_view>

#include "common/http/address.h"
#include "common/http/method.h"
#include "common/http/reason.h"

namespace gw {

class Route;
struct GatewayConfig;
struct AppRecord;
struct SubscriptionRecord;
struct PlanConfig;

struct RequestRecord {
  int64_t wall_ns = 0;            // of the request's first byte
  int64_t duration_ns = 0;        // first byte of the request to last byte of the response handed to the socket
  int64_t handshake_ns = 0;       // > 0: a tunnel followed after so long; histograms count this, not the tunnel's life
  int64_t upstream_ns = 0;        // time spent waiting for upstream (connect to response end)
  std::string_view request_id;    // text form
  std::string_view trace_id;      // 32 hex digits
  uint64_t config_version = 0;
  const GatewayConfig* gateway = nullptr;
  const Route* route = nullptr;   // null: none matched
  const AppRecord* app = nullptr;
  const SubscriptionRecord* subscription = nullptr;
  const PlanConfig* plan = nullptr;
  Method method = Method::kOther;
  std::string_view method_text, host, path;  // query is not logged by default
  std::string_view protocol;      // HTTP's version towards the client: 1.0, 1.1, 2
  std::string_view user_agent;
  IpAddress client;
  int status = 0;
  GrpcStatus grpc = GrpcStatus::kNone;
  Reason reason = Reason::kNone;
  std::string_view policy;        // owner/name of the policy that answered
  uint64_t request_bytes = 0;     // body
  uint64_t response_bytes = 0;    // body
  uint32_t upstream_index = UINT32_MAX;  // dense
  std::string_view upstream;      // owner/name
  std::string_view target;        // host:port
  std::string_view ended_by;      // of a tunnel: client, upstream, idle, drain
  int attempts = 0;
  bool reached_upstream = false;  // metered only then
  bool metered = false;
};

}  // namespace gw
