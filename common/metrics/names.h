// Every metric by name: one list for nodes and control plane, for the documentation and for the test that keeps the
// names to Prometheus' rules (prefix gw_, base units, _total on counters, labels with few values).
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace gw {

enum class MetricType : uint8_t { kCounter, kGauge, kHistogram };
std::string_view metric_type_name(MetricType type);

struct MetricInfo {
  std::string_view name;
  MetricType type;
  std::string_view help;
  // Label names, separated by commas.
  std::string_view labels;
};

namespace metric {

inline constexpr MetricType kC = MetricType::kCounter, kG = MetricType::kGauge, kH = MetricType::kHistogram;

// Requests
inline constexpr MetricInfo kHttpRequests{"gw_http_requests_total", kC, "Requests answered, by status code and the reason of answers that the gateway made itself.", "api,route,method,code,reason"};
inline constexpr MetricInfo kGrpcRequests{"gw_grpc_requests_total", kC, "gRPC calls by their status, 0 to 16; unknown: the upstream's answer ended without one.", "api,route,grpc_status"};
inline constexpr MetricInfo kHttpRequestDuration{"gw_http_request_duration_seconds", kH, "Time from a request's head to the end of its response.", "api,route"};
inline constexpr MetricInfo kUpstreamDuration{"gw_upstream_duration_seconds", kH, "Time of one attempt at an upstream, from connecting to the response's end.", "upstream"};
inline constexpr MetricInfo kOverhead{"gw_overhead_seconds", kH, "The gateway's own time per request, without waiting for client or upstream.", ""};
inline constexpr MetricInfo kHttpRequestBytes{"gw_http_request_bytes_total", kC, "Bytes of request bodies.", "api,route"};
inline constexpr MetricInfo kHttpResponseBytes{"gw_http_response_bytes_total", kC, "Bytes of response bodies.", "api,route"};
inline constexpr MetricInfo kConnections{"gw_connections", kG, "Open client connections: active with a request, idle between requests.", "state"};
inline constexpr MetricInfo kTlsHandshakes{"gw_tls_handshakes_total", kC, "TLS handshakes with clients by how they ended; version of those that came to be.", "result,version"};
inline constexpr MetricInfo kTlsHandshakesActive{"gw_tls_handshakes_active", kG, "TLS handshakes with clients in work.", ""};
inline constexpr MetricInfo kHttpActiveRequests{"gw_http_active_requests", kG, "Requests in flight.", ""};
inline constexpr MetricInfo kTunnels{"gw_tunnels", kG, "Open WebSocket tunnels.", ""};
inline constexpr MetricInfo kHttp2Connections{"gw_http2_connections", kG, "Open client connections that speak HTTP/2.", ""};
inline constexpr MetricInfo kHttp2Streams{"gw_http2_streams", kG, "Open streams of those connections: their requests in work.", ""};
inline constexpr MetricInfo kBufferBytes{"gw_buffer_bytes", kG, "Bytes held in the workers' buffers.", ""};
inline constexpr MetricInfo kLoopLag{"gw_loop_lag_seconds", kH, "Turns of the workers' event loops: how long an event may wait for those before it.", ""};
inline constexpr MetricInfo kOverloadStage{"gw_overload_stage", kG, "0 normal, 1 connections close after their answer, 2 new requests are refused; of several workers the highest.", ""};

// Upstreams
inline constexpr MetricInfo kUpstreamAttempts{"gw_upstream_attempts_total", kC, "Attempts at an upstream by how they ended.", "upstream,result"};
inline constexpr MetricInfo kRetries{"gw_retries_total", kC, "Attempts that followed a failed one.", "upstream,reason"};
inline constexpr MetricInfo kMirrorRequests{"gw_mirror_requests_total", kC, "Requests drawn to be copied to an upstream as a mirror, by the status of their answer or why there is none.", "upstream,result"};
inline constexpr MetricInfo kMirrorInFlight{"gw_mirror_in_flight", kG, "Copies of requests in work.", ""};
inline constexpr MetricInfo kUpstreamTargets{"gw_upstream_targets", kG, "Targets of an upstream.", "upstream"};
inline constexpr MetricInfo kUpstreamHealthyTargets{"gw_upstream_healthy_targets", kG, "Targets of an upstream that take requests.", "upstream"};
inline constexpr MetricInfo kUpstreamRequests{"gw_upstream_requests", kG, "Requests in work at an upstream, or waiting for a connection to it.", "upstream,state"};
inline constexpr MetricInfo kUpstreamCircuitOpen{"gw_upstream_circuit_open", kG, "1 while the upstream's circuit breaker is open.", "upstream"};
inline constexpr MetricInfo kUpstreamPanic{"gw_upstream_panic", kG, "1 while health is ignored because too few targets are well.", "upstream"};
inline constexpr MetricInfo kDnsLookups{"gw_dns_lookups_total", kC, "Look-ups of names: found, missing (does not exist, or has no such records), failed (nobody could say).", "result"};
inline constexpr MetricInfo kDnsLeftOut{"gw_dns_left_out_total", kC, "Addresses and records of answers that were left out: refused (link-local, metadata, the node's own), excess (beyond maxTargets).", "reason"};
inline constexpr MetricInfo kDnsStale{"gw_dns_stale_names", kG, "Names whose last good answer is used beyond its time because there is no new one.", ""};
inline constexpr MetricInfo kDnsUnresolved{"gw_dns_unresolved_names", kG, "Names of upstreams for which there is no answer to use.", ""};
inline constexpr MetricInfo kZoneBytes{"gw_zone_bytes_total", kC, "Bytes of bodies between this node's zone and targets' zones.", "from,to"};

// Policies
inline constexpr MetricInfo kPolicyDecisions{"gw_policy_decisions_total", kC, "Decisions of a policy: pass, refuse, observe (would have refused).", "policy,type,decision"};
inline constexpr MetricInfo kPolicyFailOpen{"gw_policy_fail_open_total", kC, "Requests that passed because a policy could not decide and is onFailure open.", "policy"};
inline constexpr MetricInfo kAuthFailures{"gw_auth_failures_total", kC, "Requests refused for want of a valid credential or right.", "api,reason"};
inline constexpr MetricInfo kRateLimitRejected{"gw_ratelimit_rejected_total", kC, "Requests refused by a plan's rate or quota.", "api,plan"};

// Configuration
inline constexpr MetricInfo kConfigVersion{"gw_config_version", kG, "Version of the configuration in force.", ""};
inline constexpr MetricInfo kDirectoryVersion{"gw_directory_version", kG, "Version of the directory of consumers, apps and keys in force.", ""};
inline constexpr MetricInfo kSwitchesVersion{"gw_switches_version", kG, "Version of the operators' stop switches in force.", ""};
inline constexpr MetricInfo kEndpointsVersion{"gw_endpoints_version", kG, "Version of the targets added at run time in force.", ""};
inline constexpr MetricInfo kCertificatesVersion{"gw_certificates_version", kG, "Version of the certificates in force.", ""};
inline constexpr MetricInfo kCertificateExpiry{"gw_certificate_expiry_timestamp_seconds", kG, "When a certificate ends, in Unix time; of several key pairs the first; `node`: that of the node itself.", "certificate"};
inline constexpr MetricInfo kConfigLastSuccess{"gw_config_last_success_timestamp_seconds", kG, "When a configuration was last put in force, in Unix time.", ""};
inline constexpr MetricInfo kDirectoryLastSuccess{"gw_directory_last_success_timestamp_seconds", kG, "When the directory was last confirmed by the control plane, in Unix time.", ""};
inline constexpr MetricInfo kConfigRejected{"gw_config_rejected_total", kC, "Versions that this node refused to build.", ""};
inline constexpr MetricInfo kControlPlaneConnected{"gw_control_plane_connected", kG, "1 while the control channel stands.", ""};
inline constexpr MetricInfo kSnapshotBytes{"gw_snapshot_bytes", kG, "Memory of the configuration in force.", ""};

// Usage: money, must not be lost
inline constexpr MetricInfo kUsageEvents{"gw_usage_events_total", kC, "Metered requests.", ""};
inline constexpr MetricInfo kUsageUnacknowledged{"gw_usage_unacknowledged", kG, "Usage cells that the control plane has not confirmed.", ""};
inline constexpr MetricInfo kUsageLost{"gw_usage_lost_total", kC, "Metered requests that could not be kept. Must be 0.", ""};
inline constexpr MetricInfo kAccessLogDropped{"gw_access_log_dropped_total", kC, "Access log lines that could not be written.", ""};

inline constexpr MetricInfo kHandovers{"gw_handovers_total", kC, "Hand-overs from process to process that led to this one.", ""};
inline constexpr MetricInfo kHandoversFailed{"gw_handovers_failed_total", kC, "Hand-overs to a new process that began and came to nothing; this one went on.", ""};
inline constexpr MetricInfo kBuildInfo{"gw_build_info", kG, "Always 1; the labels name the build.", "version,commit"};

}  // namespace metric

// All of the above.
std::span<const MetricInfo> all_metrics();

// Bounds of histograms, in seconds. OpenTelemetry's for requests, finer ones for the gateway's own time.
std::span<const double> request_bounds_s();
std::span<const double> overhead_bounds_s();

}  // namespace gw
