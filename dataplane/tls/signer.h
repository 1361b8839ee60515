// Signatures that would hold a loop up (RSA), made on threads of their own. Owner: the Node.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace gw {

class TlsSigner {
 public:
  explicit TlsSigner(size_t threads);
  ~TlsSigner();
  TlsSigner(const TlsSigner&) = delete;

  // Any thread. `work` runs on one of the signer's.
  void run(std::function<void()> work);
  // Waits for what is in work; what has not begun never runs. Before the loops that `work` posts to are destroyed.
  void stop();

 private:
  void serve();

  std::mutex mutex_;
  std::condition_variable more_;
  std::deque<std::function<void()>> waiting_;
  bool stopping_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace gw
