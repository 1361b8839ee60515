// gRPC service Admin over AdminHandlers: tokens are checked before every call, findings go into the status' details as a
// serialized gw.v1.Diagnostics. The one file of the admin API that includes gRPC is its .cc. Synchronous: a call has a
// thread of gRPC's for as long as it lasts.
#pragma once

#include <memory>

#include "controlplane/admin/admin_handlers.h"

namespace grpc {
class Service;
}

namespace gw {

// `handlers` is called until the server that the service is registered with has been shut down; both outlive that.
class AdminService {
 public:
  explicit AdminService(AdminHandlers& handlers);
  ~AdminService();
  grpc::Service* service();
  // Ends waiting calls (WatchRollout) soon: before the server is shut down.
  void stop();

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace gw
