#include "dataplane/node/reaper.h"

namespace gw {

Reaper::Reaper() : thread_([this] { run(); }) {}

Reaper::~Reaper() {
  {
    std::lock_guard lock(mutex_);
    stop_ = true;
  }
  wake_.notify_one();
  thread_.join();
}

void Reaper::take(Tables tables) {
  {
    std::lock_guard lock(mutex_);
    dead_.push_back(std::move(tables));
  }
  wake_.notify_one();
}

void Reaper::run() {
  std::unique_lock lock(mutex_);
  while (true) {
    wake_.wait(lock, [this] { return stop_ || !dead_.empty(); });
    std::vector<Tables> dead;
    dead.swap(dead_);
    lock.unlock();
    dead.clear();
    lock.lock();
    if (stop_ && dead_.empty()) return;
  }
}

}  // namespace gw
