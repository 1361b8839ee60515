#include "dataplane/agent/persister.h"

#include <utility>

#include "common/base/clock.h"

namespace gw {

Persister::Persister(LastGoodStore& store, DoneFn done)
    : store_(store), done_(std::move(done)), thread_([this] { run(); }) {}

Persister::~Persister() {
  {
    std::lock_guard lock(mu_);
    stop_ = true;
  }
  wake_.notify_all();
  thread_.join();
}

void Persister::write(LastGood content, uint64_t change) {
  {
    std::lock_guard lock(mu_);
    content_ = std::move(content);
    change_ = change;
  }
  wake_.notify_all();
}

void Persister::run() {
  std::unique_lock lock(mu_);
  while (true) {
    wake_.wait(lock, [this] { return stop_ || content_; });
    if (!content_) return;
    LastGood content = *std::exchange(content_, std::nullopt);
    uint64_t change = change_;
    lock.unlock();
    int64_t start = SystemClock::instance().mono_ns();
    absl::Status status = store_.save(content);
    content.clear();
    done_(change, std::move(status), (SystemClock::instance().mono_ns() - start) / 1000);
    lock.lock();
  }
}

}  // namespace gw
