// What the node tells of itself: admin pages, and reports to the control plane.
#include <optional>
#include <utility>

#include "common/base/build_info.h"
#include "common/metrics/prometheus.h"
#include "dataplane/agent/grpc_channels.h"
#include "dataplane/agent/node_token.h"
#include "dataplane/node/node_impl.h"

namespace gw {

// The workers' numbers and what discovery knows of names; `done` on the background's thread.
void Node::Impl::with_stats(std::function<void(StatsSnapshot)> done) {
  auto collect = [this, done](const DiscoveryStats& discovery) {
    auto elsewhere = [this](std::function<void()> task) { background_.run(std::move(task)); };
    collect_stats(*this, elsewhere, [done, names = std::make_shared<DiscoveryStats>(discovery)](StatsSnapshot stats) {
      stats.discovery = std::move(*names);
      done(std::move(stats));
    });
  };
  if (!discovery_->report(collect)) collect({});
}

NodeMetrics Node::Impl::node_metrics() const {
  AgentStatus agent = agent_.status();
  NodeMetrics m;
  m.version = build_version();
  m.commit = build_commit();
  m.zone = options_.zone;
  m.config_version = agent.config_version;
  m.directory_version = agent.directory_version;
  m.switches_version = agent.switches_version;
  m.endpoints_version = agent.endpoints_version;
  m.certificates_version = agent.certificates_version;
  m.config_success_wall_ns = agent.config_success_wall_ns;
  m.directory_success_wall_ns = agent.directory_success_wall_ns;
  m.config_rejected = agent.versions_refused;
  m.control_plane_connected = agent.connected;
  if (agent.certificate_ends != 0) m.certificate_ends.emplace_back("node", agent.certificate_ends);
  if (usage_ != nullptr) {
    UsageState usage = usage_->state();
    m.usage_events = usage.events;
    m.usage_unacknowledged = usage.unacknowledged_batches;
    m.usage_lost = usage.lost;
  }
  m.access_log_dropped = log_->dropped_lines();
  std::lock_guard lock(mutex_);
  for (const auto& [uid, certificate] : certificates_->certificates()) m.certificate_ends.emplace_back(certificate->name, certificate->not_after());
  m.handovers = handovers_;
  m.handovers_failed = handovers_failed_;
  m.snapshot_bytes = snapshot_ ? snapshot_->memory_bytes() : 0;
  return m;
}

void Node::Impl::serve(std::string_view path, std::string_view query, AdminServer::Reply reply) {
  if (path == "/healthz") {
    reply({200, "text/plain; charset=utf-8", "ok\n"});
  } else if (path == "/readyz") {
    reply(ready_page(query == "verbose" || query.substr(0, 8) == "verbose="));
  } else if (path == "/metrics") {
    scrape(std::move(reply));
  } else {
    reply({404, "text/plain; charset=utf-8", "here are /healthz, /readyz and /metrics\n"});
  }
}

// Each scrape in work costs every turn of a worker's loop a slice: not too many at once.
void Node::Impl::scrape(AdminServer::Reply reply) {
  {
    std::lock_guard lock(mutex_);
    if (scrapes_ == kMaxScrapes) {
      reply({503, "text/plain; charset=utf-8", "too many scrapes at once\n"});
      return;
    }
    ++scrapes_;
  }
  with_stats([this, reply = std::move(reply)](StatsSnapshot stats) {
    background_.run([this, reply, sum = std::make_shared<StatsSnapshot>(std::move(stats))] {
      NodeMetrics node = node_metrics();
      AdminServer::Page page{200, std::string(kPrometheusContentType), {}};
      {
        std::lock_guard lock(metrics_mutex_);
        page.body = metrics_.render(*sum, node);
      }
      {
        std::lock_guard lock(mutex_);
        --scrapes_;
      }
      reply(std::move(page));
    });
  });
}

// Losing the control plane does not make a node unready: it serves what it has.
AdminServer::Page Node::Impl::ready_page(bool verbose) const {
  AgentStatus agent = agent_.status();
  std::lock_guard lock(mutex_);
  bool configured = snapshot_ != nullptr, listening = !bound_.empty();
  bool ready = configured && listening && !draining_;
  std::string text = ready ? "ready\n" : "not ready\n";
  if (verbose || !ready) {
    text += std::string(configured ? "ok   " : "FAIL ") + "configuration: " +
            (configured ? "serving version " + std::to_string(snapshot_->version()) : "none yet") + "\n";
    text += std::string(listening ? "ok   " : "FAIL ") + "listeners: " + std::to_string(bound_.size()) + " bound\n";
    text += std::string(draining_ ? "FAIL " : "ok   ") + "draining: " + (draining_ ? "yes" : "no") + "\n";
    text += std::string("info control plane: ") + (agent.connected ? "connected" : "not connected") +
            (agent.last_error.empty() ? "" : " (" + agent.last_error + ")") + "\n";
    if (agent.config_success_wall_ns > 0) {
      int64_t age = (SystemClock::instance().wall_ns() - agent.config_success_wall_ns) / 1'000'000'000;
      text += "info configuration confirmed " + std::to_string(age < 0 ? 0 : age) + " s ago\n";
    }
  }
  return {ready ? 200 : 503, "text/plain; charset=utf-8", std::move(text)};
}

void Node::Impl::start_usage() {
  UsageClientOptions u;
  u.node = options_.name;
  u.control = options_.control;
  u.token = [path = node_token_path(options_.state_dir), identity = identity_] {
    auto shown = identity->current().identity;
    if (!shown->ca.empty() && shown->certificate.empty()) return std::string();
    auto token = read_token_file(path);
    return token.ok() ? *token : std::string();
  };
  u.make_channel = options_.make_telemetry_channel;
  if (!u.make_channel) u.make_channel = [identity = identity_](const std::string& control) { return make_grpc_telemetry_channel(control, identity); };
  u.metrics = [this](v1::MetricsReport& report) {
    struct Answer {
      std::mutex mutex;
      std::condition_variable ready;
      std::optional<StatsSnapshot> stats;
    };
    auto answer = std::make_shared<Answer>();
    with_stats([answer](StatsSnapshot stats) {
      std::lock_guard lock(answer->mutex);
      answer->stats = std::move(stats);
      answer->ready.notify_all();
    });
    std::unique_lock lock(answer->mutex);
    answer->ready.wait(lock, [&] { return answer->stats.has_value(); });
    std::lock_guard metrics_lock(metrics_mutex_);
    metrics_.report(*answer->stats, report);
    report.set_config_version(static_cast<int64_t>(agent_.status().config_version));
  };
  usage_ = std::make_unique<UsageClient>(std::move(u), *spool_, *this);
  usage_->start();
}

}  // namespace gw
