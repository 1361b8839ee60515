// Push and telemetry of a control plane behind a real gRPC server on a port of the kernel's choice, for integration tests.
#pragma once

#include <catch2/catch.hpp>
#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "common/base/status.h"
#include "controlplane/grpc_listener.h"
#include "controlplane/push/config_push.h"
#include "controlplane/push/config_sync_service.h"
#include "controlplane/telemetry/telemetry_hub.h"
#include "controlplane/telemetry/telemetry_service.h"
#include "tests/controlplane/push/push_support.h"

namespace gw::push_test {

class MemoryTokens final : public NodeTokens {
 public:
  absl::StatusOr<NodeGrant> join(std::string_view join_token, std::string_view node, std::string_view) override {
    if (join_token != "join-token") return unauthenticated("unknown join token");
    std::lock_guard lock(mu_);
    std::string token = "token-of-" + std::string(node);
    nodes_[token] = node;
    return NodeGrant{token, "", ""};
  }
  absl::StatusOr<NodeGrant> renew(const NodeCredentials&, std::string_view) override { return unauthenticated("no certificates here"); }
  absl::StatusOr<NodeIdentity> node_of(const NodeCredentials& shown) override {
    std::lock_guard lock(mu_);
    auto at = nodes_.find(shown.token);
    if (at == nodes_.end()) return unauthenticated("unknown node token");
    return NodeIdentity{at->second, "", 0};
  }
  std::vector<std::string> known_nodes() override {
    std::lock_guard lock(mu_);
    std::vector<std::string> out;
    for (const auto& [token, node] : nodes_) out.push_back(node);
    return out;
  }
  void revoke_all() {
    std::lock_guard lock(mu_);
    nodes_.clear();
  }

 private:
  std::mutex mu_;
  std::map<std::string, std::string> nodes_;
};

class MemoryLog final : public RolloutLog {
 public:
  void node_state(NodeStateRecord record) override {
    std::lock_guard lock(mu_);
    states_.push_back(record.node + " " + v1::NodeState_Name(record.state) + " " + std::to_string(record.version));
    changed_.notify_all();
  }
  void phase(uint64_t version, std::string phase) override {
    std::lock_guard lock(mu_);
    states_.push_back(std::to_string(version) + " " + phase);
    changed_.notify_all();
  }
  bool wait_for(const std::string& what) {
    std::unique_lock lock(mu_);
    return changed_.wait_for(lock, std::chrono::seconds(60), [&] {
      return std::find(states_.begin(), states_.end(), what) != states_.end();
    });
  }
  // Position of the first; the number of all, when it is not there.
  size_t index(const std::string& what) {
    std::lock_guard lock(mu_);
    return static_cast<size_t>(std::find(states_.begin(), states_.end(), what) - states_.begin());
  }

 private:
  std::mutex mu_;
  std::condition_variable changed_;
  std::vector<std::string> states_;
};

class MemoryUsage final : public UsageSink {
 public:
  absl::StatusOr<uint64_t> apply_usage(std::string_view node, const v1::UsageBatch& batch) override {
    std::lock_guard lock(mu_);
    changed_.notify_all();
    ++calls_;
    if (failures_ > 0) {
      --failures_;
      return unavailable("database is locked");
    }
    uint64_t& seen = highest_[{std::string(node), batch.boot()}];
    if (batch.sequence() > seen) {
      seen = batch.sequence();
      for (const v1::UsageCell& cell : batch.cells()) requests_ += cell.requests();
    }
    return seen;
  }
  void fail(int n) {
    std::lock_guard lock(mu_);
    failures_ = n;
  }
  uint64_t requests() {
    std::lock_guard lock(mu_);
    return requests_;
  }

