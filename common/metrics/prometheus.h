// The Prometheus text format, version 0.0.4 (content type kPrometheusContentType). Appends to one
// string; one thread.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/metrics/histogram.h"
#include "common/metrics/names.h"

namespace gw {

inline constexpr std::string_view kPrometheusContentType =
    "text/plain; version=0.0.4; charset=utf-8";

class PrometheusWriter {
 public:
  using Label = std::pair<std::string_view, std::string_view>;
  using Labels = std::initializer_list<Label>;

  // Begins a family: HELP and TYPE. All its samples must follow at once, and a family begins once.
  void family(std::string_view name, MetricType type, std::string_view help);
  void family(const MetricInfo& metric) { family(metric.name, metric.type, metric.help); }

  // One sample of the family that was begun last. Values of labels are escaped, names are the
  // caller's.
  void sample(Labels labels, double value);
  void sample(Labels labels, uint64_t value);
  void sample(Labels labels, int64_t value);
  void sample(Labels labels, int value) { sample(labels, static_cast<int64_t>(value)); }

  // _bucket, _sum and _count of a family of type histogram. `bounds_s`: rising, in seconds, without
  // +Inf.
  void histogram(Labels labels, const Histogram& values, std::span<const double> bounds_s);

  // A family with one sample.
  template <class T>
  void single(const MetricInfo& metric, T value) {
    family(metric);
    sample({}, value);
  }

  const std::string& text() const { return text_; }
  std::string take() { return std::move(text_); }

 private:
  void begin(std::string_view suffix, Labels labels, const Label* more);
  void end(std::string_view value);

  std::string text_;
  std::string name_;
};

// A number as Prometheus reads it: shortest text that gives it again, +Inf, -Inf, NaN.
std::string format_metric_value(double value);

}  // namespace gw
