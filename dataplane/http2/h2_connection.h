// One HTTP/2 connection of either side: nghttp2 between a TcpStream and the streams of a session. Frames that are ready in one
// turn of the loop leave in one write. Nothing is taken from nghttp2 while the kernel takes nothing: what streams have to send
// then waits in them, each up to its limit (queued()).
//
// Owner: a session (server or client), which is the Events. Loop's thread. Events come from read events, timers and the end of
// a turn, never from within a call of the owner's and never from within nghttp2, so that the owner may call whatever it
// likes, close() too. An idle connection owns no block.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/arena.h"
#include "common/http/headers.h"
#include "dataplane/exchange/connection.h"
#include "dataplane/loop/loop.h"
#include "dataplane/loop/tcp_stream.h"

struct nghttp2_session;

namespace gw::http2 {

class Connection;
class HeadFields;
struct Hooks;

// Error codes (RFC 9113 §7).
enum class Code : uint32_t {
  kNoError = 0,
  kProtocolError = 1,
  kInternalError = 2,
  kFlowControlError = 3,
  kRefusedStream = 7,
  kCancel = 8,
  kEnhanceYourCalm = 11,
};

// What a Connection keeps of one stream; the owner's stream derives from it. From begin_stream() or send_request() to
// the end of the turn of on_stream_closed() it must stay where it is; reset_stream() makes it ready for another at any time in it.
class Stream {
 public:
  // Where the names and values lie that on_head() shows.
  Arena& arena() { return arena_; }
  // 0: not on the wire.
  int32_t id() const { return id_; }
  // All that was given to send_data() has been taken by the connection, its end too.
  bool sent_all() const { return ended_; }
  // The peer has ended its side.
  bool received_all() const { return received_all_; }

 protected:
  Stream();
  ~Stream();
  Stream(const Stream&) = delete;
  void reset_stream();

 private:
  friend class Connection;
  friend struct Hooks;
  struct Trailers;

  size_t waiting() const { return piece_.size() + held_.size() - taken_; }
  void drop_waiting();

  Arena arena_;
  Stream* next_ = nullptr;  // the connection's list
  Stream* prev_ = nullptr;
  std::string_view piece_;  // of the send_data() call in work
  std::string held_;        // what could not go yet, from taken_ on
  size_t taken_ = 0;
  std::unique_ptr<Trailers> trailers_;
  size_t unconsumed_ = 0;   // received while paused
  int64_t moved_ms_ = 0;    // when something of the body went out last
  int32_t id_ = 0;
  bool last_ = false;       // nothing follows what waits
  bool ended_ = false;
  bool deferred_ = false;   // nghttp2 asks no more until told
  bool paused_ = false;
  bool full_ = false;       // queued() was above the mark: on_stream_drained() is due
  bool got_ = false;        // on_read_done() is due
  bool received_all_ = false;
  bool let_go_ = false;
  bool ours_ = false;       // reset by us, for reasons of ours
  bool views_ = false;      // the bytes of its head are the owner's, and it has not gone
  bool closed_ = false;     // nghttp2 knows it no more
};

class Connection final : private TcpStream::Events {
 public:
  enum class Side : uint8_t { kServer, kClient };

  // Bytes that wait in a stream before queued() asks for a pause.
  static constexpr size_t kStreamHighWater = 16384;
  static constexpr int64_t kLingerMs = 2'000;     // for the peer to close after our GOAWAY and FIN
  static constexpr int64_t kPongMs = 10'000;      // for the answer to a keep-alive PING
  static constexpr size_t kLingerBytes = 16 << 20;
  static constexpr int64_t kTailStallMs = 60'000; // for the peer to take something of a body whose exchange has ended

  struct Options {
    HeadLimits head;           // of a head that is read
    Http2Limits limits;        // streams: of the client side, those that it opens itself
    bool connect_protocol = false;  // server: extended CONNECT may be used (RFC 8441)
    bool budgets = false;      // limits.resets and control_frames hold
  };

  // A head, or the trailers, of one stream; views into its arena.
  struct Head {
    std::span<const HeaderField> fields;  // pseudo fields first
    bool last = false;       // nothing follows
    bool too_large = false;  // beyond Options::head; fields are not all
    bool trailers = false;
  };

