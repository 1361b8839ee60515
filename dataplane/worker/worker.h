// One thread, one loop: its own connections, pools, exchanges and counts. The mailbox (post) is the only door for others.
//
// Owner: the Node. What is marked `loop` runs on the worker's thread, mostly as a posted task.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "dataplane/exchange/exchange.h"
#include "dataplane/exchange/mirror.h"
#include "dataplane/http1/server_session.h"
#include "dataplane/http2/h2_server_session.h"
#include "dataplane/loop/listener.h"
#include "dataplane/loop/loop.h"
#include "dataplane/telemetry/access_log.h"
#include "dataplane/telemetry/usage_meter.h"
#include "dataplane/telemetry/worker_stats.h"
#include "dataplane/tls/server_context.h"
#include "dataplane/upstream/pool.h"
#include "dataplane/worker/client_table.h"
#include "dataplane/worker/front.h"
#include "dataplane/worker/overload.h"

namespace gw {

// A listening socket and what it serves now.
struct SocketBinding {
  uint32_t id = 0;            // given out once by the node, never again
  std::vector<int> fds = {};  // that this worker accepts from
  uint64_t gateway_uid = 0;
  uint32_t log_target = UINT32_MAX;
  std::string listener = {};  // of the Gateway, by name; empty: its first
  bool shared = false;        // other workers accept from the same descriptors
  std::shared_ptr<const TlsServerContext> tls = {};  // of a listener with TLS
};

struct WorkerOptions {
  size_t max_connections = 4096;  // of clients; beyond it new ones are closed at once
  size_t workers = 1;             // of the node: its limits are shared by so many
  std::string zone;               // of the node
  int64_t tunnel_grace_ms = 30'000;  // that tunnels have after drain()
  ClientTable* clients = nullptr; // the node's; null: connections per client are not limited
  OverloadLimits overload;        // of this worker
  const Clock* clock = &SystemClock::instance();
  RateTable* rates = nullptr;
  AccessLog* log = nullptr;
  UsageMeter* usage = nullptr;    // null: nothing is metered
  // No exchange is left on this version's snapshot, and it is not in force. On the worker's thread.
  std::function<void(uint64_t version)> on_drained;
  // A target was left out for failing requests: for the other workers. On the worker's thread.
  std::function<void(const HealthChange&)> on_ejected;
  // Takes tables that nothing uses any more, to be freed elsewhere. Any thread.
  std::function<void(Tables)> retire;
};

class Worker final : private ServerHost, private FrontHost, private Services, private PolicyCounters {
 public:
  explicit Worker(WorkerOptions options);
  ~Worker() override;

  void start();
  // Ends the thread; connections that are left are cut.
  void stop();
  bool post(std::function<void()> task) { return loop_.post(std::move(task)); }

  // loop: puts a snapshot and its sockets in force. `sockets` is the whole list; those that are gone stop accepting.
  void install_config(std::shared_ptr<const Snapshot> snapshot, const std::vector<SocketBinding>& sockets);
  void install_directory(std::shared_ptr<const Directory> directory);
  void install_quota(std::shared_ptr<const QuotaView> quota);
  // loop: what the node's prober or another worker found.
  void apply_health(const HealthChange& change) { pool_.apply(change); }
  // loop: what the node's discovery found.
  void apply_targets(const std::vector<TargetsChange>& changes) {
    for (const TargetsChange& change : changes) pool_.apply(change);
  }
  void install_switches(std::shared_ptr<const Switches> switches);
  // loop: certificates, and what TLS listeners show from now on, by socket's id; connections that stand keep theirs.
  void install_certificates(std::shared_ptr<const CertificateTable> certificates,
                            const std::vector<std::shared_ptr<const TlsServerContext>>& contexts);
  void install_tickets(std::shared_ptr<const TicketKeys> tickets);
  // loop: before the configuration that wants them.
  void install_tls_clients(std::shared_ptr<const TlsClients> clients) { pool_.configure(std::move(clients)); }
  // loop: stops accepting; every connection ends after the exchange in work, and one without may bring one more request for
  // `idle_ms`. `idle` is called once none is left.
  void drain(int64_t idle_ms, std::function<void()> idle);
  // loop: cuts what is left.
  void abort_all();
  // loop
  WorkerStats& stats() { return stats_; }
  UsageMeter* usage() { return options_.usage; }
  void refresh_gauges();
  bool copy_targets(uint64_t& next, SliceBudget& budget, StatsSlice& out);
  // Listening error of the last install, negative uv error.
  int listen_error() const { return listen_error_; }

