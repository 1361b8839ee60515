// A thread for what takes long and is not the workers' to do: freeing what is large, writing the metrics page. Tasks run one
// after the other, in order. Owner: the Node; any thread.
#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace gw {

class Background {
 public:
  Background();
  ~Background();
  // What the task holds is freed on the thread too. After stop() on the caller's.
  void run(std::function<void()> task);
  // Runs what is left.
  void stop();

 private:
  void work();

  std::mutex mutex_;
  std::condition_variable wake_;
  std::vector<std::function<void()>> tasks_;
  bool stop_ = false;
  std::thread thread_;
};

}  // namespace gw
