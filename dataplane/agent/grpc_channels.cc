#include "dataplane/agent/grpc_channels.h"

#include <grpc/support/log.h>
#include <grpcpp/grpcpp.h>

#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <mutex>
#include <thread>
#include <utility>

#include "common/base/status.h"
#include "common/crypto/tls_failure.h"
#include "gw/v1/config_sync.grpc.pb.h"
#include "gw/v1/telemetry.grpc.pb.h"

namespace gw {
namespace {

constexpr int kMaxMessageBytes = 2 << 20;  // senders keep to 1 MiB
constexpr int kConnectMs = 5'000;
constexpr int kReconnectMs = 100;          // the agent has its own backoff
constexpr auto kJoinDeadline = std::chrono::seconds(10);
constexpr auto kRenewDeadline = std::chrono::seconds(3);
constexpr auto kGoodbyeWait = std::chrono::milliseconds(1000);

std::shared_ptr<grpc::ChannelCredentials> credentials_of(const ControlIdentity& identity, bool show) {
  if (identity.ca.empty()) return grpc::InsecureChannelCredentials();
  grpc::SslCredentialsOptions options;
  options.pem_root_certs = identity.ca;
  if (show) {
    options.pem_private_key = identity.key;
    options.pem_cert_chain = identity.certificate;
  }
  return grpc::SslCredentials(options);
}

std::shared_ptr<grpc::Channel> make_channel(const std::string& control, const ControlIdentity& identity, bool show) {
  grpc::ChannelArguments args;
  args.SetMaxReceiveMessageSize(kMaxMessageBytes);
  args.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, kReconnectMs);
  args.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, kConnectMs);  // in truth the least that an attempt, with its TLS handshake, may take
  args.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, kReconnectMs);
  args.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  args.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  return grpc::CreateCustomChannel(control, credentials_of(identity, show), args);
}

const char* cure_of(TlsFailure failure, bool tls) {
  switch (failure) {
    case TlsFailure::kUntrusted:
      return "; its certificate is not one of the CA that this node trusts, or is not in force: is that CA the ca.pem of the control "
             "plane's state directory, and are the clocks right?";
    case TlsFailure::kWrongName: return "; its certificate is for other names: start the control plane with --name, or name it as its certificate does";
    case TlsFailure::kPlainText: return "; it talks plain text: start the control plane with --tls, or give this node no CA";
    case TlsFailure::kRefused: return "; it did not take this node's certificate";
    case TlsFailure::kCut:
      return tls ? "" : "; does it talk TLS? give this node the file of `gwctl node join-token`, or the CA with --control-ca-file";
    case TlsFailure::kNone: break;
  }
  return "";
}

absl::Status to_status(const grpc::Status& status, bool tls) {
  std::string text = status.error_message();
  if (status.error_code() == grpc::StatusCode::UNAVAILABLE) text += cure_of(tls_failure_of(text), tls);
  return make_status(static_cast<absl::StatusCode>(status.error_code()), text);
}

// A stub over a channel with the identity in force. Each stream dials anew: a channel whose connection failed lets calls fail at
// once until it has connected, and while no call waits nobody drives its TLS handshake on. Owner: a channel, on its one thread.
template <class Service>
class Dialer {
 public:
  Dialer(std::string control, std::shared_ptr<const IdentityHolder> holder) : control_(std::move(control)), holder_(std::move(holder)) {}

  // REQUIRES: no call of the one before is under way.
  typename Service::Stub& dial() {
    IdentityHolder::Current now = current();
    number_ = now.number;
    tls_ = !now.identity->ca.empty();
    stub_ = Service::NewStub(make_channel(control_, *now.identity, true));
    return *stub_;
  }
  // That of the stream that stands.
  typename Service::Stub& stub() { return stub_ ? *stub_ : dial(); }
  // Shows no certificate: for who has none yet.
  std::unique_ptr<typename Service::Stub> stranger() { return Service::NewStub(make_channel(control_, *current().identity, false)); }
  // Whether the identity in force is another than that of the last dial().
  bool outdated() const { return stub_ && current().number != number_; }
  bool tls() const { return tls_; }

 private:
  IdentityHolder::Current current() const { return holder_ ? holder_->current() : IdentityHolder::Current{}; }

