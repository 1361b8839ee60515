// The node's listening sockets over all snapshots: opened before a swap, or passed by another process, and kept while any
// snapshot in force wants the address. Owner: the Node; the agent's thread.
#pragma once

#include <functional>
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

// A socket that another process gave: the node that ran here before, or systemd.
struct PassedSocket {
  std::string key;    // under which the node before had it open; empty: it is for the listener that fits it
  std::string name;   // systemd's FileDescriptorName: a listener's name, or GATEWAY/NAME
  bool kept = false;  // who gave it keeps it: it is not closed when its listener goes, for it could not be opened again
  ListenSocket socket;
};

class Listeners {
 public:
  Listeners(int workers, std::vector<ListenerOverride> overrides, std::vector<PassedSocket> passed = {});

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
  // Every socket that is open, and those passed ones that no listener has asked for. `lend` must not keep them.
  struct Lent {
    const std::string& key;
    const std::string& name;
    bool kept;
    const ListenSocket& socket;
  };
  void each(const std::function<void(const Lent&)>& lend) const;
  std::vector<v1::BoundListener> bound() const;

 private:
  struct Open {
    uint32_t id;
    PassedSocket from;  // with an empty name when the node opened it itself
  };
  struct Wish {
    IpAddress address;
    uint16_t port = 0;
    std::vector<std::string> names;  // under which it may have been passed
  };
  // "127.0.0.1:8080"; with port 0 the listener's own name is part of it.
  using Key = std::string;

  absl::StatusOr<PassedSocket> find_or_open(const Wish& wish);
  void close(std::map<Key, Open>::iterator at);

  const int workers_;
  const std::vector<ListenerOverride> overrides_;
  std::map<Key, Open> open_;
  std::vector<PassedSocket> waiting_;  // passed, for a listener that may come
  std::vector<Active> active_, prepared_;
  uint32_t next_id_ = 0;
};

}  // namespace gw
