#include "controlplane/grpc_listener.h"

#include <grpcpp/grpcpp.h>
#include <grpcpp/health_check_service_interface.h>
#include <grpcpp/resource_quota.h>

#include <chrono>

#include "common/base/status.h"

namespace gw {
namespace {

constexpr auto kStopWithin = std::chrono::seconds(2);

}  // namespace

class GrpcListener::Impl {
 public:
  absl::Status start(const std::string& host, int port, const std::vector<grpc::Service*>& services) {
    grpc::EnableDefaultHealthCheckService(true);
    grpc::ServerBuilder builder;
    // A second process must not share the port silently.
    builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
    builder.SetMaxReceiveMessageSize(kMessageBytesMax);
    builder.SetMaxSendMessageSize(kMessageBytesMax);
    grpc::ResourceQuota quota("controlplane");
    quota.SetMaxThreads(kThreadsMax);
    builder.SetResourceQuota(quota);
    std::string address = host + ":" + std::to_string(port);
    builder.AddListeningPort(address, grpc::InsecureServerCredentials(), &port_);
    for (grpc::Service* service : services) builder.RegisterService(service);
    server_ = builder.BuildAndStart();
    if (server_ && port_ != 0) return absl::OkStatus();
    server_.reset();
    return unavailable("cannot listen on " + address + ": is the port in use? Another may be given with --listen");
  }

  void stop() {
    if (!server_) return;
    server_->Shutdown(std::chrono::system_clock::now() + kStopWithin);
    server_->Wait();
    server_.reset();
  }

  int port() const { return port_; }

 private:
  std::unique_ptr<grpc::Server> server_;
  int port_ = 0;
};

absl::StatusOr<std::unique_ptr<GrpcListener>> GrpcListener::start(const std::string& host, int port,
                                                                  std::vector<grpc::Service*> services) {
  auto impl = std::make_unique<Impl>();
  GW_RETURN_IF_ERROR(impl->start(host, port, services));
  return std::unique_ptr<GrpcListener>(new GrpcListener(std::move(impl)));
}

GrpcListener::GrpcListener(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
GrpcListener::~GrpcListener() { stop(); }
int GrpcListener::port() const { return impl_->port(); }
void GrpcListener::stop() { impl_->stop(); }

}  // namespace gw
