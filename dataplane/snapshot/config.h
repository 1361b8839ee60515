// The parts of a snapshot: plain, immutable values with every default filled in. All strings and pointers live as long as
// the snapshot that the exchange pins. Any thread.
#pragma once

#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "common/http/address.h"
#include "common/http/headers.h"
#include "common/http/path_normal.h"
#include "common/http/reason.h"
#include "dataplane/policy/policy.h"
#include "dataplane/routing/route_match.h"
#include "dataplane/snapshot/index_registry.h"
#include "gw/v1/resources.pb.h"

namespace gw {

// Defaults of what nothing sets.
inline constexpr int64_t kDefaultBodyBytes = 10 << 20;
inline constexpr int64_t kDefaultHeaderBytes = 32 << 10;
inline constexpr int32_t kDefaultHeaderFields = 100;
inline constexpr int64_t kDefaultIdleTimeoutMs = 60'000;
inline constexpr int64_t kDefaultHeadTimeoutMs = 10'000;
inline constexpr int32_t kDefaultStackedGateways = 5;
inline constexpr int32_t kDefaultConnectionsPerClient = 1'000;
inline constexpr int32_t kDefaultRequestsPerConnection = 10'000;
inline constexpr int64_t kDefaultBodyIdleMs = 15'000;
inline constexpr int64_t kDefaultConnectMs = 2'000;
inline constexpr int64_t kDefaultFirstByteMs = 30'000;
inline constexpr int64_t kDefaultUpstreamIdleMs = 15'000;
inline constexpr int64_t kDefaultTunnelIdleMs = 60'000;
inline constexpr int64_t kDefaultMirrorBodyBytes = 64 << 10;
inline constexpr int32_t kDefaultMirrorInFlight = 100;
inline constexpr int64_t kDefaultMirrorTimeoutMs = 5'000;

inline constexpr uint32_t kNoIndex = UINT32_MAX;

// What every object has.
struct ObjectInfo {
  uint64_t uid = 0;
  uint32_t index = kNoIndex;  // dense, see IndexRegistry
  std::string name;           // owner/name
  std::shared_ptr<const IndexHold> hold;

  std::string_view owner() const { return std::string_view(name).substr(0, name.find('/')); }
  std::string_view short_name() const { return std::string_view(name).substr(name.find('/') + 1); }
};

// What a name stands for, as far as a node knows.
struct NameAddresses {
  std::vector<IpAddress> list;  // empty: it could not be resolved
  friend bool operator==(const NameAddresses&, const NameAddresses&) = default;
};

struct UpstreamTarget {
  enum class Source : uint8_t {
    kStatic,    // `targets`
    kDns,       // `discovery.dns`
    kSrv,       // `discovery.srv`
    kEndpoint,  // added at run time
    kAwaited,   // stands for what `discovery` has not found yet
  };

  std::string host;      // name or address, without brackets
  uint16_t port = 80;
  bool is_address = false;
  IpAddress address;     // when is_address
  std::string authority; // host:port, brackets around IPv6: for logs and Host
  bool https = false;    // as it is written; what counts is UpstreamConfig::tls
  uint32_t weight = 1;   // 0: out of rotation
  std::string zone;
  uint8_t priority = 0;  // lower first
  Source source = Source::kStatic;
  std::string found_by;  // kDns, kSrv: the name
  std::shared_ptr<const NameAddresses> addresses;  // of a host that is a name; null: not known yet
};

// How names are resolved.
struct ResolveConfig {
  enum class Family : uint8_t { kAny, kV4, kV6 };
  std::vector<std::string> servers;  // empty: the machine's
  Family family = Family::kAny;
  int64_t min_refresh_ms = 1'000;
  int64_t max_refresh_ms = 3'600'000;
  int64_t max_stale_ms = 86'400'000;
  int64_t gone_after_ms = 30'000;
  int32_t max_targets = 100;
  friend auto operator<=>(const ResolveConfig&, const ResolveConfig&) = default;
};

struct DiscoveryConfig {
  std::string dns;         // one target per address
  uint16_t port = 0;       // of these
  std::string srv;         // one target per record
  size_t max_endpoints = 0;  // that may be added at run time; 0: none may
  ResolveConfig resolve;   // also of names in `targets`

