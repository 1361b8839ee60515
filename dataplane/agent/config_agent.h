// The node's side of the control channel: starts from disk, dials the control plane, builds what it offers, and answers for
// each version.
//
// Owner: the Node. Threads: one of its own, on which everything below happens; drained(), status() and stop() may be called
// from any thread. Work on disk is on a second thread, so that a slow disk delays `persisted` and nothing else.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "common/base/clock.h"
#include "dataplane/agent/control_identity.h"
#include "dataplane/agent/node_sink.h"
#include "dataplane/agent/sync_channel.h"

namespace gw {

struct AgentOptions {
  std::string node;  // name, unique in the installation
  std::string zone;
  std::vector<std::pair<std::string, std::string>> labels;
  std::string build;         // "0.1.0+commit"
  std::string state_dir;     // exists, mode 0700; holds last good, the node token
  std::string seed_file;     // read when the state directory holds nothing good; empty: none
  std::string control;       // host:port; empty: no control plane, the node serves what disk or seed hold
  std::string join_token_file;  // read when there is no node token or certificate yet, or it is refused
  std::string control_ca_file;  // CA of the control plane; empty: that of the join token's file, and of the last join
  // Where the channels find CA and certificate; null: the channel needs none.
  std::shared_ptr<IdentityHolder> identity;
  std::string admin_address;    // reported in Hello
  int admin_port = 0;
  // Capabilities that this node does not admit to, for tests of exit 8.
  std::vector<std::string> without_capabilities;
  const Clock* clock = &SystemClock::instance();
  // Makes the channel: make_grpc_sync_channel (grpc_channels.h), or a fake. Called once, on the agent's thread. Empty: none.
  std::function<std::unique_ptr<SyncChannel>(const std::string& control)> make_channel;
  // Begins suspended (ConfigAgent::suspend): serves what is on disk, and nothing more until resume().
  bool suspended = false;
  int64_t heartbeat_ms = 2000;
  int64_t backoff_min_ms = 100;
  int64_t backoff_max_ms = 10'000;
  int64_t refused_token_retry_ms = 30'000;
  // Largest serialized Offer that is taken, whole or delta.
  size_t max_offer_bytes = size_t{1} << 30;
};

// For /readyz, /metrics and logs. Versions are 0 where there is none.
struct AgentStatus {
  bool started_from_disk = false;
  bool started_from_seed = false;
  std::string start_problem;  // why disk or seed could not be used; empty: they could, or there was nothing
  bool connected = false;
  std::string last_error;  // of the channel, until it is connected again
  uint64_t config_version = 0;
  uint64_t directory_version = 0;
  uint64_t quota_version = 0;
  uint64_t switches_version = 0;
  uint64_t endpoints_version = 0;
  uint64_t certificates_version = 0;
  uint64_t tickets_version = 0;
  uint64_t persisted_config_version = 0;
  uint64_t versions_refused = 0;
  int64_t certificate_ends = 0;  // of the node's own certificate, Unix seconds; 0: it has none
  std::string persist_error;  // why the last write to disk failed; empty: it did not
  // Unix nanoseconds at which the control plane last said that the stream is what the node holds: while connected with a
  // live lease this keeps up with the clock. 0: never. The staleness clocks of §6.
  int64_t config_success_wall_ns = 0;
  int64_t directory_success_wall_ns = 0;
  // Monotonic, for ages.
  int64_t directory_success_mono_ns = 0;
};

class AgentLoop;

class ConfigAgent {
 public:
  ConfigAgent();
  ~ConfigAgent();  // stops
  ConfigAgent(const ConfigAgent&) = delete;
  ConfigAgent& operator=(const ConfigAgent&) = delete;

  // Loads disk or seed and puts them in force through `sink` before it returns (no error if there is nothing); then goes on
  // by itself. Errors: a seed file or state directory that cannot be read, a bad option.
  absl::Status start(AgentOptions options, NodeSink& sink);
  // Ends both threads; what is in force stays in force. A write to disk under way is finished. Idempotent.
  void stop();

  // Stands still, for another process that takes over this state directory: leaves the control plane without giving the lease
  // back (the other comes under the same name), and returns when what is in force is on disk. From then on nothing is offered,
  // put in force or written, until resume(). Error: the disk failed, or the thread was busy for `timeout_ms`; resumed then.
  // One thread at a time, not with stop().
  absl::Status suspend(int64_t timeout_ms);
  void resume();

  // The last exchange on the snapshot of `version` has ended. Any thread.
  void drained(uint64_t version);
  // What is bound has changed outside a swap; sends a Heartbeat with it. Any thread.
  void listeners_changed();
  AgentStatus status() const;

 private:
  std::shared_ptr<AgentLoop> loop() const;

  mutable std::mutex mu_;
  std::shared_ptr<AgentLoop> loop_;  // null before start()
};

}  // namespace gw
