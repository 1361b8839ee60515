// The node and its hand-over: this process takes over from one, and gives itself to another.
#include <spdlog/spdlog.h>

#include <utility>

#include "common/base/status.h"
#include "dataplane/node/node_impl.h"
#include "dataplane/node/systemd.h"

namespace gw {

// What serves the node's state is in force here: the process before may go.
absl::Status Node::Impl::finish_take_over() {
  bool serves;
  {
    std::lock_guard lock(mutex_);
    serves = (snapshot_ != nullptr || takeover_->config_version() == 0) && !cannot_listen_;
  }
  if (!serves) {
    return failed_precondition("this process cannot serve version " + std::to_string(takeover_->config_version()) +
                               ", which the running one serves: " + agent_.status().start_problem);
  }
  GW_RETURN_IF_ERROR(takeover_->finish());
  handovers_ = takeover_->handovers() + 1;
  spdlog::info("took over from process {}", takeover_->from_pid());
  takeover_.reset();
  agent_.resume();
  return absl::OkStatus();
}

void Node::Impl::start_handover() {
  auto server = HandoverServer::start(options_.state_dir, *this);
  if (server.ok()) handover_ = *std::move(server);
  else spdlog::warn("this node cannot hand over to a new process: {}", message_of(server.status()));
}

absl::StatusOr<HandoverOffer> Node::Impl::offer() {
  using Item = HandoverMessage::Item;
  {
    std::lock_guard lock(mutex_);
    if (draining_) return failed_precondition("this node is draining");
  }
  if (absl::Status status = agent_.suspend(HandoverServer::kMessageMs); !status.ok()) {
    std::lock_guard lock(mutex_);
    ++handovers_failed_;
    return status;
  }
  HandoverOffer out;
  out.handovers = handovers_;
  out.config_version = agent_.status().config_version;
  out.descriptors.push_back({{Item::What::kLock, false, "", ""}, state_lock_});
  for (int fd : admin_->socket().fds()) out.descriptors.push_back({{Item::What::kAdmin, admin_kept_, "", ""}, fd});
  sockets_->each([&](const Listeners::Lent& lent) {
    for (int fd : lent.socket.fds()) out.descriptors.push_back({{Item::What::kListener, lent.kept, lent.key, lent.name}, fd});
  });
  return out;
}

void Node::Impl::withdraw(const std::string&) {
  {
    std::lock_guard lock(mutex_);
    ++handovers_failed_;
  }
  agent_.resume();
}

void Node::Impl::handed_over(int pid) {
  // Before this process can end: its supervisor would take its end for the service's.
  notify_supervisor("MAINPID=" + std::to_string(pid));
  {
    std::lock_guard lock(mutex_);
    draining_ = handed_over_ = true;
  }
  admin_->hand_over();
  usage_->leave_metrics();
  if (options_.on_handed_over) options_.on_handed_over();
}

}  // namespace gw
