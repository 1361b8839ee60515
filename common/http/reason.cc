#include "common/http/reason.h"

namespace gw {
namespace {

using Grpc = GrpcStatus;

constexpr ReasonInfo kReasons[] = {
    {"", 200, Grpc::kOk, "", ""},
    {"NO_ROUTE", 404, Grpc::kUnimplemented, "No route", "No Api claims this host and path, or none of the Api's routes matches the whole request. `gwctl explain-request` shows what was looked at and why each lost."},
    {"METHOD_NOT_ALLOWED", 405, Grpc::kUnimplemented, "Method not allowed", "A route matches with another method; the Allow field lists those. TRACE and CONNECT are never allowed."},
    {"MISDIRECTED", 421, Grpc::kUnavailable, "Misdirected request", "The request came over a connection that was made for another host."},
    {"TOO_EARLY", 425, Grpc::kUnavailable, "Too early", "The request came with the first bytes of a resumed TLS session (`tls.earlyData`), where it could be a replay, and is not one that may be repeated. Ask again once the handshake is done (RFC 8470)."},
    {"BAD_REQUEST", 400, Grpc::kInvalidArgument, "Bad request", "The request breaks HTTP's rules or the gateway's path rule, so that two readers could understand it differently. It was not forwarded and the connection was closed."},
    {"TOO_LARGE", 413, Grpc::kResourceExhausted, "Content too large", "The request body is larger than `limits.bodyBytes` of the Route, Api or Gateway allows."},
    {"HEADERS_TOO_LARGE", 431, Grpc::kResourceExhausted, "Header fields too large", "The request's head is larger than `limits.headerBytes`, or has more fields than `limits.headerFields` of the Gateway."},
    {"REQUEST_TIMEOUT", 408, Grpc::kUnavailable, "Request timeout", "The client took longer than `limits.headTimeout` for the head, `timeouts.bodyIdle` within the body, or `timeouts.request` for the whole."},
    {"NOT_READY", 503, Grpc::kUnavailable, "Not ready", "The node has no configuration yet."},
    {"DRAINING", 503, Grpc::kUnavailable, "Draining", "The node is going away; ask again, another node will answer."},
    {"OVERLOAD", 503, Grpc::kUnavailable, "Overload", "The node protects itself: one of its own limits on memory, waiting requests or the time that its loop takes is reached. Retry-After says when to come back."},
    {"LOOP", 508, Grpc::kInternal, "Loop detected", "The request passed this gateway before, or more other gateways than `limits.stackedGateways` of the Gateway allows; its Via field tells."},
    {"DISABLED", 503, Grpc::kUnavailable, "Disabled", "An operator has stopped this Api (`gwctl api disable`); `gwctl switches` says who, when and why."},
    {"RETIRED", 410, Grpc::kUnimplemented, "Retired", "This Api is gone; its successor is named in the answer where there is one."},
    {"AUTH_MISSING", 401, Grpc::kUnauthenticated, "Authentication required", "The request carries no credential that the Api's `auth` list accepts."},
    {"AUTH_INVALID", 401, Grpc::kUnauthenticated, "Invalid credential", "A credential was sent and is wrong, expired, revoked or sent twice. A wrong credential is refused even where `anonymous` is allowed."},
    {"FORBIDDEN", 403, Grpc::kPermissionDenied, "Forbidden", "The caller is known and may not do this."},
    {"SUBSCRIPTION_MISSING", 403, Grpc::kPermissionDenied, "Subscription missing", "The Api belongs to a Product, and the caller's App has no subscription that covers it."},
    {"SUSPENDED", 403, Grpc::kPermissionDenied, "Suspended", "The caller's App or Consumer is suspended."},
    {"IP_DENIED", 403, Grpc::kPermissionDenied, "Address denied", "An ipList policy refuses the client's address, or an operator has blocked it (`gwctl block ip`)."},
    {"CORS_DENIED", 403, Grpc::kPermissionDenied, "Cross-origin request denied", "The preflight asks for an origin, method or header that the cors policy does not allow; or a WebSocket handshake comes from a page of another host that the Route's `websocket.origins` does not name."},
    {"CSRF", 403, Grpc::kPermissionDenied, "Cross-site request denied", "The request would change something and comes from another site."},
    {"WAF", 403, Grpc::kPermissionDenied, "Request denied", "A web application firewall rule matched."},
    {"VALIDATION", 400, Grpc::kInvalidArgument, "Request does not fit the contract", "The request does not fit the Api's contract."},
    {"RATE_LIMITED", 429, Grpc::kResourceExhausted, "Too many requests", "A rateLimit policy or the Plan's rate is reached; Retry-After says when to come back."},
    {"QUOTA_EXHAUSTED", 429, Grpc::kResourceExhausted, "Quota exhausted", "The Plan's quota for this period is used up; Retry-After says when the next period begins."},
    {"CONCURRENCY_LIMITED", 429, Grpc::kResourceExhausted, "Too many requests at once", "Too many requests of this caller are in flight."},
    {"POLICY_UNAVAILABLE", 503, Grpc::kUnavailable, "Policy unavailable", "A policy that must decide could not, and its `onFailure` is closed."},
    {"UPSTREAM_CONNECT", 502, Grpc::kUnavailable, "Upstream unreachable", "No connection to the upstream's target could be made."},
    {"UPSTREAM_TLS", 502, Grpc::kUnavailable, "Upstream TLS failure", "The TLS handshake with the upstream's target failed."},
    {"UPSTREAM_TIMEOUT", 504, Grpc::kUnavailable, "Upstream timeout", "The upstream did not connect, answer or go on within its timeouts."},
    {"UPSTREAM_RESET", 502, Grpc::kUnavailable, "Upstream closed the connection", "The upstream closed or reset the connection before its answer was complete."},
    {"UPSTREAM_INVALID", 502, Grpc::kInternal, "Invalid upstream answer", "The upstream's answer breaks HTTP's rules; it was not passed on."},
    {"NO_HEALTHY_ENDPOINT", 503, Grpc::kUnavailable, "No healthy endpoint", "Every target of the upstream is out of rotation, or has weight 0."},
    {"CIRCUIT_OPEN", 503, Grpc::kUnavailable, "Circuit open", "A limit of the upstream's circuit breaker is reached."},
    {"COMPOSE_FAILED", 502, Grpc::kUnavailable, "Composition failed", "One of the calls that this answer is made of failed."},
    {"INTERNAL", 500, Grpc::kInternal, "Internal error", "A fault in the gateway itself. Please report it with the request id."},
    {"CLIENT_CLOSED", 499, Grpc::kCancelled, "Client closed the connection", "The client left before the answer was complete. Only in logs and metrics."},
};
static_assert(sizeof kReasons / sizeof kReasons[0] == static_cast<unsigned>(Reason::kCount));

}  // namespace

const ReasonInfo& info(Reason reason) { return kReasons[static_cast<unsigned>(reason)]; }

Reason parse_reason(std::string_view name) {
  for (unsigned i = 1; i < static_cast<unsigned>(Reason::kCount); ++i) {
    if (kReasons[i].name == name) return static_cast<Reason>(i);
  }
  return Reason::kNone;
}

}  // namespace gw
