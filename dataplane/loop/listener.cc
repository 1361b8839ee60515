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

uint16_t port_of(const sockaddr_storage& address) {
  return ntohs(address.ss_family == AF_INET ? reinterpret_cast<const sockaddr_in&>(address).sin_port
                                            : reinterpret_cast<const sockaddr_in6&>(address).sin6_port);
}

int socket_option(int fd, int option) {
  int value = -1;
  socklen_t size = sizeof value;
  return getsockopt(fd, SOL_SOCKET, option, &value, &size) == 0 ? value : -1;
}

absl::Status check_listening(int fd, sockaddr_storage& address) {
  socklen_t size = sizeof address;
  if (getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) != 0) return errno_status("a passed descriptor", errno);
  bool tcp = (address.ss_family == AF_INET || address.ss_family == AF_INET6) && socket_option(fd, SO_TYPE) == SOCK_STREAM;
  if (!tcp) return invalid_argument("a passed descriptor is no TCP socket");
  if (socket_option(fd, SO_ACCEPTCONN) != 1) return invalid_argument("a passed socket does not listen");
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<ListenSocket> ListenSocket::adopt(std::vector<int> fds) {
  ListenSocket out(std::move(fds), IpAddress{}, 0);
  if (out.fds_.empty()) return invalid_argument("no socket was passed");
  for (size_t i = 0; i < out.fds_.size(); ++i) {
    sockaddr_storage bound;
    GW_RETURN_IF_ERROR(check_listening(out.fds_[i], bound));
    IpAddress address = read_socket_address(bound);
    if (i == 0) {
      out.address_ = address;
      out.port_ = port_of(bound);
    }
    if (!(out.address_ == address) || out.port_ != port_of(bound)) return invalid_argument("passed sockets are on different addresses");
    fcntl(out.fds_[i], F_SETFD, FD_CLOEXEC);
    fcntl(out.fds_[i], F_SETFL, fcntl(out.fds_[i], F_GETFL) | O_NONBLOCK);
  }
  return out;
}

std::vector<int> ListenSocket::fds_of(size_t worker, size_t workers) const {
  std::vector<int> out;
  for (size_t i = worker; i < fds_.size(); i += workers) out.push_back(fds_[i]);
  if (out.empty()) out.push_back(fds_[worker % fds_.size()]);
  return out;
}

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
  std::vector<int> fds;
  for (int i = 0; i < workers; ++i) {
    int fd = bound_socket(bound, bound_size, true);
    if (fd < 0) {
      for (int opened : fds) close(opened);
      return errno_status(name(), -fd);
    }
    fds.push_back(fd);
  }
  return ListenSocket(std::move(fds), address, port_of(bound));
}

ListenSocket::~ListenSocket() {
  for (int fd : fds_) close(fd);
}

struct Listener::Box {
  uv_poll_t handle;
  Loop* loop = nullptr;
  int fd = -1;
  int accepts_at_once = kAcceptsAtOnce;
  OnConnection on_connection;

  void accept_some() {
    loop->begin_turn();
    for (int i = 0; i < accepts_at_once && fd >= 0; ++i) {
      int client = accept4(fd, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
      if (client >= 0) {
        on_connection(client);
      } else if (errno != ECONNABORTED && errno != EINTR) {
        return;  // none is left, or no descriptor is: the next event tries again
      }
    }
  }
};

Listener::Listener(Loop& loop, int fd, bool shared, OnConnection on_connection) : box_(new Box) {
  box_->loop = &loop;
  if (shared) box_->accepts_at_once = 1;
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
