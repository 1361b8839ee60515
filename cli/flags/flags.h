// The command line: which commands and flags there are (CLI11 is known here alone), and what they fill in.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <memory>

#include "cli/commands.h"

namespace gw::cli {

// What the arguments asked for; `run` is set by the chosen command's callback.
struct Invocation {
  Globals globals;
  std::string format = "table";
  std::function<absl::StatusOr<int>(Session&)> run;
};

// Adds `name` under `parent`: `bind` adds its flags to the options, `run` is called with them if the command is chosen.
template <class Options, class Bind, class Run>
CLI::App* add_command(CLI::App& parent, Invocation& invocation, const char* name, const char* help, Bind bind, Run run) {
  auto options = std::make_shared<Options>();
  CLI::App* command = parent.add_subcommand(name, help);
  bind(*command, *options);
  command->callback([&invocation, options, run] {
    invocation.run = [options, run](Session& session) { return run(session, *options); };
  });
  return command;
}

void bind_globals(CLI::App& root, Invocation& invocation);
void bind_declare(CLI::App& root, Invocation& invocation);  // init, lint, plan, diff, apply, delete, export, explain
void bind_look(CLI::App& root, Invocation& invocation);     // get, describe, explain-request, status, usage, version
void bind_rollout(CLI::App& root, Invocation& invocation);
void bind_stop(CLI::App& root, Invocation& invocation);     // api, upstream, block, unblock, switches
void bind_access(CLI::App& root, Invocation& invocation);   // key, token, node, secret, cert, context
void bind_completion(CLI::App& root, Invocation& invocation);

void bind_wait(CLI::App& command, WaitOptions& wait);

}  // namespace gw::cli
