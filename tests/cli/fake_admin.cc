#include "tests/cli/fake_admin.h"

#include "common/base/status.h"
#include "common/config/kinds.h"

namespace gw::cli {
namespace {

class FakeAdmin final : public AdminClient {
 public:
  explicit FakeAdmin(FakeAdminState& state) : s_(state) {}

  absl::StatusOr<v1::WhoAmIResponse> who_am_i(const v1::WhoAmIRequest& r) override { return call<v1::WhoAmIResponse>("who_am_i", r); }
  absl::StatusOr<v1::ApplyResponse> apply(const v1::ApplyRequest& r) override { return call<v1::ApplyResponse>("apply", r); }
  absl::StatusOr<v1::ApplyResponse> remove(const v1::DeleteRequest& r) override { return call<v1::ApplyResponse>("remove", r); }
  absl::StatusOr<v1::ExplainResponse> explain(const v1::ExplainRequest& r) override { return call<v1::ExplainResponse>("explain", r); }
  absl::StatusOr<v1::HistoryResponse> history(const v1::HistoryRequest& r) override { return call<v1::HistoryResponse>("history", r); }
  absl::StatusOr<v1::ApplyResponse> undo(const v1::UndoRequest& r) override { return call<v1::ApplyResponse>("undo", r); }
  absl::StatusOr<v1::ReleaseSetResponse> release_set(const v1::ReleaseSetRequest& r) override { return call<v1::ReleaseSetResponse>("release_set", r); }
  absl::StatusOr<v1::StatusResponse> status(const v1::StatusRequest& r) override { return call<v1::StatusResponse>("status", r); }
  absl::StatusOr<v1::ListNodesResponse> list_nodes(const v1::ListNodesRequest& r) override { return call<v1::ListNodesResponse>("list_nodes", r); }
  absl::StatusOr<v1::RevokeNodeResponse> revoke_node(const v1::RevokeNodeRequest& r) override { return call<v1::RevokeNodeResponse>("revoke_node", r); }
  absl::StatusOr<v1::CreateTokenResponse> create_token(const v1::CreateTokenRequest& r) override { return call<v1::CreateTokenResponse>("create_token", r); }
  absl::StatusOr<v1::ListTokensResponse> list_tokens(const v1::ListTokensRequest& r) override { return call<v1::ListTokensResponse>("list_tokens", r); }
  absl::StatusOr<v1::RevokeTokenResponse> revoke_token(const v1::RevokeTokenRequest& r) override { return call<v1::RevokeTokenResponse>("revoke_token", r); }
  absl::StatusOr<v1::CreateKeyResponse> create_key(const v1::CreateKeyRequest& r) override { return call<v1::CreateKeyResponse>("create_key", r); }
  absl::StatusOr<v1::ListKeysResponse> list_keys(const v1::ListKeysRequest& r) override { return call<v1::ListKeysResponse>("list_keys", r); }
  absl::StatusOr<v1::CreateKeyResponse> rotate_key(const v1::RotateKeyRequest& r) override { return call<v1::CreateKeyResponse>("rotate_key", r); }
  absl::StatusOr<v1::RevokeKeyResponse> revoke_key(const v1::RevokeKeyRequest& r) override { return call<v1::RevokeKeyResponse>("revoke_key", r); }
  absl::StatusOr<v1::ImportKeysResponse> import_keys(const v1::ImportKeysRequest& r) override { return call<v1::ImportKeysResponse>("import_keys", r); }
  absl::StatusOr<v1::UsageResponse> usage(const v1::UsageRequest& r) override { return call<v1::UsageResponse>("usage", r); }
  absl::StatusOr<v1::SetSwitchResponse> set_switch(const v1::SetSwitchRequest& r) override { return call<v1::SetSwitchResponse>("set_switch", r); }
  absl::StatusOr<v1::SetEndpointsResponse> set_endpoints(const v1::SetEndpointsRequest& r) override { return call<v1::SetEndpointsResponse>("set_endpoints", r); }
  absl::StatusOr<v1::ListEndpointsResponse> list_endpoints(const v1::ListEndpointsRequest& r) override { return call<v1::ListEndpointsResponse>("list_endpoints", r); }
  absl::StatusOr<v1::ListCertificatesResponse> list_certificates(const v1::ListCertificatesRequest& r) override {
    return call<v1::ListCertificatesResponse>("list_certificates", r);
  }
  absl::StatusOr<v1::RotateMasterResponse> rotate_master(const v1::RotateMasterRequest& r) override { return call<v1::RotateMasterResponse>("rotate_master", r); }
  absl::StatusOr<v1::ListSwitchesResponse> list_switches(const v1::ListSwitchesRequest& r) override { return call<v1::ListSwitchesResponse>("list_switches", r); }

  absl::StatusOr<v1::ListObjectsResponse> list_objects(const v1::ListObjectsRequest& r) override {
    note("list_objects", r);
    if (auto found = s_.failures.find("list_objects"); found != s_.failures.end()) return found->second;
    v1::ListObjectsResponse out;
    out.set_version(142);
    for (const v1::ObjectView& v : s_.objects) {
      const v1::Metadata& meta = v.object().metadata();
      if (!r.kind().empty() && r.kind() != kind_of(v.object())) continue;
      if (!r.owner().empty() && r.owner() != meta.owner()) continue;
      if (!r.name().empty() && r.name() != meta.name()) continue;
      *out.add_objects() = v;
    }
    return out;
  }

  absl::Status watch_rollout(const v1::WatchRolloutRequest& r, int64_t, const std::function<bool(const v1::RolloutStatus&)>& fn) override {
    note("watch_rollout", r);
    if (s_.watches.empty()) return deadline_exceeded("nothing more");
    std::vector<v1::RolloutStatus> list = std::move(s_.watches.front());
    s_.watches.pop_front();
    absl::Status end;
    if (!s_.watch_ends.empty()) {
      end = s_.watch_ends.front();
      s_.watch_ends.pop_front();
    }
    for (const v1::RolloutStatus& status : list) {
      if (!fn(status)) return absl::OkStatus();
    }
    return end;
  }

 private:
  void note(const std::string& name, const google::protobuf::Message& request) {
    s_.calls.emplace_back(name, request.SerializeAsString());
  }

  template <class Response, class Request>
  absl::StatusOr<Response> call(const std::string& name, const Request& request) {
    note(name, request);
    if (auto found = s_.failures.find(name); found != s_.failures.end()) return found->second;
    auto found = s_.answers.find(name);
    if (found == s_.answers.end()) return make_status(absl::StatusCode::kUnimplemented, "no answer for " + name);
    Response out;
    out.ParseFromString(found->second);
    return out;
  }

  FakeAdminState& s_;
};

}  // namespace

int FakeAdminState::count(const std::string& call) const {
  int n = 0;
  for (const auto& [name, bytes] : calls) n += name == call;
  return n;
}

std::unique_ptr<AdminClient> make_fake_admin(FakeAdminState& state) { return std::make_unique<FakeAdmin>(state); }

}  // namespace gw::cli
