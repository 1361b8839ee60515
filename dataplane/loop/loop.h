// One thread's event loop: libuv, a timer wheel, deferred tasks, and the mailbox, which is the only door for other threads.
#pragma once

#include <uv.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include "common/base/clock.h"
#include "dataplane/loop/block_pool.h"
#include "dataplane/loop/byte_buffer.h"
#include "dataplane/loop/send_batch.h"
#include "dataplane/loop/splice.h"
#include "dataplane/loop/timer_wheel.h"

namespace gw {

class Loop;

// Something to do at the end of this turn of the loop: destroying, resuming. Belongs to the object that it is about and
// is forgotten with it.
class Deferred {
 public:
  using Fn = void (*)(void* arg);
  Deferred(Fn fn, void* arg) : fn_(fn), arg_(arg) {}
  ~Deferred() { cancel(); }
  Deferred(const Deferred&) = delete;
  Deferred& operator=(const Deferred&) = delete;
  bool pending() const { return prev_ != nullptr; }
  void cancel();

 private:
  friend class Loop;
  Deferred() : fn_(nullptr), arg_(nullptr) {}
  Deferred* prev_ = nullptr;
  Deferred* next_ = nullptr;
  Fn fn_;
  void* arg_;
};

// All but post() and stop() from the loop's own thread.
class Loop {
 public:
  Loop();
  // The loop must have returned from run(); remaining handles are closed here.
  ~Loop();
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  // Runs until stop().
  void run();
  // Any thread.
  void stop();
  // Any thread: `task` runs on the loop's thread, in order of posting. After run() has ended tasks are dropped. False: dropped.
  bool post(std::function<void()> task);

  void defer(Deferred& task);
  // Called at the end of each turn with the time from its first event to now, and the monotonic time, both in nanoseconds.
  using TurnFn = void (*)(void* arg, int64_t busy_ns, int64_t now_ns);
  void on_turn(TurnFn fn, void* arg) {
    turn_fn_ = fn;
    turn_arg_ = arg;
  }
  // Handles call it first thing in their events: the first of a turn begins it.
  void begin_turn() {
    if (turn_begin_ns_ == 0 && turn_fn_ != nullptr) turn_begin_ns_ = static_cast<int64_t>(uv_hrtime());
  }
  // Monotonic; 0 outside a turn.
  int64_t turn_begin_ns() const { return turn_begin_ns_; }
  // Milliseconds of the loop's own time, read once per turn.
  int64_t now_ms() const { return static_cast<int64_t>(uv_now(&loop_)); }
  void arm(Timer& timer, int64_t delay_ms);

  uv_loop_t* uv() { return &loop_; }
  BlockPool& blocks() { return blocks_; }
  PipePool& pipes() { return pipes_; }
  SendBatch& sends() { return sends_; }
  // Room for composing a message's head towards the client and towards the upstream; flushed before the callback returns.
  ByteBuffer& downstream_scratch() { return downstream_scratch_; }
  ByteBuffer& upstream_scratch() { return upstream_scratch_; }
  // Where pieces of bodies are read to; good until the read event returns.
  static constexpr size_t kBodyBuffer = 65536;
  char* body_buffer() { return body_buffer_.get(); }
  // What a StreamFilter reads from the wire and writes to it, within one event.
  static constexpr size_t kCipherBuffer = 65536;
  char* cipher_in() {
    if (cipher_in_ == nullptr) cipher_in_.reset(new char[kCipherBuffer]);
    return cipher_in_.get();
  }
  ByteBuffer& cipher_out() { return cipher_out_; }

 private:
  void run_deferred();
  void end_turn();
  void turn_ended();
  void take_mail();
  void schedule_timers();

  struct UvLoop : uv_loop_t {
    UvLoop();
  };

  UvLoop loop_;
  uv_async_t* mail_signal_;
  uv_prepare_t* prepare_;
  uv_timer_t* timer_;
  TimerWheel wheel_;
  int64_t wake_ms_ = -1;
  TurnFn turn_fn_ = nullptr;
  void* turn_arg_ = nullptr;
  int64_t turn_begin_ns_ = 0;  // 0: no turn has begun
  BlockPool blocks_;
  PipePool pipes_;
  SendBatch sends_;
  ByteBuffer downstream_scratch_, upstream_scratch_;
  std::unique_ptr<char[]> body_buffer_{new char[kBodyBuffer]};
  std::unique_ptr<char[]> cipher_in_;  // made when first used
  ByteBuffer cipher_out_;
  Deferred deferred_;  // list head

  std::mutex mutex_;
  std::vector<std::function<void()>> mail_;
  bool closed_ = false;
};

}  // namespace gw
