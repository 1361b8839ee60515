// The admin API as gwctl sees it. `connect_admin` talks gRPC (client.cc is the only file of gwctl that includes it);
// tests give a fake. Every call blocks; a Status carries the server's Diagnostics (diagnostics_of). One thread.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "gw/v1/admin.pb.h"

namespace gw::cli {

class AdminClient {
 public:
  virtual ~AdminClient() = default;

  virtual absl::StatusOr<v1::WhoAmIResponse> who_am_i(const v1::WhoAmIRequest& request) = 0;
  virtual absl::StatusOr<v1::ApplyResponse> apply(const v1::ApplyRequest& request) = 0;
  virtual absl::StatusOr<v1::ApplyResponse> remove(const v1::DeleteRequest& request) = 0;
  virtual absl::StatusOr<v1::ListObjectsResponse> list_objects(const v1::ListObjectsRequest& request) = 0;
  virtual absl::StatusOr<v1::ExplainResponse> explain(const v1::ExplainRequest& request) = 0;

  // Calls `on_status` for each report, until the stream ends, `on_status` returns false (both OK), or `timeout_ms` has
  // passed (DEADLINE_EXCEEDED).
  virtual absl::Status watch_rollout(const v1::WatchRolloutRequest& request, int64_t timeout_ms,
                                     const std::function<bool(const v1::RolloutStatus&)>& on_status) = 0;
  virtual absl::StatusOr<v1::HistoryResponse> history(const v1::HistoryRequest& request) = 0;
  virtual absl::StatusOr<v1::ApplyResponse> undo(const v1::UndoRequest& request) = 0;
  virtual absl::StatusOr<v1::ReleaseSetResponse> release_set(const v1::ReleaseSetRequest& request) = 0;
  virtual absl::StatusOr<v1::StatusResponse> status(const v1::StatusRequest& request) = 0;
  virtual absl::StatusOr<v1::ListNodesResponse> list_nodes(const v1::ListNodesRequest& request) = 0;

  virtual absl::StatusOr<v1::RevokeNodeResponse> revoke_node(const v1::RevokeNodeRequest& request) = 0;

  virtual absl::StatusOr<v1::CreateTokenResponse> create_token(const v1::CreateTokenRequest& request) = 0;
  virtual absl::StatusOr<v1::ListTokensResponse> list_tokens(const v1::ListTokensRequest& request) = 0;
  virtual absl::StatusOr<v1::RevokeTokenResponse> revoke_token(const v1::RevokeTokenRequest& request) = 0;

  virtual absl::StatusOr<v1::CreateKeyResponse> create_key(const v1::CreateKeyRequest& request) = 0;
  virtual absl::StatusOr<v1::ListKeysResponse> list_keys(const v1::ListKeysRequest& request) = 0;
  virtual absl::StatusOr<v1::CreateKeyResponse> rotate_key(const v1::RotateKeyRequest& request) = 0;
  virtual absl::StatusOr<v1::RevokeKeyResponse> revoke_key(const v1::RevokeKeyRequest& request) = 0;
  virtual absl::StatusOr<v1::ImportKeysResponse> import_keys(const v1::ImportKeysRequest& request) = 0;

  virtual absl::StatusOr<v1::UsageResponse> usage(const v1::UsageRequest& request) = 0;

  virtual absl::StatusOr<v1::SetSwitchResponse> set_switch(const v1::SetSwitchRequest& request) = 0;
  virtual absl::StatusOr<v1::ListSwitchesResponse> list_switches(const v1::ListSwitchesRequest& request) = 0;
  virtual absl::StatusOr<v1::SetEndpointsResponse> set_endpoints(const v1::SetEndpointsRequest& request) = 0;
  virtual absl::StatusOr<v1::ListEndpointsResponse> list_endpoints(const v1::ListEndpointsRequest& request) = 0;

  virtual absl::StatusOr<v1::ListCertificatesResponse> list_certificates(const v1::ListCertificatesRequest& request) = 0;
  virtual absl::StatusOr<v1::RotateMasterResponse> rotate_master(const v1::RotateMasterRequest& request) = 0;
};

struct Endpoint {
  std::string server;        // host:port
  std::string token;         // bearer token
  int64_t timeout_ms = 0;    // of each call but watch_rollout
  std::string ca;            // PEM: TLS by that CA; empty: plain text
};

// Does not connect yet: the first call says whether the server is there (UNAVAILABLE when not).
std::unique_ptr<AdminClient> connect_admin(const Endpoint& endpoint);

}  // namespace gw::cli
