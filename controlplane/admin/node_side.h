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
#include "controlplane/admin/engine.h"
#include "controlplane/admin/quota.h"
#include "controlplane/push/node_tokens.h"
#include "controlplane/snapshot/publication.h"
#include "controlplane/telemetry/telemetry_hub.h"

namespace gw {

class StoreNodeTokens final : public NodeTokens {
 public:
  explicit StoreNodeTokens(Engine& engine) : engine_(engine) {}
  absl::StatusOr<std::string> join(std::string_view join_token, std::string_view node) override;
  absl::StatusOr<std::string> node_of(std::string_view node_token) override;
  std::vector<std::string> known_nodes() override;

 private:
  Engine& engine_;
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
