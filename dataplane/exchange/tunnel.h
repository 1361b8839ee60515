// Bytes both ways after the upstream has agreed to a WebSocket (RFC 6455 §4; RFC 9110 §7.8): the events of both streams from
// then on, free of the HTTP version. A side that does not take its bytes stops the reading of the other one.
//
// Owner: the exchange, until its recycling. Worker's thread.
#pragma once

#include <cstdint>
#include <string_view>

#include "dataplane/exchange/frame_tracker.h"
#include "dataplane/exchange/streams.h"
#include "dataplane/loop/loop.h"
#include "dataplane/telemetry/worker_stats.h"

namespace gw {

class Tunnel final : private DownstreamEvents, private UpstreamEvents {
 public:
  static constexpr size_t kHighWater = 65536;     // bytes queued towards one side before the other is paused
  static constexpr int64_t kCloseWaitMs = 1'000;  // for the end of a frame in work, so that a close frame may follow

  enum class End : uint8_t { kClient, kUpstream, kIdle, kDrain };
  struct Result {
    End end = End::kClient;
    bool upstream_gone = false;  // the stream must not be called again
    uint64_t from_client = 0, from_upstream = 0;  // bytes
  };
  using Ended = void (*)(void* owner, const Result& result);
  struct Setup {
    Loop* loop = nullptr;
    WorkerStats* stats = nullptr;
    DownstreamStream* downstream = nullptr;
    UpstreamStream* upstream = nullptr;
    RequestHead* request = nullptr;
    ResponseHead* response = nullptr;
    int64_t idle_ms = 0;   // without a byte in either direction
    int64_t grace_ms = 0;  // on a node that drains
    Ended ended = nullptr;  // once, from an event or a timer; the owner releases both streams within it
    void* owner = nullptr;
  };

  explicit Tunnel(const Setup& setup);
  ~Tunnel() override;
  Tunnel(const Tunnel&) = delete;

  // Takes both streams over and sends the client its agreement. Called within on_response_head.
  void start();

 private:
  // DownstreamEvents
  RequestHead& request_head() override { return *setup_.request; }
  void on_request_head() override {}
  void on_request_invalid(const ProxyError&) override {}
  void on_request_data(std::string_view piece, bool last, const HeaderList* trailers) override;
  void on_downstream_closed() override { finish(End::kClient, false); }
  void on_downstream_drained() override;
  void on_downstream_draining() override;
  void on_request_read_done() override { setup_.upstream->flush(); }
  // UpstreamEvents
  ResponseHead& response_head() override { return *setup_.response; }
  void on_response_interim(int, const HeaderList&) override {}
  void on_response_head() override {}
  void on_response_data(std::string_view piece, bool last, const HeaderList* trailers) override;
  void on_upstream_failed(const ProxyError&) override { finish(End::kUpstream, true); }
  void on_upstream_drained() override;
  void on_upstream_available() override {}
  void on_response_read_done() override { setup_.downstream->flush(); }

  void send_client(std::string_view piece);
  void touch();
  void idle();
  void draining();
  void begin_close(End end);
  void close_now();
  void finish(End end, bool upstream_gone);

  const Setup setup_;
  FrameTracker frames_;  // towards the client
  Timer idle_timer_, drain_timer_;
  Result result_;
  bool client_paused_ = false, upstream_paused_ = false;
  bool closing_ = false;  // waits for the end of a frame
  bool ended_ = false;
};

std::string_view end_name(Tunnel::End end);  // client, upstream, idle, drain

}  // namespace gw
