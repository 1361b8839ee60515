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
#include "dataplane/loop/splice.h"
#include "dataplane/loop/stream_filter.h"

namespace gw {

class TcpStream {
 public:
  class Events {
   public:
    virtual ~Events() = default;
    // Where the next bytes go; an empty span stops reading.
    virtual std::span<char> read_buffer() = 0;
    virtual void on_read(size_t size) = 0;
    // The peer closed its side (error 0) or the connection broke (negative errno; through a filter also when the end came without
    // the peer's word). No more reads.
    virtual void on_read_end(int error) = 0;
    // All that was queued has been taken by the kernel.
    virtual void on_drained() {}
    // A queued write failed: what was queued is lost.
    virtual void on_write_error(int error) = 0;
    virtual void on_connected(int /*error*/) {}
    // The filter's handshake is done.
    virtual void on_secured() {}
    // So many bytes went from here to the sink of splice_to(); `full`: the sink takes no more for now.
    virtual void on_spliced(uint64_t /*bytes*/, bool /*full*/) {}
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
  // The connection of `from`, as it is, with what was read and not taken yet; `from` is left closed. Neither may splice.
  void take(TcpStream& from);
  // All bytes go through `filter` from now on, both ways. Once, connected. on_secured() follows, or on_read_end() with an
  // error. Negative errno: it could not begin; close.
  int secure(std::unique_ptr<StreamFilter> filter);
  StreamFilter* filter() { return filter_.get(); }
  // The filter goes on: never from within one of its own calls.
  void filter_unblocked();

  int read_start();
  void read_stop();
  bool reading() const { return reading_; }

  // The next `bytes` that come go to `sink` within the kernel, as fast as it takes them; on_spliced() tells, and when all have
  // gone reading goes on as before. False, and nothing has changed: no pipe is to be had, or the sink is not free. Reading must
  // be on, and nobody may write to the sink meanwhile. When the sink closes first, what comes from here is lost and reading
  // has stopped: close. The process must ignore SIGPIPE, which splice, unlike send, cannot be told not to raise.
  bool splice_to(TcpStream& sink, uint64_t bytes);
  // Connected, with nothing queued.
  bool may_sink() const;

  // Sends at the end of the turn what is small (SendBatch), else at once, and queues what the kernel does not take (copied).
  // False: the connection is broken for writing; there may still be something to read.
  bool write(std::string_view a, std::string_view b = {}, std::string_view c = {});
  size_t queued() const;
  // For SendBatch, not from within an event: sends what it holds.
  void send_held();
  // Sends FIN after what is queued.
  void shutdown();
  // RST instead of FIN when closed.
  void reset_on_close();
  // Closes now; queued bytes are dropped. No event follows.
  void close();
  // Whether bytes wait that no read event has brought yet.
  bool has_unread() const;
  bool is_open() const { return box_ != nullptr; }

  // The peer's and the local address; false when the connection is gone.
  bool peer_address(sockaddr_storage& out) const;
  bool local_address(sockaddr_storage& out) const;

 private:
  struct Box;
  static constexpr size_t kSpliceAtOnce = 1 << 20;
  static constexpr uint32_t kNothing = ~uint32_t{0};
  static constexpr int kReadsAtOnce = 8;  // per event, while buffers come back full

  int adopt(int fd);
  int poll();
  void on_ready(int status, int events);
  void on_connect_done();
  void do_read();
  void read_filtered();
  bool tell_secured();
  void read_ended(int error);
  void go_on();
  bool write_raw(std::string_view a, std::string_view b, std::string_view c);
  bool send_raw(std::string_view a, std::string_view b, std::string_view c);
  bool send_filtered();
  bool let_go_held();
  void flush_queue();
  void enqueue(std::string_view a, std::string_view b, std::string_view c);
  void pump();
  void end_splice();
  void break_splice();
  bool sink_full() const { return splicing_ != nullptr && splicing_->in_pipe > 0; }

  Loop& loop_;
  Events& events_;
  Box* box_ = nullptr;
  std::unique_ptr<Splicing> splicing_;
  TcpStream* feeder_ = nullptr;  // splices to here
  std::unique_ptr<StreamFilter> filter_;
  std::unique_ptr<Deferred> go_on_task_;  // with a filter: it has bytes that no event from the socket will bring
  uint32_t held_ = kNothing;              // place in the loop's SendBatch
  bool reading_ = false;
  bool secured_ = false;  // on_secured() was told
};

}  // namespace gw
