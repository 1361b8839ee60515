// What push and telemetry ask of the store: tokens of nodes, states of rollouts, usage. Owner: the Server. Thread-safe.
#pragma once

#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/statusor.h"
#include "controlplane/admin/authority.h"
#include "controlplane/admin/engine.h"
#include "controlplane/admin/quota.h"
#include "controlplane/push/node_tokens.h"
#include "controlplane/snapshot/publication.h"
#include "controlplane/telemetry/telemetry_hub.h"

namespace gw {

class StoreNodeTokens final : public NodeTokens {
 public:
  // Certificates that ended so long ago are forgotten.
  static constexpr int64_t kEndedKeptS = 7 * int64_t{86'400};

  // `certificates`: a node is let in with one alone (the control channel is TLS).
  StoreNodeTokens(Engine& engine, const Authority& authority, bool certificates)
      : engine_(engine), authority_(authority), certificates_(certificates) {}
  absl::StatusOr<NodeGrant> join(std::string_view join_token, std::string_view node, std::string_view signing_request) override;
  absl::StatusOr<NodeGrant> renew(const NodeCredentials& credentials, std::string_view signing_request) override;
  absl::StatusOr<NodeIdentity> node_of(const NodeCredentials& credentials) override;
  std::vector<std::string> known_nodes() override;

 private:
  absl::StatusOr<NodeGrant> try_join(std::string_view join_token, const std::string& node, std::string_view signing_request);
  absl::StatusOr<NodeIdentity> check(const NodeCredentials& credentials);
  absl::Status check_certificate(Connection& db, const std::string& certificate, NodeIdentity& out) const;
  absl::Status store_certificate(Connection& db, const NodeCertificateRow& row) const;
  void say_refused(const std::string& who, const absl::Status& why);

  Engine& engine_;
  const Authority& authority_;
  const bool certificates_;
  std::mutex mutex_;
  int64_t refused_said_s_ = 0;  // when a refusal was logged last
};

// Writes states of nodes and phases of versions, a batch at a time, on a thread of its own. States are news for people: what
// a full queue drops is counted and said; phases are never dropped.
class StoreRolloutLog final : public RolloutLog {
 public:
  // Most node states that wait.
  static constexpr size_t kWaitingMax = 100'000;
  // Versions whose node states are kept.
  static constexpr uint64_t kVersionsKept = 1'000;

  explicit StoreRolloutLog(Database& db) : db_(db) {}
  ~StoreRolloutLog() override { stop(); }
  void start();
  // Writes what is waiting, then ends.
  void stop();

  void node_state(NodeStateRecord record) override;
  void phase(uint64_t version, std::string phase) override;

 private:
  using Batch = std::pair<std::map<std::pair<uint64_t, std::string>, NodeStateRecord>, std::map<uint64_t, std::string>>;
  void run();
  absl::Status write(const Batch& batch);
  void put_back(Batch batch);

  Database& db_;
  std::mutex mutex_;
  std::condition_variable wake_;
  Batch waiting_;  // latest word only
  uint64_t dropped_ = 0;
  bool stopping_ = false;
  std::thread thread_;
};

class StoreUsageSink final : public UsageSink {
 public:
  StoreUsageSink(Engine& engine, QuotaTracker& quotas) : engine_(engine), quotas_(quotas) {}
  absl::StatusOr<uint64_t> apply_usage(std::string_view node, const v1::UsageBatch& batch) override;

 private:
  Engine& engine_;
  QuotaTracker& quotas_;
};

}  // namespace gw
