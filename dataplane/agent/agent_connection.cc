// AgentLoop's dealings with the control plane.
#include <spdlog/spdlog.h>

#include <algorithm>
#include <utility>

#include "common/base/status.h"
#include "dataplane/agent/agent_loop.h"
#include "dataplane/agent/node_token.h"
#include "dataplane/snapshot/entry.h"

namespace gw {
namespace {

bool is_token_error(const absl::Status& status) {
  return status.code() == absl::StatusCode::kUnauthenticated || status.code() == absl::StatusCode::kPermissionDenied;
}

}  // namespace

void AgentLoop::connect() {
  auto token = node_token();
  if (!token.ok()) {
    retry(token.status());
    return;
  }
  {
    std::lock_guard lock(mu_);
    if (stopping_) return;
    accepting_ = true;
  }
  link_ = Link::kOpening;
  heard();
  incoming_.clear();
  channel_->open(*token, *this);
  v1::FromNode message;
  fill_hello(*message.mutable_hello());
  channel_->send(message);
}

// The stored token, or one that the join token is traded for.
absl::StatusOr<std::string> AgentLoop::node_token() {
  GW_RETURN_IF_ERROR(load_identity());
  const bool lacks = lacks_certificate();
  if (!token_refused_ && !lacks) {
    auto token = read_token_file(node_token_path(options_.state_dir));
    if (token.ok() || token.status().code() != absl::StatusCode::kNotFound) return token;
  }
  if (!options_.join_token_file.empty()) return join();
  if (token_refused_) {
    return unauthenticated("the control plane refused this node's token or certificate, and there is no join token to get another with; "
                           "give --join-token-file");
  }
  return unauthenticated(lacks && mine_.certificate_ends != 0
                             ? "this node's certificate has ended, and there is no join token to get another with; give --join-token-file"
                             : "this node has not joined; give --join-token-file (gwctl node join-token)");
}

void AgentLoop::fill_hello(v1::Hello& hello) {
  hello.set_node(options_.node);
  hello.set_boot(boot_);
  hello.set_zone(options_.zone);
  hello.set_build(options_.build);
  for (const auto& [name, value] : options_.labels) {
    v1::Pair& label = *hello.add_labels();
    label.set_name(name);
    label.set_value(value);
  }
  for (const std::string& capability : all_capabilities()) {
    const auto& without = options_.without_capabilities;
    if (std::find(without.begin(), without.end(), capability) == without.end()) hello.add_capabilities(capability);
  }
  for (v1::StreamPosition& position : streams_.positions()) *hello.add_have() = std::move(position);
  for (v1::BoundListener& listener : sink_.listeners()) *hello.add_listeners() = std::move(listener);
  hello.set_admin_address(options_.admin_address);
  hello.set_admin_port(options_.admin_port);
}

void AgentLoop::heard() {
  silent_at_ = now() + Millis(lease_ms_);
  if (link_ == Link::kUp) lease_ends_ = silent_at_;
}

void AgentLoop::leave() {
  {
    std::lock_guard lock(mu_);
    accepting_ = false;
  }
  room_.notify_all();
  channel_->close();
  {
    std::lock_guard lock(mu_);
    std::erase_if(events_, [](const Event& e) {
      return std::holds_alternative<v1::ToNode>(e) || std::holds_alternative<Closed>(e);
    });
  }
  link_ = Link::kDown;
  incoming_.clear();
  streams_.disconnected();
}

void AgentLoop::lost(const absl::Status& status) {
  leave();
  token_refused_ = token_refused_ || status.code() == absl::StatusCode::kUnauthenticated;
  retry(status);
}

// Full jitter, so that a herd of nodes does not come at once.
void AgentLoop::retry(const absl::Status& status) {
  std::string error = message_of(status);
  if (error.empty()) error = absl::StatusCodeToString(status.code());
  if (error != mine_.last_error) spdlog::warn("control plane {}: {}", options_.control, error);
  mine_.last_error = error;
  int64_t most = std::min(options_.backoff_max_ms, options_.backoff_min_ms << std::min(attempts_, 16));
  ++attempts_;
  // A refused token gets better by an operator's hand. The first refusal may be an old node token: join at once.
  bool join_next = token_refused_ && !options_.join_token_file.empty() && attempts_ <= 1;
  if (is_token_error(status) && !join_next) most = options_.refused_token_retry_ms;
  connect_at_ = now() + Millis(1 + static_cast<int64_t>(random_.below(static_cast<uint64_t>(most))));
}

void AgentLoop::send_ack(v1::Ack ack) {
  if (link_ == Link::kDown) return;
  v1::FromNode message;
  *message.mutable_ack() = std::move(ack);
  channel_->send(message);
}

void AgentLoop::send_heartbeat(bool with_listeners) {
  v1::FromNode message;
  v1::Heartbeat& heartbeat = *message.mutable_heartbeat();
  if (with_listeners) {
    for (v1::BoundListener& listener : sink_.listeners()) *heartbeat.add_listeners() = std::move(listener);
  }
  channel_->send(message);
}

void AgentLoop::handle(v1::ToNode& message) {
  if (link_ == Link::kDown) return;  // of a stream that was given up within this batch
  switch (message.message_case()) {
    case v1::ToNode::kWelcome: welcome(message.welcome()); break;
    case v1::ToNode::kChunk: chunk(*message.mutable_chunk()); break;
    case v1::ToNode::kActivate:
      if (message.activate().stream() == v1::STREAM_CONFIG) streams_.activate(message.activate().version());
      break;
    case v1::ToNode::kAbort: streams_.abort(message.abort().version(), message.abort().why()); break;
    case v1::ToNode::kLease: renewed(); break;
    case v1::ToNode::MESSAGE_NOT_SET: break;
  }
}

void AgentLoop::welcome(const v1::Welcome& welcome) {
  link_ = Link::kUp;
  attempts_ = 0;
  mine_.last_error.clear();
  if (welcome.lease_ms() > 0) lease_ms_ = welcome.lease_ms();
  heartbeat_at_ = now() + Millis(std::min(options_.heartbeat_ms, std::max<int64_t>(1, lease_ms_ / 3)));
  spdlog::info("connected to control plane {}", options_.control);
  streams_.connected();
  renewed();
}

void AgentLoop::renewed() {
  heard();
  if (std::exchange(stale_, false)) streams_.set_stale(false);
  const Clock& clock = *options_.clock;
  if (streams_.config_fresh()) mine_.config_success_wall_ns = clock.wall_ns();
  if (streams_.directory_fresh()) {
    mine_.directory_success_wall_ns = clock.wall_ns();
    mine_.directory_success_mono_ns = clock.mono_ns();
  }
}

void AgentLoop::chunk(v1::Chunk& chunk) {
  if (incoming_.size() + chunk.data().size() > options_.max_offer_bytes) {
    lost(resource_exhausted("an offer is larger than " + std::to_string(options_.max_offer_bytes) + " bytes"));
    return;
  }
  incoming_ += chunk.data();
  heard();
  if (!chunk.last()) return;
  v1::Offer offer;
  bool readable = offer.ParseFromString(incoming_);
  incoming_ = std::string();
  if (!readable) {
    lost(data_loss("an offer cannot be read"));
    return;
  }
  streams_.offered(std::move(offer));
  heard();  // a long build is no silence
  if (streams_.config_version() != 0) unserved_.reset();
}

void AgentLoop::handle(Closed& closed) {
  if (link_ != Link::kDown) lost(closed.status);
}

void AgentLoop::handle(ListenersChanged&) {
  if (link_ == Link::kUp) send_heartbeat(true);
}

void AgentLoop::say_goodbye() {
  if (link_ == Link::kDown) return;
  v1::FromNode message;
  message.mutable_goodbye();
  channel_->send(message);
  channel_->close();
  link_ = Link::kDown;
}

}  // namespace gw
