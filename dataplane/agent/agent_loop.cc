#include "dataplane/agent/agent_loop.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <future>
#include <utility>

#include "common/base/status.h"

namespace gw {
namespace {

constexpr size_t kMaxQueuedMessages = 64;  // chunks of 512 KiB
constexpr int64_t kDiskRetryMs = 2'000;    // last known good that could not be served (a port in use)
constexpr int64_t kPersistRetryMs = 5'000;

}  // namespace

AgentLoop::AgentLoop(AgentOptions options, NodeSink& sink)
    : options_(std::move(options)),
      sink_(sink),
      store_(options_.state_dir),
      streams_(sink, options_.without_capabilities, [this](v1::Ack ack) { send_ack(std::move(ack)); }),
      suspended_(options_.suspended) {}

absl::Status AgentLoop::start() {
  std::optional<LastGood> seed;
  if (!options_.seed_file.empty()) {
    GW_ASSIGN_OR_RETURN(seed, read_seed(options_.seed_file));
  }
  std::promise<void> loaded;
  std::future<void> done = loaded.get_future();
  thread_ = std::thread([this, &seed, &loaded] {
    load(std::move(seed));
    load_identity().IgnoreError();  // the first attempt to connect says what is wrong
    publish_status();
    loaded.set_value();
    run();
  });
  done.wait();
  return absl::OkStatus();
}

void AgentLoop::stop() {
  {
    std::lock_guard lock(mu_);
    if (stopping_) return;
    stopping_ = true;
    accepting_ = false;
  }
  wake_.notify_all();
  room_.notify_all();
  SyncChannel* channel = nullptr;
  {
    std::lock_guard lock(mu_);
    channel = channel_.get();
  }
  if (channel != nullptr) channel->cancel();
  if (thread_.joinable()) thread_.join();
}

void AgentLoop::post(Event event) {
  {
    std::lock_guard lock(mu_);
    if (stopping_) return;
    events_.push_back(std::move(event));
  }
  wake_.notify_all();
}

AgentStatus AgentLoop::status() const {
  std::lock_guard lock(status_mu_);
  return status_;
}

void AgentLoop::on_message(v1::ToNode message) {
  {
    std::unique_lock lock(mu_);
    room_.wait(lock, [this] { return !accepting_ || events_.size() < kMaxQueuedMessages; });
    if (!accepting_) return;
    events_.push_back(std::move(message));
  }
  wake_.notify_all();
}
void AgentLoop::load(std::optional<LastGood> seed) {
  LastGoodStore::Loaded disk = store_.load();
  if (!disk.problem.empty()) {
    mine_.start_problem = disk.problem;
    spdlog::error("last known good: {}{}", disk.problem, disk.content ? "; the other slot is good" : "");
  }
  from_disk_ = disk.content.has_value();
  std::optional<LastGood> content = from_disk_ ? std::move(disk.content) : std::move(seed);
  persister_.emplace(store_, [this](uint64_t change, absl::Status status, int64_t micros) {
    post(Persisted{change, std::move(status), micros});
  });
  if (!content) {
    spdlog::info("starting empty: no last known good in {}", options_.state_dir);
    return;
  }
  serve(*content);
  if (streams_.config_version() == 0) unserved_ = std::move(content);
}

void AgentLoop::serve(const LastGood& content) {
  std::string problem = streams_.load(content, from_disk_);
  if (from_disk_) saved_change_ = streams_.change();
  if (!problem.empty()) {
    if (problem != mine_.start_problem) {
      spdlog::error("last known good from {}: {}", from_disk_ ? options_.state_dir : options_.seed_file, problem);
    }
    mine_.start_problem = problem;
    return;
  }
  (from_disk_ ? mine_.started_from_disk : mine_.started_from_seed) = streams_.config_version() > 0;
  spdlog::info("serving version {} from {}", streams_.config_version(),
               from_disk_ ? options_.state_dir : options_.seed_file);
}

void AgentLoop::run() {
  if (!options_.control.empty() && options_.make_channel) {
    auto channel = options_.make_channel(options_.control);
    std::lock_guard lock(mu_);
    channel_ = std::move(channel);
  }
  connect_at_ = now();
  while (true) {
    std::deque<Event> events;
    {
      std::unique_lock lock(mu_);
      wake_.wait_until(lock, next_due(), [this] { return stopping_ || !events_.empty(); });
      if (stopping_) break;
      events.swap(events_);
    }
    room_.notify_all();
    for (Event& event : events) std::visit([this](auto& e) { handle(e); }, event);
    step();
    publish_status();
  }
  finish();
}

AgentLoop::SteadyTime AgentLoop::next_due() const {
  SteadyTime due = now() + Millis(60'000);
  if (channel_ && link_ == Link::kDown && !suspended_) due = std::min(due, connect_at_);
  if (link_ != Link::kDown) due = std::min(due, silent_at_);
  if (link_ == Link::kUp) due = std::min(due, heartbeat_at_);
  if (renews()) due = std::min(due, renew_at_);
  if (!stale_ && !suspended_) due = std::min(due, lease_ends_);
  if (!writing_ && streams_.change() != saved_change_ && may_write()) due = std::min(due, persist_at_);
  if (unserved_ && !suspended_) due = std::min(due, serve_at_);
  return due;
}

void AgentLoop::step() {
  SteadyTime t = now();
  if (channel_ && link_ == Link::kDown && !suspended_ && t >= connect_at_) connect();
  if (link_ != Link::kDown && t >= silent_at_) {
    lost(unavailable("nothing heard from the control plane for a lease's length"));
  }
  if (link_ == Link::kUp && t >= heartbeat_at_) {
    heartbeat_at_ = t + Millis(options_.heartbeat_ms);
    send_heartbeat(false);
  }
  if (renews() && t >= renew_at_) renew();
  if (!stale_ && !suspended_ && t >= lease_ends_) {
    stale_ = true;
    streams_.set_stale(true);
  }
  if (!writing_ && streams_.change() != saved_change_ && may_write() && t >= persist_at_) {
    writing_ = true;
    persister_->write(streams_.whole(), streams_.change());
  }
  if (on_disk_ && !writing_ && streams_.change() == saved_change_) std::exchange(on_disk_, nullptr)->set_value(absl::OkStatus());
  if (unserved_ && !suspended_ && t >= serve_at_) {
    serve_at_ = t + Millis(kDiskRetryMs);
    if (streams_.config_version() == 0) serve(*unserved_);
    if (streams_.config_version() != 0) unserved_.reset();
  }
}

void AgentLoop::finish() {
  say_goodbye();
  uint64_t change = streams_.change();
  persister_.reset();  // finishes the write under way
  if (change == saved_change_ || suspended_) return;  // suspended: the directory is another process's
  absl::Status status = store_.save(streams_.whole());
  if (!status.ok()) spdlog::error("last known good: {}", message_of(status));
}

void AgentLoop::handle(Suspend& suspend) {
  suspended_ = true;
  on_disk_ = std::move(suspend.on_disk);
  persist_at_ = now();
  if (link_ != Link::kDown) leave();
}

void AgentLoop::handle(Resume&) {
  suspended_ = false;
  on_disk_ = nullptr;
  attempts_ = 0;
  connect_at_ = now();
}

void AgentLoop::handle(Drained& drained) { streams_.drained(drained.version); }

void AgentLoop::handle(Persisted& done) {
  writing_ = false;
  if (done.status.ok()) {
    mine_.persist_error.clear();
    saved_change_ = done.change;
    streams_.persisted(done.change);
    // A large directory that changes all the time is not written all the time.
    persist_at_ = now() + std::chrono::microseconds(4 * done.micros);
  } else {
    std::string error = message_of(done.status);
    if (error != mine_.persist_error) spdlog::error("last known good: {}", error);
    mine_.persist_error = error;
    persist_at_ = now() + Millis(kPersistRetryMs);
    if (on_disk_) std::exchange(on_disk_, nullptr)->set_value(done.status);
  }
}

void AgentLoop::publish_status() {
  mine_.connected = link_ == Link::kUp;
  mine_.config_version = streams_.config_version();
  mine_.directory_version = streams_.directory_version();
  mine_.quota_version = streams_.quota_version();
  mine_.switches_version = streams_.switches_version();
  mine_.endpoints_version = streams_.endpoints_version();
  mine_.certificates_version = streams_.certificates_version();
  mine_.tickets_version = streams_.tickets_version();
  mine_.persisted_config_version = streams_.persisted_version();
  mine_.versions_refused = streams_.refused();
  std::lock_guard lock(status_mu_);
  status_ = mine_;
}

}  // namespace gw
