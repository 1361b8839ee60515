// gRPC service Telemetry over a ReportHandler; only its .cc includes gRPC.
#pragma once

#include <memory>

#include "controlplane/telemetry/telemetry_hub.h"

namespace grpc {
class Service;
}

namespace gw {

// `handler` is called until the server that the service is registered with has been shut down; both outlive that.
class TelemetryService {
 public:
  explicit TelemetryService(ReportHandler& handler);
  ~TelemetryService();
  grpc::Service* service();

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace gw
