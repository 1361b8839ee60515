// Sends usage until it is acknowledged, and metrics now and then, to the control plane.
//
// Owner: the node. A thread of its own asks the workers to seal (WorkerCalls), reads the spool, and speaks through a
// TelemetryChannel. Whatever was sent and not acknowledged when a stream ends is sent again on the next.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "dataplane/telemetry/usage_meter.h"
#include "dataplane/telemetry/worker_calls.h"
#include "gw/v1/telemetry.pb.h"

namespace gw {

// Called from the channel's threads; must only queue.
class TelemetryEvents {
 public:
  virtual ~TelemetryEvents() = default;
  virtual void on_ack(v1::ReportAck ack) = 0;
  virtual void on_closed(absl::Status status) = 0;
};

// One stream at a time, called from the client's thread. The gRPC one is agent/grpc_channels.h.
class TelemetryChannel {
 public:
  virtual ~TelemetryChannel() = default;
  virtual void open(const std::string& node_token, TelemetryEvents& events) = 0;
  virtual bool send(const v1::NodeReport& report) = 0;
  virtual void close() = 0;
  // What the stream began with (a certificate) has a successor: it should begin anew.
  virtual bool outdated() const { return false; }
};

struct UsageClientOptions {
  std::string node;
  std::string control;  // host:port; empty: nothing is sent, the spool keeps
  // The node token, empty while there is none (ConfigAgent writes it: node_token_path).
  std::function<std::string()> token;
  // Fills in everything but usage_unacknowledged and usage_lost; on the client's thread.
  std::function<void(v1::MetricsReport&)> metrics;
  std::function<std::unique_ptr<TelemetryChannel>(const std::string& control)> make_channel;
  int64_t usage_interval_ms = 500;
  int64_t metrics_interval_ms = 3000;
  int64_t backoff_min_ms = 100;
  int64_t backoff_max_ms = 5000;
};

struct UsageState {
  uint64_t unacknowledged_batches = 0;
  uint64_t unacknowledged_cells = 0;  // in these
  uint64_t lost = 0;    // requests that found no place in the spool; money: must be 0
  uint64_t events = 0;  // requests metered since start
  bool connected = false;
  std::string last_error;
};

class UsageClient {
 public:
  // `spool` and `workers` outlive stop().
  UsageClient(UsageClientOptions options, UsageSpool& spool, WorkerCalls& workers);
  ~UsageClient();

  void start();
  // Another process reports the metrics of this node from now on.
  void leave_metrics();
  // Seals and sends everything; returns when all is acknowledged (true), or `timeout_ms` has passed (false: state() says
  // what is left; it stays in the spool and goes out after the next start). Call when the workers have no exchanges left
  // but still run.
  bool drain(int64_t timeout_ms);
  void stop();
  UsageState state() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace gw
