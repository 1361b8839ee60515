// One request and its response, from the request's head to the last byte handed to the client's socket. exchange.cc holds the
// whole flow, step after step; everything that it calls is a leaf.
//
// Owner: the worker's ExchangeTable; recycled at the end of the turn in which it ends. Worker's thread. Outside the call stack
// an exchange is an ExchangeRef: what comes late finds another generation and is dropped.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "common/base/arena.h"
#include "common/base/clock.h"
#include "dataplane/exchange/forwarding.h"
#include "dataplane/exchange/hedge.h"
#include "dataplane/exchange/local_response.h"
#include "dataplane/exchange/streams.h"
#include "dataplane/exchange/tunnel.h"
#include "dataplane/loop/loop.h"
#include "dataplane/policy/body_pipe.h"
#include "dataplane/policy/pipeline.h"
#include "dataplane/snapshot/snapshot.h"
#include "dataplane/snapshot/tables.h"
#include "dataplane/telemetry/request_record.h"
#include "dataplane/telemetry/worker_stats.h"
#include "dataplane/upstream/pool.h"

namespace gw {

class AccessLogBuffer;
class Exchange;
struct GrpcCall;
class MirrorCopy;
class MirrorSender;
class RateTable;
class UsageMeter;

// Tables in force at some time, and how many exchanges keep them. Worker's thread.
struct PinnedTables {
  Tables tables;
  uint64_t exchanges = 0;
};

// What exchanges work with; one per worker.
struct ExchangeEnv {
  Loop* loop = nullptr;
  UpstreamPool* pool = nullptr;
  FastRandom* random = nullptr;
  const Clock* clock = nullptr;
  RateTable* rates = nullptr;
  Services* services = nullptr;
  PolicyCounters* counters = nullptr;
  WorkerStats* stats = nullptr;
  UsageMeter* usage = nullptr;      // null: nothing is metered
  AccessLogBuffer* log = nullptr;   // null: nothing is logged
  MirrorSender* mirrors = nullptr;
  int64_t tunnel_grace_ms = 30'000;  // that tunnels have on a node that drains
  // "Tue, 24 Nov 2026 03:37:10 GMT"; the worker renews it each second.
  std::string date;
  // Wall minus monotonic time; renewed with `date`.
  int64_t wall_offset_ns = 0;
  // New requests are refused once the turn has lasted so long: the worker is overloaded (its OverloadManager writes it).
  int64_t admit_ns = INT64_MAX;
  // Called once, when the exchange makes no further call; recycle it at the end of the turn.
  void (*finished)(void* worker, Exchange& exchange) = nullptr;
  void* worker = nullptr;
};

class Exchange final : private DownstreamEvents, private UpstreamEvents {
  friend class Hedge;  // the second of two tries, in a file of its own

 public:
  // A client that takes nothing for so long is given up.
  static constexpr int64_t kClientStallMs = 60'000;
  // What is left of a body that has so much left, and that nobody looks at, moves within the kernel.
  static constexpr int64_t kSpliceFrom = 65536;
  static constexpr size_t kHighWater = 65536;  // bytes queued towards one side before the other is paused

  explicit Exchange(ExchangeEnv& env);
  ~Exchange() override;

  // A new request on `stream`; `gateway` null: the listener's Gateway is gone.
  DownstreamEvents& open(DownstreamStream& stream, PinnedTables& tables, const GatewayConfig* gateway,
                         const ListenerConfig* listener, uint32_t log_target, ExchangeRef ref);
  // What a paused policy waited for has come.
  void resume(Decision d);
  // Forgets everything, ready for open().
  void recycle();

  PinnedTables* tables() const { return tables_; }
  ExchangeRef ref() const { return ctx_.ref; }

 private:
  enum class Step : uint8_t { kFree, kHead, kPaused, kBodyPaused, kWait, kBackoff, kForward, kResponsePaused, kTunnel, kDone };
  enum class Tried : uint8_t { kSent, kWaiting, kAnswered };

  // DownstreamEvents
  RequestHead& request_head() override { return request_; }
  void on_request_head() override;
  void on_request_invalid(const ProxyError& error) override;
  void on_request_data(std::string_view piece, bool last, const HeaderList* trailers) override;
  void on_request_spliced(uint64_t bytes, bool last, bool full) override;
  void on_downstream_closed() override;
  void on_downstream_drained() override;
  void on_request_read_done() override;
  // UpstreamEvents
  ResponseHead& response_head() override { return response_; }
  void on_response_interim(int status, const HeaderList& headers) override;
  void on_response_head() override;
  void on_response_data(std::string_view piece, bool last, const HeaderList* trailers) override;
  void on_response_spliced(uint64_t bytes, bool last, bool full) override;
  void on_upstream_failed(const ProxyError& error) override;
  void on_upstream_drained() override;
  void on_response_read_done() override;
  void on_upstream_available() override;

