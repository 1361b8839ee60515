// The gRPC server with its port, and the health service. Its .cc includes gRPC; users see none of it.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace grpc {
class Service;
}

namespace gw {

// TLS 1.2 and 1.3. A client may show a certificate; one that the CA did not issue, or that is not in force, ends the connection.
struct ControlTls {
  struct Pair {
    uint64_t number = 0;  // another one for another certificate
    std::string certificate, key;  // PEM
  };
  std::string client_ca;  // PEM
  // Asked at each handshake, from gRPC's threads, until stop() has returned.
  std::function<Pair()> pair;
};

class GrpcListener {
 public:
  // Largest request (an apply of tens of thousands of objects) and answer.
  static constexpr int kMessageBytesMax = 256 << 20;
  // Threads that serve the admin API at once; calls beyond wait.
  static constexpr int kThreadsMax = 64;

  // `host` as in host:port (IPv6 in brackets); `port` 0: the kernel chooses. `services` outlive this. UNAVAILABLE: the port is
  // in use. Without `tls`: plain text.
  static absl::StatusOr<std::unique_ptr<GrpcListener>> start(const std::string& host, int port, std::vector<grpc::Service*> services,
                                                             std::optional<ControlTls> tls = std::nullopt);
  ~GrpcListener();
  int port() const;
  // No call is running when it returns; streams are ended after a short while.
  void stop();

 private:
  class Impl;
  explicit GrpcListener(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace gw
