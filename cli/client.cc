#include "cli/client.h"

#include <grpc/support/log.h>
#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <utility>

#include "common/base/diagnostic.h"
#include "common/base/status.h"
#include "gw/v1/admin.grpc.pb.h"

namespace gw::cli {
namespace {

constexpr int kMaxMessageBytes = 256 << 20;
constexpr int kMaxFindingsBytes = 4 << 20;  // DiagnosticList::kMax of them come in the answer's trailer
constexpr int64_t kConnectMs = 5'000;  // longest that a connection may take
constexpr int64_t kRetryMs = 500;      // after a failure, for further attempts
constexpr int kBackoffMs = 100;        // before the second

absl::Status to_absl(const grpc::Status& status) {
  auto code = static_cast<absl::StatusCode>(status.error_code());
  v1::Diagnostics details;
  if (!status.error_details().empty() && details.ParseFromString(status.error_details()) && details.items_size() > 0) {
    DiagnosticList list;
    for (const v1::Diagnostic& d : details.items()) list.add(d);
    return to_status(list, code);
  }
  return make_status(code, status.error_message());
}

// Owner: the command's Session. The token goes into the metadata by hand: gRPC refuses token credentials over a channel
// that is not encrypted, as that to loopback may be.
class GrpcAdminClient final : public AdminClient {
 public:
  explicit GrpcAdminClient(const Endpoint& endpoint) : endpoint_(endpoint) {
    // What went wrong is in the status of the call.
    if (std::getenv("GRPC_VERBOSITY") == nullptr) gpr_set_log_function([](gpr_log_func_args*) {});
    grpc::ChannelArguments args;
    args.SetMaxReceiveMessageSize(kMaxMessageBytes);
    args.SetInt(GRPC_ARG_MAX_METADATA_SIZE, kMaxFindingsBytes);
    args.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
    args.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, kBackoffMs);
    std::shared_ptr<grpc::ChannelCredentials> credentials = grpc::InsecureChannelCredentials();
    if (!endpoint.ca.empty()) {
      grpc::SslCredentialsOptions options;
      options.pem_root_certs = endpoint.ca;
      credentials = grpc::SslCredentials(options);
    }
    channel_ = grpc::CreateCustomChannel(endpoint.server, credentials, args);
    stub_ = v1::Admin::NewStub(channel_);
  }

  absl::StatusOr<v1::WhoAmIResponse> who_am_i(const v1::WhoAmIRequest& r) override { return call(&Stub::WhoAmI, r); }
  absl::StatusOr<v1::ApplyResponse> apply(const v1::ApplyRequest& r) override { return call(&Stub::Apply, r); }
  absl::StatusOr<v1::ApplyResponse> remove(const v1::DeleteRequest& r) override { return call(&Stub::Delete, r); }
  absl::StatusOr<v1::ListObjectsResponse> list_objects(const v1::ListObjectsRequest& r) override {
    return call(&Stub::ListObjects, r);
  }
  absl::StatusOr<v1::ExplainResponse> explain(const v1::ExplainRequest& r) override { return call(&Stub::Explain, r); }
  absl::StatusOr<v1::HistoryResponse> history(const v1::HistoryRequest& r) override { return call(&Stub::History, r); }
  absl::StatusOr<v1::ApplyResponse> undo(const v1::UndoRequest& r) override { return call(&Stub::Undo, r); }
  absl::StatusOr<v1::ReleaseSetResponse> release_set(const v1::ReleaseSetRequest& r) override {
    return call(&Stub::ReleaseSet, r);
  }
  absl::StatusOr<v1::StatusResponse> status(const v1::StatusRequest& r) override { return call(&Stub::Status, r); }
  absl::StatusOr<v1::ListNodesResponse> list_nodes(const v1::ListNodesRequest& r) override {
    return call(&Stub::ListNodes, r);
  }
  absl::StatusOr<v1::RevokeNodeResponse> revoke_node(const v1::RevokeNodeRequest& r) override {
    return call(&Stub::RevokeNode, r);
  }
  absl::StatusOr<v1::CreateTokenResponse> create_token(const v1::CreateTokenRequest& r) override {
    return call(&Stub::CreateToken, r);
  }
  absl::StatusOr<v1::ListTokensResponse> list_tokens(const v1::ListTokensRequest& r) override {
    return call(&Stub::ListTokens, r);
  }
  absl::StatusOr<v1::RevokeTokenResponse> revoke_token(const v1::RevokeTokenRequest& r) override {
    return call(&Stub::RevokeToken, r);
  }
  absl::StatusOr<v1::CreateKeyResponse> create_key(const v1::CreateKeyRequest& r) override {
    return call(&Stub::CreateKey, r);
  }
  absl::StatusOr<v1::ListKeysResponse> list_keys(const v1::ListKeysRequest& r) override {
    return call(&Stub::ListKeys, r);
  }
  absl::StatusOr<v1::CreateKeyResponse> rotate_key(const v1::RotateKeyRequest& r) override {
    return call(&Stub::RotateKey, r);
  }
  absl::StatusOr<v1::RevokeKeyResponse> revoke_key(const v1::RevokeKeyRequest& r) override {
    return call(&Stub::RevokeKey, r);
  }
  absl::StatusOr<v1::ImportKeysResponse> import_keys(const v1::ImportKeysRequest& r) override {
    return call(&Stub::ImportKeys, r);
  }
  absl::StatusOr<v1::UsageResponse> usage(const v1::UsageRequest& r) override { return call(&Stub::Usage, r); }
  absl::StatusOr<v1::SetSwitchResponse> set_switch(const v1::SetSwitchRequest& r) override {
    return call(&Stub::SetSwitch, r);
  }
  absl::StatusOr<v1::SetEndpointsResponse> set_endpoints(const v1::SetEndpointsRequest& r) override {
    return call(&Stub::SetEndpoints, r);
  }
  absl::StatusOr<v1::ListEndpointsResponse> list_endpoints(const v1::ListEndpointsRequest& r) override {
    return call(&Stub::ListEndpoints, r);
  }
  absl::StatusOr<v1::ListCertificatesResponse> list_certificates(const v1::ListCertificatesRequest& r) override {
    return call(&Stub::ListCertificates, r);
  }
  absl::StatusOr<v1::RotateMasterResponse> rotate_master(const v1::RotateMasterRequest& r) override {
    return call(&Stub::RotateMaster, r);
  }
  absl::StatusOr<v1::ListSwitchesResponse> list_switches(const v1::ListSwitchesRequest& r) override {
    return call(&Stub::ListSwitches, r);
  }

