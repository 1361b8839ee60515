// The admin API without its transport: one function per RPC, plain values in and out, called from any number of threads.
// Errors are Statuses with findings (diagnostics_of); the adapter (admin_service.h) puts them on the wire.
#pragma once

#include <functional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/clock.h"
#include "controlplane/admin/access.h"
#include "controlplane/admin/endpoint_board.h"
#include "controlplane/admin/engine.h"
#include "controlplane/admin/quota.h"
#include "controlplane/admin/switch_board.h"
#include "controlplane/push/rollouts.h"
#include "controlplane/admin/metrics_source.h"
#include "gw/v1/admin.pb.h"

namespace gw {

class AdminHandlers {
 public:
  // All outlive this.
  struct Parts {
    Engine* engine = nullptr;
    QuotaTracker* quotas = nullptr;
    SwitchBoard* switches = nullptr;
    EndpointBoard* endpoints = nullptr;
    Rollouts* rollouts = nullptr;
    NodeDirectory* nodes = nullptr;
    MetricsSource* metrics = nullptr;
    const Clock* clock = &SystemClock::instance();
    std::string build;  // version of this program
    // The CA's certificate, PEM, for the join tokens that are made; empty: the control channel is plain text.
    std::string ca;
    // Ends the streams of a node that is let in no longer.
    std::function<void(const std::string& node, const absl::Status& why)> end_node;
  };
  explicit AdminHandlers(Parts parts) : parts_(std::move(parts)) {}

  // Before every call: who the token belongs to.
  absl::StatusOr<Caller> authenticate(std::string_view token) const;

  absl::StatusOr<v1::WhoAmIResponse> who_am_i(const Caller& caller);

  absl::StatusOr<v1::ApplyResponse> apply(const Caller& caller, const v1::ApplyRequest& request);
  absl::StatusOr<v1::ApplyResponse> remove(const Caller& caller, const v1::DeleteRequest& request);
  absl::StatusOr<v1::ListObjectsResponse> list_objects(const v1::ListObjectsRequest& request);
  absl::StatusOr<v1::ExplainResponse> explain(const v1::ExplainRequest& request);

  // Calls `send` for each state until it is final, `send` returns false, or `cancelled` says so. Blocks meanwhile.
  absl::Status watch_rollout(const v1::WatchRolloutRequest& request, const std::function<bool(const v1::RolloutStatus&)>& send,
                             const std::function<bool()>& cancelled);
  absl::StatusOr<v1::HistoryResponse> history(const v1::HistoryRequest& request);
  absl::StatusOr<v1::ApplyResponse> undo(const Caller& caller, const v1::UndoRequest& request);
  absl::StatusOr<v1::ReleaseSetResponse> release_set(const Caller& caller, const v1::ReleaseSetRequest& request);
  absl::StatusOr<v1::StatusResponse> status();
  absl::StatusOr<v1::ListNodesResponse> list_nodes();
  absl::StatusOr<v1::RevokeNodeResponse> revoke_node(const Caller& caller, const v1::RevokeNodeRequest& request);

  absl::StatusOr<v1::CreateTokenResponse> create_token(const Caller& caller, const v1::CreateTokenRequest& request);
  absl::StatusOr<v1::ListTokensResponse> list_tokens(const Caller& caller);
  absl::StatusOr<v1::RevokeTokenResponse> revoke_token(const Caller& caller, const v1::RevokeTokenRequest& request);

  absl::StatusOr<v1::CreateKeyResponse> create_key(const Caller& caller, const v1::CreateKeyRequest& request);
  absl::StatusOr<v1::ListKeysResponse> list_keys(const v1::ListKeysRequest& request);
  absl::StatusOr<v1::CreateKeyResponse> rotate_key(const Caller& caller, const v1::RotateKeyRequest& request);
  absl::StatusOr<v1::RevokeKeyResponse> revoke_key(const Caller& caller, const v1::RevokeKeyRequest& request);
  absl::StatusOr<v1::ImportKeysResponse> import_keys(const Caller& caller, const v1::ImportKeysRequest& request);

  absl::StatusOr<v1::UsageResponse> usage(const v1::UsageRequest& request);

  absl::StatusOr<v1::SetSwitchResponse> set_switch(const Caller& caller, const v1::SetSwitchRequest& request);
  absl::StatusOr<v1::ListSwitchesResponse> list_switches();

  absl::StatusOr<v1::SetEndpointsResponse> set_endpoints(const Caller& caller, const v1::SetEndpointsRequest& request);
  absl::StatusOr<v1::ListEndpointsResponse> list_endpoints(const v1::ListEndpointsRequest& request);
  absl::StatusOr<v1::ListCertificatesResponse> list_certificates(const v1::ListCertificatesRequest& request);
  absl::StatusOr<v1::RotateMasterResponse> rotate_master(const Caller& caller);

  // Whether there is an Upstream with that uid now.
  EndpointBoard::Exists upstream_exists() const;

 private:
  using Builder = std::function<absl::Status(const Catalog&, ChangeSet&, v1::ApplyResponse&)>;
  absl::StatusOr<v1::ApplyResponse> commit(const Builder& build);
  // Live state where the push knows it, else what the store kept.
  absl::StatusOr<v1::RolloutStatus> rollout_of(uint64_t version) const;
  absl::StatusOr<v1::VersionInfo> version_info(const VersionRow& row, bool with_changes) const;
  void add_totals(v1::StatusResponse& out) const;
  absl::Status stop_api(const Caller& caller, const v1::SetSwitchRequest& request, v1::SetSwitchResponse& out);
  absl::Status stop_target(const Caller& caller, const v1::SetSwitchRequest& request, v1::SetSwitchResponse& out);
  absl::Status stop_clients(const Caller& caller, const v1::SetSwitchRequest& request, v1::SetSwitchResponse& out);
  absl::Status change_switch(SwitchRow row, const v1::SetSwitchRequest& request, v1::SetSwitchResponse& out);
  // Those whose Api or Upstream is there.
  std::vector<SwitchRow> switches_in_force() const;
  // Those whose Upstream is there.
  std::vector<EndpointRow> endpoints_in_force() const;
  // Which nodes have a Certificate as it is now, for describe.
  void add_serving_facts(v1::ObjectView& view) const;
  // Certificates that end soon, or have.
  void add_ending(v1::StatusResponse& out) const;
  // What is stopped of an object, for describe.
  void add_switch_facts(const std::vector<SwitchRow>& switches, v1::ObjectView& view) const;

  Parts parts_;
};

// The one object of that kind that can be changed at run time; `name` is owner/name, or a name that one team alone has.
absl::StatusOr<ObjectKey> find_object(const Catalog& now, Kind kind, const std::string& name, uint64_t& uid);

}  // namespace gw
