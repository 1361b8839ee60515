// Listening sockets. ListenSocket is a descriptor that the Node opens and keeps over snapshots; Listener accepts from one on
// a worker's loop.
#pragma once

#include <uv.h>

#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "common/http/address.h"
#include "dataplane/loop/loop.h"

namespace gw {

// Descriptors on one address: one per worker, shared by the kernel (SO_REUSEPORT), or those that another process gave. Closes
// them when destroyed; what waits in a queue stays there while another process holds the same socket.
class ListenSocket {
 public:
  // Binds plainly first, so that a port in use is seen although others would share it, then with SO_REUSEPORT.
  // `port` 0: the kernel chooses. Any thread.
  static absl::StatusOr<ListenSocket> open(const IpAddress& address, uint16_t port, int workers);

  // Takes sockets that another process opened, and closes them if it cannot: each must be TCP and listen, all on one address.
  // Any thread.
  static absl::StatusOr<ListenSocket> adopt(std::vector<int> fds);

  ListenSocket(ListenSocket&& other) noexcept : fds_(std::move(other.fds_)), address_(other.address_), port_(other.port_) { other.fds_.clear(); }
  ListenSocket& operator=(ListenSocket&& other) noexcept {
    std::swap(fds_, other.fds_);
    address_ = other.address_;
    port_ = other.port_;
    return *this;
  }
  ~ListenSocket();

  const IpAddress& address() const { return address_; }
  uint16_t port() const { return port_; }
  const std::vector<int>& fds() const { return fds_; }
  // Those that `worker` of `workers` accepts from. Every descriptor is somebody's: connections that wait in the queue of one that
  // nobody accepts from would wait for ever. With more workers than descriptors, several workers share one.
  std::vector<int> fds_of(size_t worker, size_t workers) const;

 private:
  ListenSocket(std::vector<int> fds, const IpAddress& address, uint16_t port) : fds_(std::move(fds)), address_(address), port_(port) {}
  std::vector<int> fds_;
  IpAddress address_;  // what it is bound to
  uint16_t port_;
};

// Accepts on a duplicate of a ListenSocket's descriptor; stops when destroyed. Loop's thread.
class Listener {
 public:
  // A new, non-blocking connection; the callee owns the descriptor.
  using OnConnection = std::function<void(int fd)>;

  static constexpr int kBacklog = 4096;
  static constexpr int kAcceptsAtOnce = 64;  // per event, so that other connections get their turn

  // `shared`: other workers accept from the same socket. One connection per event then, so that each gets its part.
  Listener(Loop& loop, int fd, bool shared, OnConnection on_connection);
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
