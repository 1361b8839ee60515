#include <csignal>
#include <cstring>

#include "cli/gwctl.h"

int main(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_DFL);  // `gwctl get … | head` ends quietly
  gw::cli::Environment env = gw::cli::process_environment();
  return gw::cli::run_gwctl(env, std::vector<std::string>(argv + 1, argv + argc));
}
