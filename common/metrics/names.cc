#include "common/metrics/names.h"

namespace gw {

std::string_view metric_type_name(MetricType type) {
  switch (type) {
    case MetricType::kCounter:
      return "counter";
    case MetricType::kGauge:
      return "gauge";
    case MetricType::kHistogram:
      return "histogram";
  }
  return "untyped";
}

std::span<const MetricInfo> all_metrics() {
  static constexpr MetricInfo kAll[] = {
      metric::kHttpRequests,
      metric::kGrpcRequests,
      metric::kHttpRequestDuration,
      metric::kUpstreamDuration,
      metric::kOverhead,
      metric::kHttpRequestBytes,
      metric::kHttpResponseBytes,
      metric::kConnections,
      metric::kHttpActiveRequests,
      metric::kTunnels,
      metric::kHttp2Connections,
      metric::kHttp2Streams,
      metric::kBufferBytes,
      metric::kLoopLag,
      metric::kOverloadStage,
      metric::kUpstreamAttempts,
      metric::kRetries,
      metric::kTlsHandshakes,
      metric::kTlsHandshakesActive,
      metric::kMirrorRequests,
      metric::kMirrorInFlight,
      metric::kUpstreamTargets,
      metric::kUpstreamHealthyTargets,
      metric::kUpstreamRequests,
      metric::kUpstreamCircuitOpen,
      metric::kUpstreamPanic,
      metric::kDnsLookups,
      metric::kDnsLeftOut,
      metric::kDnsStale,
      metric::kDnsUnresolved,
      metric::kZoneBytes,
      metric::kPolicyDecisions,
      metric::kPolicyFailOpen,
      metric::kAuthFailures,
      metric::kRateLimitRejected,
      metric::kConfigVersion,
      metric::kDirectoryVersion,
      metric::kSwitchesVersion,
      metric::kEndpointsVersion,
      metric::kCertificatesVersion,
      metric::kCertificateExpiry,
      metric::kConfigLastSuccess,
      metric::kDirectoryLastSuccess,
      metric::kConfigRejected,
      metric::kControlPlaneConnected,
      metric::kSnapshotBytes,
      metric::kUsageEvents,
      metric::kUsageUnacknowledged,
      metric::kUsageLost,
      metric::kAccessLogDropped,
      metric::kHandovers,
      metric::kHandoversFailed,
      metric::kBuildInfo,
  };
  return kAll;
}

std::span<const double> request_bounds_s() {
  static constexpr double kBounds[] = {0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25,
                                       0.5,   0.75, 1,     2.5,  5,     7.5, 10};
  return kBounds;
}

std::span<const double> overhead_bounds_s() {
  static constexpr double kBounds[] = {0.00005, 0.0001, 0.00025, 0.0005, 0.001,
                                       0.0025,  0.005,  0.01,    0.025,  0.1};
  return kBounds;
}

}  // namespace gw
