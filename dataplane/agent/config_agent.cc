#include "dataplane/agent/config_agent.h"

#include <spdlog/spdlog.h>
#include <sys/stat.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <future>
#include <mutex>
#include <thread>
#include <variant>

#include "common/base/random.h"
#include "common/base/status.h"
#include "dataplane/agent/agent_streams.h"
#include "dataplane/agent/last_good.h"
#include "dataplane/agent/node_token.h"
#include "dataplane/agent/persister.h"
#include "dataplane/snapshot/entry.h"

namespace gw {
namespace {

using SteadyTime = std::chrono::steady_clock::time_point;
using Millis = std::chrono::milliseconds;

constexpr size_t kMaxQueuedMessages = 64;  // chunks of 512 KiB
constexpr int64_t kDiskRetryMs = 2'000;    // last known good that could not be served (a port in use)
constexpr int64_t kPersistRetryMs = 5'000;

struct Closed {
  absl::Status status;
};
struct Drained {
  uint64_t version;
};
struct ListenersChanged {};
struct Persisted {
  uint64_t change;
  absl::Status status;
  int64_t micros;
};
using Event = std::variant<v1::ToNode, Closed, Drained, ListenersChanged, Persisted>;

bool is_token_error(const absl::Status& status) {
  return status.code() == absl::StatusCode::kUnauthenticated || status.code() == absl::StatusCode::kPermissionDenied;
}

}  // namespace

class ConfigAgent::Impl final : public SyncEvents {
 public:
  Impl(AgentOptions options, NodeSink& sink)
      : options_(std::move(options)),
        sink_(sink),
        store_(options_.state_dir),
        streams_(sink, options_.without_capabilities, [this](v1::Ack ack) { send_ack(std::move(ack)); }) {}

  absl::Status start() {
    std::optional<LastGood> seed;
    if (!options_.seed_file.empty()) {
      GW_ASSIGN_OR_RETURN(seed, read_seed(options_.seed_file));
    }
    std::promise<void> loaded;
    std::future<void> done = loaded.get_future();
    thread_ = std::thread([this, &seed, &loaded] {
      load(std::move(seed));
      publish_status();
      loaded.set_value();
      run();
    });
    done.wait();
    return absl::OkStatus();
  }

  void stop() {
    {
      std::lock_guard lock(mu_);
      if (stopping_) return;
      stopping_ = true;
      accepting_ = false;
    }
    wake_.notify_all();
    room_.notify_all();
    if (SyncChannel* channel = cancellable()) channel->cancel();
    if (thread_.joinable()) thread_.join();
  }

  void post(Event event) {
    {
      std::lock_guard lock(mu_);
      if (stopping_) return;
      events_.push_back(std::move(event));
    }
    wake_.notify_all();
  }

  AgentStatus status() const {
    std::lock_guard lock(status_mu_);
    return status_;
  }

  void on_message(v1::ToNode message) override {
    {
      std::unique_lock lock(mu_);
      room_.wait(lock, [this] { return !accepting_ || events_.size() < kMaxQueuedMessages; });
      if (!accepting_) return;
      events_.push_back(std::move(message));
    }
    wake_.notify_all();
  }
  void on_closed(absl::Status status) override { post(Closed{std::move(status)}); }

 private:
  enum class Link { kDown, kOpening, kUp };  // kOpening: no Welcome yet

  SyncChannel* cancellable() {
    std::lock_guard lock(mu_);
    return channel_.get();
  }

  // ---- start: disk, then seed

