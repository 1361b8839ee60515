// One worker's connections to all upstreams: picks a target that is well, reuses an idle connection to it or makes a new one,
// and keeps the limits of the upstream's circuit breaker. Worker's thread.
//
// State is keyed by the upstream's dense index and survives swaps: targets that stay keep their connections and their health.
// Who fails is found out here (passive) or told by the node (active, and what other workers found): apply().
#pragma once

#include <netinet/in.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "common/base/random.h"
#include "common/http/proxy_protocol.h"
#include "dataplane/exchange/streams.h"
#include "dataplane/http1/client_session.h"
#include "dataplane/http2/h2_client_session.h"
#include "dataplane/snapshot/config.h"
#include "dataplane/snapshot/switches.h"
#include "dataplane/telemetry/worker_stats.h"
#include "dataplane/tls/client_context.h"
#include "dataplane/upstream/targets.h"

namespace gw {

class Snapshot;
struct BalancerMember;
struct Endpoint;
struct UpstreamState;

// A target is well or not: what active probes, or one worker, found out. For all workers of a node.
struct HealthChange {
  enum class What : uint8_t { kProbeFailed, kProbeGood, kEjected };
  uint64_t upstream_uid = 0;
  std::string authority;
  What what = What::kProbeGood;
  int64_t until_ns = 0;  // of kEjected, monotonic
};

struct PoolOptions {
  size_t workers = 1;       // limits of a node are shared by so many
  std::string zone;         // of the node
  WorkerStats* stats = nullptr;
  FastRandom* random = nullptr;
  const Clock* clock = nullptr;
  // A target was left out for failing requests; to be told to the other workers. May be null.
  std::function<void(const HealthChange&)> on_ejected;
};

// Begins a new session's connection with the header; one without addresses says that the connection is the gateway's own.
void announce(http1::ClientSession& session, v1::UpstreamSpec::ProxyProtocol version, const ProxyHeader& header);
std::string proxy_text(v1::UpstreamSpec::ProxyProtocol version, const ProxyHeader& header);
Http2Limits http2_limits(const UpstreamHttp2Config& config);

// Whom a target's certificate must name by default.
std::string_view tls_name_of(const UpstreamTarget& target);

class UpstreamPool final : private http1::ClientHost, private http2::ClientHost {
 public:
  // Per target and worker; beyond it requests are refused with OVERLOAD.
  static constexpr size_t kMaxConnections = 2048;
  static constexpr size_t kMaxIdle = 512;
  // With `protocol: auto`: until a target that speaks HTTP/1.1 alone is asked again.
  static constexpr int64_t kTryHttp2AgainMs = 300'000;
  // Requests that wait for a target's HTTP/2 connections; beyond it they are refused with OVERLOAD, too.
  static constexpr size_t kMaxWaiting = 4096;
  static constexpr size_t kKeptStreams = 256;  // for reuse

  UpstreamPool(Loop& loop, PoolOptions options);
  ~UpstreamPool() override;

