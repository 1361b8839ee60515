#include "dataplane/agent/grpc_channels.h"

#include <grpcpp/grpcpp.h>

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <utility>

#include "common/base/status.h"
#include "gw/v1/config_sync.grpc.pb.h"
#include "gw/v1/telemetry.grpc.pb.h"

namespace gw {
namespace {

constexpr int kMaxMessageBytes = 2 << 20;  // senders keep to 1 MiB
constexpr int kReconnectMs = 100;          // the agent has its own backoff
constexpr auto kJoinDeadline = std::chrono::seconds(10);
constexpr auto kGoodbyeWait = std::chrono::milliseconds(1000);

std::shared_ptr<grpc::Channel> make_channel(const std::string& control) {
  grpc::ChannelArguments args;
  args.SetMaxReceiveMessageSize(kMaxMessageBytes);
  args.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, kReconnectMs);
  args.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, kReconnectMs);
  args.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, kReconnectMs);
  args.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  args.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  return grpc::CreateCustomChannel(control, grpc::InsecureChannelCredentials(), args);
}

absl::Status to_status(const grpc::Status& status) {
  return make_status(static_cast<absl::StatusCode>(status.error_code()), status.error_message());
}

void add_token(grpc::ClientContext& context, const std::string& token) {
  context.AddMetadata("authorization", "Bearer " + token);
}

// A stream with a thread that reads it. `Start` makes the call; all but the reader's callbacks is the owner's thread.
template <class Out, class In>
class ReadingStream {
 public:
  using Call = grpc::ClientReaderWriter<Out, In>;

  ~ReadingStream() { close(); }

  template <class Start, class OnMessage, class OnClosed>
  void open(const std::string& token, Start&& start, OnMessage on_message, OnClosed on_closed) {
    context_ = std::make_unique<grpc::ClientContext>();
    add_token(*context_, token);
    call_ = start(context_.get());
    ended_ = false;
    reader_ = std::thread([this, on_message, on_closed] {
      In message;
      while (call_->Read(&message)) {
        on_message(std::move(message));
        message = In();
      }
      grpc::Status status = call_->Finish();
      {
        std::lock_guard lock(mu_);
        ended_ = true;
      }
      ended_cv_.notify_all();
      on_closed(status.ok() ? unavailable("the control plane ended the stream") : to_status(status));
    });
  }
  bool send(const Out& message) { return call_ && call_->Write(message); }
  void close() {
    if (!context_) return;
    context_->TryCancel();
    reader_.join();
    call_.reset();
    context_.reset();
  }
  // Waits for the other side to have read everything and to end the stream, for at most `most`.
  void close_gently(std::chrono::milliseconds most) {
    if (!context_) return;
    call_->WritesDone();
    {
      std::unique_lock lock(mu_);
      ended_cv_.wait_for(lock, most, [this] { return ended_; });
    }
    close();
  }

 private:
  std::unique_ptr<grpc::ClientContext> context_;
  std::unique_ptr<Call> call_;
  std::mutex mu_;
  std::condition_variable ended_cv_;
  bool ended_ = false;
  std::thread reader_;
};

class GrpcSyncChannel final : public SyncChannel {
 public:
  explicit GrpcSyncChannel(const std::string& control) : stub_(v1::ConfigSync::NewStub(make_channel(control))) {}

  absl::StatusOr<std::string> join(const std::string& join_token, const std::string& node) override {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + kJoinDeadline);
    add_token(context, join_token);
    {
      std::lock_guard lock(mu_);
      if (cancelled_) return unavailable("stopping");
      joining_ = &context;
    }
    v1::JoinRequest request;
    request.set_node(node);
    v1::JoinResponse response;
    grpc::Status status = stub_->Join(&context, request, &response);
    std::lock_guard lock(mu_);
    joining_ = nullptr;
    if (!status.ok()) return to_status(status);
    return response.node_token();
  }

  void open(const std::string& node_token, SyncEvents& events) override {
    stream_.open(
        node_token, [this](grpc::ClientContext* context) { return stub_->Sync(context); },
        [&events](v1::ToNode message) { events.on_message(std::move(message)); },
        [&events](absl::Status status) { events.on_closed(std::move(status)); });
  }
  bool send(const v1::FromNode& message) override {
    if (message.has_goodbye()) said_goodbye_ = true;
    return stream_.send(message);
  }
  void close() override {
    if (std::exchange(said_goodbye_, false)) stream_.close_gently(kGoodbyeWait);
    stream_.close();
  }

  void cancel() override {
    std::lock_guard lock(mu_);
    cancelled_ = true;
    if (joining_ != nullptr) joining_->TryCancel();
  }

 private:
  std::unique_ptr<v1::ConfigSync::Stub> stub_;
  std::mutex mu_;
  bool cancelled_ = false;
  bool said_goodbye_ = false;
  grpc::ClientContext* joining_ = nullptr;
  ReadingStream<v1::FromNode, v1::ToNode> stream_;
};

class GrpcTelemetryChannel final : public TelemetryChannel {
 public:
  explicit GrpcTelemetryChannel(const std::string& control) : stub_(v1::Telemetry::NewStub(make_channel(control))) {}

  void open(const std::string& node_token, TelemetryEvents& events) override {
    stream_.open(
        node_token, [this](grpc::ClientContext* context) { return stub_->Report(context); },
        [&events](v1::ReportAck ack) { events.on_ack(std::move(ack)); },
        [&events](absl::Status status) { events.on_closed(std::move(status)); });
  }
  bool send(const v1::NodeReport& report) override { return stream_.send(report); }
  void close() override { stream_.close(); }

 private:
  std::unique_ptr<v1::Telemetry::Stub> stub_;
  ReadingStream<v1::NodeReport, v1::ReportAck> stream_;
};

}  // namespace

std::unique_ptr<SyncChannel> make_grpc_sync_channel(const std::string& control) {
  return std::make_unique<GrpcSyncChannel>(control);
}

std::unique_ptr<TelemetryChannel> make_grpc_telemetry_channel(const std::string& control) {
  return std::make_unique<GrpcTelemetryChannel>(control);
}

}  // namespace gw
