#include "controlplane/telemetry/telemetry_hub.h"

#include <mutex>
#include <set>
#include <utility>

#include "common/base/status.h"
#include "controlplane/push/event_thread.h"

namespace gw {

class TelemetryHub::Impl {
 public:
  Impl(NodeTokens& tokens, UsageSink& usage, const Clock& clock) : tokens_(tokens), usage_(usage), clock_(clock) {}

  void opened(const std::shared_ptr<ReportLink>& link, const NodeCredentials& credentials) {
    absl::StatusOr<NodeIdentity> node =
        credentials.token.empty() ? unauthenticated("a node token is needed") : tokens_.node_of(credentials);
    if (!node.ok()) {
      link->close(node.status());
      return;
    }
    links_[link.get()] = Reporter{link, *std::move(node)};
  }

  void received(const std::shared_ptr<ReportLink>& link, v1::NodeReport& report) {
    auto at = links_.find(link.get());
    if (at == links_.end()) return;  // was refused
    const NodeIdentity from = at->second.from;
    if (report.node() != from.node) {
      link->close(permission_denied("the token is that of node " + from.node + ", not of " + report.node()));
      links_.erase(at);
      return;
    }
    if (from.certificate_ends != 0 && clock_.wall_ns() / 1'000'000'000 >= from.certificate_ends) {
      link->close(unavailable("the certificate that this connection began with has ended"));
      links_.erase(at);
      return;
    }
    if (report.has_usage()) {
      apply(link, from.node, report.usage());
    } else if (report.has_metrics()) {
      std::lock_guard lock(metrics_mu_);
      metrics_[from.node] = std::move(*report.mutable_metrics());
    }
  }

  void end_node(const std::string& node, const absl::Status& why) {
    std::erase_if(links_, [&](const auto& entry) {
      if (entry.second.from.node != node) return false;
      entry.second.link->close(why);
      return true;
    });
  }

  // On an error the stream is ended: the node sends again, from the lowest batch that was not acknowledged.
  void apply(const std::shared_ptr<ReportLink>& link, const std::string& node, const v1::UsageBatch& batch) {
    auto sequence = usage_.apply_usage(node, batch);
    if (!sequence.ok()) {
      link->close(sequence.status());
      links_.erase(link.get());
      return;
    }
    v1::ReportAck ack;
    ack.set_boot(batch.boot());
    ack.set_sequence(*sequence);
    link->send(ack);
  }

  void closed(const std::shared_ptr<ReportLink>& link) { links_.erase(link.get()); }

  void close_all() {
    for (auto& [key, reporter] : links_) reporter.link->close(unavailable("the control plane is stopping"));
    links_.clear();
  }

  std::map<std::string, v1::MetricsReport> last_metrics() const {
    std::lock_guard lock(metrics_mu_);
    return metrics_;
  }

  EventThread thread;

 private:
  struct Reporter {
    std::shared_ptr<ReportLink> link;
    NodeIdentity from;
  };

  NodeTokens& tokens_;
  UsageSink& usage_;
  const Clock& clock_;
  std::map<const ReportLink*, Reporter> links_;  // the hub's thread
  mutable std::mutex metrics_mu_;
  std::map<std::string, v1::MetricsReport> metrics_;
};

TelemetryHub::TelemetryHub(NodeTokens& tokens, UsageSink& usage, const Clock& clock)
    : impl_(std::make_unique<Impl>(tokens, usage, clock)) {}
TelemetryHub::~TelemetryHub() { stop(); }
void TelemetryHub::start() { impl_->thread.start(0, nullptr); }
void TelemetryHub::stop() {
  impl_->thread.post([this] { impl_->close_all(); });
  impl_->thread.stop();
}
std::map<std::string, v1::MetricsReport> TelemetryHub::last_metrics() const { return impl_->last_metrics(); }

void TelemetryHub::complete(v1::NodeInfo& node) const {
  auto all = impl_->last_metrics();
  auto at = all.find(node.node());
  if (at == all.end()) return;
  node.set_connections(at->second.connections());
  node.set_usage_unacknowledged(at->second.usage_unacknowledged());
  if (at->second.overload_stage() > 0) node.set_overload_stage(at->second.overload_stage());
}

void TelemetryHub::end_node(const std::string& node, const absl::Status& why) {
  impl_->thread.post([this, node, why] { impl_->end_node(node, why); });
}

void TelemetryHub::opened(std::shared_ptr<ReportLink> link, NodeCredentials credentials) {
  bool posted = impl_->thread.post([this, link, credentials = std::move(credentials)] { impl_->opened(link, credentials); });
  if (!posted) link->close(unavailable("the control plane is stopping"));
}

void TelemetryHub::received(std::shared_ptr<ReportLink> link, v1::NodeReport report, Done done) {
  impl_->thread.post([this, link = std::move(link), report = std::move(report), done = std::move(done)]() mutable {
    impl_->received(link, report);
    done();
  });
}

void TelemetryHub::closed(std::shared_ptr<ReportLink> link) {
  impl_->thread.post([this, link = std::move(link)] { impl_->closed(link); });
}

}  // namespace gw
