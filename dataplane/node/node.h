// A data-plane node: workers that serve, the agent that configures them, the way back for usage and metrics, and the admin
// listener. The same object in `gw-dataplane` and in tests.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "dataplane/agent/config_agent.h"
#include "dataplane/node/listeners.h"
#include "dataplane/telemetry/usage_client.h"

namespace gw {

struct NodeOptions {
  std::string name;
  std::string zone;
  std::vector<std::pair<std::string, std::string>> labels;
  std::string state_dir;      // made if missing, 0700; one node per directory
  std::string control;        // host:port; empty: serve what disk or seed hold
  std::string join_token_file;
  std::string control_ca_file;  // empty: the CA of the join token's file, and of the last join
  std::string seed_file;
  int workers = 0;            // 0: one per core
  std::vector<ListenerOverride> listeners;
  IpAddress admin_address;
  uint16_t admin_port = 0;
  std::vector<std::string> without_capabilities;
  // After SIGTERM: /readyz answers 503 for drain_delay, then nothing new is accepted, and what is in work has
  // drain_timeout to end.
  int64_t drain_delay_ms = 0;
  int64_t drain_timeout_ms = 30'000;
  // An idle connection may bring one more request for so long; after a hand-over nearly as long as drain_timeout.
  int64_t drain_idle_ms = 1'000;
  // Tunnels have so long from then on, a second less than drain_timeout at most: their clients are told before they are cut.
  int64_t tunnel_grace_ms = 30'000;
  // Client connections of the whole node; 0: a third of the descriptors that the process may open.
  size_t max_connections = 0;
  // What the node does not go beyond: it refuses requests with OVERLOAD first. Each worker has an even share. Of buffers, in
  // bytes (0: a quarter of the memory); requests in flight (0: as many as connections); mean length of a loop's turn.
  size_t max_buffer_bytes = 0;
  size_t max_requests = 0;
  int64_t max_loop_lag_ms = 100;
  size_t rate_cells = 1 << 18;
  // Takes over from the process that runs in state_dir: its sockets, lock and state. It goes on if this start fails.
  bool take_over = false;
  // The node is another process's now: call stop(). On a thread of the node's.
  std::function<void()> on_handed_over;
  // Channels to the control plane; null: the gRPC ones.
  std::function<std::unique_ptr<SyncChannel>(const std::string&)> make_sync_channel;
  std::function<std::unique_ptr<TelemetryChannel>(const std::string&)> make_telemetry_channel;
};

class Node {
 public:
  // Opens the state directory, starts everything, and puts in force what the disk holds. Errors name file or address and cure.
  // `passed`: sockets that the process was started with.
  static absl::StatusOr<std::unique_ptr<Node>> start(NodeOptions options, std::vector<PassedSocket> passed = {});
  // stop(), if it was not called.
  ~Node();

  // Drains, delivers usage, ends. Says what is left. Returns the process's exit code.
  int stop();
  // Another process has taken over: what is left is to drain.
  bool gave_away() const;
  // Reopens log files.
  void reopen_logs();

  uint16_t admin_port() const;
  std::vector<v1::BoundListener> listeners() const;
  AgentStatus agent_status() const;

 private:
  class Impl;
  explicit Node(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace gw
