// The push: who the nodes are, what each holds, and what it is offered next. Publisher, Rollouts and NodeDirectory in one.
//
// Everything happens on one thread of its own, fed by a queue: reactors (config_sync_service.h), the server (publish) and
// a ticker only post to it. Token checks run on a second thread, since they ask the store. Owner: the Server.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "common/base/clock.h"
#include "controlplane/push/node_link.h"
#include "controlplane/push/node_tokens.h"
#include "controlplane/push/rollouts.h"
#include "controlplane/snapshot/publication.h"

namespace gw {

struct ConfigPushOptions {
  Lineage lineage{};
  int64_t lease_ms = 10'000;
  // A version on its way is overtaken by a newer one when it has not settled for so long.
  int64_t overtake_ms = 1'000;
  size_t history = 64;  // versions from which a delta can be made
  size_t chunk_bytes = 512 * 1024;
  const Clock* clock = &SystemClock::instance();
  bool ticker = true;  // false: tests call tick()
};

class ConfigPush final : public Publisher, public Rollouts, public NodeDirectory, public NodeLinkHandler {
 public:
  // `tokens` and `log` outlive this.
  ConfigPush(ConfigPushOptions options, NodeTokens& tokens, RolloutLog& log);
  ~ConfigPush() override;

  // Before start(), when the store has versions already: the config that was active when the control plane last ran (its
  // `previous`, upserts and removals are not looked at). Publish what is newer and unsettled afterwards, with `previous`
  // = this version. Without it the first publication is treated as pending for all nodes.
  void restore_active(Publication active);
  void start();
  // Ends all links; whatever comes after is turned away. Idempotent.
  void stop();

  // Publisher. All streams but quota: versions rise. Stream quota: `entries` are the ENTRY_QUOTA_STATEs; the push
  // numbers that stream itself and adds the ENTRY_SHARE with the number of leased nodes (so `version` is not looked at).
  void publish(Publication publication) override;

  std::optional<v1::RolloutStatus> status(uint64_t version) override;
  uint64_t watch(const RolloutWatch& what, Fn fn) override;
  void unwatch(uint64_t id) override;
  RolloutHeads heads() override;
  std::vector<v1::NodeInfo> nodes() override;
  int connected() override;
  std::vector<CertificateHolder> certificate_holders() override;
  std::vector<LackingNode> lacking(const EntryTable& entries) override;

  void join(std::string token, v1::JoinRequest request, GrantDone done) override;
  void renew(NodeCredentials credentials, v1::RenewRequest request, GrantDone done) override;
  void opened(std::shared_ptr<NodeLink> link, NodeCredentials credentials) override;
  void received(std::shared_ptr<NodeLink> link, v1::FromNode message, Done done) override;
  void closed(std::shared_ptr<NodeLink> link) override;

  // The node is let in no longer: ends its link and its lease, even if its token is being checked right now. Any thread.
  void end_node(const std::string& node, const absl::Status& why);

  // Leases and overtaking; posts to the push's thread and waits. For tests.
  void tick();

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace gw
