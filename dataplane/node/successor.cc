#include "dataplane/node/successor.h"

#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>

#include "common/base/status.h"

extern char** environ;

namespace gw {
namespace {

constexpr const char* kTakeOver = "--take-over";

std::string own_program(const char* started_as) {
  // A path is taken as it was given: it may be a link that leads to another program by now.
  if (std::string_view(started_as).find('/') != std::string_view::npos) return started_as;
  std::array<char, 4096> path;
  ssize_t size = readlink("/proc/self/exe", path.data(), path.size());
  return size > 0 ? std::string(path.data(), static_cast<size_t>(size)) : started_as;
}

}  // namespace

Successor::Successor(int argc, char** argv) : program_(own_program(argv[0])), arguments_(argv, argv + argc) {
  if (std::find(arguments_.begin(), arguments_.end(), kTakeOver) == arguments_.end()) arguments_.push_back(kTakeOver);
}

absl::StatusOr<int> Successor::start() {
  if (pid_ != 0) return failed_precondition("process " + std::to_string(pid_) + " is taking over already");
  std::vector<char*> argv;
  for (std::string& argument : arguments_) argv.push_back(argument.data());
  argv.push_back(nullptr);
  posix_spawnattr_t attributes;
  posix_spawn_file_actions_t actions;
  posix_spawnattr_init(&attributes);
  posix_spawn_file_actions_init(&actions);
  sigset_t none, pipe;
  sigemptyset(&none);
  sigemptyset(&pipe);
  sigaddset(&pipe, SIGPIPE);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setsigdefault(&attributes, &pipe);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  posix_spawn_file_actions_addclosefrom_np(&actions, 3);  // what it needs it gets by the hand-over
  pid_t pid = 0;
  int error = posix_spawn(&pid, program_.c_str(), &actions, &attributes, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  posix_spawnattr_destroy(&attributes);
  if (error != 0) return errno_status("start " + program_, error);
  pid_ = pid;
  return pid_;
}

std::string Successor::ended() {
  int status = 0;
  if (pid_ == 0 || waitpid(pid_, &status, WNOHANG) != pid_) return {};
  std::string out = "process " + std::to_string(std::exchange(pid_, 0));
  if (WIFSIGNALED(status)) return out + " was ended by signal " + std::to_string(WTERMSIG(status));
  return out + " ended with exit code " + std::to_string(WEXITSTATUS(status));
}

}  // namespace gw
