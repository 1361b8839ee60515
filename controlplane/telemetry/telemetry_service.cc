#include "controlplane/telemetry/telemetry_service.h"

#include <grpcpp/grpcpp.h>

#include "common/base/status.h"
#include "controlplane/push/byte_stream.h"
#include "gw/v1/telemetry.grpc.pb.h"

namespace gw {
namespace {

constexpr size_t kMaxQueuedBytes = 1 << 20;
constexpr size_t kMaxMessageBytes = 2 << 20;

class GrpcReportLink final : public ReportLink {
 public:
  explicit GrpcReportLink(std::shared_ptr<ByteStream::Core> stream) : stream_(std::move(stream)) {}
  void send(const v1::ReportAck& ack) override {
    stream_->send({std::make_shared<const std::string>(ack.SerializeAsString())});
  }
  void close(absl::Status status) override { stream_->close(std::move(status)); }

 private:
  const std::shared_ptr<ByteStream::Core> stream_;
};

}  // namespace

class TelemetryService::Impl final : public v1::Telemetry::WithRawCallbackMethod_Report<v1::Telemetry::Service> {
 public:
  explicit Impl(ReportHandler& handler) : handler_(handler) {}

  grpc::ServerBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer>* Report(grpc::CallbackServerContext* context) override {
    auto stream = ByteStream::make(kMaxQueuedBytes, kMaxMessageBytes);
    auto* reactor = stream->reactor();
    auto link = std::make_shared<GrpcReportLink>(stream);
    handler_.opened(link, node_credentials(*context));
    stream->start({
        .message = [this, link, weak = std::weak_ptr(stream)](std::string bytes) { received(link, weak, bytes); },
        .closed = [this, link] { handler_.closed(link); },
    });
    return reactor;
  }

 private:
  void received(const std::shared_ptr<GrpcReportLink>& link, const std::weak_ptr<ByteStream::Core>& stream,
                const std::string& bytes) {
    v1::NodeReport report;
    if (!report.ParseFromString(bytes)) {
      link->close(invalid_argument("a report cannot be read"));
      return;
    }
    handler_.received(link, std::move(report), [stream] {
      if (auto core = stream.lock()) core->read_on();
    });
  }

  ReportHandler& handler_;
};

TelemetryService::TelemetryService(ReportHandler& handler) : impl_(std::make_unique<Impl>(handler)) {}
TelemetryService::~TelemetryService() = default;
grpc::Service* TelemetryService::service() { return impl_.get(); }

}  // namespace gw