  // One try at a target, from acquire() to ended().
  struct Attempt {
    Endpoint* endpoint = nullptr;
    bool retry = false;
    bool probe = false;    // its outcome closes or opens the circuit
    bool settled = false;  // its outcome was told
  };
  struct Ask {
    const RequestHead* request = nullptr;
    IpAddress client;
    const void* avoid = nullptr;  // a target, where there is another
    bool fresh = false;           // not an idle connection
    bool retry = false;
    bool waited = false;          // on_upstream_available() was called
    bool may_wait = true;         // false: refused instead
    bool http2 = false;           // by HTTP/2 alone, where the target may choose: a gRPC call
    // Where the upstream has proxyProtocol: the client, for the header that begins a connection; one that is idle is used
    // again for the same client address alone. Null: the header says that the connection is the gateway's own.
    const ProxyHeader* announce = nullptr;
    int64_t now_ns = 0;
  };
  struct Acquired {
    UpstreamStream* stream = nullptr;
    bool wait = false;    // no stream yet: on_upstream_available() comes, or stop_waiting() is called
    Attempt attempt;
    uint64_t cookie = 0;  // by: cookie: the target's id, which the caller does not have yet
    ProxyError error;     // where there is neither stream nor wait
  };
  Acquired acquire(const UpstreamConfig& config, UpstreamEvents& events, const Ask& ask);
  // How an attempt ended, once for each stream that was given; `status` 0: there was no answer.
  void ended(Attempt& attempt, AttemptResult result, int status, int64_t now_ns);
  // How it went is known before its connection is free: for a tunnel. ended() must still come.
  void settled(Attempt& attempt, AttemptResult result, int status, int64_t now_ns);
  void stop_waiting(const UpstreamConfig& config, UpstreamEvents& events);
  // Whether the upstream's budget and limit of retries allow one more.
  bool take_retry(const UpstreamConfig& config, int64_t now_ns);
  // Where the attempt's bytes go, for WorkerStats::zone_bytes().
  static uint32_t zone_of(const Attempt& attempt);

  struct TargetView {
    uint64_t upstream_uid = 0;
    std::string_view authority;
    uint64_t requests = 0, failures = 0;  // since the target is there
    size_t idle = 0, busy = 0;            // connections
    bool probe_failed = false, ejected = false;
    const UpstreamTarget* target = nullptr;
  };
  // Every upstream, and every target of every upstream, that was asked so far: for reports. From `next` on (0 at first) while
  // the budget lasts; false: more is left. A target that comes or goes meanwhile may be missed, or told twice.
  using UpstreamFn = std::function<void(uint64_t uid, const UpstreamGauges&)>;
  using TargetFn = std::function<void(const TargetView&)>;
  bool report(uint64_t& next, SliceBudget& budget, const UpstreamFn& upstream, const TargetFn& target);

  void apply(const HealthChange& change);
  // Targets that were found come, others go as those that the snapshot no longer names.
  void apply(const TargetsChange& change);
  // What targets are spoken to with over TLS, by upstream: before the snapshot that wants it. Idle connections that were made
  // with another are not used again.
  void configure(std::shared_ptr<const TlsClients> clients);
  // Targets that an operator has drained get nothing.
  void configure(std::shared_ptr<const Switches> switches);
  // Targets that the snapshot no longer names lose their idle connections; those in use end after their exchange. The snapshot
  // must live until the next one was given. Costs what changed between the two.
  void configure(const Snapshot& snapshot);
  // Closes everything; exchanges must be gone.
  void close_all();

  size_t connections() const { return live_; }

 private:
  void session_idle(http1::ClientSession& session) override;
  void session_closed(http1::ClientSession& session) override;
  std::string_view session_target(const http1::ClientSession& session) const override;

  UpstreamState& state_of(const UpstreamConfig& config);
  UpstreamState* find(uint64_t uid);
  UpstreamGauges gauges_of(const UpstreamState& upstream) const;
  void update(UpstreamState& upstream, const UpstreamConfig& config);
  void adopt(Endpoint& endpoint, UpstreamTarget target, bool is_new, const BalanceConfig& balance);
  void rehome(Endpoint& from, UpstreamState& upstream);
  uint32_t zone_index(const std::string& zone);
  void refresh(UpstreamState& upstream, bool targets_changed);
  void return_ejected(UpstreamState& upstream, int64_t now_ns);
  void retire(std::unique_ptr<Endpoint> endpoint);
  void eject(UpstreamState& upstream, Endpoint& endpoint, int64_t now_ns);
  bool may_eject(const UpstreamState& upstream, const Endpoint& endpoint, const PassiveHealthConfig& config) const;
  Acquired admit(UpstreamState& upstream, UpstreamEvents& events, const Ask& ask);
  Endpoint* pick(UpstreamState& upstream, const Ask& ask, uint64_t& new_cookie);
  size_t share(int limit) const;
  void make_room(UpstreamState& upstream);
  void wake(UpstreamState& upstream);
  void serve_waiting();
  http1::ClientSession* idle_session(Endpoint& endpoint, const Ask& ask);
  http1::ClientSession& open(Endpoint& endpoint);
  template <class Session>
  void connect_to(Session& session, Endpoint& endpoint, int64_t timeout_ms);
  void connect(http1::ClientSession& session, Endpoint& endpoint, int64_t timeout_ms);
  static void close_idle(Endpoint& endpoint);
  static bool full(const Endpoint& endpoint, bool shares);

