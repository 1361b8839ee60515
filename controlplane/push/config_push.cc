#include "controlplane/push/config_push.h"

#include <utility>

#include "common/base/status.h"
#include "controlplane/push/event_thread.h"
#include "controlplane/push/push_core.h"

namespace gw {
namespace {
constexpr int64_t kTickMs = 100;
}

// The threads around PushCore.
class ConfigPush::Impl {
 public:
  Impl(ConfigPushOptions options, NodeTokens& tokens, RolloutLog& log)
      : options(options), tokens(tokens), core(options, log) {}

  const ConfigPushOptions options;
  NodeTokens& tokens;
  PushCore core;
  EventThread asking;  // may block on the store
  EventThread thread;
};

ConfigPush::ConfigPush(ConfigPushOptions options, NodeTokens& tokens, RolloutLog& log)
    : impl_(std::make_unique<Impl>(options, tokens, log)) {}

ConfigPush::~ConfigPush() { stop(); }

void ConfigPush::restore_active(Publication active) { impl_->core.restore(std::move(active)); }

void ConfigPush::start() {
  for (const std::string& node : impl_->tokens.known_nodes()) impl_->core.expect(node);
  impl_->asking.start(0, nullptr);
  impl_->thread.start(kTickMs, impl_->options.ticker ? [this] { impl_->core.tick(); } : EventThread::Fn());
}

void ConfigPush::stop() {
  impl_->asking.stop();
  impl_->thread.post([this] { impl_->core.close_all(unavailable("the control plane is stopping")); });
  impl_->thread.stop();
}

void ConfigPush::publish(Publication publication) {
  impl_->thread.post([this, p = std::move(publication)]() mutable { impl_->core.publish(std::move(p)); });
}

std::optional<v1::RolloutStatus> ConfigPush::status(uint64_t version) {
  std::optional<v1::RolloutStatus> out;
  impl_->thread.call([&] { out = impl_->core.status(version); });
  return out;
}

uint64_t ConfigPush::watch(const RolloutWatch& what, Fn fn) {
  uint64_t id = 0;
  impl_->thread.call([&] { id = impl_->core.watch(what, std::move(fn)); });
  return id;
}

void ConfigPush::unwatch(uint64_t id) {
  impl_->thread.call([&] { impl_->core.unwatch(id); });
}

RolloutHeads ConfigPush::heads() {
  RolloutHeads out;
  impl_->thread.call([&] { out = impl_->core.heads(); });
  return out;
}

std::vector<v1::NodeInfo> ConfigPush::nodes() {
  std::vector<v1::NodeInfo> out;
  impl_->thread.call([&] { out = impl_->core.nodes(); });
  return out;
}

int ConfigPush::connected() {
  int out = 0;
  impl_->thread.call([&] { out = impl_->core.leased(); });
  return out;
}

std::vector<CertificateHolder> ConfigPush::certificate_holders() {
  std::vector<CertificateHolder> out;
  impl_->thread.call([&] { out = impl_->core.certificate_holders(); });
  return out;
}

std::vector<LackingNode> ConfigPush::lacking(const EntryTable& entries) {
  std::vector<LackingNode> out;
  impl_->thread.call([&] { out = impl_->core.lacking(entries); });
  return out;
}

void ConfigPush::tick() {
  impl_->thread.call([&] { impl_->core.tick(); });
}

void ConfigPush::join(std::string token, v1::JoinRequest request, GrantDone done) {
  auto shared = std::make_shared<GrantDone>(std::move(done));
  bool posted = impl_->asking.post([this, token = std::move(token), request = std::move(request), shared] {
    auto answer = impl_->tokens.join(token, request.node(), request.signing_request());
    if (answer.ok()) {
      impl_->thread.post([this, node = request.node()] { impl_->core.know(node); });
    }
    (*shared)(std::move(answer));
  });
  if (!posted) (*shared)(unavailable("the control plane is stopping"));
}

void ConfigPush::renew(NodeCredentials credentials, v1::RenewRequest request, GrantDone done) {
  auto shared = std::make_shared<GrantDone>(std::move(done));
  bool posted = impl_->asking.post([this, credentials = std::move(credentials), request = std::move(request), shared] {
    (*shared)(impl_->tokens.renew(credentials, request.signing_request()));
  });
  if (!posted) (*shared)(unavailable("the control plane is stopping"));
}

// Through the thread that checks tokens: what was let in before the store knew better has been admitted by then.
void ConfigPush::end_node(const std::string& node, const absl::Status& why) {
  impl_->asking.post([this, node, why] {
    impl_->thread.post([this, node, why] { impl_->core.end_node(node, why); });
  });
}

void ConfigPush::opened(std::shared_ptr<NodeLink> link, NodeCredentials credentials) {
  impl_->thread.post([this, link] { impl_->core.opened(link); });
  bool posted = impl_->asking.post([this, link, credentials = std::move(credentials)] {
    absl::StatusOr<NodeIdentity> node = credentials.token.empty() ? unauthenticated("a node token is needed") : impl_->tokens.node_of(credentials);
    impl_->thread.post([this, link, node = std::move(node)]() mutable { impl_->core.admitted(link, std::move(node)); });
  });
  if (!posted) link->close(unavailable("the control plane is stopping"));
}

void ConfigPush::received(std::shared_ptr<NodeLink> link, v1::FromNode message, Done done) {
  impl_->thread.post([this, link = std::move(link), message = std::move(message), done = std::move(done)]() mutable {
    impl_->core.received(link, std::move(message), std::move(done));
  });
}

void ConfigPush::closed(std::shared_ptr<NodeLink> link) {
  impl_->thread.post([this, link = std::move(link)] { impl_->core.closed(link); });
}

}  // namespace gw
