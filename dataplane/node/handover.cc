#include "dataplane/node/handover.h"

#include <poll.h>
#include <pthread.h>
#include <spdlog/spdlog.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <thread>
#include <utility>

#include "common/base/status.h"
#include "dataplane/node/handover_socket.h"

namespace gw {
namespace {

using Kind = HandoverMessage::Kind;
using Item = HandoverMessage::Item;

HandoverMessage plain(Kind kind, std::string text = {}) {
  HandoverMessage out;
  out.kind = kind;
  out.text = std::move(text);
  return out;
}

ucred peer_of(int socket) {
  ucred out{};
  socklen_t size = sizeof out;
  if (getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &out, &size) != 0) out.uid = static_cast<uid_t>(-1);
  return out;
}

}  // namespace

class HandoverServer::Impl {
 public:
  Impl(int listener, int stop, HandoverHost& host) : listener_(listener), stop_(stop), host_(host), thread_([this] { run(); }) {}
  ~Impl() {
    eventfd_write(stop_, 1);
    thread_.join();
    close(listener_);
    close(stop_);
  }

 private:
  void run() {
    pthread_setname_np(pthread_self(), "gw-handover");
    bool done = false;
    while (!done) {
      pollfd waits[2] = {{listener_, POLLIN, 0}, {stop_, POLLIN, 0}};
      if (poll(waits, 2, -1) < 0 && errno != EINTR) return;
      if (waits[1].revents != 0) return;
      int connection = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
      if (connection < 0) continue;
      done = serve(connection);
      close(connection);
    }
  }

  // True: the node is the other's.
  bool serve(int connection) {
    ucred peer = peer_of(connection);
    if (peer.uid != geteuid() && peer.uid != 0) {
      spdlog::warn("hand-over: refused to process {} of user {}", peer.pid, peer.uid);
      return false;
    }
    auto asked = receive_message(connection, kMessageMs, stop_);
    if (asked.ok() && asked->message.kind != Kind::kAsk) asked = data_loss("a hand-over begins with a question");
    if (!asked.ok()) return refuse(connection, message_of(asked.status()));
    spdlog::info("hand-over: process {} ({}) asks for the sockets", peer.pid, asked->message.text);
    auto offer = host_.offer();
    if (!offer.ok()) return refuse(connection, message_of(offer.status()));
    absl::Status status = lend(connection, *offer);
    if (status.ok()) {
      auto ready = receive_message(connection, kReadyMs, stop_);
      status = !ready.ok() ? ready.status() : ready->message.kind == Kind::kReady ? absl::OkStatus() : data_loss("not the word that was waited for");
    }
    // Said before anything is done: if the other is gone by now, nothing has happened.
    if (status.ok()) status = send_message(connection, plain(Kind::kTaken));
    if (!status.ok()) {
      host_.withdraw(message_of(status));
      return refuse(connection, message_of(status));
    }
    spdlog::info("hand-over: process {} serves", peer.pid);
    host_.handed_over(peer.pid);
    return true;
  }

  bool refuse(int connection, const std::string& why) {
    spdlog::warn("hand-over: {}; this process goes on", why);
    (void)send_message(connection, plain(Kind::kRefused, why));  // it may be gone
    return false;
  }

  static absl::Status lend(int connection, const HandoverOffer& offer) {
    const auto& all = offer.descriptors;
    for (size_t at = 0; at < all.size(); at += HandoverMessage::kMaxItems) {
      HandoverMessage message = plain(Kind::kSockets);
      message.config_version = offer.config_version;
      message.handovers = offer.handovers;
      message.last = at + HandoverMessage::kMaxItems >= all.size();
      std::vector<int> fds;
      for (size_t i = at; i < all.size() && i < at + HandoverMessage::kMaxItems; ++i) {
        message.items.push_back(all[i].item);
        fds.push_back(all[i].fd);
      }
      GW_RETURN_IF_ERROR(send_message(connection, message, fds));
    }
    return absl::OkStatus();
  }

  const int listener_, stop_;
  HandoverHost& host_;
  std::thread thread_;
};

