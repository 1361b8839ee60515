// Writes last known good on a thread of its own, one write at a time. Owner: ConfigAgent.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <thread>

#include "dataplane/agent/last_good.h"

namespace gw {

class Persister {
 public:
  // `micros`: how long the write took. Called on the persister's thread; must only queue.
  using DoneFn = std::function<void(uint64_t change, absl::Status status, int64_t micros)>;
  Persister(LastGoodStore& store, DoneFn done);
  ~Persister();  // finishes the write that was given

  // REQUIRES: the write before is done.
  void write(LastGood content, uint64_t change);

 private:
  void run();

  LastGoodStore& store_;
  const DoneFn done_;
  std::mutex mu_;
  std::condition_variable wake_;
  std::optional<LastGood> content_;
  uint64_t change_ = 0;
  bool stop_ = false;
  std::thread thread_;
};

}  // namespace gw
