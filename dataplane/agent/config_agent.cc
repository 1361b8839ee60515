#include "dataplane/agent/config_agent.h"

#include <sys/stat.h>

#include <cerrno>
#include <chrono>
#include <future>
#include <utility>

#include "common/base/status.h"
#include "dataplane/agent/agent_loop.h"

namespace gw {

ConfigAgent::ConfigAgent() = default;
ConfigAgent::~ConfigAgent() { stop(); }

absl::Status ConfigAgent::start(AgentOptions options, NodeSink& sink) {
  struct stat info {};
  if (options.node.empty()) return invalid_argument("the node has no name; give --node");
  if (::stat(options.state_dir.c_str(), &info) != 0) return errno_status("state directory " + options.state_dir, errno);
  if (!S_ISDIR(info.st_mode)) return invalid_argument(options.state_dir + ": not a directory");
  auto started = std::make_shared<AgentLoop>(std::move(options), sink);
  {
    std::lock_guard lock(mu_);
    loop_ = started;
  }
  return started->start();
}

std::shared_ptr<AgentLoop> ConfigAgent::loop() const {
  std::lock_guard lock(mu_);
  return loop_;
}

void ConfigAgent::stop() {
  if (auto l = loop()) l->stop();
}

absl::Status ConfigAgent::suspend(int64_t timeout_ms) {
  auto l = loop();
  if (!l) return failed_precondition("the agent was not started");
  auto on_disk = std::make_shared<std::promise<absl::Status>>();
  std::future<absl::Status> done = on_disk->get_future();
  l->post(AgentLoop::Suspend{on_disk});
  absl::Status status = done.wait_for(std::chrono::milliseconds(timeout_ms)) == std::future_status::ready
                            ? done.get()
                            : deadline_exceeded("a configuration is in work; try again");
  if (!status.ok()) resume();
  return status;
}

void ConfigAgent::resume() {
  if (auto l = loop()) l->post(AgentLoop::Resume{});
}

void ConfigAgent::drained(uint64_t version) {
  if (auto l = loop()) l->post(AgentLoop::Drained{version});
}

void ConfigAgent::listeners_changed() {
  if (auto l = loop()) l->post(AgentLoop::ListenersChanged{});
}

AgentStatus ConfigAgent::status() const {
  auto l = loop();
  return l ? l->status() : AgentStatus{};
}

}  // namespace gw