absl::StatusOr<std::unique_ptr<HandoverServer>> HandoverServer::start(const std::string& state_dir, HandoverHost& host) {
  GW_ASSIGN_OR_RETURN(int listener, listen_handover(state_dir));
  int stop = eventfd(0, EFD_CLOEXEC);
  if (stop < 0) {
    int error = errno;
    close(listener);
    return errno_status("hand-over: eventfd", error);
  }
  return std::unique_ptr<HandoverServer>(new HandoverServer(std::make_unique<Impl>(listener, stop, host)));
}

HandoverServer::HandoverServer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
HandoverServer::~HandoverServer() = default;

absl::StatusOr<std::unique_ptr<Takeover>> Takeover::ask(const std::string& state_dir, const std::string& who) {
  std::unique_ptr<Takeover> out(new Takeover);
  GW_ASSIGN_OR_RETURN(out->connection_, connect_handover(state_dir));
  out->from_pid_ = peer_of(out->connection_).pid;
  GW_RETURN_IF_ERROR(send_message(out->connection_, plain(Kind::kAsk, who)));
  absl::Status status = out->receive_all();
  if (!status.ok()) return make_status(status.code(), "hand-over from process " + std::to_string(out->from_pid_) + ": " + message_of(status));
  return out;
}

Takeover::~Takeover() {
  if (lock_ >= 0) close(lock_);
  if (connection_ >= 0) close(connection_);
}

int Takeover::take_lock() { return std::exchange(lock_, -1); }

absl::Status Takeover::receive_all() {
  std::vector<HandoverOffer::Lent> got;
  absl::Status status = absl::OkStatus();
  for (bool last = false; !last && status.ok();) {
    // The old process may have a configuration in work, and finishes it first.
    auto received = receive_message(connection_, 2 * HandoverServer::kMessageMs);
    if (!received.ok()) {
      status = received.status();
      break;
    }
    HandoverMessage& message = received->message;
    for (size_t i = 0; i < message.items.size(); ++i) got.push_back({std::move(message.items[i]), received->fds[i]});
    if (message.kind == Kind::kRefused) status = failed_precondition(message.text);
    else if (message.kind != Kind::kSockets) status = data_loss("not the word that was waited for");
    else if (got.size() > kMaxDescriptors) status = resource_exhausted("more than " + std::to_string(kMaxDescriptors) + " sockets");
    last = message.last;
    config_version_ = message.config_version;
    handovers_ = message.handovers;
  }
  if (!status.ok()) {
    for (const auto& lent : got) close(lent.fd);
    return status;
  }
  return sort_out(std::move(got));
}

// Descriptors of one socket came one after the other.
absl::Status Takeover::sort_out(std::vector<HandoverOffer::Lent> got) {
  absl::Status status = absl::OkStatus();
  for (size_t at = 0; at < got.size();) {
    const Item item = got[at].item;
    std::vector<int> fds;
    for (; at < got.size() && got[at].item == item; ++at) fds.push_back(got[at].fd);
    if (item.what == Item::What::kLock) {
      for (int fd : fds) {
        if (lock_ < 0) lock_ = fd;
        else close(fd);
      }
      continue;
    }
    auto socket = ListenSocket::adopt(std::move(fds));
    if (!socket.ok()) {
      status = socket.status();
      continue;  // the rest is still to be owned by somebody
    }
    PassedSocket passed{.key = item.key, .name = item.name, .kept = item.kept, .socket = *std::move(socket)};
    if (item.what == Item::What::kAdmin) admin_ = std::move(passed);
    else listeners_.push_back(std::move(passed));
  }
  if (status.ok() && lock_ < 0) return data_loss("the state directory's lock was not passed");
  return status;
}

absl::Status Takeover::finish() {
  // A failure to send says that the other has closed: what it said before that is still to be read, and decides.
  (void)send_message(connection_, plain(Kind::kReady));
  auto answer = receive_message(connection_, HandoverServer::kReadyMs);
  if (answer.ok() && answer->message.kind == Kind::kTaken) return absl::OkStatus();
  if (answer.ok()) return aborted("process " + std::to_string(from_pid_) + " goes on itself: " + answer->message.text);
  if (answer.status().code() != absl::StatusCode::kUnavailable) return answer.status();
  spdlog::warn("hand-over: process {} is gone; this one goes on with its sockets", from_pid_);
  return absl::OkStatus();
}

}  // namespace gw
