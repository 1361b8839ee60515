#include "controlplane/server.h"

#include <algorithm>
#include <mutex>

#include <spdlog/spdlog.h>

#include "common/base/build_info.h"
#include "common/base/status.h"
#include "common/http/address.h"
#include "controlplane/admin/admin_handlers.h"
#include "controlplane/admin/admin_service.h"
#include "controlplane/admin/authority.h"
#include "controlplane/admin/endpoint_board.h"
#include "controlplane/admin/engine.h"
#include "controlplane/admin/node_side.h"
#include "controlplane/admin/quota.h"
#include "controlplane/admin/switch_board.h"
#include "controlplane/admin/ticket_board.h"
#include "controlplane/grpc_listener.h"
#include "controlplane/push/config_push.h"
#include "controlplane/push/config_sync_service.h"
#include "controlplane/store/secrets.h"
#include "controlplane/store/tokens.h"
#include "controlplane/telemetry/telemetry_hub.h"
#include "controlplane/telemetry/telemetry_service.h"

namespace gw {
namespace {

class HubMetrics final : public MetricsSource {
 public:
  explicit HubMetrics(const TelemetryHub& hub) : hub_(hub) {}
  std::map<std::string, v1::MetricsReport> last_metrics() const override { return hub_.last_metrics(); }
  void complete(v1::NodeInfo& node) const override { hub_.complete(node); }

 private:
  const TelemetryHub& hub_;
};

// The engine is made before the push that knows the nodes, and asks it through this.
class LateNodes final : public NodeDirectory {
 public:
  void set(NodeDirectory* nodes) { nodes_ = nodes; }
  std::vector<v1::NodeInfo> nodes() override { return nodes_ ? nodes_->nodes() : std::vector<v1::NodeInfo>(); }
  int connected() override { return nodes_ ? nodes_->connected() : 0; }
  std::vector<CertificateHolder> certificate_holders() override {
    return nodes_ ? nodes_->certificate_holders() : std::vector<CertificateHolder>();
  }
  std::vector<LackingNode> lacking(const EntryTable& entries) override {
    return nodes_ ? nodes_->lacking(entries) : std::vector<LackingNode>();
  }

 private:
  NodeDirectory* nodes_ = nullptr;
};

// Whether the control channel is TLS there.
absl::StatusOr<bool> needs_tls(const ServerOptions& options) {
  auto address = IpAddress::parse(options.address);
  if (!address) return invalid_argument(options.address + " is not an address; give one such as 127.0.0.1:7070");
  if (options.node_certificate_lifetime_s < Authority::kNodeLifetimeMinS || options.node_certificate_lifetime_s > Authority::kNodeLifetimeMaxS) {
    return invalid_argument("--node-certificate-lifetime: from 2s to 90d");
  }
  bool tls = options.tls || !address->is_loopback();
  if (!tls && !options.names.empty()) return invalid_argument("--name is for TLS: give --tls too, or listen beyond loopback");
  if (address->is_unspecified() && options.names.empty()) {
    spdlog::warn("no --name: the certificate of the control plane is for localhost alone, and clients that call it by another name refuse it");
  }
  return tls;
}

// What its certificate is for.
std::vector<std::string> names_of(const ServerOptions& options) {
  std::vector<std::string> out = options.names;
  auto address = IpAddress::parse(options.address);
  if (address && !address->is_unspecified()) out.push_back(options.address);
  for (const char* name : {"localhost", "127.0.0.1", "::1"}) out.emplace_back(name);
  std::sort(out.begin(), out.end());
  out.erase(std::unique(out.begin(), out.end()), out.end());
  return out;
}

std::string master_key_path(const StatePaths& paths, const std::string& file) { return file.empty() ? paths.master_key : file; }

// The key, which opens all that is sealed. A state directory of before there were secrets gets one.
absl::StatusOr<std::unique_ptr<MasterKey>> open_master_key(Database& db, const std::string& path) {
  std::map<std::string, int> sealed;
  GW_RETURN_IF_ERROR(db.read([&](Connection& c) -> absl::Status {
    GW_ASSIGN_OR_RETURN(sealed, sealed_under(c));
    return absl::OkStatus();
  }));
  auto key = MasterKey::open(path);
  if (absl::IsNotFound(key.status()) && sealed.empty()) return MasterKey::create(path);
  for (const auto& [id, count] : sealed) {
    if (key.ok() && (*key)->has(id)) continue;
    if (!key.ok() && !absl::IsNotFound(key.status())) return key.status();
    return failed_precondition(path + (key.ok() ? " does not hold" : " does not exist, and so neither does") + " master key " + id + ", under which " +
                               std::to_string(count) + " values in the database are sealed; put your copy of the file back, or name it with --master-key-file");
  }
  if (!key.ok() || !(*key)->changing()) return key;
  // A change of the master key did not come to its end.
  GW_RETURN_IF_ERROR(db.write([&](Connection& c) { return seal_anew(c, **key).status(); }));
  GW_RETURN_IF_ERROR((*key)->end_change());
  spdlog::info("the change of the master key that was interrupted is done");
  return key;
}

}  // namespace

// Members are in the order in which they are made; what is used longest comes first.
class Server::Impl {
 public:
  absl::Status start(const ServerOptions& options) {
    GW_ASSIGN_OR_RETURN(tls_, needs_tls(options));
    GW_ASSIGN_OR_RETURN(db_, Database::open(options.state_dir, *options.clock));
    if (!db_->restored_notice().empty()) spdlog::warn("{}", db_->restored_notice());
    GW_ASSIGN_OR_RETURN(master_key_, open_master_key(*db_, master_key_path(db_->paths(), options.master_key_file)));
    GW_ASSIGN_OR_RETURN(authority_, Authority::open(*db_, *master_key_, *options.clock, options.node_certificate_lifetime_s));
    GW_RETURN_IF_ERROR(write_file_durably(db_->paths().ca, authority_->ca(), 0644));
    if (tls_) {
      GW_ASSIGN_OR_RETURN(certificate_, ServerCertificate::make(*authority_, names_of(options), *options.clock));
    }
    Engine::Options engine;
    engine.db = db_.get();
    engine.master_key = master_key_.get();
    engine.clock = options.clock;
    engine.nodes = &nodes_;
    GW_ASSIGN_OR_RETURN(engine_, Engine::load(engine));
    make_parts(options);
    GW_RETURN_IF_ERROR(publish_start());
    GW_RETURN_IF_ERROR(listen(options));
    spdlog::info("control plane {} of {} listens on {} ({})", build_version(), options.state_dir, address_, tls_ ? "TLS" : "plain text");
    return absl::OkStatus();
  }

