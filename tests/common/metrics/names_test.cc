#include "common/metrics/names.h"

#include <catch2/catch.hpp>
#include <set>
#include <string>

namespace gw {
namespace {

bool ends_with(std::string_view text, std::string_view end) {
  return text.size() >= end.size() && text.substr(text.size() - end.size()) == end;
}

bool is_lower_name(std::string_view text) {
  for (char c : text) {
    bool letter = c >= 'a' && c <= 'z';
    if (!letter && !(c >= '0' && c <= '9') && c != '_') return false;
  }
  return !text.empty() && text.find("__") == std::string_view::npos;
}

TEST_CASE("metric names follow the rules of Prometheus") {
  std::set<std::string_view> seen;
  for (const MetricInfo& m : all_metrics()) {
    INFO(m.name);
    CHECK(seen.insert(m.name).second);
    CHECK(is_lower_name(m.name));
    CHECK(m.name.substr(0, 3) == "gw_");
    CHECK(ends_with(m.name, "_total") == (m.type == MetricType::kCounter));
    if (m.type == MetricType::kHistogram) CHECK(ends_with(m.name, "_seconds"));
    for (std::string_view reserved : {"_bucket", "_count", "_sum"})
      CHECK_FALSE(ends_with(m.name, reserved));
    // Base units only.
    std::string_view base = m.name;
    if (m.type == MetricType::kCounter) base.remove_suffix(6);
    for (std::string_view unit : {"_ms", "_milliseconds", "_micros", "_nanoseconds", "_ns", "_us",
                                  "_minutes", "_hours", "_kb", "_kib", "_mb", "_percent"}) {
      CHECK_FALSE(ends_with(base, unit));
    }
    CHECK_FALSE(m.help.empty());
    CHECK(ends_with(m.help, "."));
  }
}

TEST_CASE("metric labels are known names with few values") {
  // What a caller sends must never become a label: paths, addresses, keys, apps.
  const std::set<std::string> allowed = {"api",   "route",    "method", "code",   "reason",
                                         "state", "upstream", "result", "policy", "type",
                                         "plan",  "decision", "commit", "version",
                                         "from",  "to",       "certificate", "grpc_status"};
  for (const MetricInfo& m : all_metrics()) {
    std::set<std::string> seen;
    std::string label;
    for (char c : std::string(m.labels) + (m.labels.empty() ? "" : ",")) {
      if (c != ',') {
        label += c;
        continue;
      }
      INFO(m.name << " " << label);
      CHECK(allowed.count(label) == 1);
      CHECK(seen.insert(label).second);
      label.clear();
    }
  }
}

TEST_CASE("histogram bounds rise") {
  for (auto bounds : {request_bounds_s(), overhead_bounds_s()}) {
    for (size_t i = 1; i < bounds.size(); ++i) CHECK(bounds[i - 1] < bounds[i]);
  }
}

}  // namespace
}  // namespace gw
