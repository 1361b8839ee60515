// One version of the configuration, ready to serve: immutable, shared by all workers of a node, built by SnapshotBuilder.
// Snapshots share every part that did not change between them. Free the last reference off the workers.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/arena.h"
#include "common/http/message.h"
#include "common/http/via.h"
#include "dataplane/routing/api_router.h"
#include "dataplane/routing/claim.h"
#include "dataplane/snapshot/config.h"
#include "dataplane/snapshot/entry.h"

namespace gw {

// An Api as one Gateway serves it: position i of `routes` is position i of `router`.
struct ApiOnGateway {
  std::shared_ptr<const ApiConfig> api;
  std::shared_ptr<const ApiRouter> router;
  std::vector<std::shared_ptr<const Route>> routes;
  bool websockets = false;  // some route takes them
};

struct RouteResult {
  enum class Kind : uint8_t { kFound, kNoRoute, kMethodNotAllowed };
  Kind kind = Kind::kNoRoute;
  const Route* route = nullptr;     // kFound
  const ApiConfig* api = nullptr;   // whose claim the request lies in; null: in nobody's
  std::string_view allow;           // kMethodNotAllowed: for Allow, in the arena
  bool preflight = false;           // a CORS preflight, matched by the method that it asks for
};

struct GatewayConfig : ObjectInfo {
  std::vector<ListenerConfig> listeners;
  std::vector<ClientAuthConfig> client_auth;
  // Fields that tell upstreams of clients' certificates, each once, in lower case: clients' own are dropped.
  std::vector<std::string> client_auth_headers;
  CidrSet trusted_proxies;
  int64_t body_bytes = kDefaultBodyBytes;
  int64_t body_bytes_max = std::numeric_limits<int64_t>::max();
  int64_t header_bytes = kDefaultHeaderBytes;
  int32_t header_fields = kDefaultHeaderFields;
  int64_t idle_timeout_ms = kDefaultIdleTimeoutMs;
  int64_t head_timeout_ms = kDefaultHeadTimeoutMs;
  int32_t stacked_gateways = kDefaultStackedGateways;
  int32_t max_connections = std::numeric_limits<int32_t>::max();  // on one node
  int32_t max_connections_per_client = kDefaultConnectionsPerClient;
  int32_t requests_per_connection = kDefaultRequestsPerConnection;
  std::string via;                     // this gateway's mark in Via
  std::string via_http10, via_http11, via_http2;  // values of Via for messages that came by that version
  AccessLogConfig access_log;
  bool full_error_detail = false;
  // For answers that the gateway makes to requests without a route (404, 405, 400): its `headers` policies.
  std::vector<ChainEntry> local_response;

  std::shared_ptr<const ClaimTable> claims;                  // hit.api is a position in `apis`
  std::vector<std::shared_ptr<const ApiOnGateway>> apis;
  bool websockets = false;  // some route of theirs takes them

  // The listener of that name, else the first; null where there is none.
  const ListenerConfig* find_listener(std::string_view name) const;

  // The route for a request whose target parse_target() has taken. TRACE and CONNECT are the exchange's to refuse.
  // No lock; allocates only in the arena, and only for paths with escapes and for `allow`.
  RouteResult match(const RequestHead& request, Arena& arena) const;
};

class Snapshot {
 public:
  uint64_t version() const { return state_.version; }
  const Lineage& lineage() const { return state_.lineage; }
  const Digest& digest() const { return state_.digest; }
  uint64_t needs_directory() const { return needs_directory_; }

  // In order of uid.
  const std::vector<std::shared_ptr<const GatewayConfig>>& gateways() const { return gateways_; }
  // By owner/name, or null.
  const GatewayConfig* find_gateway(std::string_view name) const;
  // By dense index; null where there is none now. upstreams() has holes.
  const UpstreamConfig* upstream(uint32_t index) const {
    return index < upstreams_->size() ? (*upstreams_)[index].get() : nullptr;
  }
  const std::vector<std::shared_ptr<const UpstreamConfig>>& upstreams() const { return *upstreams_; }
  // By uid, or null: a subscription may name a plan that this node does not have yet.
  const PlanConfig* plan(uint64_t uid) const;
  const std::vector<std::shared_ptr<const PlanConfig>>& plans() const { return plans_; }  // by uid
  const std::vector<std::shared_ptr<const Policy>>& policies() const { return policies_; }  // by uid
  const Policy* policy(uint64_t uid) const;

  // Memory of this snapshot as if nothing were shared, estimated.
  size_t memory_bytes() const { return memory_bytes_; }

 private:
  friend class SnapshotBuilder;
  friend class SnapshotAssembly;
  StreamState state_;
  uint64_t needs_directory_ = 0;
  std::vector<std::shared_ptr<const GatewayConfig>> gateways_;
  std::shared_ptr<const std::vector<std::shared_ptr<const UpstreamConfig>>> upstreams_ =
      std::make_shared<const std::vector<std::shared_ptr<const UpstreamConfig>>>();
  std::vector<std::shared_ptr<const PlanConfig>> plans_;
  std::vector<std::shared_ptr<const Policy>> policies_;
  size_t memory_bytes_ = 0;
};

}  // namespace gw
