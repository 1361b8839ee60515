// Frees what is large away from the workers. Owner: the Node; any thread.
#pragma once

#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>

#include "dataplane/snapshot/tables.h"

namespace gw {

class Reaper {
 public:
  Reaper();
  ~Reaper();  // frees what is left
  void take(Tables tables);

 private:
  void run();

  std::mutex mutex_;
  std::condition_variable wake_;
  std::vector<Tables> dead_;
  bool stop_ = false;
  std::thread thread_;
};

}  // namespace gw
