#include "controlplane/push/config_sync_service.h"

#include <grpcpp/grpcpp.h>

#include "common/base/status.h"
#include "controlplane/push/byte_stream.h"
#include "gw/v1/config_sync.grpc.pb.h"

namespace gw {
namespace {

constexpr size_t kMaxMessageBytes = 1 << 20;

class GrpcNodeLink final : public NodeLink {
 public:
  explicit GrpcNodeLink(std::shared_ptr<ByteStream::Core> stream) : stream_(std::move(stream)) {}
  void send(std::vector<Frame> frames) override { stream_->send(std::move(frames)); }
  void close(absl::Status status) override { stream_->close(std::move(status)); }

 private:
  const std::shared_ptr<ByteStream::Core> stream_;
};

}  // namespace

using SyncMethods = v1::ConfigSync::WithCallbackMethod_Join<
    v1::ConfigSync::WithCallbackMethod_Renew<v1::ConfigSync::WithRawCallbackMethod_Sync<v1::ConfigSync::Service>>>;

class ConfigSyncService::Impl final : public SyncMethods {
 public:
  explicit Impl(NodeLinkHandler& handler) : handler_(handler) {}

  grpc::ServerUnaryReactor* Join(grpc::CallbackServerContext* context, const v1::JoinRequest* request,
                                 v1::JoinResponse* response) override {
    grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
    handler_.join(bearer_token(*context), *request, [reactor, response](absl::StatusOr<NodeGrant> grant) {
      if (grant.ok()) {
        response->set_node_token(std::move(grant->token));
        response->set_certificate(std::move(grant->certificate));
        response->set_ca(std::move(grant->ca));
      }
      reactor->Finish(to_grpc(grant.status()));
    });
    return reactor;
  }

  grpc::ServerUnaryReactor* Renew(grpc::CallbackServerContext* context, const v1::RenewRequest* request,
                                  v1::RenewResponse* response) override {
    grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
    handler_.renew(node_credentials(*context), *request, [reactor, response](absl::StatusOr<NodeGrant> grant) {
      if (grant.ok()) {
        response->set_certificate(std::move(grant->certificate));
        response->set_ca(std::move(grant->ca));
      }
      reactor->Finish(to_grpc(grant.status()));
    });
    return reactor;
  }

  grpc::ServerBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer>* Sync(grpc::CallbackServerContext* context) override {
    auto stream = ByteStream::make(NodeLink::kMaxQueuedBytes, kMaxMessageBytes);
    auto* reactor = stream->reactor();
    auto link = std::make_shared<GrpcNodeLink>(stream);
    handler_.opened(link, node_credentials(*context));
    stream->start({
        .message = [this, link, weak = std::weak_ptr(stream)](std::string bytes) { received(link, weak, bytes); },
        .closed = [this, link] { handler_.closed(link); },
    });
    return reactor;
  }

 private:
  void received(const std::shared_ptr<GrpcNodeLink>& link, const std::weak_ptr<ByteStream::Core>& stream,
                const std::string& bytes) {
    v1::FromNode message;
    if (!message.ParseFromString(bytes)) {
      link->close(invalid_argument("a message cannot be read"));
      return;
    }
    handler_.received(link, std::move(message), [stream] {
      if (auto core = stream.lock()) core->read_on();
    });
  }

  NodeLinkHandler& handler_;
};

ConfigSyncService::ConfigSyncService(NodeLinkHandler& handler) : impl_(std::make_unique<Impl>(handler)) {}
ConfigSyncService::~ConfigSyncService() = default;
grpc::Service* ConfigSyncService::service() { return impl_.get(); }

}  // namespace gw
