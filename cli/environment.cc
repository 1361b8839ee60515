#include "cli/environment.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <iostream>

namespace gw::cli {
namespace {

// What the signal handler says. Written before `interrupt_length`, and only while that is 0.
char interrupt_text[512];
volatile std::sig_atomic_t interrupt_length = 0;

void on_interrupt(int) {
  // Only what may be called from a handler.
  ssize_t ignored = ::write(STDERR_FILENO, "\ninterrupted\n", 13);
  if (interrupt_length > 0) ignored = ::write(STDERR_FILENO, interrupt_text, static_cast<size_t>(interrupt_length));
  static_cast<void>(ignored);
  ::_exit(130);
}

void say_on_interrupt(const std::string& text) {
  interrupt_length = 0;
  std::string line = text.empty() ? text : text.substr(0, sizeof interrupt_text - 1) + "\n";
  std::memcpy(interrupt_text, line.data(), line.size());
  interrupt_length = static_cast<std::sig_atomic_t>(line.size());
}

int terminal_columns() {
  winsize size{};
  for (int fd : {STDOUT_FILENO, STDERR_FILENO}) {
    if (::ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) return size.ws_col;
  }
  return 80;
}

}  // namespace

Environment process_environment() {
  struct sigaction action {};
  action.sa_handler = on_interrupt;
  ::sigaction(SIGINT, &action, nullptr);
  Environment env;
  env.in = &std::cin;
  env.out = &std::cout;
  env.err = &std::cerr;
  env.in_is_terminal = ::isatty(STDIN_FILENO) == 1;
  env.out_is_terminal = ::isatty(STDOUT_FILENO) == 1;
  env.err_is_terminal = ::isatty(STDERR_FILENO) == 1;
  env.columns = terminal_columns();
  env.variable = [](const std::string& name) {
    const char* value = std::getenv(name.c_str());
    return std::string(value == nullptr ? "" : value);
  };
  env.sleep = [](int64_t ms) { ::usleep(static_cast<useconds_t>(std::min<int64_t>(ms, 900)) * 1000); };
  env.on_interrupt_say = say_on_interrupt;
  return env;
}

}  // namespace gw::cli
