#include "dataplane/telemetry/usage_client.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>
#include <thread>
#include <utility>
#include <variant>

#include "common/base/random.h"
#include "common/base/status.h"

namespace gw {
namespace {

using SteadyTime = std::chrono::steady_clock::time_point;
using Millis = std::chrono::milliseconds;

constexpr size_t kBatchesAtOnce = 16;

struct Sealed {
  uint64_t round = 0;
  uint64_t events = 0;
  uint64_t lost = 0;
  bool complete = true;  // every worker answered
};
struct Closed {
  absl::Status status;
};
using Event = std::variant<Sealed, v1::ReportAck, Closed>;

// What other threads hand to the client's; outlives it for as long as a worker holds a round.
struct Inbox {
  std::mutex mu;
  std::condition_variable wake;
  std::deque<Event> events;

  void push(Event event) {
    {
      std::lock_guard lock(mu);
      events.push_back(std::move(event));
    }
    wake.notify_all();
  }
};

// One asking of all workers to seal. The last of them to let go of it reports.
struct Round {
  explicit Round(std::shared_ptr<Inbox> to, uint64_t number) : inbox(std::move(to)) { sum.round = number; }
  ~Round() { inbox->push(sum); }
  std::shared_ptr<Inbox> inbox;
  std::mutex mu;
  Sealed sum;
};

}  // namespace

class UsageClient::Impl final : public TelemetryEvents {
 public:
  Impl(UsageClientOptions options, UsageSpool& spool, WorkerCalls& workers)
      : options_(std::move(options)), spool_(spool), workers_(workers), inbox_(std::make_shared<Inbox>()) {
    std::lock_guard lock(state_mu_);
    state_.unacknowledged_batches = spool_.unacknowledged_batches();
    state_.unacknowledged_cells = spool_.unacknowledged_cells();
  }

  void start() {
    if (!options_.control.empty() && options_.make_channel) channel_ = options_.make_channel(options_.control);
    thread_ = std::thread([this] { run(); });
  }

  void stop() {
    {
      std::lock_guard lock(inbox_->mu);
      stopping_ = true;
    }
    inbox_->wake.notify_all();
    if (thread_.joinable()) thread_.join();
  }

  void leave_metrics() {
    std::lock_guard lock(inbox_->mu);
    leaves_metrics_ = true;
  }

  bool drain(int64_t timeout_ms) {
    {
      std::lock_guard lock(inbox_->mu);
      draining_ = true;
    }
    inbox_->wake.notify_all();
    std::unique_lock lock(state_mu_);
    return drained_cv_.wait_for(lock, Millis(timeout_ms), [this] { return drained_; });
  }

  UsageState state() const {
    std::lock_guard lock(state_mu_);
    return state_;
  }

  void on_ack(v1::ReportAck ack) override { inbox_->push(std::move(ack)); }
  void on_closed(absl::Status status) override { inbox_->push(Closed{std::move(status)}); }

 private:
  void run() {
    while (true) {
      std::deque<Event> events;
      bool drain_now = false;
      {
        std::unique_lock lock(inbox_->mu);
        inbox_->wake.wait_until(lock, next_due(), [this] {
          return stopping_ || !inbox_->events.empty() || (draining_ && drain_round_ == 0);
        });
        if (stopping_) break;
        events.swap(inbox_->events);
        drain_now = draining_ && drain_round_ == 0;
      }
      if (drain_now) drain_round_ = seal_workers();
      for (Event& event : events) std::visit([this](auto& e) { handle(e); }, event);
      step();
    }
    if (open_) channel_->close();
  }

  SteadyTime next_due() const {
    SteadyTime due = std::min(seal_at_, metrics_at_);
    if (channel_ && !open_) due = std::min(due, open_at_);
    return due;
  }

  // Everything that is due by the clock.
  void step() {
    SteadyTime now = std::chrono::steady_clock::now();
    if (open_ && channel_->outdated()) begin_anew(now);
    if (channel_ && !open_ && now >= open_at_) open(now);
    if (now >= seal_at_) {
      seal_at_ = now + Millis(options_.usage_interval_ms);
      absl::Status status = spool_.maintain();
      if (!status.ok() && message_of(status) != maintain_problem_) spdlog::error("usage: {}", message_of(status));
      maintain_problem_ = status.ok() ? std::string() : message_of(status);
      seal_workers();
    }
    send_usage();
    if (now >= metrics_at_) {
      metrics_at_ = now + Millis(options_.metrics_interval_ms);
      send_metrics();
    }
    publish_state();
  }

  // What was not acknowledged is sent again.
  void begin_anew(SteadyTime now) {
    channel_->close();
    open_ = false;
    open_at_ = now;
    std::lock_guard lock(inbox_->mu);  // the end of that stream is no news
    std::erase_if(inbox_->events, [](const Event& event) { return std::holds_alternative<Closed>(event); });
  }

