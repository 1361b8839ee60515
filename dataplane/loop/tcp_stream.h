// A TCP connection: bytes in, bytes out, on one loop. Knows nothing of HTTP.
//
// libuv tells when the descriptor is ready; reading and writing are plain recv and send on it, which cost less than the
// read and write of libuv's own streams. Owner: a session. The libuv handle lives on until its close callback, the owner may
// be gone before. All calls and events on the loop's thread; no event comes from within a call of the owner's.
#pragma once

#include <sys/socket.h>

#include <cstddef>
#include <memory>
#include <span>
#include <string_view>

#include "dataplane/loop/loop.h"

namespace gw {

class TcpStream {
 public:
  class Events {
   public:
    virtual ~Events() = default;
    // Where the next bytes go; an empty span stops reading.
    virtual std::span<char> read_buffer() = 0;
    virtual void on_read(size_t size) = 0;
    // The peer closed its side (error 0) or the connection broke (negative errno). No more reads.
    virtual void on_read_end(int error) = 0;
    // All that was queued has been taken by the kernel.
    virtual void on_drained() {}
    // A queued write failed: what was queued is lost.
    virtual void on_write_error(int error) = 0;
    virtual void on_connected(int /*error*/) {}
  };

  // Most bytes that write() may queue before the owner must wait for on_drained.
  static constexpr size_t kHighWater = 65536;

  TcpStream(Loop& loop, Events& events);
  ~TcpStream();
  TcpStream(const TcpStream&) = delete;
  TcpStream& operator=(const TcpStream&) = delete;

  // Takes over an accepted, non-blocking connection; closes it on failure. Negative errno.
  int accept(int fd);
  // on_connected follows, never from within. Negative errno when it could not start.
  int connect(const sockaddr* address, socklen_t size);

  int read_start();
  void read_stop();
  bool reading() const { return reading_; }

  // Writes what the kernel takes and queues the rest (copied). False: the connection is broken for writing; there may
  // still be something to read.
  bool write(std::string_view a, std::string_view b = {}, std::string_view c = {});
  size_t queued() const;
  // Sends FIN after what is queued.
  void shutdown();
  // RST instead of FIN when closed.
  void reset_on_close();
  // Closes now; queued bytes are dropped. No event follows.
  void close();
  bool is_open() const { return box_ != nullptr; }

  // The peer's and the local address; false when the connection is gone.
  bool peer_address(sockaddr_storage& out) const;
  bool local_address(sockaddr_storage& out) const;

 private:
  struct Box;
  static constexpr int kReadsAtOnce = 8;  // per event, while buffers come back full

  int adopt(int fd);
  int poll();
  void on_ready(int status, int events);
  void on_connect_done();
  void do_read();
  void flush_queue();
  void enqueue(std::string_view a, std::string_view b, std::string_view c);

  Loop& loop_;
  Events& events_;
  Box* box_ = nullptr;
  bool reading_ = false;
};

}  // namespace gw