  void begin(int64_t now_ns);
  bool admit_websocket(const Route& route);
  void start_tunnel();
  void tunnel_ended(const Tunnel::Result& result);
  bool way_is_free();
  bool door_is_right();
  bool may_come_early();
  void tell_client_certificate();
  void add_hsts();
  void shed();
  bool stopped(LocalResponse* answer, Counter counter);
  void decided(Decision d);
  void choose_target();
  void prepare_forward(uint32_t upstream_index);
  void request_body(std::string_view piece, bool last, const HeaderList* trailers);
  void pipe_request(Decision d, bool last, const HeaderList* trailers);
  void forward_piped(bool last, const HeaderList* trailers);
  void send_request_on();
  void send_upstream(std::string_view piece, bool last, const HeaderList* trailers);
  void request_sent();
  void send_response_head();
  void pipe_response(Decision d, bool last, const HeaderList* trailers);
  void send_downstream(std::string_view piece, bool last, const HeaderList* trailers);
  void splice_request();
  void splice_response();
  // attempts.cc
  void plan_replay();
  void keep_for_replay(std::string_view piece, bool last, const HeaderList* trailers);
  Tried attempt();
  UpstreamPool::Ask ask_for_target(ProxyHeader& announce) const;
  bool may_retry(const ProxyError& error) const;
  bool method_allows_retry() const;
  bool take_retry(RetryReason reason);
  void back_off();
  bool retry_status();
  void try_again();
  void arm_hedge();
  bool hedge_gives_way();
  // grpc_call.cc
  void recognise_call();
  void recognise_web_call();
  bool admit_call();
  bool deadline_is_ahead();
  void prepare_call();
  void tell_deadline(int64_t now_ns);
  bool retry_call();
  void call_answered();
  bool decode_call(std::string_view& piece, bool last);
  void note_call_status(const HeaderList* trailers);
  bool call_piece(std::string_view& piece, bool last, const HeaderList*& trailers);
  void cut_call(const ProxyError& error);
  void refuse_call(const LocalResponse& local, std::string_view by);
  int judged_status() const;
  static AttemptResult result_of(const ProxyError& error);
  void send_again();
  void attempt_settled(AttemptResult result, int64_t now_ns);
  void attempt_ended(AttemptResult result, int64_t now_ns);
  void respond(const LocalResponse& local, std::string_view by);
  void refuse(Reason reason, std::string_view detail, int status = 0, bool close = false);
  void fail(const ProxyError& error);
  // At most so long for the next event; 0: as long as it takes.
  void wait_for(int64_t ms) {
    if (ms > 0) env_.loop->arm(timer_, ms);
    else timer_.cancel();
  }
  // Where one direction of a call may be silent, what the other one waits for stays.
  void wait_for_request() {
    if (body_idle_ms_ > 0 || !response_begun_) wait_for(body_idle_ms_);
  }
  void wait_for_response() {
    if (idle_ms_ > 0 || request_done_) wait_for(idle_ms_);
  }
  void timed_out();
  void total_timed_out();
  void finish();
  void finish(int64_t now_ns);
  void record(int64_t now_ns);
  void release_upstream();

  ExchangeEnv& env_;
  Arena arena_;
  RequestHead request_;
  ResponseHead response_;
  PolicyContext ctx_;
  Pipeline pipeline_;
  RequestRecord record_;
  RequestIds ids_;
  DownstreamStream* downstream_ = nullptr;
  UpstreamStream* upstream_ = nullptr;
  PinnedTables* tables_ = nullptr;
  const ListenerConfig* listener_ = nullptr;  // null: as its defaults
  const UpstreamConfig* upstream_config_ = nullptr;
  UpstreamPool::Attempt attempt_;
  const void* avoid_ = nullptr;  // the target that failed last; compared only
  std::unique_ptr<BodyPipe> request_pipe_, response_pipe_;
  std::unique_ptr<Tunnel> tunnel_;
  std::unique_ptr<Hedge> hedge_;  // since a request was sent that may get one
  std::unique_ptr<GrpcCall> grpc_;  // null: no gRPC call
  MirrorCopy* mirror_ = nullptr;  // takes the request's body
  std::string held_;           // request body that came while a policy paused
  std::string piped_;          // what a pipe gave out
  std::string replay_;         // request body that was sent and may be sent again
  std::string problem_;        // body of a problem document
  std::string_view sticky_cookie_, target_cookie_;
  Timer timer_;                // of the step in work
  Timer total_timer_;          // of the whole, where the Route limits it
  int64_t attempt_ns_ = 0;
  int64_t first_byte_ms_ = 0, idle_ms_ = 0;  // of the Route, else of the Upstream; 0: none
  int64_t body_idle_ms_ = 0;                 // likewise
  uint32_t log_target_ = UINT32_MAX;
  Step step_ = Step::kFree;
  bool request_done_ = false;      // all of the request has come
  bool request_forwarded_ = false; // and was given to the upstream
  bool held_last_ = false;
  bool body_sent_ = false;         // a piece of the body went upstream: no further attempt
  bool response_begun_ = false;    // towards the client
  bool response_head_held_ = false;
  bool close_ = false;
  bool expects_continue_ = false;
  bool upstream_paused_ = false, downstream_paused_ = false;
  bool waiting_ = false;           // in the pool, for a connection
  bool replaying_ = false;         // all of the body that was sent is in replay_
  bool replay_last_ = false;
  bool piped_last_ = false;        // piped_ ends the body
};

}  // namespace gw
