#include <malloc.h>

#include <csignal>
#include <cstring>

#include "cli/gwctl.h"

int main(int argc, char** argv) {
  // One heap is enough for one command. And a second one has the C library read /sys for the number of cores, where there may be
  // none: the errno of that is then taken by gRPC's connect for its own.
  mallopt(M_ARENA_MAX, 1);
  std::signal(SIGPIPE, SIG_DFL);  // `gwctl get … | head` ends quietly
  gw::cli::Environment env = gw::cli::process_environment();
  return gw::cli::run_gwctl(env, std::vector<std::string>(argv + 1, argv + argc));
}
