#include "dataplane/node/handover_socket.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "common/base/status.h"

namespace gw {
namespace {

using Control = char[CMSG_SPACE(sizeof(int) * HandoverMessage::kMaxItems)];

absl::StatusOr<sockaddr_un> unix_address(const std::string& path) {
  sockaddr_un out{};
  out.sun_family = AF_UNIX;
  if (path.size() >= sizeof out.sun_path) {
    return failed_precondition(path + ": too long for a Unix socket (" + std::to_string(sizeof out.sun_path - 1) +
                               " bytes); choose a shorter --state to hand over");
  }
  std::memcpy(out.sun_path, path.data(), path.size());
  return out;
}

std::string socket_path(const std::string& state_dir) { return state_dir + "/handover.sock"; }

std::vector<int> descriptors_of(msghdr& header) {
  std::vector<int> out;
  for (cmsghdr* at = CMSG_FIRSTHDR(&header); at != nullptr; at = CMSG_NXTHDR(&header, at)) {
    if (at->cmsg_level != SOL_SOCKET || at->cmsg_type != SCM_RIGHTS) continue;
    size_t count = (at->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (size_t i = 0; i < count; ++i) {
      int fd;
      std::memcpy(&fd, CMSG_DATA(at) + i * sizeof fd, sizeof fd);
      out.push_back(fd);
    }
  }
  return out;
}

absl::Status wait_readable(int socket, int timeout_ms, int stop) {
  pollfd waits[2] = {{socket, POLLIN, 0}, {stop, POLLIN, 0}};
  int ready = poll(waits, stop >= 0 ? 2 : 1, timeout_ms);
  if (ready < 0) return errno_status("hand-over", errno);
  if (ready == 0) return deadline_exceeded("the other process said nothing for " + std::to_string(timeout_ms / 1000) + " s");
  if (waits[1].revents != 0 && stop >= 0) return make_status(absl::StatusCode::kCancelled, "this process is ending");
  return absl::OkStatus();
}

}  // namespace

void close_all(const std::vector<int>& fds) {
  for (int fd : fds) close(fd);
}

absl::Status send_message(int socket, const HandoverMessage& message, const std::vector<int>& fds) {
  std::string bytes = encode(message);
  iovec piece{bytes.data(), bytes.size()};
  msghdr header{};
  header.msg_iov = &piece;
  header.msg_iovlen = 1;
  alignas(cmsghdr) Control control{};
  if (!fds.empty()) {
    header.msg_control = control;
    header.msg_controllen = CMSG_SPACE(sizeof(int) * fds.size());
    cmsghdr* first = CMSG_FIRSTHDR(&header);
    first->cmsg_level = SOL_SOCKET;
    first->cmsg_type = SCM_RIGHTS;
    first->cmsg_len = CMSG_LEN(sizeof(int) * fds.size());
    std::memcpy(CMSG_DATA(first), fds.data(), sizeof(int) * fds.size());
  }
  ssize_t sent = sendmsg(socket, &header, MSG_NOSIGNAL);
  if (sent < 0) return errno_status("hand-over: send", errno);
  return absl::OkStatus();
}

absl::StatusOr<ReceivedMessage> receive_message(int socket, int timeout_ms, int stop) {
  GW_RETURN_IF_ERROR(wait_readable(socket, timeout_ms, stop));
  std::string bytes(HandoverMessage::kMaxBytes, '\0');
  iovec piece{bytes.data(), bytes.size()};
  alignas(cmsghdr) Control control{};
  msghdr header{};
  header.msg_iov = &piece;
  header.msg_iovlen = 1;
  header.msg_control = control;
  header.msg_controllen = sizeof control;
  ssize_t got = recvmsg(socket, &header, MSG_CMSG_CLOEXEC);
  // The other side closed without reading all; what it had said before comes after the error.
  if (got < 0 && errno == ECONNRESET) got = recvmsg(socket, &header, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
  if (got == 0 || (got < 0 && errno == EAGAIN)) return unavailable("the other process is gone");
  if (got < 0) return errno_status("hand-over: receive", errno);
  ReceivedMessage out;
  out.fds = descriptors_of(header);
  absl::StatusOr<HandoverMessage> message = decode_handover(std::string_view(bytes).substr(0, static_cast<size_t>(got)));
  if (message.ok() && ((header.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0 || message->items.size() != out.fds.size())) {
    message = data_loss("a message of a hand-over came without all of its descriptors");
  }
  if (!message.ok()) {
    close_all(out.fds);
    return message.status();
  }
  out.message = *std::move(message);
  return out;
}

absl::StatusOr<int> connect_handover(const std::string& state_dir) {
  GW_ASSIGN_OR_RETURN(sockaddr_un where, unix_address(socket_path(state_dir)));
  int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
  if (fd < 0) return errno_status("hand-over: socket", errno);
  if (connect(fd, reinterpret_cast<const sockaddr*>(&where), sizeof where) == 0) return fd;
  int error = errno;
  close(fd);
  if (error == ENOENT || error == ECONNREFUSED) {
    return failed_precondition("no node runs in " + state_dir + " that could hand over; start without --take-over");
  }
  return errno_status("connect to " + socket_path(state_dir), error);
}

absl::StatusOr<int> listen_handover(const std::string& state_dir) {
  std::string path = socket_path(state_dir), beside = path + ".new";
  GW_ASSIGN_OR_RETURN(sockaddr_un where, unix_address(beside));
  int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
  if (fd < 0) return errno_status("hand-over: socket", errno);
  unlink(beside.c_str());
  // The directory is 0700; nobody else can come between bind and chmod.
  if (bind(fd, reinterpret_cast<const sockaddr*>(&where), sizeof where) != 0 || chmod(beside.c_str(), 0600) != 0 ||
      listen(fd, 4) != 0 || std::rename(beside.c_str(), path.c_str()) != 0) {
    int error = errno;
    close(fd);
    return errno_status("listen on " + path, error);
  }
  return fd;
}

}  // namespace gw