  absl::Status watch_rollout(const v1::WatchRolloutRequest& request, int64_t timeout_ms,
                             const std::function<bool(const v1::RolloutStatus&)>& on_status) override {
    connect();
    grpc::ClientContext context;
    prepare(context, timeout_ms);
    auto reader = stub_->WatchRollout(&context, request);
    v1::RolloutStatus status;
    while (reader->Read(&status)) {
      if (on_status(status)) continue;
      context.TryCancel();
      while (reader->Read(&status)) {
      }
      reader->Finish();
      return absl::OkStatus();
    }
    return to_absl(reader->Finish());
  }

 private:
  using Stub = v1::Admin::Stub;

  // One failure to connect is not believed: gRPC reads errno late, after calls that may have changed it, and takes a
  // connection in progress for one that failed; a control plane that restarts is back in a moment. Nothing was sent yet, so
  // that further attempts harm nothing. What is wrong after them, the call tells.
  void connect() {
    auto in = [](int64_t ms) { return std::chrono::system_clock::now() + std::chrono::milliseconds(ms); };
    auto deadline = in(std::min(kConnectMs, endpoint_.timeout_ms));
    bool failed = false;
    while (true) {
      grpc_connectivity_state state = channel_->GetState(true);
      if (state == GRPC_CHANNEL_READY || state == GRPC_CHANNEL_SHUTDOWN) return;
      if (state == GRPC_CHANNEL_TRANSIENT_FAILURE && !failed) {
        failed = true;
        deadline = std::min(deadline, in(kRetryMs));
      }
      if (!channel_->WaitForStateChange(state, deadline)) return;
    }
  }

  void prepare(grpc::ClientContext& context, int64_t timeout_ms) const {
    context.AddMetadata("authorization", "Bearer " + endpoint_.token);
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::milliseconds(timeout_ms));
  }

  template <class Request, class Response>
  absl::StatusOr<Response> call(grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&, Response*),
                                const Request& request) {
    connect();
    grpc::ClientContext context;
    prepare(context, endpoint_.timeout_ms);
    Response response;
    grpc::Status status = (stub_.get()->*method)(&context, request, &response);
    if (!status.ok()) return to_absl(status);
    return response;
  }

  Endpoint endpoint_;
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<Stub> stub_;
};

}  // namespace

std::unique_ptr<AdminClient> connect_admin(const Endpoint& endpoint) {
  return std::make_unique<GrpcAdminClient>(endpoint);
}

}  // namespace gw::cli