  bool searches() const { return !dns.empty() || !srv.empty(); }
};

// Shares are in millionths (ppm).
struct BalanceConfig {
  enum class By : uint8_t { kRoundRobin, kLeastRequest, kHash, kCookie };
  enum class HashOn : uint8_t { kNothing, kAddress, kPath, kHeader, kCookie };
  By by = By::kRoundRobin;
  HashOn hash_on = HashOn::kNothing;
  std::string name;          // of hash_on's header (lower case) or cookie, or of the affinity cookie
  int64_t max_load_ppm = 1'250'000;
  bool zone_aware = false;
  int64_t slow_start_ms = 0;
  int64_t panic_threshold_ppm = 0;
};

struct RetryConfig {
  static constexpr int kDefaultTries = 2;  // without `retries` in the Upstream

  bool configured = false;   // false: only other targets after a failed connect, and kept connections that had died
  int tries = kDefaultTries; // after the first
  bool on_connect = true, on_reset = true, on_timeout = false;
  std::vector<uint16_t> statuses;  // sorted
  uint32_t grpc_statuses = 0;  // a bit for each GrpcStatus
  uint16_t methods = 0;      // of method_bit
  int64_t budget_ppm = 200'000;
  int64_t per_try_ms = 0;    // 0: none
  int64_t hedge_after_ms = 0;  // 0: no second try beside the first
  int64_t backoff_ms = 25;
  size_t body_bytes = 65536;
};

struct ActiveHealthConfig {
  std::string path;  // empty, and not by_grpc: a connection is enough
  std::string host;  // empty: the target's
  int64_t interval_ms = 10'000;
  int64_t timeout_ms = 2'000;
  int unhealthy_after = 3;
  int healthy_after = 2;
  bool by_grpc = false;  // asks by the gRPC health protocol
  std::string grpc_service;  // empty: the server as a whole
  friend bool operator==(const ActiveHealthConfig&, const ActiveHealthConfig&) = default;
};

struct PassiveHealthConfig {
  bool connects_only = false;    // only failed connections count: what holds without `health.passive`
  int consecutive_5xx = 5;       // 0: off
  int64_t below_ppm = 0;         // success rate; 0: off
  int64_t window_ms = 10'000;
  int min_requests = 100;
  int64_t eject_for_ms = 30'000;
  int64_t max_eject_for_ms = 300'000;
  int64_t max_ejected_ppm = 500'000;
};

// Of the whole node; 0: none.
struct BreakerConfig {
  int max_connections = 0;
  int max_pending = 1024;
  int max_requests = 0;
  int max_retries = -1;          // -1: none
  int open_after_failures = 0;
  int64_t open_for_ms = 10'000;
};

// How connections to a target that speaks HTTP/2 are shared.
struct UpstreamHttp2Config {
  uint32_t max_streams = 100;
  uint32_t stream_window = 65536;
  uint32_t connection_window = 1 << 20;
  int64_t ping_after_ms = 30'000;
  friend bool operator==(const UpstreamHttp2Config&, const UpstreamHttp2Config&) = default;
};

// Made with std::make_shared.
// What is asked of targets that speak TLS, and shown to them.
struct UpstreamTlsConfig {
  uint64_t ca = 0, client_certificate = 0;  // uids of Secrets; 0: the system's authorities, none
  std::string server_name;                  // empty: the target's host
  std::vector<std::string> names;
  std::vector<std::string> pins;            // hex
  bool tls13_only = false;
  bool verify = true;
};

struct UpstreamConfig : ObjectInfo, std::enable_shared_from_this<UpstreamConfig> {
  std::vector<UpstreamTarget> targets;  // static ones; the others are found by each node (dataplane/upstream/targets.h)
  DiscoveryConfig discovery;
  int64_t connect_ms = kDefaultConnectMs;
  int64_t first_byte_ms = kDefaultFirstByteMs;
  int64_t idle_ms = kDefaultUpstreamIdleMs;
  BalanceConfig balance;
  RetryConfig retry;
  std::optional<ActiveHealthConfig> active;
  std::optional<PassiveHealthConfig> passive;
  std::optional<BreakerConfig> breaker;
  // PROXY_PROTOCOL_V1 or _V2: connections begin with that header.
  v1::UpstreamSpec::ProxyProtocol proxy_protocol = v1::UpstreamSpec::PROXY_PROTOCOL_NONE;
  v1::UpstreamSpec::Protocol protocol = v1::UpstreamSpec::PROTOCOL_HTTP1;
  UpstreamHttp2Config http2;  // unless `protocol` is HTTP1
  std::optional<UpstreamTlsConfig> tls;  // all targets speak it, also those that are found
};

// Where in the configuration a policy was named.
enum class Place : uint8_t { kGateway, kApi, kRoute, kPlan };

struct ChainEntry {
  const Policy* policy = nullptr;
  Place place = Place::kRoute;
  bool required = false;
  bool observe = false;