  const std::string control_;
  const std::shared_ptr<const IdentityHolder> holder_;
  std::unique_ptr<typename Service::Stub> stub_;
  uint64_t number_ = 0;
  bool tls_ = false;
};

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
  void open(const std::string& token, bool tls, Start&& start, OnMessage on_message, OnClosed on_closed) {
    context_ = std::make_unique<grpc::ClientContext>();
    add_token(*context_, token);
    call_ = start(context_.get());
    ended_ = false;
    reader_ = std::thread([this, tls, on_message, on_closed] {
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
      on_closed(status.ok() ? unavailable("the control plane ended the stream") : to_status(status, tls));
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
  GrpcSyncChannel(const std::string& control, std::shared_ptr<const IdentityHolder> identity) : dialer_(control, std::move(identity)) {}

  absl::StatusOr<v1::JoinResponse> join(const std::string& join_token, const std::string& node, const std::string& signing_request) override {
    v1::JoinRequest request;
    request.set_node(node);
    request.set_signing_request(signing_request);
    auto stub = dialer_.stranger();
    return ask<v1::JoinResponse>(join_token, kJoinDeadline, !signing_request.empty(), [&](grpc::ClientContext* context, v1::JoinResponse* out) {
      return stub->Join(context, request, out);
    });
  }

  absl::StatusOr<v1::RenewResponse> renew(const std::string& node_token, const std::string& signing_request) override {
    v1::RenewRequest request;
    request.set_signing_request(signing_request);
    auto& stub = dialer_.stub();
    return ask<v1::RenewResponse>(node_token, kRenewDeadline, dialer_.tls(), [&](grpc::ClientContext* context, v1::RenewResponse* out) {
      return stub.Renew(context, request, out);
    });
  }

  void open(const std::string& node_token, SyncEvents& events) override {
    auto& stub = dialer_.dial();
    stream_.open(
        node_token, dialer_.tls(), [&stub](grpc::ClientContext* context) { return stub.Sync(context); },
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
    if (asking_ != nullptr) asking_->TryCancel();
  }

 private:
  // One call that cancel() ends.
  template <class Response, class Call>
  absl::StatusOr<Response> ask(const std::string& token, std::chrono::seconds most, bool tls, Call&& call) {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + most);
    add_token(context, token);
    {
      std::lock_guard lock(mu_);
      if (cancelled_) return unavailable("stopping");
      asking_ = &context;
    }
    Response response;
    grpc::Status status = call(&context, &response);
    std::lock_guard lock(mu_);
    asking_ = nullptr;
    if (!status.ok()) return to_status(status, tls);
    return response;
  }

  Dialer<v1::ConfigSync> dialer_;
  std::mutex mu_;
  bool cancelled_ = false;
  bool said_goodbye_ = false;
  grpc::ClientContext* asking_ = nullptr;
  ReadingStream<v1::FromNode, v1::ToNode> stream_;
};

class GrpcTelemetryChannel final : public TelemetryChannel {
 public:
  GrpcTelemetryChannel(const std::string& control, std::shared_ptr<const IdentityHolder> identity) : dialer_(control, std::move(identity)) {}

  void open(const std::string& node_token, TelemetryEvents& events) override {
    auto& stub = dialer_.dial();
    stream_.open(
        node_token, dialer_.tls(), [&stub](grpc::ClientContext* context) { return stub.Report(context); },
        [&events](v1::ReportAck ack) { events.on_ack(std::move(ack)); },
        [&events](absl::Status status) { events.on_closed(std::move(status)); });
  }
  bool send(const v1::NodeReport& report) override { return stream_.send(report); }
  void close() override { stream_.close(); }
  bool outdated() const override { return dialer_.outdated(); }

 private:
  Dialer<v1::Telemetry> dialer_;
  ReadingStream<v1::NodeReport, v1::ReportAck> stream_;
};

}  // namespace

std::unique_ptr<SyncChannel> make_grpc_sync_channel(const std::string& control, std::shared_ptr<const IdentityHolder> identity) {
  // What went wrong is in the status of the call, and the agent says it once.
  if (std::getenv("GRPC_VERBOSITY") == nullptr) gpr_set_log_function([](gpr_log_func_args*) {});
  return std::make_unique<GrpcSyncChannel>(control, std::move(identity));
}

std::unique_ptr<TelemetryChannel> make_grpc_telemetry_channel(const std::string& control, std::shared_ptr<const IdentityHolder> identity) {
  return std::make_unique<GrpcTelemetryChannel>(control, std::move(identity));
}

}  // namespace gw