  void open(SteadyTime now) {
    std::string token = options_.token ? options_.token() : std::string();
    if (token.empty()) {  // the node has not joined yet
      open_at_ = now + Millis(options_.backoff_min_ms);
      return;
    }
    open_ = true;
    sent_.clear();
    channel_->open(token, *this);
    metrics_at_ = now;
  }

  uint64_t seal_workers() {
    auto round = std::make_shared<Round>(inbox_, ++rounds_);
    uint64_t number = rounds_;
    for (size_t i = 0; i < workers_.workers(); ++i) {
      bool posted = workers_.post(i, [round](WorkerStats&, UsageMeter& meter) {
        bool all = meter.seal();
        std::lock_guard lock(round->mu);
        if (!all) round->sum.complete = false;
        round->sum.events += meter.events();
        round->sum.lost += meter.lost();
      });
      if (posted) continue;
      std::lock_guard lock(round->mu);
      round->sum.complete = false;
    }
    return number;
  }

  void send_usage() {
    if (!open_) return;
    for (v1::UsageBatch& batch : spool_.sealed(sent_, kBatchesAtOnce)) {
      v1::NodeReport report;
      report.set_node(options_.node);
      uint64_t boot = batch.boot(), sequence = batch.sequence();
      *report.mutable_usage() = std::move(batch);
      if (!channel_->send(report)) return;  // on_closed follows
      sent_[boot] = sequence;
    }
  }

  void send_metrics() {
    if (!open_ || !options_.metrics) return;
    {
      std::lock_guard lock(inbox_->mu);
      if (leaves_metrics_) return;
    }
    v1::NodeReport report;
    report.set_node(options_.node);
    options_.metrics(*report.mutable_metrics());
    report.mutable_metrics()->set_usage_unacknowledged(spool_.unacknowledged_cells());
    report.mutable_metrics()->set_usage_lost(lost_);
    channel_->send(report);
  }

  void handle(const Sealed& sealed) {
    if (sealed.complete) sealed_round_ = std::max(sealed_round_, sealed.round);
    events_ = std::max(events_, sealed.events);
    lost_ = std::max(lost_, sealed.lost);
  }
  void handle(const v1::ReportAck& ack) {
    spool_.acknowledged(ack.boot(), ack.sequence());
    attempts_ = 0;
    last_error_.clear();
  }
  void handle(const Closed& closed) {
    if (!open_) return;
    channel_->close();
    open_ = false;
    std::string error = message_of(closed.status);
    if (error != last_error_) spdlog::warn("usage: stream to {} ended: {}", options_.control, error);
    last_error_ = error;
    int64_t most = std::min(options_.backoff_max_ms, options_.backoff_min_ms << std::min(attempts_++, 16));
    int64_t wait = 1 + static_cast<int64_t>(random_.below(static_cast<uint64_t>(most)));
    open_at_ = std::chrono::steady_clock::now() + Millis(wait);
  }

  void publish_state() {
    uint64_t batches = spool_.unacknowledged_batches();
    std::lock_guard lock(state_mu_);
    state_.unacknowledged_batches = batches;
    state_.unacknowledged_cells = spool_.unacknowledged_cells();
    state_.lost = lost_;
    state_.events = events_;
    state_.connected = open_;
    state_.last_error = last_error_;
    drained_ = drain_round_ != 0 && sealed_round_ >= drain_round_ && batches == 0;
    if (drained_) drained_cv_.notify_all();
  }

  const UsageClientOptions options_;
  UsageSpool& spool_;
  WorkerCalls& workers_;
  const std::shared_ptr<Inbox> inbox_;
  bool stopping_ = false, draining_ = false, leaves_metrics_ = false;  // under inbox_->mu

  // The client's thread.
  std::unique_ptr<TelemetryChannel> channel_;
  FastRandom random_;
  bool open_ = false;
  int attempts_ = 0;
  SteadyTime open_at_{}, seal_at_{}, metrics_at_{};
  std::map<uint64_t, uint64_t> sent_;  // on the open stream: boot -> sequence
  uint64_t rounds_ = 0, sealed_round_ = 0, drain_round_ = 0;
  uint64_t events_ = 0, lost_ = 0;
  std::string last_error_, maintain_problem_;

  mutable std::mutex state_mu_;
  std::condition_variable drained_cv_;
  UsageState state_;
  bool drained_ = false;
  std::thread thread_;
};

UsageClient::UsageClient(UsageClientOptions options, UsageSpool& spool, WorkerCalls& workers)
    : impl_(std::make_unique<Impl>(std::move(options), spool, workers)) {}
UsageClient::~UsageClient() { stop(); }
void UsageClient::start() { impl_->start(); }
void UsageClient::leave_metrics() { impl_->leave_metrics(); }
bool UsageClient::drain(int64_t timeout_ms) { return impl_->drain(timeout_ms); }
void UsageClient::stop() { impl_->stop(); }
UsageState UsageClient::state() const { return impl_->state(); }

}  // namespace gw
