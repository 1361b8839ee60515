#include "controlplane/grpc_listener.h"

#include <grpc/grpc_security.h>
#include <grpc/support/log.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/health_check_service_interface.h>
#include <grpcpp/resource_quota.h>

#include <spdlog/spdlog.h>

#include <chrono>
#include <cstdlib>
#include <map>
#include <mutex>

#include "common/base/status.h"

namespace gw {
namespace {

constexpr auto kStopWithin = std::chrono::seconds(2);

// Where gRPC's handshakes find the certificate of their listener. A handshake may outlive its listener by a moment, so it holds a
// number and no pointer.
class Certificates {
 public:
  static Certificates& instance() {
    static auto* all = new Certificates();  // never destroyed: gRPC's threads may outlive main
    return *all;
  }
  uint64_t add(ControlTls tls) {
    std::lock_guard lock(mutex_);
    all_[++last_] = {std::move(tls), 0};
    return last_;
  }
  void remove(uint64_t id) {
    std::lock_guard lock(mutex_);
    all_.erase(id);
  }
  grpc_ssl_certificate_config_reload_status fetch(uint64_t id, grpc_ssl_server_certificate_config** config) {
    std::lock_guard lock(mutex_);
    auto at = all_.find(id);
    if (at == all_.end()) return GRPC_SSL_CERTIFICATE_CONFIG_RELOAD_FAIL;
    ControlTls::Pair pair = at->second.tls.pair();
    if (pair.number == at->second.given) return GRPC_SSL_CERTIFICATE_CONFIG_RELOAD_UNCHANGED;
    at->second.given = pair.number;
    grpc_ssl_pem_key_cert_pair both{pair.key.c_str(), pair.certificate.c_str()};
    *config = grpc_ssl_server_certificate_config_create(at->second.tls.client_ca.c_str(), &both, 1);
    return GRPC_SSL_CERTIFICATE_CONFIG_RELOAD_NEW;
  }

 private:
  struct Entry {
    ControlTls tls;
    uint64_t given = 0;  // number of the pair that gRPC has
  };
  std::mutex mutex_;
  std::map<uint64_t, Entry> all_;
  uint64_t last_ = 0;
};

// What gRPC says of handshakes that failed and the like, into our log: once a second at most, since strangers can cause it. With
// GRPC_VERBOSITY set it goes where gRPC writes.
void take_log_over() {
  if (std::getenv("GRPC_VERBOSITY") != nullptr) return;
  gpr_set_log_function([](gpr_log_func_args* said) {
    if (said->severity != GPR_LOG_SEVERITY_ERROR) return;
    static std::mutex mutex;
    static std::chrono::steady_clock::time_point next;
    static uint64_t skipped = 0;
    std::lock_guard lock(mutex);
    auto now = std::chrono::steady_clock::now();
    if (now < next) {
      ++skipped;
      return;
    }
    next = now + std::chrono::seconds(1);
    spdlog::warn("control channel: {}{}", said->message, skipped > 0 ? " (and " + std::to_string(skipped) + " more)" : "");
    skipped = 0;
  });
}

// gRPC's C++ side has no credentials that ask for the certificate at each handshake; its C side has.
class AskingCredentials final : public grpc::ServerCredentials {
 public:
  explicit AskingCredentials(uint64_t id) : id_(id) {}
  void SetAuthMetadataProcessor(const std::shared_ptr<grpc::AuthMetadataProcessor>&) override {}

 private:
  int AddPortToServer(const std::string& address, grpc_server* server) override {
    auto fetch = [](void* id, grpc_ssl_server_certificate_config** config) {
      return Certificates::instance().fetch(reinterpret_cast<uintptr_t>(id), config);
    };
    grpc_server_credentials* credentials =
        grpc_ssl_server_credentials_create_with_options(grpc_ssl_server_credentials_create_options_using_config_fetcher(
            GRPC_SSL_REQUEST_CLIENT_CERTIFICATE_AND_VERIFY, fetch, reinterpret_cast<void*>(static_cast<uintptr_t>(id_))));
    int port = grpc_server_add_http2_port(server, address.c_str(), credentials);
    grpc_server_credentials_release(credentials);
    return port;
  }

  const uint64_t id_;
};

}  // namespace

class GrpcListener::Impl {
 public:
  ~Impl() { stop(); }

  absl::Status start(const std::string& host, int port, const std::vector<grpc::Service*>& services, std::optional<ControlTls> tls) {
    take_log_over();
    grpc::EnableDefaultHealthCheckService(true);
    grpc::ServerBuilder builder;
    // A second process must not share the port silently.
    builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
    builder.SetMaxReceiveMessageSize(kMessageBytesMax);
    builder.SetMaxSendMessageSize(kMessageBytesMax);
    grpc::ResourceQuota quota("controlplane");
    quota.SetMaxThreads(kThreadsMax);
    builder.SetResourceQuota(quota);
    std::string address = host + ":" + std::to_string(port);
    std::shared_ptr<grpc::ServerCredentials> credentials = grpc::InsecureServerCredentials();
    if (tls) {
      certificates_ = Certificates::instance().add(*std::move(tls));
      credentials = std::make_shared<AskingCredentials>(certificates_);
    }
    builder.AddListeningPort(address, credentials, &port_);
    for (grpc::Service* service : services) builder.RegisterService(service);
    server_ = builder.BuildAndStart();
    if (server_ && port_ != 0) return absl::OkStatus();
    server_.reset();
    return unavailable("cannot listen on " + address + ": is the port in use? Another may be given with --listen");
  }

  void stop() {
    if (server_) {
      server_->Shutdown(std::chrono::system_clock::now() + kStopWithin);
      server_->Wait();
      server_.reset();
    }
    Certificates::instance().remove(certificates_);
  }

  int port() const { return port_; }

 private:
  std::unique_ptr<grpc::Server> server_;
  int port_ = 0;
  uint64_t certificates_ = 0;
};

absl::StatusOr<std::unique_ptr<GrpcListener>> GrpcListener::start(const std::string& host, int port,
                                                                  std::vector<grpc::Service*> services,
                                                                  std::optional<ControlTls> tls) {
  auto impl = std::make_unique<Impl>();
  GW_RETURN_IF_ERROR(impl->start(host, port, services, std::move(tls)));
  return std::unique_ptr<GrpcListener>(new GrpcListener(std::move(impl)));
}

GrpcListener::GrpcListener(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
GrpcListener::~GrpcListener() { stop(); }
int GrpcListener::port() const { return impl_->port(); }
void GrpcListener::stop() { impl_->stop(); }

}  // namespace gw
