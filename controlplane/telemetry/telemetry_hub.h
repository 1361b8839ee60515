// What nodes report, taken in: usage goes to the store exactly once, metrics are remembered for `gwctl status`.
//
// Owner: the Server. A thread of its own asks the store; reactors (telemetry_service.h) only post to it.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/clock.h"
#include "controlplane/push/node_tokens.h"
#include "gw/v1/admin.pb.h"
#include "gw/v1/telemetry.pb.h"

namespace gw {

// Implemented by the server over the store's usage. Called from the hub's thread; may block.
class UsageSink {
 public:
  virtual ~UsageSink() = default;
  // Adds the cells to the totals in the one transaction that also notes (node, boot, sequence), unless a sequence at least
  // as high was noted for (node, boot) before. A node sends each boot's batches in order and drops none before it was
  // acknowledged, so a gap means that this store was restored from a backup: it is applied like any other.
  // Returns the highest sequence noted for (node, boot). Error: nothing was changed, the batch will come again.
  virtual absl::StatusOr<uint64_t> apply_usage(std::string_view node, const v1::UsageBatch& batch) = 0;
};

// One connected node's report stream, as the transport gives it. Any thread; never blocks.
class ReportLink {
 public:
  virtual ~ReportLink() = default;
  virtual void send(const v1::ReportAck& ack) = 0;
  virtual void close(absl::Status status) = 0;
};

// What the transport tells. Returns at once.
class ReportHandler {
 public:
  virtual ~ReportHandler() = default;
  // `done` runs on the hub's thread: the stream may be read on.
  using Done = std::function<void()>;
  virtual void opened(std::shared_ptr<ReportLink> link, NodeCredentials credentials) = 0;
  virtual void received(std::shared_ptr<ReportLink> link, v1::NodeReport report, Done done) = 0;
  virtual void closed(std::shared_ptr<ReportLink> link) = 0;
};

class TelemetryHub final : public ReportHandler {
 public:
  // All outlive this.
  TelemetryHub(NodeTokens& tokens, UsageSink& usage, const Clock& clock = SystemClock::instance());
  ~TelemetryHub() override;
  void start();
  void stop();

  // The last report of each node, by name. Any thread.
  std::map<std::string, v1::MetricsReport> last_metrics() const;
  // Fills in connections and usage_unacknowledged of the nodes of push's list.
  void complete(v1::NodeInfo& node) const;
  // The node is let in no longer: ends its streams. Any thread.
  void end_node(const std::string& node, const absl::Status& why);

  void opened(std::shared_ptr<ReportLink> link, NodeCredentials credentials) override;
  void received(std::shared_ptr<ReportLink> link, v1::NodeReport report, Done done) override;
  void closed(std::shared_ptr<ReportLink> link) override;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace gw
