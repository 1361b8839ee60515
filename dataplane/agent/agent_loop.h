// The agent's thread: a queue of events and a few times at which something is due. What it decides about offers is
// AgentStreams'; here are the connection with its token, leases and backoff (agent_connection.cc), the certificate
// (agent_identity.cc), and the disk (agent_loop.cc).
#pragma once

#include <chrono>
#include <condition_variable>
#include <deque>
#include <future>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <variant>

#include "common/base/random.h"
#include "dataplane/agent/agent_streams.h"
#include "dataplane/agent/config_agent.h"
#include "dataplane/agent/last_good.h"
#include "dataplane/agent/persister.h"

namespace gw {

// Owner: ConfigAgent. All private functions are on its thread.
class AgentLoop final : public SyncEvents {
 public:
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
  struct Suspend {
    std::shared_ptr<std::promise<absl::Status>> on_disk;
  };
  struct Resume {};
  using Event = std::variant<v1::ToNode, Closed, Drained, ListenersChanged, Persisted, Suspend, Resume>;

  AgentLoop(AgentOptions options, NodeSink& sink);
  absl::Status start();
  void stop();
  void post(Event event);
  AgentStatus status() const;

  // SyncEvents, on the channel's threads.
  void on_message(v1::ToNode message) override;
  void on_closed(absl::Status status) override { post(Closed{std::move(status)}); }

 private:
  enum class Link { kDown, kOpening, kUp };  // kOpening: no Welcome yet
  using SteadyTime = std::chrono::steady_clock::time_point;
  using Millis = std::chrono::milliseconds;
  static SteadyTime now() { return std::chrono::steady_clock::now(); }

  void load(std::optional<LastGood> seed);
  void serve(const LastGood& content);
  void run();
  SteadyTime next_due() const;
  bool may_write() const { return !suspended_ || on_disk_ != nullptr; }
  void step();
  void finish();
  void publish_status();
  void handle(Drained& drained);
  void handle(Persisted& done);
  void handle(Suspend& suspend);
  void handle(Resume&);

  void connect();
  absl::StatusOr<std::string> node_token();
  absl::Status load_identity();
  void take_identity(ControlIdentity identity);
  bool lacks_certificate() const;
  bool renews() const;
  absl::StatusOr<std::string> join();
  absl::Status keep_certificate(std::string key, const std::string& certificate, const std::string& ca);
  void renew();
  int64_t wall_ms() const { return options_.clock->wall_ns() / 1'000'000; }
  void fill_hello(v1::Hello& hello);
  void leave();
  void lost(const absl::Status& status);
  void retry(const absl::Status& status);
  void send_ack(v1::Ack ack);
  void send_heartbeat(bool with_listeners);
  void say_goodbye();
  void handle(v1::ToNode& message);
  void handle(Closed& closed);
  void handle(ListenersChanged&);
  void welcome(const v1::Welcome& welcome);
  void renewed();
  void chunk(v1::Chunk& chunk);
  void heard();

  const AgentOptions options_;
  NodeSink& sink_;

  std::mutex mu_;
  std::condition_variable wake_, room_;
  std::deque<Event> events_;
  bool stopping_ = false;
  bool accepting_ = false;                // messages of the stream
  std::unique_ptr<SyncChannel> channel_;  // set once

  mutable std::mutex status_mu_;
  AgentStatus status_;

  LastGoodStore store_;
  AgentStreams streams_;
  std::optional<Persister> persister_;
  AgentStatus mine_;
  FastRandom random_;
  const uint64_t boot_ = FastRandom().next();
  Link link_ = Link::kDown;
  std::string incoming_;  // of the offer whose chunks are coming
  int attempts_ = 0;
  bool token_refused_ = false;
  bool identity_problem_said_ = false;
  std::string serial_;  // of the certificate that renew_at_ is about; empty: none
  bool from_disk_ = false;
  bool writing_ = false;
  bool stale_ = true;
  bool suspended_;
  std::shared_ptr<std::promise<absl::Status>> on_disk_;  // who waits for what is in force to be on disk
  uint64_t saved_change_ = 0;
  int64_t lease_ms_ = 10'000;
  std::optional<LastGood> unserved_;  // read, but could not be served yet
  SteadyTime connect_at_{}, heartbeat_at_{}, persist_at_{}, serve_at_{};
  SteadyTime renew_at_{};
  SteadyTime lease_ends_{};  // the control plane's word counts until then
  SteadyTime silent_at_{};   // the stream is given up when nothing was heard until then
  std::thread thread_;
};

}  // namespace gw
