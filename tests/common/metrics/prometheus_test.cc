#include "common/metrics/prometheus.h"

#include <catch2/catch.hpp>
#include <limits>

namespace gw {
namespace {

TEST_CASE("families carry help and type, samples their labels") {
  PrometheusWriter writer;
  writer.family(metric::kHttpRequests);
  writer.sample({{"api", "platform/shop"}, {"code", "200"}}, uint64_t{18446744073709551615u});
  writer.sample({{"api", ""}, {"code", "404"}}, 7);
  writer.single(metric::kControlPlaneConnected, 1);
  CHECK(writer.text() ==
        "# HELP gw_http_requests_total Requests answered, by status code and the reason of answers "
        "that the gateway made itself.\n"
        "# TYPE gw_http_requests_total counter\n"
        "gw_http_requests_total{api=\"platform/shop\",code=\"200\"} 18446744073709551615\n"
        "gw_http_requests_total{api=\"\",code=\"404\"} 7\n"
        "# HELP gw_control_plane_connected 1 while the control channel stands.\n"
        "# TYPE gw_control_plane_connected gauge\n"
        "gw_control_plane_connected 1\n");
}

TEST_CASE("label values and help are escaped") {
  PrometheusWriter writer;
  writer.family("gw_test", MetricType::kGauge, "a \\ and\na \"line\"");
  writer.sample({{"v", "a\"b\\c\nd"}}, 1);
  CHECK(writer.text() ==
        "# HELP gw_test a \\\\ and\\na \"line\"\n# TYPE gw_test "
        "gauge\ngw_test{v=\"a\\\"b\\\\c\\nd\"} 1\n");
}

TEST_CASE("values are written so that they read back the same") {
  CHECK(format_metric_value(0.1) == "0.1");
  CHECK(format_metric_value(1) == "1");
  CHECK(format_metric_value(1e-7) == "1e-07");
  CHECK(format_metric_value(std::numeric_limits<double>::infinity()) == "+Inf");
  CHECK(format_metric_value(-std::numeric_limits<double>::infinity()) == "-Inf");
  CHECK(format_metric_value(std::numeric_limits<double>::quiet_NaN()) == "NaN");
}

TEST_CASE("a histogram has cumulative buckets, sum and count in seconds") {
  Histogram values;
  values.record(4'000'000);
  values.record(20'000'000);
  values.record(20'000'000'000);
  const double bounds[] = {0.005, 0.1, 10};
  PrometheusWriter writer;
  writer.family("gw_test_seconds", MetricType::kHistogram, "Test.");
  writer.histogram({{"api", "a"}}, values, bounds);
  CHECK(writer.take() ==
        "# HELP gw_test_seconds Test.\n# TYPE gw_test_seconds histogram\n"
        "gw_test_seconds_bucket{api=\"a\",le=\"0.005\"} 1\n"
        "gw_test_seconds_bucket{api=\"a\",le=\"0.1\"} 2\n"
        "gw_test_seconds_bucket{api=\"a\",le=\"10\"} 2\n"
        "gw_test_seconds_bucket{api=\"a\",le=\"+Inf\"} 3\n"
        "gw_test_seconds_sum{api=\"a\"} 20.024\n"
        "gw_test_seconds_count{api=\"a\"} 3\n");
}

}  // namespace
}  // namespace gw
