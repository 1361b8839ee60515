#include "dataplane/loop/listener.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>

#include "common/base/status.h"
#include "dataplane/loop/socket_address.h"

namespace gw {
namespace {

// A bound socket, not yet listening; negative errno on failure.
int bound_socket(const sockaddr_storage& address, socklen_t size, bool share) {
  int fd = socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return -errno;
  int one = 1, zero = 0;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  if (share) setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof one);
  if (address.ss_family == AF_INET6) setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &zero, sizeof zero);
  if (bind(fd, reinterpret_cast<const sockaddr*>(&address), size) == 0) return fd;
  int error = errno;
  close(fd);
  return -error;
}

}  // namespace

absl::StatusOr<ListenSocket> ListenSocket::open(const IpAddress& address, uint16_t port, int workers) {
  sockaddr_storage where;
  socklen_t size = fill_socket_address(address, port, where);
  auto name = [&] { return "listen on " + (address.is_v4() ? address.to_string() : "[" + address.to_string() + "]") + ":" + std::to_string(port); };
  // A plain socket that listens for a moment: it fails if anybody listens there, even one who would share the port.
  int probe = bound_socket(where, size, false);
  if (probe < 0) return errno_status(name(), -probe);
  if (listen(probe, 1) != 0) {
    int error = errno;
    close(probe);
    return errno_status(name(), error);
  }
  sockaddr_storage bound;
  socklen_t bound_size = sizeof bound;
  getsockname(probe, reinterpret_cast<sockaddr*>(&bound), &bound_size);
  close(probe);
  uint16_t actual = ntohs(bound.ss_family == AF_INET ? reinterpret_cast<sockaddr_in*>(&bound)->sin_port
                                                     : reinterpret_cast<sockaddr_in6*>(&bound)->sin6_port);
  std::vector<int> fds;
  for (int i = 0; i < workers; ++i) {
    int fd = bound_socket(bound, bound_size, true);
    if (fd < 0) {
      for (int opened : fds) close(opened);
      return errno_status(name(), -fd);
    }
    fds.push_back(fd);
  }
  return ListenSocket(std::move(fds), actual);
}

ListenSocket::~ListenSocket() {
  for (int fd : fds_) close(fd);
}

struct Listener::Box {
  uv_poll_t handle;
  Loop* loop = nullptr;
  int fd = -1;
  OnConnection on_connection;

  void accept_some() {
    loop->begin_turn();
    for (int i = 0; i < kAcceptsAtOnce && fd >= 0; ++i) {
      int client = accept4(fd, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
      if (client >= 0) {
        on_connection(client);
      } else if (errno != ECONNABORTED && errno != EINTR) {
        return;  // none is left, or no descriptor is: the next event tries again
      }
    }
  }
};

Listener::Listener(Loop& loop, int fd, OnConnection on_connection) : box_(new Box) {
  box_->loop = &loop;
  box_->on_connection = std::move(on_connection);
  box_->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
  if (box_->fd < 0 || listen(box_->fd, kBacklog) != 0) error_ = -errno;
  if (error_ == 0) error_ = uv_poll_init(loop.uv(), &box_->handle, box_->fd);
  if (error_ != 0) {
    if (box_->fd >= 0) ::close(box_->fd);
    delete box_;
    box_ = nullptr;
    return;
  }
  box_->handle.data = box_;
  uv_poll_start(&box_->handle, UV_READABLE, [](uv_poll_t* handle, int, int) { static_cast<Box*>(handle->data)->accept_some(); });
}

Listener::~Listener() {
  if (box_ == nullptr) return;
  int fd = box_->fd;
  box_->fd = -1;
  uv_close(reinterpret_cast<uv_handle_t*>(&box_->handle), [](uv_handle_t* handle) { delete static_cast<Box*>(handle->data); });
  ::close(fd);
}

}  // namespace gw