  void stop() {
    std::lock_guard lock(stop_mutex_);
    if (stopped_) return;
    stopped_ = true;
    if (admin_service_) admin_service_->stop();
    if (push_) push_->stop();
    if (hub_) hub_->stop();
    if (listener_) listener_->stop();
    if (engine_) {
      engine_->set_publisher(nullptr);
      engine_->set_after_commit(nullptr);
    }
    if (switches_) switches_->stop();
    if (endpoints_) endpoints_->stop();
    if (tickets_) tickets_->stop();
    if (quotas_) quotas_->stop();
    if (log_) log_->stop();
  }

  int port() const { return listener_->port(); }
  const std::string& address() const { return address_; }

 private:
  void make_parts(const ServerOptions& options) {
    tokens_ = std::make_unique<StoreNodeTokens>(*engine_, *authority_, tls_);
    log_ = std::make_unique<StoreRolloutLog>(*db_);
    quotas_ = std::make_unique<QuotaTracker>(*engine_, *options.clock);
    usage_ = std::make_unique<StoreUsageSink>(*engine_, *quotas_);
    switches_ = std::make_unique<SwitchBoard>(*db_, *options.clock);
    endpoints_ = std::make_unique<EndpointBoard>(*db_, *options.clock);
    tickets_ = std::make_unique<TicketBoard>(*db_, *master_key_, *options.clock, options.ticket_key_period_s);
    ConfigPushOptions push;
    push.lineage = db_->lineage();
    push.lease_ms = options.lease_ms;
    push.clock = options.clock;
    push_ = std::make_unique<ConfigPush>(push, *tokens_, *log_);
    hub_ = std::make_unique<TelemetryHub>(*tokens_, *usage_, *options.clock);
    metrics_ = std::make_unique<HubMetrics>(*hub_);
    AdminHandlers::Parts parts;
    parts.engine = engine_.get();
    parts.quotas = quotas_.get();
    parts.switches = switches_.get();
    parts.endpoints = endpoints_.get();
    parts.rollouts = push_.get();
    parts.nodes = push_.get();
    parts.metrics = metrics_.get();
    parts.clock = options.clock;
    parts.build = std::string(build_version()) + " " + std::string(build_commit());
    if (tls_) parts.ca = authority_->ca();
    parts.end_node = [this](const std::string& node, const absl::Status& why) {
      push_->end_node(node, why);
      hub_->end_node(node, why);
    };
    handlers_ = std::make_unique<AdminHandlers>(std::move(parts));
  }

