#include "dataplane/loop/tcp_stream.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "dataplane/loop/tcp_stream_box.h"

namespace gw {

TcpStream::TcpStream(Loop& loop, Events& events) : loop_(loop), events_(events) {}

TcpStream::~TcpStream() { close(); }

int TcpStream::adopt(int fd) {
  auto* box = new Box;
  if (int error = uv_poll_init(loop_.uv(), &box->handle, fd); error != 0) {
    delete box;
    ::close(fd);
    return error;
  }
  box->handle.data = box;
  box->fd = fd;
  box->owner = this;
  box_ = box;
  return 0;
}

int TcpStream::accept(int fd) {
  int one = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  return adopt(fd);
}

int TcpStream::connect(const sockaddr* address, socklen_t size) {
  int fd = socket(address->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return -errno;
  int one = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  if (::connect(fd, address, size) != 0 && errno != EINPROGRESS) {
    int error = errno;
    ::close(fd);
    return -error;
  }
  if (int error = adopt(fd); error != 0) return error;
  box_->connecting = true;
  return poll();
}

void TcpStream::take(TcpStream& from) {
  from.let_go_held();
  box_ = from.box_;
  from.box_ = nullptr;
  box_->owner = this;
  filter_ = std::move(from.filter_);
  secured_ = from.secured_;
  reading_ = from.reading_;
  from.reading_ = false;
  from.go_on_task_.reset();
  if (filter_ == nullptr) return;
  filter_->stream = this;
  filter_->park();
  go_on_task_ = std::make_unique<Deferred>([](void* self) { static_cast<TcpStream*>(self)->go_on(); }, this);
  if (reading_ && filter_->has_parked()) loop_.defer(*go_on_task_);
}

int TcpStream::secure(std::unique_ptr<StreamFilter> filter) {
  filter_ = std::move(filter);
  filter_->stream = this;
  go_on_task_ = std::make_unique<Deferred>([](void* self) { static_cast<TcpStream*>(self)->go_on(); }, this);
  if (int error = filter_->begin(); error != 0) return error;
  return send_filtered() ? 0 : -EPIPE;
}

void TcpStream::filter_unblocked() {
  if (box_ == nullptr) return;
  poll();
  loop_.defer(*go_on_task_);
}

void TcpStream::go_on() {
  if (box_ != nullptr && reading_ && filter_ != nullptr) read_filtered();
}

void TcpStream::close() {
  if (box_ == nullptr) return;
  let_go_held();
  break_splice();
  go_on_task_.reset();
  filter_.reset();
  Box* box = box_;
  box_ = nullptr;
  reading_ = false;
  box->owner = nullptr;
  uv_close(reinterpret_cast<uv_handle_t*>(&box->handle), [](uv_handle_t* handle) { delete static_cast<Box*>(handle->data); });
  if (box->reset) {
    linger hard{1, 0};
    setsockopt(box->fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
  }
  ::close(box->fd);
}

// Makes libuv watch for what is wanted now; a system call only when that changes.
int TcpStream::poll() {
  bool write = box_->connecting || !box_->queue.empty() || (feeder_ != nullptr && feeder_->sink_full());
  bool read = reading_ && !sink_full() && (filter_ == nullptr || !filter_->blocked());
  int wanted = (read ? UV_READABLE : 0) | (write ? UV_WRITABLE : 0);
  if (wanted == box_->polled) return 0;
  box_->polled = wanted;
  if (wanted == 0) return uv_poll_stop(&box_->handle);
  return uv_poll_start(&box_->handle, wanted, [](uv_poll_t* handle, int status, int events) {
    Box* box = static_cast<Box*>(handle->data);
    if (box->owner != nullptr && box->owner->loop_.sends().full()) box->owner->loop_.sends().flush();
    if (box->owner != nullptr) box->owner->on_ready(status, events);
  });
}

void TcpStream::on_ready(int status, int events) {
  loop_.begin_turn();
  Box* box = box_;
  if (status < 0) box->polled = 0;  // libuv has stopped watching; the socket's own calls tell what is wrong
  if (box->connecting) {
    on_connect_done();
    return;
  }
  if ((events & UV_WRITABLE) != 0 || status < 0) {
    if (feeder_ != nullptr) {
      feeder_->pump();
    } else if ((events & UV_WRITABLE) != 0 || !box->queue.empty()) {
      flush_queue();
    }
    if (box->owner != this) return;
  }
  if (reading_ && ((events & UV_READABLE) != 0 || status < 0)) {
    if (splicing_ != nullptr) {
      pump();
    } else if (filter_ != nullptr) {
      read_filtered();
    } else {
      do_read();
    }
  }
  if (status < 0 && box->owner == this) poll();  // what was read may have stood before the reset: the next read tells
}

void TcpStream::on_connect_done() {
  int error = 0;
  socklen_t size = sizeof error;
  getsockopt(box_->fd, SOL_SOCKET, SO_ERROR, &error, &size);
  box_->connecting = false;
  if (error == 0) poll();
  events_.on_connected(-error);
}

int TcpStream::read_start() {
  if (reading_ || box_ == nullptr) return 0;
  reading_ = true;
  if (filter_ != nullptr && filter_->has_parked()) loop_.defer(*go_on_task_);
  return box_->connecting ? 0 : poll();
}

void TcpStream::read_stop() {
  if (!reading_ || box_ == nullptr) return;
  reading_ = false;
  if (!box_->connecting) poll();
}

void TcpStream::do_read() {
  Box* box = box_;
  for (int i = 0; i < kReadsAtOnce && reading_ && splicing_ == nullptr; ++i) {
    std::span<char> room = events_.read_buffer();
    if (room.empty()) {
      read_stop();
      return;
    }
    ssize_t got = recv(box->fd, room.data(), room.size(), MSG_DONTWAIT);
    if (got > 0) {
      events_.on_read(static_cast<size_t>(got));
      if (box->owner != this || static_cast<size_t>(got) < room.size()) return;
      continue;
    }
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
    read_ended(got < 0 ? -errno : 0);
    return;
  }
}

void TcpStream::read_ended(int error) {
  read_stop();
  events_.on_read_end(error);
}

// The owner takes what the filter has before more is read from the wire.
void TcpStream::read_filtered() {
  Box* box = box_;
  int reads = 0;
  while (reading_) {
    if (filter_->ready() && !tell_secured()) return;
    // Before that nothing is for the owner, so that it needs no room.
    char none[1];
    std::span<char> room = secured_ ? events_.read_buffer() : std::span<char>(none, 0);
    if (secured_ && room.empty()) {
      read_stop();
      break;
    }
    ssize_t got = filter_->read(room);
    bool sent = send_filtered();
    if (got > 0) {
      events_.on_read(static_cast<size_t>(got));
      if (box->owner != this) return;
      continue;
    }
    if (got == -EAGAIN && sent) {
      if (filter_->ready() && !secured_) continue;
      if (filter_->blocked() || reads == kReadsAtOnce) break;
      ++reads;
      ssize_t came = recv(box->fd, loop_.cipher_in(), Loop::kCipherBuffer, MSG_DONTWAIT);
      if (came > 0) {
        filter_->feed({loop_.cipher_in(), static_cast<size_t>(came)});
        continue;
      }
      if (came < 0 && (errno == EAGAIN || errno == EINTR)) break;
      got = came < 0 ? -errno : -ECONNABORTED;  // without the peer's word that this is the end
    }
    filter_->park();
    read_ended(static_cast<int>(got == -EAGAIN ? -EPIPE : got));
    return;
  }
  filter_->park();
  poll();
}

// False: the owner has let go of the stream.
bool TcpStream::tell_secured() {
  if (secured_) return true;
  secured_ = true;
  // A client that has said its last of the handshake, with Nagle's algorithm on, keeps its request until that is acknowledged:
  // not 40 ms later.
  int one = 1;
  setsockopt(box_->fd, IPPROTO_TCP, TCP_QUICKACK, &one, sizeof one);
  Box* box = box_;
  events_.on_secured();
  return box->owner == this;
}

bool TcpStream::write(std::string_view a, std::string_view b, std::string_view c) {
  if (filter_ == nullptr) return write_raw(a, b, c);
  if (box_ == nullptr || box_->failed || !filter_->write(a, b, c)) return false;
  return send_filtered();
}

// What the filter has left for the wire.
bool TcpStream::send_filtered() {
  ByteBuffer& out = loop_.cipher_out();
  if (out.empty()) return true;
  bool ok = write_raw(out.view(), {}, {});
  out.clear();
  return ok;
}

bool TcpStream::write_raw(std::string_view a, std::string_view b, std::string_view c) {
  if (box_ == nullptr || box_->failed) return false;
  if (!box_->queue.empty() || box_->connecting) {
    enqueue(a, b, c);
    return true;
  }
  const size_t total = a.size() + b.size() + c.size();
  if (total == 0) return true;
  if (held_ == kNothing && total <= SendBatch::kMostBytes && !loop_.sends().full()) {
    held_ = loop_.sends().add(*this, a, b, c);
    return true;
  }
  if (!let_go_held()) return false;
  if (box_->queue.empty()) return send_raw(a, b, c);
  enqueue(a, b, c);
  return true;
}

bool TcpStream::send_raw(std::string_view a, std::string_view b, std::string_view c) {
  const size_t total = a.size() + b.size() + c.size();
  ssize_t taken;
  char small[4096];
  if (a.size() == total) {
    taken = send(box_->fd, a.data(), total, MSG_NOSIGNAL | MSG_DONTWAIT);
  } else if (total <= sizeof small) {  // copying a little costs less than a vector of pieces
    if (!a.empty()) std::memcpy(small, a.data(), a.size());
    if (!b.empty()) std::memcpy(small + a.size(), b.data(), b.size());
    if (!c.empty()) std::memcpy(small + a.size() + b.size(), c.data(), c.size());
    taken = send(box_->fd, small, total, MSG_NOSIGNAL | MSG_DONTWAIT);
  } else {
    iovec parts[3];
    size_t count = 0;
    for (std::string_view part : {a, b, c}) {
      if (!part.empty()) parts[count++] = {const_cast<char*>(part.data()), part.size()};
    }
    msghdr message{};
    message.msg_iov = parts;
    message.msg_iovlen = count;
    taken = sendmsg(box_->fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
  }
  if (taken == static_cast<ssize_t>(total)) return true;
  if (taken < 0) {
    if (errno != EAGAIN && errno != EINTR && errno != ENOBUFS) {
      box_->failed = true;
      return false;
    }
    taken = 0;
  }
  size_t left = static_cast<size_t>(taken);
  for (std::string_view* part : {&a, &b, &c}) {
    size_t skip = left < part->size() ? left : part->size();
    part->remove_prefix(skip);
    left -= skip;
  }
  enqueue(a, b, c);
  return true;
}

// Sends now what waits for the end of the turn.
bool TcpStream::let_go_held() {
  if (held_ == kNothing) return true;
  std::string_view held = loop_.sends().take(held_);
  held_ = kNothing;
  return send_raw(held, {}, {});
}

void TcpStream::send_held() {
  if (!let_go_held()) events_.on_write_error(-EPIPE);
}

void TcpStream::enqueue(std::string_view a, std::string_view b, std::string_view c) {
  box_->queue.append(a).append(b).append(c);
  poll();
}

void TcpStream::flush_queue() {
  Box* box = box_;
  while (box->sent < box->queue.size()) {
    ssize_t taken = send(box->fd, box->queue.data() + box->sent, box->queue.size() - box->sent, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (taken < 0 && errno == EINTR) continue;
    if (taken < 0 && (errno == EAGAIN || errno == ENOBUFS)) {
      if (box->sent > kHighWater) {  // keeps the queue from growing at its front
        box->queue.erase(0, box->sent);
        box->sent = 0;
      }
      return;
    }
    if (taken < 0) {
      int error = -errno;
      box->failed = true;
      std::string().swap(box->queue);
      box->sent = 0;
      poll();
      events_.on_write_error(error);
      return;
    }
    box->sent += static_cast<size_t>(taken);
  }
  if (box->queue.capacity() > 2 * kHighWater) {
    std::string().swap(box->queue);
  } else {
    box->queue.clear();
  }
  box->sent = 0;
  poll();
  if (box->shutdown_wanted) shutdown();
  events_.on_drained();
}

size_t TcpStream::queued() const { return box_ == nullptr ? 0 : box_->queue.size() - box_->sent; }

void TcpStream::shutdown() {
  if (box_ == nullptr || box_->failed) return;
  if (filter_ != nullptr && !box_->shutdown_wanted) {
    filter_->end();
    if (!send_filtered()) return;
  }
  if (!let_go_held()) return;
  if (!box_->queue.empty()) {
    box_->shutdown_wanted = true;
    return;
  }
  box_->shutdown_wanted = false;
  ::shutdown(box_->fd, SHUT_WR);
}

void TcpStream::reset_on_close() {
  if (box_ != nullptr) box_->reset = true;
}

bool TcpStream::has_unread() const {
  char byte;
  if (filter_ != nullptr && filter_->has_parked()) return true;
  return box_ != nullptr && recv(box_->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
}

bool TcpStream::peer_address(sockaddr_storage& out) const {
  socklen_t size = sizeof out;
  return box_ != nullptr && getpeername(box_->fd, reinterpret_cast<sockaddr*>(&out), &size) == 0;
}

bool TcpStream::local_address(sockaddr_storage& out) const {
  socklen_t size = sizeof out;
  return box_ != nullptr && getsockname(box_->fd, reinterpret_cast<sockaddr*>(&out), &size) == 0;
}

}  // namespace gw
