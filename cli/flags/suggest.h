// "did you mean": for commands and flags that are not there, and for what other tools call them.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

namespace gw::cli {

// What to say when `args` name a command that is not there; empty when they do not.
std::string unknown_command(const CLI::App& root, const std::vector<std::string>& args);
// What to say of arguments that CLI11 refuses for `why`.
std::string flag_problem(const CLI::App& root, const std::vector<std::string>& args, const std::string& why);

}  // namespace gw::cli
