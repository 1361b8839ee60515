// Everything of the outside world that a command touches, so that tests can give another one. Owner: main or a test;
// one thread.
#pragma once

#include <cstdint>
#include <functional>
#include <istream>
#include <memory>
#include <ostream>
#include <string>

#include "cli/client.h"
#include "common/base/clock.h"

namespace gw::cli {

struct Environment {
  std::istream* in = nullptr;
  std::ostream* out = nullptr;
  std::ostream* err = nullptr;
  bool in_is_terminal = false;
  bool out_is_terminal = false;
  bool err_is_terminal = false;
  int columns = 80;  // of the terminal, where there is one
  // Value of an environment variable; empty when unset.
  std::function<std::string(const std::string& name)> variable;
  // Directory whose .gw/config.yaml may name a context.
  std::string directory = ".";
  const Clock* clock = &SystemClock::instance();
  std::function<void(int64_t ms)> sleep;
  std::function<std::unique_ptr<AdminClient>(const Endpoint&)> connect = connect_admin;
  // Text to leave behind when the user interrupts from now on (`version 142 is stored …`); may be empty.
  std::function<void(const std::string& text)> on_interrupt_say;
};

// The process's own: standard streams, environment, terminal.
Environment process_environment();

}  // namespace gw::cli
