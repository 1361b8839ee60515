// Configurations of all streams into force on every worker, and what workers, prober and discovery tell each other.
#include <spdlog/spdlog.h>

#include <utility>

#include "common/base/diagnostic.h"
#include "common/base/status.h"
#include "dataplane/node/node_impl.h"

namespace gw {

absl::Status Node::Impl::open_logs(const Snapshot& snapshot) {
  DiagnosticList problems;
  for (const auto& gateway : snapshot.gateways()) {
    if (auto id = log_->open(gateway->access_log); !id.ok()) {
      problems.error("GW3022", {"Gateway", gateway->name}, "spec.accessLog.to.file", message_of(id.status()))
          .set_cure("make the file writable for this node, or log elsewhere");
    }
  }
  return problems.has_errors() ? to_status(problems, absl::StatusCode::kFailedPrecondition) : absl::OkStatus();
}

absl::Status Node::Impl::prepare(std::shared_ptr<const Snapshot> snapshot) {
  GW_RETURN_IF_ERROR(open_logs(*snapshot));
  GW_RETURN_IF_ERROR(check_tls(*snapshot, *certificates_, false));
  return sockets_->prepare(*snapshot);
}

void Node::Impl::activate(std::shared_ptr<const Snapshot> snapshot) {
  sockets_->activate();
  std::vector<std::vector<SocketBinding>> bindings(workers_.size());
  std::map<uint32_t, std::shared_ptr<const TlsServerContext>> contexts;
  for (const Listeners::Active& a : sockets_->active()) contexts[a.id] = make_tls(*snapshot, *certificates_, a);
  std::shared_ptr<const TlsClients> clients = make_tls_clients(*snapshot, *certificates_);
  for (size_t w = 0; w < workers_.size(); ++w) {
    for (const Listeners::Active& a : sockets_->active()) {
      SocketBinding b{a.id,   a.socket->fds_of(w, workers_.size()),     a.gateway_uid, AccessLog::kNowhere,
                      a.name, a.socket->fds().size() < workers_.size(), contexts[a.id]};
      for (const auto& gateway : snapshot->gateways()) {
        if (gateway->uid == a.gateway_uid) b.log_target = log_->find(gateway->access_log);
      }
      bindings[w].push_back(b);
    }
  }
  {
    std::lock_guard lock(metrics_mutex_);
    metrics_.learn(*snapshot);
  }
  {
    std::lock_guard lock(mutex_);
    snapshot_ = snapshot;
    bound_ = sockets_->bound();
  }
  on_every_worker([&](Worker& worker, size_t i) {
    worker.install_tls_clients(clients);
    worker.install_config(snapshot, bindings[i]);
    if (worker.listen_error() == 0) return;
    spdlog::error("a worker cannot listen: {}", uv_strerror(worker.listen_error()));
    std::lock_guard lock(mutex_);
    cannot_listen_ = true;
  });
  discovery_->configure(snapshot);
  health_->configure(std::move(snapshot), std::move(clients));
  sockets_->close_unused();
  if (!takeover_) post_ready();
}

void Node::Impl::abandon(uint64_t) { sockets_->abandon(); }

void Node::Impl::directory(std::shared_ptr<const Directory> directory) {
  on_every_worker([&](Worker& worker, size_t) { worker.install_directory(directory); });
}

void Node::Impl::quota(std::shared_ptr<const QuotaView> quota) {
  on_every_worker([&](Worker& worker, size_t) { worker.install_quota(quota); });
}

void Node::Impl::switches(std::shared_ptr<const Switches> switches) {
  on_every_worker([&](Worker& worker, size_t) { worker.install_switches(switches); });
}

void Node::Impl::endpoints(std::shared_ptr<const Endpoints> endpoints) {
  Countdown told(1);
  if (discovery_->endpoints(std::move(endpoints), [&told] { told.done(); })) told.wait();
  on_every_worker([](Worker&, size_t) {});  // what they were told, they have read
}

void Node::Impl::tickets(std::shared_ptr<const TicketKeys> keys) {
  on_every_worker([&](Worker& worker, size_t) { worker.install_tickets(keys); });
}

// Whether every TLS listener can serve from the table. `running`: the snapshot is in force, and a listener whose certificate is
// gone keeps what it has: a configuration without it is on its way.
absl::Status Node::Impl::check_tls(const Snapshot& snapshot, const CertificateTable& table, bool running) {
  DiagnosticList problems;
  for (const auto& gateway : snapshot.gateways()) {
    for (size_t i = 0; i < gateway->listeners.size(); ++i) {
      if (gateway->listeners[i].protocol != v1::Listener::PROTOCOL_HTTPS) continue;
      auto context = tls_->server(*gateway, gateway->listeners[i], table);
      if (context.ok() || (running && absl::IsNotFound(context.status()))) continue;
      problems.error("GW3032", {"Gateway", gateway->name}, "spec.listeners[" + std::to_string(i) + "]", message_of(context.status()))
          .set_cure("`gwctl cert check` tells what is wrong with a certificate");
    }
  }
  tls_->clients(snapshot, table, [&](const UpstreamConfig& upstream, const absl::Status& why) {
    if (running && absl::IsNotFound(why)) return;
    problems.error("GW3032", {"Upstream", upstream.name}, "spec.tls", message_of(why))
        .set_cure("give the Upstream a `ca`, or mend the Secrets that its `tls` names");
  });
  return problems.has_errors() ? to_status(problems, absl::StatusCode::kFailedPrecondition) : absl::OkStatus();
}

std::shared_ptr<const TlsClients> Node::Impl::make_tls_clients(const Snapshot& snapshot, const CertificateTable& table) {
  return tls_->clients(snapshot, table, [](const UpstreamConfig& upstream, const absl::Status& why) {
    spdlog::error("targets of {} cannot be spoken to over TLS: {}", upstream.name, message_of(why));
  });
}

// Null: it is no TLS listener.
std::shared_ptr<const TlsServerContext> Node::Impl::make_tls(const Snapshot& snapshot, const CertificateTable& table,
                                                             const Listeners::Active& of) {
  for (const auto& gateway : snapshot.gateways()) {
    if (gateway->uid != of.gateway_uid) continue;
    const ListenerConfig* listener = gateway->find_listener(of.name);
    if (listener == nullptr || listener->protocol != v1::Listener::PROTOCOL_HTTPS) return nullptr;
    auto context = tls_->server(*gateway, *listener, table);
    if (context.ok()) return *std::move(context);
    if (!absl::IsNotFound(context.status())) spdlog::error("listener {} of {} cannot speak TLS: {}", of.name, gateway->name, message_of(context.status()));
  }
  return nullptr;
}

absl::Status Node::Impl::certificates(std::shared_ptr<const CertificateTable> table) {
  std::vector<std::shared_ptr<const TlsServerContext>> contexts;
  if (snapshot_ != nullptr) {
    GW_RETURN_IF_ERROR(check_tls(*snapshot_, *table, true));
    for (const Listeners::Active& a : sockets_->active()) {
      if (a.id >= contexts.size()) contexts.resize(a.id + 1);
      contexts[a.id] = make_tls(*snapshot_, *table, a);
    }
  }
  std::shared_ptr<const TlsClients> clients;
  if (snapshot_ != nullptr) clients = make_tls_clients(*snapshot_, *table);
  tls_->keep_only(*table);
  {
    std::lock_guard lock(mutex_);
    certificates_ = table;
  }
  on_every_worker([&](Worker& worker, size_t) { 
    worker.install_certificates(table, contexts);
    if (clients != nullptr) worker.install_tls_clients(clients);
  });
  if (clients != nullptr) health_->configure(snapshot_, clients);
  return absl::OkStatus();
}

void Node::Impl::worker_drained(uint64_t version) {
  {
    std::lock_guard lock(mutex_);
    if (++drained_[version] < workers_.size()) return;
    drained_.erase(version);
  }
  agent_.drained(version);
}

void Node::Impl::start_discovery(uint16_t admin_port) {
  DiscoveryOptions d;
  d.own.emplace_back(options_.admin_address, admin_port);
  d.tell = [this](const std::vector<TargetsChange>& changes) {
    auto shared = std::make_shared<const std::vector<TargetsChange>>(changes);
    for (auto& worker : workers_) worker->post([w = worker.get(), shared] { w->apply_targets(*shared); });
    health_->apply(std::move(shared));
  };
  discovery_ = std::make_unique<Discovery>(std::move(d));
}

// To all workers but the one that knows.
void Node::Impl::tell_health(const HealthChange& change, size_t except) {
  for (size_t i = 0; i < workers_.size(); ++i) {
    if (i == except) continue;
    Worker* w = workers_[i].get();
    w->post([w, change] { w->apply_health(change); });
  }
  std::string_view what = change.what == HealthChange::What::kProbeGood     ? "answers probes again"
                          : change.what == HealthChange::What::kProbeFailed ? "failed its probes and gets no requests"
                                                                            : "failed requests and gets none for a while";
  spdlog::log(change.what == HealthChange::What::kProbeGood ? spdlog::level::info : spdlog::level::warn, "target {} {}",
              change.authority, what);
}

}  // namespace gw