  // Whether the policy sees answers that the gateway makes by itself: the Gateway's `headers`, and the cors in force.
  bool on_local_response() const {
    return !observe && policy->on_local_responses() && (place == Place::kGateway || policy->combine() == Combine::kNearest);
  }
};

struct PlanConfig : ObjectInfo {
  bool has_rate = false;
  int64_t rate_requests = 0;
  int64_t rate_per_ns = 0;
  int64_t rate_burst = 0;
  bool has_quota = false;
  int64_t quota_requests = 0;
  v1::Quota::Per quota_per = v1::Quota::PER_UNSPECIFIED;
  bool fail_open = false;
  std::vector<ChainEntry> policies;  // in phase order; no authenticators, no cors
};

struct ApiConfig : ObjectInfo {
  std::vector<std::string> hosts;
  std::string base_path;  // as written
  std::vector<uint64_t> products;  // sorted; not empty: an identified App needs a subscription to one of them
};

// `to: {upstream}`
struct UpstreamRef {
  uint32_t upstream = kNoIndex;  // dense: Snapshot::upstream()
};
// `to: {split}`
struct SplitTo {
  struct Arm {
    uint32_t upstream = kNoIndex;
    uint32_t weight = 0;
    uint64_t seed = 0;  // of this arm in the stable pick; from the upstream's uid
  };
  std::vector<Arm> arms;
  uint64_t total_weight = 0;
  v1::StickyBy sticky_by = v1::STICKY_BY_UNSPECIFIED;
};
// `to: {redirect}`; the Location is made by redirect_location().
struct RedirectTo {
  int status = 302;
  std::string scheme, host, path;  // empty: the request's
  bool keep_query = true;
};
// `to: {respond}`
struct RespondWith {
  int status = 200;
  std::string body;
  std::string content_type;
  std::vector<std::pair<std::string, std::string>> headers;
};
using RouteTo = std::variant<UpstreamRef, SplitTo, RedirectTo, RespondWith>;

struct RewriteRule {
  std::string strip_prefix;  // decoded, normal form ("" none)
  std::string add_prefix;    // without a slash at its end
  std::string host;          // sent upstream; empty: the client's
  bool any() const { return !strip_prefix.empty() || !add_prefix.empty() || !host.empty(); }
};

// `websocket`: see websocket_rule.h.
struct WebSocketRule {
  std::vector<std::string> origins;  // empty: the request's own host
  int64_t idle_ms = kDefaultTunnelIdleMs;
};

// `to.mirror`
struct MirrorRule {
  uint32_t upstream = kNoIndex;  // dense
  uint32_t ppm = 0;              // share of the requests, in millionths
  uint32_t max_in_flight = kDefaultMirrorInFlight;  // for each worker
  int64_t max_body_bytes = kDefaultMirrorBodyBytes;
  int64_t timeout_ms = kDefaultMirrorTimeoutMs;
};

// What a Route says by itself: shared by all gateways that serve it.
struct RouteConfig : ObjectInfo {
  std::shared_ptr<const RouteMatch> match;
  RouteTo to;
  RewriteRule rewrite;
  bool metered = true;
  bool grpc_web = false;
  std::unique_ptr<const WebSocketRule> websocket;  // null: no upgrades
  std::unique_ptr<const MirrorRule> mirror;        // null: no copies
  std::vector<std::shared_ptr<const IndexHold>> upstream_holds;  // `to` and `mirror` keep their indexes
};

// A Route on one Gateway: limits, timeouts and policies of all levels resolved. Built anew only when the Route, its Api, its
// Gateway or one of its policies changed; upstreams are referred to by index, so that their changes build no routes.
class Route {
 public:
  uint64_t uid() const { return config->uid; }
  uint32_t index() const { return config->index; }
  const std::string& name() const { return config->name; }
  const RouteTo& to() const { return config->to; }
  const RewriteRule& rewrite() const { return config->rewrite; }
  bool metered() const { return config->metered; }
  bool grpc_web() const { return config->grpc_web; }
  const WebSocketRule* websocket() const { return config->websocket.get(); }
  const MirrorRule* mirror() const { return config->mirror.get(); }

