#include "dataplane/loop/tcp_stream.h"

#include <netinet/in.h>

#include <string>

namespace gw {

// What libuv holds pointers to. Freed in the close callback; `owner` is null once the stream is closed.
struct TcpStream::Box {
  uv_tcp_t handle;
  uv_connect_t connect;
  uv_write_t write;
  uv_shutdown_t shutdown;
  TcpStream* owner;
  std::string writing;  // handed to libuv
  std::string waiting;  // queued behind it
  bool in_write = false;
  bool failed = false;
  bool shutdown_wanted = false;
  bool reset = false;

  uv_stream_t* stream() { return reinterpret_cast<uv_stream_t*>(&handle); }
  static Box* of(void* data) { return static_cast<Box*>(data); }
};

TcpStream::TcpStream(Loop& loop, Events& events) : loop_(loop), events_(events), box_(new Box) {
  uv_tcp_init(loop_.uv(), &box_->handle);
  box_->handle.data = box_;
  box_->owner = this;
}

TcpStream::~TcpStream() { close(); }

void TcpStream::close() {
  if (box_ == nullptr) return;
  Box* box = box_;
  box_ = nullptr;
  reading_ = false;
  box->owner = nullptr;
  auto free_box = [](uv_handle_t* handle) { delete Box::of(handle->data); };
  if (box->reset && !box->in_write) {
    if (uv_tcp_close_reset(&box->handle, free_box) == 0) return;
  }
  uv_close(reinterpret_cast<uv_handle_t*>(&box->handle), free_box);
}

int TcpStream::accept(uv_stream_t* server) {
  int error = uv_accept(server, box_->stream());
  if (error == 0) uv_tcp_nodelay(&box_->handle, 1);
  return error;
}

int TcpStream::connect(const sockaddr* address) {
  box_->connect.data = box_;
  return uv_tcp_connect(&box_->connect, &box_->handle, address, [](uv_connect_t* request, int error) {
    Box* box = Box::of(request->data);
    if (box->owner == nullptr) return;
    if (error == 0) uv_tcp_nodelay(&box->handle, 1);
    box->owner->events_.on_connected(error);
  });
}

int TcpStream::read_start() {
  if (reading_ || box_ == nullptr) return 0;
  int error = uv_read_start(
      box_->stream(),
      [](uv_handle_t* handle, size_t, uv_buf_t* buffer) {
        TcpStream* self = Box::of(handle->data)->owner;
        std::span<char> room = self != nullptr ? self->events_.read_buffer() : std::span<char>();
        *buffer = uv_buf_init(room.data(), static_cast<unsigned>(room.size()));
      },
      [](uv_stream_t* handle, ssize_t size, const uv_buf_t*) {
        TcpStream* self = Box::of(handle->data)->owner;
        if (self == nullptr || size == 0) return;  // 0: nothing to read after all
        if (size > 0) {
          self->events_.on_read(static_cast<size_t>(size));
        } else if (size == UV_ENOBUFS) {
          self->read_stop();
        } else {
          self->read_stop();
          self->events_.on_read_end(size == UV_EOF ? 0 : static_cast<int>(size));
        }
      });
  reading_ = error == 0;
  return error;
}

void TcpStream::read_stop() {
  if (!reading_ || box_ == nullptr) return;
  uv_read_stop(box_->stream());
  reading_ = false;
}

bool TcpStream::write(std::string_view a, std::string_view b, std::string_view c) {
  if (box_ == nullptr || box_->failed) return false;
  if (!box_->in_write) {
    uv_buf_t buffers[3];
    unsigned count = 0;
    for (std::string_view part : {a, b, c}) {
      if (!part.empty()) buffers[count++] = uv_buf_init(const_cast<char*>(part.data()), static_cast<unsigned>(part.size()));
    }
    if (count == 0) return true;
    int taken = uv_try_write(box_->stream(), buffers, count);
    if (taken == UV_EAGAIN) taken = 0;
    if (taken < 0) {
      box_->failed = true;
      return false;
    }
    size_t left = static_cast<size_t>(taken);
    bool all = true;
    for (std::string_view* part : {&a, &b, &c}) {
      size_t skip = left < part->size() ? left : part->size();
      part->remove_prefix(skip);
      left -= skip;
      all = all && part->empty();
    }
    if (all) return true;
  }
  box_->waiting.append(a).append(b).append(c);
  if (!box_->in_write) flush_queue();
  return !box_->failed;
}

void TcpStream::flush_queue() {
  Box* box = box_;
  box->writing.swap(box->waiting);
  box->waiting.clear();
  box->in_write = true;
  box->write.data = box;
  uv_buf_t buffer = uv_buf_init(box->writing.data(), static_cast<unsigned>(box->writing.size()));
  int error = uv_write(&box->write, box->stream(), &buffer, 1, [](uv_write_t* request, int status) {
    Box* b = Box::of(request->data);
    b->in_write = false;
    TcpStream* self = b->owner;
    if (self == nullptr) return;
    if (status < 0) {
      b->failed = true;
      b->waiting.clear();
      self->events_.on_write_error(status);
      return;
    }
    b->writing.clear();
    if (!b->waiting.empty()) {
      self->flush_queue();
    } else {
      if (b->writing.capacity() > kHighWater * 2) std::string().swap(b->writing);
      if (b->shutdown_wanted) self->shutdown();
      self->events_.on_drained();
    }
  });
  if (error < 0) {
    box->in_write = false;
    box->failed = true;
  }
}

size_t TcpStream::queued() const {
  if (box_ == nullptr) return 0;
  return box_->waiting.size() + (box_->in_write ? box_->writing.size() : 0);
}

void TcpStream::shutdown() {
  if (box_ == nullptr || box_->failed) return;
  if (box_->in_write) {
    box_->shutdown_wanted = true;
    return;
  }
  box_->shutdown_wanted = false;
  box_->shutdown.data = box_;
  uv_shutdown(&box_->shutdown, box_->stream(), [](uv_shutdown_t*, int) {});
}

void TcpStream::reset_on_close() {
  if (box_ != nullptr) box_->reset = true;
}

bool TcpStream::peer_address(sockaddr_storage& out) const {
  int size = sizeof out;
  return box_ != nullptr && uv_tcp_getpeername(&box_->handle, reinterpret_cast<sockaddr*>(&out), &size) == 0;
}

bool TcpStream::local_address(sockaddr_storage& out) const {
  int size = sizeof out;
  return box_ != nullptr && uv_tcp_getsockname(&box_->handle, reinterpret_cast<sockaddr*>(&out), &size) == 0;
}

}  // namespace gw