 private:
  std::mutex mu_;
  std::condition_variable changed_;
  std::map<std::pair<std::string, uint64_t>, uint64_t> highest_;
  uint64_t requests_ = 0;
  int calls_ = 0, failures_ = 0;
};

// Hands on to the push of the moment, so that a control plane can end and begin anew behind the same port.
class Switch final : public NodeLinkHandler {
 public:
  void set(ConfigPush* to) {
    std::lock_guard lock(mu_);
    to_ = to;
  }
  void join(std::string token, v1::JoinRequest request, GrantDone done) override {
    std::lock_guard lock(mu_);
    if (to_) to_->join(std::move(token), std::move(request), std::move(done));
    else done(unavailable("away"));
  }
  void renew(NodeCredentials shown, v1::RenewRequest request, GrantDone done) override {
    std::lock_guard lock(mu_);
    if (to_) to_->renew(std::move(shown), std::move(request), std::move(done));
    else done(unavailable("away"));
  }
  void opened(std::shared_ptr<NodeLink> link, NodeCredentials shown) override {
    std::lock_guard lock(mu_);
    if (to_) to_->opened(std::move(link), std::move(shown));
    else link->close(unavailable("away"));
  }
  void received(std::shared_ptr<NodeLink> link, v1::FromNode message, Done done) override {
    std::lock_guard lock(mu_);
    if (to_) to_->received(std::move(link), std::move(message), std::move(done));
  }
  void closed(std::shared_ptr<NodeLink> link) override {
    std::lock_guard lock(mu_);
    if (to_) to_->closed(std::move(link));
  }

 private:
  std::mutex mu_;
  ConfigPush* to_ = nullptr;
};

class ControlPlane {
 public:
  ControlPlane() : hub(tokens, usage), sync_service_(switch_), telemetry_service_(hub) {
    begin({});
    hub.start();
    auto listener = GrpcListener::start("127.0.0.1", 0, {sync_service_.service(), telemetry_service_.service()});
    INFO(message_of(listener.status()));
    REQUIRE(listener.ok());
    listener_ = *std::move(listener);
  }
  ~ControlPlane() {
    end();
    hub.stop();
    listener_->stop();
  }

  // Of the push: `active` as the store has it.
  void begin(std::optional<Publication> active) {
    ConfigPushOptions options;
    options.lineage = Lineage{7};
    push = std::make_unique<ConfigPush>(options, tokens, log);
    if (active) push->restore_active(*std::move(active));
    push->start();
    switch_.set(push.get());
  }
  void end() {
    switch_.set(nullptr);
    push->stop();
  }
  std::string address() const { return "127.0.0.1:" + std::to_string(listener_->port()); }

  // Waits for the last word on a version.
  v1::RolloutStatus verdict(uint64_t version, v1::WatchRolloutRequest::Until until = v1::WatchRolloutRequest::UNTIL_ACTIVE) {
    return last_word({.version = version, .until = until});
  }
  v1::RolloutStatus switches_verdict(uint64_t version) { return last_word({.switches_version = version}); }
  v1::RolloutStatus last_word(const RolloutWatch& what) {
    std::mutex mu;
    std::condition_variable changed;
    v1::RolloutStatus last;
    uint64_t id = push->watch(what, [&](const v1::RolloutStatus& status) {
      std::lock_guard lock(mu);
      last = status;
      changed.notify_all();
    });
    std::unique_lock lock(mu);
    bool final = changed.wait_for(lock, std::chrono::seconds(60), [&] { return last.final(); });
    lock.unlock();
    push->unwatch(id);
    INFO(last.ShortDebugString());
    REQUIRE(final);
    return last;
  }
  v1::NodeInfo info(const std::string& node) {
    for (v1::NodeInfo& info : push->nodes()) {
      if (info.node() == node) return info;
    }
    return {};
  }

  MemoryTokens tokens;
  MemoryLog log;
  MemoryUsage usage;
  TelemetryHub hub;
  std::unique_ptr<ConfigPush> push;

 private:
  Switch switch_;
  ConfigSyncService sync_service_;
  TelemetryService telemetry_service_;
  std::unique_ptr<GrpcListener> listener_;
};

}  // namespace gw::push_test
