// The process that SIGUSR2 starts to take over from this one: the same program, by the path under which this one was started (by
// now it may be a newer one), with the same arguments and --take-over.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace gw {

// Owner and thread: main.
class Successor {
 public:
  Successor(int argc, char** argv);

  // Its pid. Error: one is under way already, or it cannot be started.
  absl::StatusOr<int> start();
  // After SIGCHLD: how the process ended, in words; empty: it runs, or there is none.
  std::string ended();

 private:
  std::string program_;
  std::vector<std::string> arguments_;
  int pid_ = 0;
};

}  // namespace gw
