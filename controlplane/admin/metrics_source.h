// What nodes reported last, as the admin API shows it. Implemented by the Server over the telemetry hub. Thread-safe.
#pragma once

#include <map>
#include <string>

#include "gw/v1/admin.pb.h"
#include "gw/v1/telemetry.pb.h"

namespace gw {

class MetricsSource {
 public:
  virtual ~MetricsSource() = default;
  // By node.
  virtual std::map<std::string, v1::MetricsReport> last_metrics() const = 0;
  // Fills in what telemetry knows of a node.
  virtual void complete(v1::NodeInfo& node) const = 0;
};

}  // namespace gw
