// The node's listening sockets over all snapshots: opened before a swap, kept while any snapshot in force wants the address,
// one descriptor per worker. Owner: the Node; the agent's thread.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "common/http/address.h"
#include "dataplane/loop/listener.h"
#include "gw/v1/config_sync.pb.h"

namespace gw {

class Snapshot;

// `--listener NAME=ADDRESS:PORT` or GATEWAY/NAME=… with the Gateway's owner/name.
struct ListenerOverride {
  std::string name;
  IpAddress address;
  uint16_t port = 0;

  static absl::StatusOr<ListenerOverride> parse(std::string_view text);
};

class Listeners {
 public:
  Listeners(int workers, std::vector<ListenerOverride> overrides);

  struct Active {
    uint32_t id = 0;
    uint64_t gateway_uid = 0;
    std::string gateway, name, address;
    const ListenSocket* socket = nullptr;
  };

  // Opens what the snapshot needs and is not open. On failure nothing new stays open; the status carries Diagnostics.
  absl::Status prepare(const Snapshot& snapshot);
  // Makes what was prepared the list in force. Sockets that are no longer wanted stay open until close_unused().
  void activate();
  void abandon();
  void close_unused();

  const std::vector<Active>& active() const { return active_; }
  std::vector<v1::BoundListener> bound() const;

 private:
  struct Open {
    uint32_t id;
    ListenSocket socket;
  };
  // "127.0.0.1:8080"; with port 0 the listener's own name is part of it.
  using Key = std::string;

  const int workers_;
  const std::vector<ListenerOverride> overrides_;
  std::map<Key, Open> open_;
  std::vector<Active> active_, prepared_;
  uint32_t next_id_ = 0;
};

}  // namespace gw
