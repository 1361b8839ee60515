// One connection to an upstream's target that speaks HTTP/2, and the requests on it: each is a ClientStream. All that they have
// to say in one turn of the loop leaves in one write, what comes together is read together.
//
// The way of a connection: TCP stands (connect), a filter may be put on it (TLS, whose ALPN says h2), our SETTINGS go out, the
// target's come: from then on it takes requests. Until then requests wait in the pool. Owner of both: the pool (ClientHost).
// Worker's thread.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "common/http/address.h"
#include "common/http/message.h"
#include "dataplane/exchange/streams.h"
#include "dataplane/http2/h2_connection.h"
#include "dataplane/loop/loop.h"

namespace gw::http2 {

class ClientSession;
class ClientStream;

// The pool, as sessions and streams see it.
class ClientHost {
 public:
  virtual ~ClientHost() = default;
  // Requests that wait may be given to it: it has become ready, or one of its streams has ended.
  virtual void session_has_room(ClientSession& session) = 0;
  // The target takes no new requests on it, or a budget is used up: for counting.
  virtual void session_going_away(ClientSession&) {}
  virtual void session_beyond_budget(ClientSession&) {}
  // It has never been ready: requests that wait for it hear why.
  virtual void session_failed(ClientSession& session, const ProxyError& why) = 0;
  // The handshake of its filter has failed; session_failed() follows.
  virtual void session_not_secured(ClientSession& /*session*/, StreamFilter& /*filter*/) {}
  // Closed; the host destroys it at the end of the turn.
  virtual void session_closed(ClientSession& session) = 0;
  // Nobody has looked at the request: it waits for another connection. False: it has been moved too often.
  virtual bool move_stream(ClientStream& stream) = 0;
  // Released while it waited, so that it is on no session.
  virtual void stream_left(ClientStream& stream) = 0;
  // To be used again from the end of the turn on.
  virtual void stream_ended(ClientStream& stream) = 0;
  virtual std::string_view stream_target(const ClientStream& stream) const = 0;
};

// One request. It waits in the host's list until a session has room for it.
class ClientStream final : public UpstreamStream, public Stream {
 public:
  static constexpr int kMaxMoves = 10;
  static constexpr size_t kKeptBody = 16384;  // bytes of a body with which a request can still go to another connection

  ClientStream(Loop& loop, ClientHost& host);
  ~ClientStream() override;

  // Gives it to an exchange.
  void lease(UpstreamEvents& events, Method method);
  // For the next lease().
  void recycle();
  // Tells the exchange, at the end of the turn.
  void fail(const ProxyError& error);
  // A limit on the wait for a session; then it fails.
  void wait(int64_t timeout_ms);

  // UpstreamStream. `head` must stay good until release().
  void send_head(const RequestHead& head) override;
  void send_data(std::string_view piece, bool last, const HeaderList* trailers) override;
  void flush() override;
  size_t queued() const override;
  void open_tunnel(UpstreamEvents& events) override;
  void pause_response() override;
  void resume_response() override;
  bool reused() const override { return reused_; }
  bool connected() const override { return session_ != nullptr; }
  bool http2() const override { return true; }
  std::string_view target() const override { return host_.stream_target(*this); }
  void release() override;

  // The host's: which endpoint, its list, whose connection it must be, and how often it was moved.
  void* endpoint = nullptr;
  ClientStream* next = nullptr;  // of those that wait; then the session's
  ClientStream* prev = nullptr;
  IpAddress announced;
  std::string announcement;  // of a connection that is made for it
  int moves = 0;

 private:
  friend class ClientSession;

  void failed();
  void timed_out();
  void keep(std::string_view piece, bool has_trailers);

