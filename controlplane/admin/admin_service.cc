#include "controlplane/admin/admin_service.h"

#include <grpcpp/grpcpp.h>

#include <atomic>
#include <exception>

#include "common/base/status.h"
#include "gw/v1/admin.grpc.pb.h"

namespace gw {
namespace {

grpc::Status to_grpc(const absl::Status& status) {
  if (status.ok()) return grpc::Status::OK;
  DiagnosticList found;
  v1::Diagnostics details;
  if (diagnostics_of(status, found)) {
    for (const Diagnostic& d : found.items()) *details.add_items() = d;
  }
  return grpc::Status(static_cast<grpc::StatusCode>(status.code()), message_of(status), details.SerializeAsString());
}

std::string bearer_token(const grpc::ServerContext& context) {
  auto at = context.client_metadata().find("authorization");
  if (at == context.client_metadata().end()) return "";
  std::string value(at->second.data(), at->second.size());
  return value.rfind("Bearer ", 0) == 0 ? value.substr(7) : "";
}

// We throw nothing; libraries may.
template <class Fn>
grpc::Status guarded(Fn&& fn) {
  try {
    return to_grpc(fn());
  } catch (const std::exception& e) {
    return grpc::Status(grpc::StatusCode::INTERNAL, e.what());
  }
}

}  // namespace

class AdminService::Impl final : public v1::Admin::Service {
 public:
  explicit Impl(AdminHandlers& handlers) : h_(handlers) {}
  void stop() { stopping_ = true; }

  using Context = grpc::ServerContext;

