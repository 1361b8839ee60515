// By what a node knows its control plane, and the control plane the node: CA, certificate and key;
// and the files that these come from. Times are Unix seconds; certificates and keys PEM.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace gw {

struct ControlIdentity {
  std::string ca;                // empty: the control channel is plain text
  std::string certificate, key;  // empty: there is none
  std::string serial;
  int64_t not_before = 0, not_after = 0;

  friend bool operator==(const ControlIdentity&, const ControlIdentity&) = default;
};

// The one in force: the agent sets it, both channels dial by it. Owner: the Node, shared with the
// channels. Thread-safe.
class IdentityHolder {
 public:
  struct Current {
    uint64_t number = 0;  // rises with each change
    std::shared_ptr<const ControlIdentity> identity = std::make_shared<ControlIdentity>();
  };
  Current current() const;
  // The same again changes nothing.
  void set(ControlIdentity identity);

 private:
  mutable std::mutex mutex_;
  Current current_;
};

// `node.pem` in the state directory (0600): key, certificate and CA, so that they change in one
// step. kNotFound: there is none; kInvalidArgument: not what was written.
std::string identity_path(const std::string& state_dir);
absl::StatusOr<ControlIdentity> read_identity(const std::string& state_dir);
absl::Status write_identity(const std::string& state_dir, const ControlIdentity& identity);
// The certificate's own facts filled in. kInvalidArgument: it does not belong to the key, or was
// not issued by the CA.
absl::StatusOr<ControlIdentity> make_identity(std::string key, std::string certificate,
                                              std::string ca);

// What `gwctl node join-token` gave: the token on the first line, and where the control channel is
// TLS the CA's certificate behind it. Errors as of read_token_file().
struct JoinFile {
  std::string token;
  std::string ca;
};
absl::StatusOr<JoinFile> read_join_file(const std::string& path);
// CA certificates. kInvalidArgument: it holds none, or something else.
absl::StatusOr<std::string> read_ca_file(const std::string& path);

// Whether `control` (host:port) is this machine: there the control channel may be plain text.
bool is_loopback_control(std::string_view control);

}  // namespace gw
