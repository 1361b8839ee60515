// gw-dataplane: flags, signals, Node.
#include <CLI/CLI.hpp>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include <iostream>

#include "common/base/build_info.h"
#include "common/base/log.h"
#include "common/base/status.h"
#include "dataplane/node/node.h"
#include "dataplane/node/successor.h"
#include "dataplane/node/systemd.h"
#include <spdlog/spdlog.h>

namespace {

bool split(const std::string& text, char at, std::string& left, std::string& right) {
  size_t mark = text.find(at);
  if (mark == std::string::npos) return false;
  left = text.substr(0, mark);
  right = text.substr(mark + 1);
  return true;
}

int usage_error(const std::string& message) {
  std::cerr << "gw-dataplane: " << message << "\n";
  return 2;
}

int run(int argc, char** argv) {
  gw::NodeOptions options;
  std::vector<std::string> labels, listeners;
  std::string admin = "127.0.0.1:0";
  char host[256] = "node";
  gethostname(host, sizeof host - 1);
  options.name = host;
  options.state_dir = "/var/lib/northgate/node";

  CLI::App app{"Northgate data-plane node: serves traffic by the configuration that the control plane pushes."};
  app.set_version_flag("--version", std::string(gw::build_version()) + " (" + std::string(gw::build_commit()) + ")");
  app.add_option("--name", options.name, "Name of this node, unique in the installation")->capture_default_str();
  app.add_option("--zone", options.zone, "Zone that it runs in");
  app.add_option("--label", labels, "KEY=VALUE, may be repeated; Gateways choose their nodes by labels");
  app.add_option("--state", options.state_dir, "Directory for last known good, usage spool, node token, key and certificate")->capture_default_str();
  app.add_option("--control", options.control, "HOST:PORT of the control plane, by TLS where its CA is known, which it must be beyond loopback; without it the node serves what disk or seed hold");
  app.add_option("--join-token-file", options.join_token_file, "File of `gwctl node join-token`, for the first contact: the token, and over TLS the CA");
  app.add_option("--control-ca-file", options.control_ca_file, "CA of the control plane, PEM; by default that of the join token's file, and of the last join");
  app.add_option("--seed", options.seed_file, "File with a configuration to start from when the state directory is empty");
  app.add_option("--workers", options.workers, "Worker threads; 0: one per core")->check(CLI::Range(0, 1024))->capture_default_str();
  app.add_option("--listener", listeners, "NAME=ADDRESS:PORT, may be repeated: overrides a listener of the Gateway on this node");
  app.add_option("--admin", admin, "ADDRESS:PORT for /healthz, /readyz and /metrics")->capture_default_str();
  app.add_option("--without-capability", options.without_capabilities, "Does not admit to a capability, for tests")->group("");
  app.add_option("--max-connections", options.max_connections, "Client connections of the node; 0: a third of the descriptor limit")->capture_default_str();
  app.add_option("--max-buffer-bytes", options.max_buffer_bytes, "Bytes in buffers beyond which requests are refused with OVERLOAD; 0: a quarter of the memory")->capture_default_str();
  app.add_option("--max-requests", options.max_requests, "Requests in flight beyond which more are refused with OVERLOAD; 0: as many as connections")->capture_default_str();
  app.add_option("--max-loop-lag-ms", options.max_loop_lag_ms, "Mean length of a worker's turns beyond which requests are refused with OVERLOAD")->check(CLI::Range(1, 60'000))->capture_default_str();
  app.add_option("--drain-delay-ms", options.drain_delay_ms, "After SIGTERM: milliseconds that /readyz says 503 while traffic still comes")->capture_default_str();
  app.add_option("--drain-timeout-ms", options.drain_timeout_ms, "After SIGTERM: milliseconds that requests in work may take")->capture_default_str();
  app.add_option("--tunnel-grace-ms", options.tunnel_grace_ms, "After SIGTERM: milliseconds that WebSocket tunnels go on; a second less than --drain-timeout-ms at most")->check(CLI::NonNegativeNumber)->capture_default_str();
  app.add_option("--drain-idle-ms", options.drain_idle_ms, "After SIGTERM: milliseconds that an idle connection may bring one more request; after a hand-over nearly --drain-timeout-ms")->check(CLI::NonNegativeNumber)->capture_default_str();
  app.add_flag("--take-over", options.take_over, "Takes over from the node that runs in --state without losing a connection; SIGUSR2 to that node starts this by itself");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    return app.exit(e) == 0 ? 0 : 2;
  }
  for (const std::string& text : labels) {
    std::string key, value;
    if (!split(text, '=', key, value) || key.empty()) return usage_error("--label " + text + ": must be KEY=VALUE");
    options.labels.emplace_back(key, value);
  }
  for (const std::string& text : listeners) {
    auto parsed = gw::ListenerOverride::parse(text);
    if (!parsed.ok()) return usage_error(gw::message_of(parsed.status()));
    options.listeners.push_back(*parsed);
  }
  auto parsed = gw::ListenerOverride::parse("admin=" + admin);
  if (!parsed.ok()) return usage_error("--admin " + admin + ": must be ADDRESS:PORT");
  options.admin_address = parsed->address;
  options.admin_port = parsed->port;

  gw::init_log("gw-dataplane");
  signal(SIGPIPE, SIG_IGN);
  sigset_t signals;
  sigemptyset(&signals);
  for (int s : {SIGTERM, SIGINT, SIGHUP, SIGUSR2, SIGCHLD}) sigaddset(&signals, s);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);  // before any thread is made: all of them inherit it

  std::vector<std::string> problems;
  std::vector<gw::PassedSocket> passed = gw::passed_by_systemd(problems);
  for (const std::string& problem : problems) spdlog::error("{}", problem);
  options.on_handed_over = [] { kill(getpid(), SIGTERM); };
  gw::Successor successor(argc, argv);

  auto node = gw::Node::start(options, std::move(passed));
  if (!node.ok()) {
    std::cerr << "gw-dataplane: " << gw::message_of(node.status()) << "\n";
    return 1;
  }
  spdlog::info("node {} is up, admin on port {}", options.name, (*node)->admin_port());
  gw::notify_supervisor("MAINPID=" + std::to_string(getpid()) + "\nREADY=1\nSTATUS=serving");
  while (true) {
    int received = 0;
    sigwait(&signals, &received);
    if (received == SIGHUP) {
      (*node)->reopen_logs();
      continue;
    }
    if (received == SIGUSR2) {
      auto pid = successor.start();
      if (pid.ok()) spdlog::info("signal {}: process {} is to take over", received, *pid);
      else spdlog::error("no new process takes over: {}", gw::message_of(pid.status()));
      continue;
    }
    if (received == SIGCHLD) {
      if (std::string how = successor.ended(); !how.empty()) spdlog::warn("{}; this process goes on", how);
      continue;
    }
    if ((*node)->gave_away()) {
      spdlog::info("handed over: draining");
    } else {
      spdlog::info("signal {}: draining", received);
      gw::notify_supervisor("STOPPING=1");
    }
    return (*node)->stop();
  }
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run(argc, argv);
  } catch (const std::exception& e) {
    std::cerr << "gw-dataplane: " << e.what() << "\n";
    return 1;
  }
}