  class Events {
   public:
    virtual ~Events() = default;
    // Server, from within nghttp2, so no call of the connection's: a request begins. Null: it is refused.
    virtual Stream* begin_stream() { return nullptr; }
    // Heads of requests, of answers (1xx too) and, with `last`, trailers.
    virtual void on_head(Stream& stream, const Head& head) = 0;
    // A piece of the body; with `last` it may be empty. Trailers come in place of the last piece.
    virtual void on_data(Stream& stream, std::string_view piece, bool last) = 0;
    // At the end of a read event, for each stream that got something in it.
    virtual void on_read_done(Stream& stream) = 0;
    // queued() is below the mark again.
    virtual void on_stream_drained(Stream& stream) = 0;
    // The stream's last event: both sides have ended, it was reset by whomever, or the connection is gone. `unseen`: the peer has
    // said that it has done nothing about it (REFUSED_STREAM, or above the last of a GOAWAY).
    virtual void on_stream_closed(Stream& stream, Code code, bool unseen) = 0;
    // The peer takes no new streams on this connection.
    virtual void on_goaway(Code /*code*/) {}
    // Its SETTINGS have come (the first, or others): may_open() may be different.
    virtual void on_settings() {}
    // The answer to ping().
    virtual void on_pong() {}
    // Something was read and dealt with.
    virtual void on_batch_done() {}
    virtual void on_connected(int /*error*/) {}
    virtual void on_secured() {}
    // The handshake of its filter has failed; on_closed() follows.
    virtual void on_not_secured() {}
    // Beyond a budget; the connection is about to end.
    virtual void on_budget_exceeded() {}
    // It has said its last and been told it: on_closed() comes once the peer has closed, too, or kLingerMs have passed.
    virtual void on_ending() {}
    // The connection has closed, after on_stream_closed() for each stream; the last event. 0: in due form, or close() was asked
    // for; else a negative errno.
    virtual void on_closed(int error) = 0;
  };

  Connection(Loop& loop, Events& events, Side side);
  ~Connection() override;
  Connection(const Connection&) = delete;

  // The socket, for accept(), connect(), take() and secure(); reading and writing are this object's.
  TcpStream& tcp() { return stream_; }
  const TcpStream& tcp() const { return stream_; }
  // Says our SETTINGS and begins to read. The TcpStream is connected, or connects. `early`: what was read before.
  void start(const Options& options, std::string_view early);
  bool started() const { return session_ != nullptr; }
  // Started, not ending, not broken.
  bool usable() const { return state_ == State::kOpen && !broken_ && !ending_; }

  // Streams that are on the wire.
  size_t streams() const { return streams_; }
  // A header block has begun and not ended.
  bool head_open() const { return head_frame_ && (frame_left_ > 0 || !head_complete_); }
  // The peer's first SETTINGS have come.
  bool settled() const { return settled_; }

  // Client: another request may be sent now. `most`: how many at one time, by the peer's SETTINGS and ours.
  bool may_open() const;
  // Client: the peer takes extended CONNECT (RFC 8441).
  bool peer_takes_connect() const;
  size_t most_streams() const;
  // Client: as send_response(), for a request; it is on the wire from now on. REQUIRES: may_open().
  void send_request(Stream& stream, const HeadFields& fields, bool last);
  // Server: the head of the answer. The views of `fields` must stay good until the next send_data(), flush(), reset() or
  // let_go() of this stream, with which it leaves. `last`: no body follows.
  void send_response(Stream& stream, const HeadFields& fields, bool last);
  // Server: 1xx; leaves at once.
  void send_interim(Stream& stream, const HeadFields& fields);
  // A piece of the body; what cannot go is copied. Trailers come with the last piece; null: none.
  void send_data(Stream& stream, std::string_view piece, bool last, const HeadFields* trailers);
  void flush(Stream& stream);
  // For DownstreamStream::queued() and UpstreamStream::queued(): above TcpStream::kHighWater once kStreamHighWater bytes wait in
  // the stream; on_stream_drained() then comes.
  size_t queued(Stream& stream);
  // While paused the peer gets no room for more than it has been given.
  void pause(Stream& stream) { stream.paused_ = true; }
  void resume(Stream& stream);
  // RST_STREAM, if it is still on the wire; what waits is dropped.
  void reset(Stream& stream, Code code);
  // The owner wants no more of it than on_stream_closed(): bytes that come are dropped, those that wait still go, for
  // kTailStallMs. A server's stream whose request has not ended is reset (NO_ERROR) when its answer has gone.
  void let_go(Stream& stream);

