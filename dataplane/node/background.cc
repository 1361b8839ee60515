#include "dataplane/node/background.h"

#include <pthread.h>

namespace gw {

Background::Background() : thread_([this] { work(); }) {}

Background::~Background() { stop(); }

void Background::run(std::function<void()> task) {
  {
    std::lock_guard lock(mutex_);
    if (stop_) return;
    tasks_.push_back(std::move(task));
  }
  wake_.notify_one();
}

void Background::stop() {
  {
    std::lock_guard lock(mutex_);
    stop_ = true;
  }
  wake_.notify_one();
  if (thread_.joinable()) thread_.join();
}

void Background::work() {
  pthread_setname_np(pthread_self(), "gw-background");
  std::unique_lock lock(mutex_);
  while (true) {
    wake_.wait(lock, [this] { return stop_ || !tasks_.empty(); });
    std::vector<std::function<void()>> tasks;
    tasks.swap(tasks_);
    lock.unlock();
    for (auto& task : tasks) {
      task();
      task = nullptr;
    }
    lock.lock();
    if (stop_ && tasks_.empty()) return;
  }
}

}  // namespace gw
