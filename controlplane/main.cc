// gw-controlplane: `init` makes a state directory, `run` serves over it.
#include <csignal>
#include <cstdio>
#include <exception>
#include <string>

#include <CLI/CLI.hpp>
#include <spdlog/spdlog.h>

#include "common/base/build_info.h"
#include "common/base/log.h"
#include "common/base/status.h"
#include "common/base/units.h"
#include "controlplane/admin/ticket_board.h"
#include "controlplane/server.h"

namespace {

// 0 stopped as asked · 1 failed · 2 usage, or a file that cannot be opened · 4 no state there · 5 state or port in use, or state there
// already · 8 the database is damaged, or written by a newer program.
int exit_code(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kOk: return 0;
    case absl::StatusCode::kInvalidArgument:
    case absl::StatusCode::kPermissionDenied: return 2;
    case absl::StatusCode::kNotFound: return 4;
    case absl::StatusCode::kAlreadyExists:
    case absl::StatusCode::kUnavailable: return 5;
    case absl::StatusCode::kDataLoss:
    case absl::StatusCode::kFailedPrecondition: return 8;
    default: return 1;
  }
}

int fail(const absl::Status& status) {
  std::fprintf(stderr, "gw-controlplane: %s\n", gw::message_of(status).c_str());
  return exit_code(status);
}

int init(const std::string& state, const std::string& master_key_file) {
  auto token = gw::init_state(state, gw::SystemClock::instance(), master_key_file);
  if (!token.ok()) return fail(token.status());
  std::string key = master_key_file.empty() ? state + "/master.key" : master_key_file;
  std::string flag = master_key_file.empty() ? "" : " --master-key-file " + master_key_file;
  std::printf("state: %s\nadmin token: %s/admin.token\nCA certificate: %s/ca.pem\n"
              "master key: %s (keep a copy apart from backups of the state)\n"
              "run: gw-controlplane run --state %s --listen 127.0.0.1:7070%s\n",
              state.c_str(), state.c_str(), state.c_str(), key.c_str(), state.c_str(), flag.c_str());
  return 0;
}

bool parse_listen(const std::string& text, gw::ServerOptions& options) {
  size_t colon = text.rfind(':');
  if (colon == std::string::npos) return false;
  options.address = text.substr(0, colon);
  if (options.address.size() > 2 && options.address.front() == '[') {
    options.address = options.address.substr(1, options.address.size() - 2);
  }
  std::string port = text.substr(colon + 1);
  if (port.empty() || port.size() > 5 || port.find_first_not_of("0123456789") != std::string::npos) return false;
  options.port = std::stoi(port);
  return options.port <= 65535;
}

// Seconds; 0: it is none of that length.
int64_t ticket_key_period(const std::string& text) {
  auto ms = gw::parse_duration_ms(text);
  int64_t seconds = ms.ok() ? *ms / 1000 : 0;
  return seconds >= gw::TicketBoard::kEverySMin && seconds <= gw::TicketBoard::kEverySMax ? seconds : 0;
}

struct RunFlags {
  std::string listen = "127.0.0.1:7070", lifetime = "24h", ticket_keys = "8h";
};

int run(gw::ServerOptions options, const RunFlags& flags) {
  const std::string &listen = flags.listen, &lifetime = flags.lifetime;
  options.ticket_key_period_s = ticket_key_period(flags.ticket_keys);
  if (options.ticket_key_period_s == 0) {
    return fail(gw::invalid_argument("--ticket-key-period " + flags.ticket_keys + ": must be a time like 8h, from " +
                                     gw::format_duration_ms(gw::TicketBoard::kEverySMin * 1000) + " to " +
                                     gw::format_duration_ms(gw::TicketBoard::kEverySMax * 1000)));
  }
  auto lifetime_ms = gw::parse_duration_ms(lifetime);
  if (!lifetime_ms.ok()) return fail(gw::invalid_argument("--node-certificate-lifetime " + lifetime + ": " + gw::message_of(lifetime_ms.status())));
  options.node_certificate_lifetime_s = *lifetime_ms / 1000;
  if (!parse_listen(listen, options)) return fail(gw::invalid_argument("--listen " + listen + ": must be ADDRESS:PORT"));
  // Signals are waited for, in this thread; those that start later inherit the mask.
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
  auto server = gw::Server::start(options);
  if (!server.ok()) return fail(server.status());
  std::printf("%s\n", (*server)->address().c_str());
  std::fflush(stdout);
  int signal = 0;
  sigwait(&signals, &signal);
  spdlog::info("signal {}: stopping", signal);
  (*server)->stop();
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Northgate's control plane");
  app.set_version_flag("--version", std::string(gw::build_version()));
  app.require_subcommand(1);
  gw::ServerOptions options;
  std::string& state = options.state_dir;
  std::string& master_key_file = options.master_key_file;
  RunFlags flags;
  CLI::App* init_command = app.add_subcommand("init", "Makes a state directory and its first admin token");
  init_command->add_option("--state", state, "The state directory")->required();
  CLI::App* run_command = app.add_subcommand("run", "Serves until SIGTERM");
  run_command->add_option("--state", state, "The state directory")->required();
  run_command->add_option("--listen", flags.listen, "ADDRESS:PORT; port 0 lets the kernel choose; beyond loopback the control channel is TLS")
      ->capture_default_str();
  run_command->add_flag("--tls", options.tls, "TLS on loopback too");
  run_command->add_option("--name", options.names, "HOST or address that nodes and gwctl call it by, may be repeated; its certificate is for these, the listen address and localhost");
  run_command->add_option("--node-certificate-lifetime", flags.lifetime, "How long certificates of nodes last; they are renewed by themselves")
      ->capture_default_str();
  run_command->add_option("--ticket-key-period", flags.ticket_keys, "How often the keys of TLS session tickets change; each opens tickets for three periods more")
      ->capture_default_str();
  for (CLI::App* command : {init_command, run_command}) {
    command->add_option("--master-key-file", master_key_file, "The key under which secrets are stored; default STATE/master.key");
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    return app.exit(e) == 0 ? 0 : 2;
  }
  try {
    gw::init_log("gw-controlplane");
    return init_command->parsed() ? init(state, master_key_file) : run(options, flags);
  } catch (const std::exception& e) {
    return fail(gw::internal_error(e.what()));
  }
}