 private:
  struct Socket {
    std::vector<std::unique_ptr<Listener>> listeners;
    uint64_t gateway_uid = 0;
    const GatewayConfig* gateway = nullptr;  // in the tables in force
    uint32_t log_target = UINT32_MAX;
    std::string listener_name;
    size_t connections = 0;
    ServerLimits limits;
    FrontRules front;
    const ListenerConfig* config = nullptr;  // in the tables in force
    std::shared_ptr<const TlsServerContext> tls;
    size_t handshakes = 0;       // in work
    uint32_t begun = 0;          // handshakes, in the second of `begun_ms`
    int64_t begun_ms = 0;
  };
  struct ExchangeSlot {
    std::unique_ptr<Exchange> exchange;
    uint32_t generation = 0;
  };
  struct ServiceTimer;
  struct Resume {
    ExchangeRef ref;
    Decision decision;
  };

  // ServerHost
  DownstreamEvents& open_exchange(DownstreamStream& stream, uint32_t listener) override;
  const ServerLimits& limits(uint32_t listener) override { return sockets_[listener].limits; }
  bool draining() const override { return draining_; }
  bool sheds_connections() override;
  void requests_used_up() override { stats_.count(Counter::kConnectionRequestsUsedUp); }
  Http2Gauges& http2_gauges() override { return http2_gauges_; }
  void http2_budget_exceeded() override { stats_.count(Counter::kHttp2BudgetExceeded); }
  void head_timed_out() override { stats_.count(Counter::kRequestTimeouts); }
  void connection_closed(ServerConnection& connection) override;
  // FrontHost
  bool believes_proxy_header(uint32_t listener, const IpAddress& peer) override;
  void proxy_header_refused() override { stats_.count(Counter::kProxyHeaderRefused); }
  bool admit(ServerConnection& connection) override;
  std::unique_ptr<TlsFilter> open_tls(Front& front) override;
  void tls_ended(Front& front, TlsFilter* filter, bool late) override;
  void promote(Front& front, TcpStream& stream, bool http2, std::string_view early) override;
  // Services
  const Clock& clock() const override { return *options_.clock; }
  FastRandom& random() override { return random_; }
  void after(ExchangeRef ref, int64_t ms, std::function<void()> fn) override;
  void resume(ExchangeRef ref, Decision d) override;
  // PolicyCounters
  void count(const Policy& policy, PolicyCount what) override;
  void count_plan(const PlanConfig& plan, PolicyCount what) override;

  void listen(uint32_t id, const SocketBinding& binding);
  void accept(uint32_t socket, int fd);
  void keep(ServerConnection& connection);
  bool has_room(uint32_t socket);
  void configure(Socket& socket);
  void turn_ended(int64_t busy_ns, int64_t now_ns);
  Exchange* find(ExchangeRef ref);
  void exchange_finished(Exchange& exchange);
  void end_of_turn();
  void swap(Tables tables);
  void unpin(PinnedTables& tables);
  void sweep_tables();
  void tick();

  const WorkerOptions options_;
  Loop loop_;
  FastRandom random_;
  WorkerStats stats_;
  UpstreamPool pool_;
  MirrorSender mirrors_;
  http2::RequestPool http2_requests_;
  Http2Gauges http2_gauges_;
  std::unique_ptr<AccessLogBuffer> log_;
  ExchangeEnv env_;

  std::vector<Socket> sockets_;  // by id
  int64_t tls_log_ms_ = 0;       // when the next failed handshake may be logged
  std::unique_ptr<PinnedTables> current_;
  std::vector<std::unique_ptr<PinnedTables>> old_;  // with exchanges left

  std::vector<ExchangeSlot> slots_;
  std::vector<uint32_t> free_slots_;
  std::vector<uint32_t> finished_;   // recycled at the end of the turn
  std::vector<Resume> resumes_;
  std::vector<std::unique_ptr<ServiceTimer>> service_timers_;
  ServerConnection* connections_ = nullptr;
  size_t connection_count_ = 0;
  OverloadManager overload_;
  std::vector<ServerConnection*> dead_connections_;
  Deferred turn_task_;
  Timer tick_timer_;
  std::function<void()> on_idle_;
  bool draining_ = false;
  int64_t drain_idle_ms_ = 0;
  int listen_error_ = 0;
  std::thread thread_;
};

}  // namespace gw
