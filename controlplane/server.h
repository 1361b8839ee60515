// The control plane in one object: store, engine, admin API, push and telemetry behind one listening port. gw-controlplane
// runs one; the end-to-end tests run it in their own process, on port 0.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/clock.h"

namespace gw {

struct ServerOptions {
  std::string state_dir;
  // Beyond loopback the control channel is TLS, whatever `tls` says.
  std::string address = "127.0.0.1";
  int port = 0;  // 0: the kernel chooses
  int64_t lease_ms = 10'000;
  bool tls = false;
  std::vector<std::string> names;  // hosts and addresses that clients may call it by, beside the address and localhost
  int64_t node_certificate_lifetime_s = 86'400;
  std::string master_key_file;  // empty: master.key in the state directory
  int64_t ticket_key_period_s = 8 * 3600;  // how often keys of session tickets change
  const Clock* clock = &SystemClock::instance();
};

class Server {
 public:
  // Listening when it returns. NOT_FOUND (no database: init_state), UNAVAILABLE (state or port in use), DATA_LOSS (damaged),
  // FAILED_PRECONDITION (a newer program's database, or secrets under a master key that is not in its file), PERMISSION_DENIED
  // (the master key's file), INVALID_ARGUMENT (the address).
  static absl::StatusOr<std::unique_ptr<Server>> start(const ServerOptions& options);
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  int port() const;
  // "127.0.0.1:4321"
  std::string address() const;
  // Ends calls, tells the nodes, writes what is waiting. Once; also by the destructor.
  void stop();

 private:
  class Impl;
  explicit Server(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// Makes the database of a new control plane, its master key, its CA and its first admin token. ALREADY_EXISTS when there is one.
// The token is returned; `state_dir`/admin.token holds it too (mode 0600). `master_key_file` as in ServerOptions.
absl::StatusOr<std::string> init_state(const std::string& state_dir, const Clock& clock = SystemClock::instance(),
                                       const std::string& master_key_file = "");

}  // namespace gw