  Loop& loop_;
  ClientHost& host_;
  ClientSession* session_ = nullptr;
  UpstreamEvents* events_ = nullptr;
  const RequestHead* head_ = nullptr;
  HeaderList fields_;          // of the head, or the trailers, that has come
  std::string held_;           // the request's body: while it waits, and as long as it can be moved
  HeaderList trailers_;        // behind that; in the arena
  Timer timer_;                // of the wait, or of a tunnel's end
  Deferred failed_task_;
  ProxyError failure_;
  uint32_t reads_at_ = 0;      // of the session, when the request was sent
  int interim_ = 0;
  Method method_ = Method::kGet;
  bool reused_ = false;
  bool request_done_ = false;  // given whole
  bool movable_ = true;        // all of the request is still here
  bool got_any_ = false;
  bool response_done_ = false;
  bool tunnel_ = false;
  bool waiting_ = false;       // in the host's list
  bool on_wire_ = false;       // on_stream_closed() is to come
};

class ClientSession final : private Connection::Events {
 public:
  static constexpr HeadLimits kHeadLimits{65536, 200};
  static constexpr int kMaxInterim = 16;           // 1xx heads before the answer
  static constexpr int64_t kIdleMs = 60'000;
  static constexpr int64_t kTunnelFlushMs = 2'000;  // for the target's end of a tunnel that we have ended
  static constexpr uint32_t kMaxRequests = 1u << 29;  // stream ids run out at 2^30

  // `limits.streams`: most requests at one time.
  ClientSession(Loop& loop, ClientHost& host, const Http2Limits& limits);
  ~ClientSession() override;

  void connect(const sockaddr* address, socklen_t size, int64_t timeout_ms);
  void connect_failed(const char* why);
  // The target's name is being resolved; counts as connecting.
  void wait_for_address(int64_t timeout_ms);
  bool awaits_address() const { return state_ == State::kNew; }
  // Before anything else is sent: the connection speaks for this client alone.
  void announce(std::string_view proxy_header, const IpAddress& client);

  // Before connect(): what goes over the connection, but for what announces it, goes through the filter.
  void secure(std::unique_ptr<StreamFilter> filter) { filter_ = std::move(filter); }

  // Requests that may be added now.
  size_t room() const;
  bool ready() const { return state_ == State::kReady; }
  // It is being made, and requests wait for it.
  bool in_the_making() const { return state_ == State::kNew || state_ == State::kConnecting || state_ == State::kSettling; }
  size_t streams() const { return streams_; }
  // As far as is known: by the target's SETTINGS and ours.
  size_t most_streams() const { return ready() ? connection_.most_streams() : limits_.streams; }
  // REQUIRES: room() > 0. What the stream has held back is sent.
  void attach(ClientStream& stream);
  // Takes no more; closes when its last stream has ended.
  void retire();
  void close();

  // The host's: which endpoint, and how many wait for it while it is made.
  void* endpoint = nullptr;
  size_t promised = 0;
  IpAddress announced;  // of announce(); zeroes: none

 private:
  friend class ClientStream;
  enum class State : uint8_t { kNew, kConnecting, kSettling, kReady, kGoingAway, kClosed };

  // Connection::Events
  void on_head(Stream& stream, const Connection::Head& head) override;
  void on_data(Stream& stream, std::string_view piece, bool last) override;
  void on_read_done(Stream& stream) override;
  void on_stream_drained(Stream& stream) override;
  void on_stream_closed(Stream& stream, Code code, bool unseen) override;
  void on_goaway(Code code) override;
  void on_settings() override;
  void on_batch_done() override;
  void on_connected(int error) override;
  void on_secured() override;
  void on_not_secured() override;
  void on_budget_exceeded() override;
  void on_ending() override { on_closed(0); }
  void on_closed(int error) override;

  void start();
  void begin(ClientStream& stream);
  void send(ClientStream& stream, std::string_view piece, bool last, const HeaderList* trailers);
  void take_answer(ClientStream& stream, int status, bool last);
  ProxyError why_closed(const ClientStream& stream, Code code, bool unseen) const;
  void refuse(ClientStream& stream, const char* why);
  void released(ClientStream& stream);
  void detach(ClientStream& stream);
  void stream_left();
  void fail(const ProxyError& why);
  void failed();
  void finish();
  void timed_out();

  Loop& loop_;
  ClientHost& host_;
  const Http2Limits limits_;
  Connection connection_;
  Timer timer_;                     // of connecting, then of idleness
  Deferred failed_task_;
  ProxyError failure_;
  std::string announcement_;
  std::unique_ptr<StreamFilter> filter_;  // until it is connected
  ClientStream* first_ = nullptr;
  const char* broken_ = nullptr;    // why the connection ends, where it is the target's fault
  size_t streams_ = 0;              // attached
  int64_t idle_since_ms_ = 0;       // of streams_ == 0
  uint32_t uses_ = 0;               // streams that it has had
  uint32_t reads_ = 0;
  State state_ = State::kNew;
  bool retired_ = false;
};

}  // namespace gw::http2