  // pool_tls.cc
  void session_not_secured(http1::ClientSession& session, StreamFilter& filter) override;
  void session_not_secured(http2::ClientSession& session, StreamFilter& filter) override;
  void not_secured(const Endpoint& endpoint, const StreamFilter& filter);
  const std::shared_ptr<const TlsClientContext>& tls_of(uint64_t upstream_uid) const;
  static void use_tls(Endpoint& endpoint, const std::shared_ptr<const TlsClientContext>& context);
  std::unique_ptr<StreamFilter> open_tls(const Endpoint& endpoint, bool http2);

  // pool_http2.cc: requests that share connections.
  void session_has_room(http2::ClientSession& session) override;
  void session_going_away(http2::ClientSession& session) override;
  void session_beyond_budget(http2::ClientSession& session) override;
  void session_failed(http2::ClientSession& session, const ProxyError& why) override;
  void session_closed(http2::ClientSession& session) override;
  bool move_stream(http2::ClientStream& stream) override;
  void stream_left(http2::ClientStream& stream) override;
  void stream_ended(http2::ClientStream& stream) override;
  std::string_view stream_target(const http2::ClientStream& stream) const override;

  UpstreamStream& share(Endpoint& endpoint, UpstreamEvents& events, const Ask& ask);
  void queue(Endpoint& endpoint, http2::ClientStream& stream);
  void make_session(Endpoint& endpoint, const http2::ClientStream* stream);
  void try_http2(Endpoint& endpoint);
  bool may_make_session(const Endpoint& endpoint);
  void serve_streams(Endpoint& endpoint);
  void fail_streams(Endpoint& endpoint, const ProxyError& why, const IpAddress* announced);
  void rehome_streams(Endpoint& from, UpstreamState& upstream, size_t next);
  void retire_shared(Endpoint& endpoint);
  void bury_streams();
  void resolved(Endpoint& endpoint);
  void bury();

  Loop& loop_;
  const PoolOptions options_;
  const Snapshot* snapshot_ = nullptr;                     // in force
  std::vector<std::unique_ptr<UpstreamState>> upstreams_;  // by dense index
  std::unordered_map<uint64_t, uint32_t> index_of_;        // of those, by uid
  std::vector<std::unique_ptr<Endpoint>> retired_;         // wait for their last connection and attempt
  std::vector<http1::ClientSession*> dead_;                // destroyed at the end of the turn
  std::vector<http2::ClientSession*> dead_shared_;
  std::vector<http2::ClientStream*> ended_streams_;        // free from the end of the turn on
  std::vector<std::unique_ptr<http2::ClientStream>> free_streams_;
  std::set<std::pair<uint64_t, std::string>> probe_failed_;  // upstream, authority
  std::unordered_map<uint64_t, std::shared_ptr<const FoundTargets>> found_;  // by upstream's uid
  std::shared_ptr<const Switches> switches_ = Switches::none();
  std::shared_ptr<const TlsClients> tls_ = std::make_shared<TlsClients>();
  int64_t tls_log_ms_ = 0;                                 // when the next failed handshake may be logged
  std::vector<std::string> zones_;
  std::vector<uint32_t> due_;                              // dense indexes of upstreams to look at
  Deferred bury_task_;
  Deferred waiting_task_;
  size_t live_ = 0;
};

}  // namespace gw