  std::shared_ptr<const RouteConfig> config;
  std::shared_ptr<const ApiConfig> api;

  int64_t body_bytes = kDefaultBodyBytes;
  int64_t request_ms = 0;  // 0: no limit
  int64_t body_idle_ms = kDefaultBodyIdleMs;
  bool body_idle_given = false;  // by the Route or its Api
  int64_t first_byte_ms = 0, idle_ms = 0;  // 0: the Upstream's

  // Without authenticators, in phase order, outer first within a phase. [0, auth_at) runs before authentication,
  // [rate_at, end) after the Plan.
  std::vector<ChainEntry> chain;
  uint16_t auth_at = 0;
  uint16_t rate_at = 0;
  std::vector<ChainEntry> auth;  // one must pass
  bool allow_anonymous = false;

  // What the exchange and the pipeline may skip. (A Plan's policies come on top.)
  bool has_response = false;       // some on_response
  bool has_done = false;           // some on_done
  bool has_local_response = false;
  bool request_body = false;       // some policy looks at the request's body
  bool response_body = false;
};

// Of a listener with `protocol: https`.
struct ListenerTls {
  int64_t handshake_timeout_ms = 10'000;
  int32_t max_handshakes = 1000;           // at one time, on one node
  int32_t max_handshakes_per_second = 0;   // on one node; 0: no limit
  bool session_tickets = true;
  bool early_data = false;
  std::vector<uint64_t> certificates;      // uids
  uint64_t default_certificate = 0;        // 0: unknown hosts are refused
  std::string hsts;                        // Strict-Transport-Security; empty: none
};

// Which clients show a certificate; the first entry of a Gateway that covers the host counts.
struct ClientAuthConfig {
  std::vector<std::string> hosts;
  v1::ClientAuth::Mode mode = v1::ClientAuth::MODE_NONE;
  uint64_t trust = 0, crl = 0;             // uids of Secrets; 0: none
  std::string header;                      // lower case
};

// What one HTTP/2 connection of a listener may take.
struct ListenerHttp2Config {
  uint32_t streams = 100;
  uint32_t stream_window = 65536;
  uint32_t connection_window = 1 << 20;
  uint32_t resets = 200;
  uint32_t control_frames = 2000;
  int64_t ping_after_ms = 30'000;
};

struct ListenerConfig {
  std::string name;
  std::string address_text;
  IpAddress address;
  int port = 0;  // 0: the kernel chooses
  v1::Listener::Protocol protocol = v1::Listener::PROTOCOL_HTTP;
  PathRule path_rule = PathRule::kReject;
  bool proxy_protocol = false;  // connections begin with a PROXY protocol header
  bool http2 = false;           // beside HTTP/1: by ALPN with TLS, else by prior knowledge
  bool redirect_to_https = false;
  int32_t https_port = 443;     // in that redirect
  ListenerTls tls;
  ListenerHttp2Config http2_limits;
};

struct AccessLogConfig {
  enum class To : uint8_t { kStdout, kNone, kFile };
  To to = To::kStdout;
  std::string file;
};

}  // namespace gw
