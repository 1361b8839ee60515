#include "controlplane/push/event_thread.h"

#include <chrono>

namespace gw {

void EventThread::start(int64_t tick_ms, Fn tick) {
  std::lock_guard lock(mu_);
  if (running_ || stopping_) return;
  running_ = true;
  tick_ms_ = tick_ms;
  tick_ = std::move(tick);
  thread_ = std::thread([this] { run(); });
}

void EventThread::stop() {
  {
    std::lock_guard lock(mu_);
    stopping_ = true;
  }
  wake_.notify_all();
  std::lock_guard join(join_mu_);
  if (thread_.joinable()) thread_.join();
}

bool EventThread::post(Fn fn) {
  {
    std::lock_guard lock(mu_);
    if (stopping_) return false;
    queue_.push_back(std::move(fn));
  }
  wake_.notify_all();
  return true;
}

void EventThread::call(const Fn& fn) {
  std::mutex mu;
  std::condition_variable done_cv;
  bool done = false;
  bool queued = false;
  bool stopped;
  {
    std::lock_guard lock(mu_);
    stopped = stopping_;
    queued = running_ && !stopping_ && thread_.get_id() != std::this_thread::get_id();
    if (queued) {
      queue_.push_back([&] {
        fn();
        std::lock_guard done_lock(mu);
        done = true;
        done_cv.notify_all();
      });
    }
  }
  if (!queued) {
    if (stopped && thread_.get_id() != std::this_thread::get_id()) stop();  // until its last event is over
    fn();
    return;
  }
  wake_.notify_all();
  std::unique_lock lock(mu);
  done_cv.wait(lock, [&] { return done; });
}

void EventThread::run() {
  auto next_tick = std::chrono::steady_clock::now() + std::chrono::milliseconds(tick_ms_);
  std::unique_lock lock(mu_);
  while (true) {
    if (tick_ && std::chrono::steady_clock::now() >= next_tick) {
      lock.unlock();
      tick_();
      next_tick = std::chrono::steady_clock::now() + std::chrono::milliseconds(tick_ms_);
      lock.lock();
    }
    if (queue_.empty()) {
      if (stopping_) return;
      if (tick_) {
        wake_.wait_until(lock, next_tick);
      } else {
        wake_.wait(lock);
      }
      continue;
    }
    Fn fn = std::move(queue_.front());
    queue_.pop_front();
    lock.unlock();
    fn();
    fn = nullptr;  // what it holds goes away outside of the lock
    lock.lock();
  }
}

}  // namespace gw