  absl::Status publish_start() {
    GW_ASSIGN_OR_RETURN(Engine::Start start, engine_->start());
    if (start.active) push_->restore_active(std::move(*start.active));
    log_->start();
    push_->start();
    nodes_.set(push_.get());
    GW_RETURN_IF_ERROR(switches_->start(*push_));
    GW_RETURN_IF_ERROR(endpoints_->start(*push_, handlers_->upstream_exists()));
    GW_RETURN_IF_ERROR(tickets_->start(*push_));
    push_->publish(std::move(start.certificates));
    if (start.directory.version > 0) push_->publish(std::move(start.directory));
    if (start.pending) push_->publish(std::move(*start.pending));
    engine_->set_publisher(push_.get());
    engine_->set_after_commit([this] { quotas_->look_at_all(); });
    GW_RETURN_IF_ERROR(quotas_->start(*push_));
    hub_->start();
    return absl::OkStatus();
  }

  absl::Status listen(const ServerOptions& options) {
    admin_service_ = std::make_unique<AdminService>(*handlers_);
    sync_service_ = std::make_unique<ConfigSyncService>(*push_);
    telemetry_service_ = std::make_unique<TelemetryService>(*hub_);
    bool v6 = options.address.find(':') != std::string::npos;
    std::string host = v6 ? "[" + options.address + "]" : options.address;
    std::optional<ControlTls> tls;
    if (tls_) {
      tls = ControlTls{authority_->ca(), [this] {
                          ServerCertificate::Current now = certificate_->current();
                          return ControlTls::Pair{now.number, std::move(now.pair.certificate), std::move(now.pair.key)};
                        }};
    }
    std::vector<grpc::Service*> services = {admin_service_->service(), sync_service_->service(), telemetry_service_->service()};
    GW_ASSIGN_OR_RETURN(listener_, GrpcListener::start(host, options.port, std::move(services), std::move(tls)));
    address_ = host + ":" + std::to_string(listener_->port());
    engine_->set_own_addresses({{options.address, listener_->port()}});
    return write_file_durably(db_->paths().address, address_ + "\n", 0644);
  }

  std::unique_ptr<Database> db_;
  std::unique_ptr<MasterKey> master_key_;
  bool tls_ = false;
  std::unique_ptr<Authority> authority_;
  std::unique_ptr<ServerCertificate> certificate_;  // of TLS
  LateNodes nodes_;
  std::unique_ptr<Engine> engine_;
  std::unique_ptr<StoreNodeTokens> tokens_;
  std::unique_ptr<StoreRolloutLog> log_;
  std::unique_ptr<QuotaTracker> quotas_;
  std::unique_ptr<SwitchBoard> switches_;
  std::unique_ptr<EndpointBoard> endpoints_;
  std::unique_ptr<TicketBoard> tickets_;
  std::unique_ptr<StoreUsageSink> usage_;
  std::unique_ptr<ConfigPush> push_;
  std::unique_ptr<TelemetryHub> hub_;
  std::unique_ptr<HubMetrics> metrics_;
  std::unique_ptr<AdminHandlers> handlers_;
  std::unique_ptr<AdminService> admin_service_;
  std::unique_ptr<ConfigSyncService> sync_service_;
  std::unique_ptr<TelemetryService> telemetry_service_;
  std::unique_ptr<GrpcListener> listener_;
  std::string address_;
  std::mutex stop_mutex_;
  bool stopped_ = false;
};

Server::Server(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Server::~Server() { stop(); }

absl::StatusOr<std::unique_ptr<Server>> Server::start(const ServerOptions& options) {
  auto impl = std::make_unique<Impl>();
  absl::Status status = impl->start(options);
  if (!status.ok()) {
    impl->stop();
    return status;
  }
  return std::unique_ptr<Server>(new Server(std::move(impl)));
}

int Server::port() const { return impl_->port(); }
std::string Server::address() const { return impl_->address(); }
void Server::stop() { impl_->stop(); }

absl::StatusOr<std::string> init_state(const std::string& state_dir, const Clock& clock, const std::string& master_key_file) {
  GW_ASSIGN_OR_RETURN(std::unique_ptr<Database> db, Database::create(state_dir, clock));
  std::string path = master_key_path(db->paths(), master_key_file);
  auto key = MasterKey::create(path);
  if (absl::IsAlreadyExists(key.status())) key = MasterKey::open(path);
  GW_RETURN_IF_ERROR(key.status());
  GW_ASSIGN_OR_RETURN(std::unique_ptr<Authority> authority, Authority::open(*db, **key, clock));
  GW_RETURN_IF_ERROR(write_file_durably(db->paths().ca, authority->ca(), 0644));
  TokenRow row;
  row.name = "first-admin";
  row.role = "admin";
  row.created_at = clock.wall_ns() / 1'000'000'000;
  NewToken token = make_token(std::move(row));
  GW_RETURN_IF_ERROR(db->write([&](Connection& connection) { return insert_token(connection, token.row); }));
  GW_RETURN_IF_ERROR(write_file_durably(db->paths().admin_token, token.text + "\n", 0600));
  return token.text;
}

}  // namespace gw
