// gRPC service ConfigSync over a NodeLinkHandler. The one file of the push that includes gRPC (with byte_stream) is its .cc.
#pragma once

#include <memory>

#include "controlplane/push/node_link.h"

namespace grpc {
class Service;
}

namespace gw {

// `handler` is called until the server that the service is registered with has been shut down; both outlive that.
class ConfigSyncService {
 public:
  explicit ConfigSyncService(NodeLinkHandler& handler);
  ~ConfigSyncService();
  grpc::Service* service();

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace gw
