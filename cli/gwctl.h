// gwctl as a function: main calls it with the process's environment, tests with one of their own.
#pragma once

#include <string>
#include <vector>

#include "cli/environment.h"

namespace gw::cli {

// `args` without the program's name. The exit code. Nothing is thrown.
int run_gwctl(const Environment& env, const std::vector<std::string>& args);

}  // namespace gw::cli
