// A thread with a queue: what is posted runs there, one after another. Owner: whoever made it. Any thread may post.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>

namespace gw {

class EventThread {
 public:
  using Fn = std::function<void()>;

  EventThread() = default;
  ~EventThread() { stop(); }

  // `tick` (may be empty) runs about every `tick_ms`, also while events keep coming.
  void start(int64_t tick_ms, Fn tick);
  // Runs what was posted before, then ends the thread. Idempotent. What is posted later is dropped.
  void stop();
  // False: the thread has been stopped, fn will not run.
  bool post(Fn fn);
  // Posts and waits until fn has run; inline when called from the thread itself, or before start and after stop (then no
  // other thread is there to run it).
  void call(const Fn& fn);

 private:
  void run();

  std::mutex mu_;
  std::condition_variable wake_;
  std::deque<Fn> queue_;
  bool running_ = false;
  bool stopping_ = false;
  int64_t tick_ms_ = 0;
  Fn tick_;
  std::thread thread_;
  std::mutex join_mu_;
};

}  // namespace gw