  // GOAWAY that names no end yet (shutdown notice).
  void announce_goaway();
  // GOAWAY: streams that the peer opens from now on are not seen. The connection closes when the last has ended.
  void goaway();
  // PING; on_pong() follows. One at a time.
  void ping();
  // GOAWAY with an error, then the end.
  void end(Code code);
  // At once; nothing more is said. on_stream_closed() for each stream and on_closed() come within the call, unless it is made
  // from within an event: then at the end of the turn.
  void close();

 private:
  friend struct Hooks;
  enum class State : uint8_t { kNew, kOpen, kEnding, kClosed };
  struct Event;

  std::span<char> read_buffer() override;
  void on_read(size_t size) override;
  void on_read_end(int error) override {
    if (stream_.filter() != nullptr && !stream_.filter()->ready()) events_.on_not_secured();
    shut(error);
  }
  void on_drained() override { loop_.defer(turn_task_); }
  void on_write_error(int error) override { shut(error); }
  void on_connected(int error) override { events_.on_connected(error); }
  void on_secured() override { events_.on_secured(); }

  void feed(std::string_view bytes);
  void follow(std::string_view bytes);
  bool count_frame();
  void calm();
  void tell(const Event& event);
  void dispatch();
  void read_done(Stream& stream);
  void deliver(const Event& event);
  bool has_room() const { return stream_.queued() <= TcpStream::kHighWater; }
  void pump();
  void put(const void* bytes, size_t size);
  void write_out();
  void link(Stream& stream, int32_t id);
  void stream_gone(Stream& stream, uint32_t code);
  void submit_head(Stream& stream, const HeadFields& fields, bool last);
  void consume(Stream& stream, size_t bytes);
  void give_back(Stream& stream);
  void stop_request(Stream& stream);
  void send_ping(bool keep_alive);
  void turn_ended();
  void timed_out();
  void watch();
  void check_tails();
  void begin_ending();
  void shut(int error);
  void break_off(int error);
  void new_window();
  static bool is_asked_ping(const uint8_t* opaque);
  bool control_frame();
  bool stream_reset();

  Loop& loop_;
  Events& events_;
  TcpStream stream_;
  nghttp2_session* session_ = nullptr;
  Options options_;
  Block out_;                         // frames that have not been written yet
  size_t out_size_ = 0;
  std::vector<Event> queue_;          // what nghttp2 has told and the owner does not know yet
  std::vector<HeaderField> fields_;   // of heads in queue_, and of the one that comes in
  Stream* head_stream_ = nullptr;     // that one's; null: nobody wants it
  size_t head_begin_ = 0;             // its first, in fields_
  size_t head_bytes_ = 0, head_count_ = 0;
  Stream* first_ = nullptr;
  Timer timer_;                       // keep-alive, or the linger
  Deferred turn_task_;
  size_t streams_ = 0;
  size_t views_pending_ = 0;          // streams with views_
  size_t lingered_ = 0;               // bytes read since the end
  uint8_t frame_head_[9];             // of the frame that comes in
  size_t frame_head_size_ = 0;
  size_t frame_left_ = 0;             // bytes of its payload; at first, of the client's preface
  uint32_t last_id_ = 0;              // highest of a request that came
  int64_t read_ms_ = 0;               // when something came last
  int64_t ping_ms_ = 0;               // when the keep-alive PING went; 0: none is out
  int64_t window_ms_ = 0;             // when the budgets' time began
  uint32_t resets_ = 0, control_ = 0;
  uint32_t earned_ = 0;               // control frames that are no burden
  int error_ = 0;
  const Side side_;
  State state_ = State::kNew;
  bool inside_ = false;       // nghttp2 is at work
  bool dispatching_ = false;
  bool broken_ = false;       // to be closed at the end of the turn
  bool head_frame_ = false;    // the frame that comes in, or came last, is of a head
  bool head_complete_ = true;  // and ends it
  bool settled_ = false;
  bool send_paused_ = false;  // nghttp2 has more to send
  bool calm_ = false;         // a budget is used up
  bool ending_ = false;       // the last GOAWAY is on its way
};

}  // namespace gw::http2