  void load(std::optional<LastGood> seed) {
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

  void serve(const LastGood& content) {
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

  // ---- the loop

  void run() {
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

  static SteadyTime now() { return std::chrono::steady_clock::now(); }

  SteadyTime next_due() const {
    SteadyTime due = now() + Millis(60'000);
    if (channel_ && link_ == Link::kDown) due = std::min(due, connect_at_);
    if (link_ != Link::kDown) due = std::min({due, heartbeat_at_, lease_ends_});
    if (!stale_) due = std::min(due, lease_ends_);
    if (!writing_ && streams_.change() != saved_change_) due = std::min(due, persist_at_);
    if (unserved_) due = std::min(due, serve_at_);
    return due;
  }

  void step() {
    SteadyTime t = now();
    if (channel_ && link_ == Link::kDown && t >= connect_at_) connect();
    if (link_ != Link::kDown && t >= lease_ends_) {
      lost(unavailable("nothing heard from the control plane for a lease's length"));
    }
    if (link_ == Link::kUp && t >= heartbeat_at_) {
      heartbeat_at_ = t + Millis(options_.heartbeat_ms);
      send_heartbeat(false);
    }
    if (!stale_ && t >= lease_ends_) {
      stale_ = true;
      streams_.set_stale(true);
    }
    if (!writing_ && streams_.change() != saved_change_ && t >= persist_at_) {
      writing_ = true;
      persister_->write(streams_.whole(), streams_.change());
    }
    if (unserved_ && t >= serve_at_) {
      serve_at_ = t + Millis(kDiskRetryMs);
      if (streams_.config_version() == 0) serve(*unserved_);
      if (streams_.config_version() != 0) unserved_.reset();
    }
  }

  void finish() {
    if (link_ != Link::kDown) {
      v1::FromNode message;
      message.mutable_goodbye();
      channel_->send(message);
      channel_->close();
      link_ = Link::kDown;
    }
    uint64_t change = streams_.change();
    persister_.reset();  // finishes the write under way
    if (change == saved_change_) return;
    absl::Status status = store_.save(streams_.whole());
    if (!status.ok()) spdlog::error("last known good: {}", message_of(status));
  }

  // ---- connection

  void connect() {
    auto token = node_token();
    if (!token.ok()) {
      retry(token.status());
      return;
    }
    {
      std::lock_guard lock(mu_);
      if (stopping_) return;
      accepting_ = true;
    }
    link_ = Link::kOpening;
    lease_ends_at_open();
    incoming_.clear();
    channel_->open(*token, *this);
    v1::FromNode message;
    fill_hello(*message.mutable_hello());
    channel_->send(message);
  }

  // The stored token, or one that the join token is traded for.
  absl::StatusOr<std::string> node_token() {
    if (!token_refused_) {
      auto token = read_token_file(node_token_path(options_.state_dir));
      if (token.ok() || token.status().code() != absl::StatusCode::kNotFound) return token;
    }
    if (options_.join_token_file.empty()) {
      return unauthenticated(token_refused_
                                 ? "the control plane refused this node's token, and there is no join token to get another "
                                   "with; give --join-token-file"
                                 : "this node has not joined; give --join-token-file (gwctl node join-token)");
    }
    GW_ASSIGN_OR_RETURN(std::string join_token, read_token_file(options_.join_token_file));
    auto token = channel_->join(join_token, options_.node);
    if (!token.ok()) return token.status();
    GW_RETURN_IF_ERROR(write_node_token(options_.state_dir, *token));
    token_refused_ = false;
    spdlog::info("joined {} as node {}", options_.control, options_.node);
    return token;
  }

  void fill_hello(v1::Hello& hello) {
    hello.set_node(options_.node);
    hello.set_boot(boot_);
    hello.set_zone(options_.zone);
    hello.set_build(options_.build);
    for (const auto& [name, value] : options_.labels) {
      v1::Pair& label = *hello.add_labels();
      label.set_name(name);
      label.set_value(value);
    }
    for (const std::string& capability : all_capabilities()) {
      const auto& without = options_.without_capabilities;
      if (std::find(without.begin(), without.end(), capability) == without.end()) hello.add_capabilities(capability);
    }
    for (v1::StreamPosition& position : streams_.positions()) *hello.add_have() = std::move(position);
    for (v1::BoundListener& listener : sink_.listeners()) *hello.add_listeners() = std::move(listener);
    hello.set_admin_address(options_.admin_address);
    hello.set_admin_port(options_.admin_port);
  }

  void lease_ends_at_open() {
    // Until Welcome says how long leases are; a control plane that does not answer is given up after so long.
    lease_ends_ = std::max(lease_ends_, now() + Millis(lease_ms_));
  }

  void lost(const absl::Status& status) {
    {
      std::lock_guard lock(mu_);
      accepting_ = false;
    }
    room_.notify_all();
    channel_->close();
    {
      std::lock_guard lock(mu_);
      std::erase_if(events_, [](const Event& e) {
        return std::holds_alternative<v1::ToNode>(e) || std::holds_alternative<Closed>(e);
      });
    }
    link_ = Link::kDown;
    incoming_.clear();
    streams_.disconnected();
    token_refused_ = token_refused_ || status.code() == absl::StatusCode::kUnauthenticated;
    retry(status);
  }

  // Full jitter, so that a herd of nodes does not come at once.
  void retry(const absl::Status& status) {
    std::string error = message_of(status);
    if (error.empty()) error = absl::StatusCodeToString(status.code());
    if (error != mine_.last_error) spdlog::warn("control plane {}: {}", options_.control, error);
    mine_.last_error = error;
    int64_t most = std::min(options_.backoff_max_ms, options_.backoff_min_ms << std::min(attempts_, 16));
    ++attempts_;
    // A refused token gets better by an operator's hand. The first refusal may be an old node token: join at once.
    bool join_next = token_refused_ && !options_.join_token_file.empty() && attempts_ <= 1;
    if (is_token_error(status) && !join_next) most = options_.refused_token_retry_ms;
    connect_at_ = now() + Millis(1 + static_cast<int64_t>(random_.below(static_cast<uint64_t>(most))));
  }

  void send_ack(v1::Ack ack) {
    if (link_ == Link::kDown) return;
    v1::FromNode message;
    *message.mutable_ack() = std::move(ack);
    channel_->send(message);
  }

  void send_heartbeat(bool with_listeners) {
    v1::FromNode message;
    v1::Heartbeat& heartbeat = *message.mutable_heartbeat();
    if (with_listeners) {
      for (v1::BoundListener& listener : sink_.listeners()) *heartbeat.add_listeners() = std::move(listener);
    }
    channel_->send(message);
  }

  // ---- events

  void handle(v1::ToNode& message) {
    if (link_ == Link::kDown) return;  // of a stream that was given up within this batch
    switch (message.message_case()) {
      case v1::ToNode::kWelcome: welcome(message.welcome()); break;
      case v1::ToNode::kChunk: chunk(*message.mutable_chunk()); break;
      case v1::ToNode::kActivate:
        if (message.activate().stream() == v1::STREAM_CONFIG) streams_.activate(message.activate().version());
        break;
      case v1::ToNode::kAbort: streams_.abort(message.abort().version(), message.abort().why()); break;
      case v1::ToNode::kLease: renewed(); break;
      case v1::ToNode::MESSAGE_NOT_SET: break;
    }
  }

  void welcome(const v1::Welcome& welcome) {
    link_ = Link::kUp;
    attempts_ = 0;
    mine_.last_error.clear();
    if (welcome.lease_ms() > 0) lease_ms_ = welcome.lease_ms();
    heartbeat_at_ = now() + Millis(std::min(options_.heartbeat_ms, std::max<int64_t>(1, lease_ms_ / 3)));
    spdlog::info("connected to control plane {}", options_.control);
    streams_.connected();
    renewed();
  }

  void renewed() {
    lease_ends_ = now() + Millis(lease_ms_);
    if (std::exchange(stale_, false)) streams_.set_stale(false);
    const Clock& clock = *options_.clock;
    if (streams_.config_fresh()) mine_.config_success_wall_ns = clock.wall_ns();
    if (streams_.directory_fresh()) {
      mine_.directory_success_wall_ns = clock.wall_ns();
      mine_.directory_success_mono_ns = clock.mono_ns();
    }
  }

  void chunk(v1::Chunk& chunk) {
    if (incoming_.size() + chunk.data().size() > options_.max_offer_bytes) {
      lost(resource_exhausted("an offer is larger than " + std::to_string(options_.max_offer_bytes) + " bytes"));
      return;
    }
    incoming_ += chunk.data();
    lease_ends_ = std::max(lease_ends_, now() + Millis(lease_ms_));  // it lives
    if (!chunk.last()) return;
    v1::Offer offer;
    bool readable = offer.ParseFromString(incoming_);
    incoming_ = std::string();
    if (!readable) {
      lost(data_loss("an offer cannot be read"));
      return;
    }
    streams_.offered(std::move(offer));
    lease_ends_ = std::max(lease_ends_, now() + Millis(lease_ms_));  // a long build is no silence
    if (streams_.config_version() != 0) unserved_.reset();
  }

  void handle(Closed& closed) {
    if (link_ != Link::kDown) lost(closed.status);
  }
  void handle(Drained& drained) { streams_.drained(drained.version); }
  void handle(ListenersChanged&) {
    if (link_ == Link::kUp) send_heartbeat(true);
  }
  void handle(Persisted& done) {
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
    }
  }

  void publish_status() {
    mine_.connected = link_ == Link::kUp;
    mine_.config_version = streams_.config_version();
    mine_.directory_version = streams_.directory_version();
    mine_.quota_version = streams_.quota_version();
    mine_.persisted_config_version = streams_.persisted_version();
    mine_.versions_refused = streams_.refused();
    std::lock_guard lock(status_mu_);
    status_ = mine_;
  }

  const AgentOptions options_;
  NodeSink& sink_;

  std::mutex mu_;
  std::condition_variable wake_, room_;
  std::deque<Event> events_;
  bool stopping_ = false;
  bool accepting_ = false;
  std::unique_ptr<SyncChannel> channel_;  // set once, under mu_

  mutable std::mutex status_mu_;
  AgentStatus status_;

  // The agent's thread.
  LastGoodStore store_;
  AgentStreams streams_;
  std::optional<Persister> persister_;
  AgentStatus mine_;
  FastRandom random_;
  const uint64_t boot_ = FastRandom().next();
  Link link_ = Link::kDown;
  std::string incoming_;
  int attempts_ = 0;
  bool token_refused_ = false;
  bool from_disk_ = false;
  bool writing_ = false;
  bool stale_ = true;
  uint64_t saved_change_ = 0;
  int64_t lease_ms_ = 10'000;
  std::optional<LastGood> unserved_;  // read, but not servable yet
  SteadyTime connect_at_{}, heartbeat_at_{}, lease_ends_{}, persist_at_{}, serve_at_{};
  std::thread thread_;
};

ConfigAgent::ConfigAgent() = default;
ConfigAgent::~ConfigAgent() { stop(); }

absl::Status ConfigAgent::start(AgentOptions options, NodeSink& sink) {
  struct stat info {};
  if (options.node.empty()) return invalid_argument("the node has no name; give --node");
  if (::stat(options.state_dir.c_str(), &info) != 0) return errno_status("state directory " + options.state_dir, errno);
  if (!S_ISDIR(info.st_mode)) return invalid_argument(options.state_dir + ": not a directory");
  impl_ = std::make_unique<Impl>(std::move(options), sink);
  return impl_->start();
}

void ConfigAgent::stop() {
  if (impl_) impl_->stop();
}

void ConfigAgent::drained(uint64_t version) { impl_->post(Drained{version}); }
void ConfigAgent::listeners_changed() { impl_->post(ListenersChanged{}); }
AgentStatus ConfigAgent::status() const { return impl_->status(); }

}  // namespace gw