  grpc::Status WhoAmI(Context* c, const v1::WhoAmIRequest*, v1::WhoAmIResponse* out) override {
    return call(c, out, [&](const Caller& caller) { return h_.who_am_i(caller); });
  }
  grpc::Status Apply(Context* c, const v1::ApplyRequest* in, v1::ApplyResponse* out) override {
    return call(c, out, [&](const Caller& caller) { return h_.apply(caller, *in); });
  }
  grpc::Status Delete(Context* c, const v1::DeleteRequest* in, v1::ApplyResponse* out) override {
    return call(c, out, [&](const Caller& caller) { return h_.remove(caller, *in); });
  }
  grpc::Status ListObjects(Context* c, const v1::ListObjectsRequest* in, v1::ListObjectsResponse* out) override {
    return call(c, out, [&](const Caller&) { return h_.list_objects(*in); });
  }
  grpc::Status Explain(Context* c, const v1::ExplainRequest* in, v1::ExplainResponse* out) override {
    return call(c, out, [&](const Caller&) { return h_.explain(*in); });
  }
  grpc::Status WatchRollout(Context* c, const v1::WatchRolloutRequest* in,
                            grpc::ServerWriter<v1::RolloutStatus>* writer) override {
    return guarded([&]() -> absl::Status {
      GW_RETURN_IF_ERROR(h_.authenticate(bearer_token(*c)).status());
      auto send = [&](const v1::RolloutStatus& state) { return writer->Write(state); };
      GW_RETURN_IF_ERROR(h_.watch_rollout(*in, send, [&] { return stopping_ || c->IsCancelled(); }));
      return stopping_ ? unavailable("the control plane is stopping") : absl::OkStatus();
    });
  }
  grpc::Status History(Context* c, const v1::HistoryRequest* in, v1::HistoryResponse* out) override {
    return call(c, out, [&](const Caller&) { return h_.history(*in); });
  }
  grpc::Status Undo(Context* c, const v1::UndoRequest* in, v1::ApplyResponse* out) override {
    return call(c, out, [&](const Caller& caller) { return h_.undo(caller, *in); });
  }
  grpc::Status ReleaseSet(Context* c, const v1::ReleaseSetRequest* in, v1::ReleaseSetResponse* out) override {
    return call(c, out, [&](const Caller& caller) { return h_.release_set(caller, *in); });
  }
  grpc::Status Status(Context* c, const v1::StatusRequest*, v1::StatusResponse* out) override {
    return call(c, out, [&](const Caller&) { return h_.status(); });
  }
  grpc::Status ListNodes(Context* c, const v1::ListNodesRequest*, v1::ListNodesResponse* out) override {
    return call(c, out, [&](const Caller&) { return h_.list_nodes(); });
  }
  grpc::Status CreateToken(Context* c, const v1::CreateTokenRequest* in, v1::CreateTokenResponse* out) override {
    return call(c, out, [&](const Caller& caller) { return h_.create_token(caller, *in); });
  }
  grpc::Status ListTokens(Context* c, const v1::ListTokensRequest*, v1::ListTokensResponse* out) override {
    return call(c, out, [&](const Caller& caller) { return h_.list_tokens(caller); });
  }
  grpc::Status RevokeToken(Context* c, const v1::RevokeTokenRequest* in, v1::RevokeTokenResponse* out) override {
    return call(c, out, [&](const Caller& caller) { return h_.revoke_token(caller, *in); });
  }
  grpc::Status CreateKey(Context* c, const v1::CreateKeyRequest* in, v1::CreateKeyResponse* out) override {
    return call(c, out, [&](const Caller& caller) { return h_.create_key(caller, *in); });
  }
  grpc::Status ListKeys(Context* c, const v1::ListKeysRequest* in, v1::ListKeysResponse* out) override {
    return call(c, out, [&](const Caller&) { return h_.list_keys(*in); });
  }
  grpc::Status RotateKey(Context* c, const v1::RotateKeyRequest* in, v1::CreateKeyResponse* out) override {
    return call(c, out, [&](const Caller& caller) { return h_.rotate_key(caller, *in); });
  }
  grpc::Status RevokeKey(Context* c, const v1::RevokeKeyRequest* in, v1::RevokeKeyResponse* out) override {
    return call(c, out, [&](const Caller& caller) { return h_.revoke_key(caller, *in); });
  }
  grpc::Status ImportKeys(Context* c, const v1::ImportKeysRequest* in, v1::ImportKeysResponse* out) override {
    return call(c, out, [&](const Caller& caller) { return h_.import_keys(caller, *in); });
  }
  grpc::Status Usage(Context* c, const v1::UsageRequest* in, v1::UsageResponse* out) override {
    return call(c, out, [&](const Caller&) { return h_.usage(*in); });
  }
  grpc::Status SetSwitch(Context* c, const v1::SetSwitchRequest* in, v1::SetSwitchResponse* out) override {
    return call(c, out, [&](const Caller& caller) { return h_.set_switch(caller, *in); });
  }
  grpc::Status SetEndpoints(Context* c, const v1::SetEndpointsRequest* r, v1::SetEndpointsResponse* out) override {
    return call(c, out, [&](const Caller& who) { return h_.set_endpoints(who, *r); });
  }
  grpc::Status ListEndpoints(Context* c, const v1::ListEndpointsRequest* r, v1::ListEndpointsResponse* out) override {
    return call(c, out, [&](const Caller&) { return h_.list_endpoints(*r); });
  }
  grpc::Status ListCertificates(Context* c, const v1::ListCertificatesRequest* r, v1::ListCertificatesResponse* out) override {
    return call(c, out, [&](const Caller&) { return h_.list_certificates(*r); });
  }
  grpc::Status RevokeNode(Context* c, const v1::RevokeNodeRequest* r, v1::RevokeNodeResponse* out) override {
    return call(c, out, [&](const Caller& who) { return h_.revoke_node(who, *r); });
  }
  grpc::Status RotateMaster(Context* c, const v1::RotateMasterRequest*, v1::RotateMasterResponse* out) override {
    return call(c, out, [&](const Caller& who) { return h_.rotate_master(who); });
  }
  grpc::Status ListSwitches(Context* c, const v1::ListSwitchesRequest*, v1::ListSwitchesResponse* out) override {
    return call(c, out, [&](const Caller&) { return h_.list_switches(); });
  }

 private:
  template <class Response, class Fn>
  grpc::Status call(Context* context, Response* out, Fn&& fn) {
    return guarded([&]() -> absl::Status {
      GW_ASSIGN_OR_RETURN(Caller caller, h_.authenticate(bearer_token(*context)));
      GW_ASSIGN_OR_RETURN(*out, fn(caller));
      return absl::OkStatus();
    });
  }

  AdminHandlers& h_;
  std::atomic<bool> stopping_{false};
};

AdminService::AdminService(AdminHandlers& handlers) : impl_(std::make_unique<Impl>(handlers)) {}
AdminService::~AdminService() = default;
grpc::Service* AdminService::service() { return impl_.get(); }
void AdminService::stop() { impl_->stop(); }

}  // namespace gw
