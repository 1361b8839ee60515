// Listening sockets. ListenSocket is a descriptor that the Node opens and keeps over snapshots; Listener accepts from one on
// a worker's loop.
#pragma once

#include <uv.h>

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/http/address.h"
#include "dataplane/loop/loop.h"

namespace gw {

// One descriptor per worker on the same address, shared by the kernel (SO_REUSEPORT). Closes them when destroyed.
class ListenSocket {
 public:
  // Binds plainly first, so that a port in use is seen although others would share it, then with SO_REUSEPORT.
  // `port` 0: the kernel chooses. Any thread.
  static absl::StatusOr<ListenSocket> open(const IpAddress& address, uint16_t port, int workers);

  ListenSocket(ListenSocket&& other) noexcept : fds_(std::move(other.fds_)), port_(other.port_) { other.fds_.clear(); }
  ListenSocket& operator=(ListenSocket&&) = delete;
  ~ListenSocket();

  uint16_t port() const { return port_; }
  int fd(int worker) const { return fds_[static_cast<size_t>(worker)]; }

 private:
  ListenSocket(std::vector<int> fds, uint16_t port) : fds_(std::move(fds)), port_(port) {}
  std::vector<int> fds_;
  uint16_t port_;
};

// Accepts on a duplicate of a ListenSocket's descriptor; stops when destroyed. Loop's thread.
class Listener {
 public:
  // A new, non-blocking connection; the callee owns the descriptor.
  using OnConnection = std::function<void(int fd)>;

  static constexpr int kBacklog = 4096;
  static constexpr int kAcceptsAtOnce = 64;  // per event, so that other connections get their turn

  Listener(Loop& loop, int fd, OnConnection on_connection);
  ~Listener();
  Listener(const Listener&) = delete;

  // Negative errno.
  int error() const { return error_; }

 private:
  struct Box;
  Box* box_;
  int error_ = 0;
};

}  // namespace gw
