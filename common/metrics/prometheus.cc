#include "common/metrics/prometheus.h"

#include <charconv>
#include <cmath>

namespace gw {
namespace {

template <class T>
std::string number(T value) {
  char buffer[32];
  auto [end, error] = std::to_chars(buffer, buffer + sizeof buffer, value);
  return {buffer, end};
}

void append_escaped(std::string& out, std::string_view text, bool quotes) {
  for (char c : text) {
    if (c == '\\') {
      out += "\\\\";
    } else if (c == '\n') {
      out += "\\n";
    } else if (c == '"' && quotes) {
      out += "\\\"";
    } else {
      out += c;
    }
  }
}

}  // namespace

std::string format_metric_value(double value) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value > 0 ? "+Inf" : "-Inf";
  return number(value);
}

void PrometheusWriter::family(std::string_view name, MetricType type, std::string_view help) {
  name_ = name;
  text_.append("# HELP ").append(name).append(" ");
  append_escaped(text_, help, false);
  text_.append("\n# TYPE ").append(name).append(" ").append(metric_type_name(type)).append("\n");
}

void PrometheusWriter::begin(std::string_view suffix, Labels labels, const Label* more) {
  text_.append(name_).append(suffix);
  char before = '{';
  auto add = [&](const Label& label) {
    text_ += before;
    before = ',';
    text_.append(label.first).append("=\"");
    append_escaped(text_, label.second, true);
    text_ += '"';
  };
  for (const Label& label : labels) add(label);
  if (more) add(*more);
  if (before == ',') text_ += '}';
  text_ += ' ';
}

void PrometheusWriter::end(std::string_view value) { text_.append(value).append("\n"); }

void PrometheusWriter::sample(Labels labels, double value) {
  begin("", labels, nullptr);
  end(format_metric_value(value));
}

void PrometheusWriter::sample(Labels labels, uint64_t value) {
  begin("", labels, nullptr);
  end(number(value));
}

void PrometheusWriter::sample(Labels labels, int64_t value) {
  begin("", labels, nullptr);
  end(number(value));
}

void PrometheusWriter::histogram(Labels labels, const Histogram& values,
                                 std::span<const double> bounds_s) {
  for (double bound : bounds_s) {
    std::string le = format_metric_value(bound);
    Label label{"le", le};
    begin("_bucket", labels, &label);
    end(number(values.count_at_most(std::llround(bound * 1e9))));
  }
  Label infinity{"le", "+Inf"};
  begin("_bucket", labels, &infinity);
  end(number(values.count()));
  begin("_sum", labels, nullptr);
  end(format_metric_value(static_cast<double>(values.sum_ns()) / 1e9));
  begin("_count", labels, nullptr);
  end(number(values.count()));
}

}  // namespace gw
