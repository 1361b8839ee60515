// The control plane's own CA at work: it issues the certificates of nodes, and the control plane's
// own. Its key lies in the database, sealed under the master key. Owner: the Server. Thread-safe.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/clock.h"
#include "common/crypto/issuing.h"
#include "controlplane/store/authority.h"
#include "controlplane/store/database.h"
#include "controlplane/store/master_key.h"

namespace gw {

class Authority {
 public:
  static constexpr int64_t kLastsS = 3653 * int64_t{86'400};
  // What clients check begins so long ago: clocks differ. Those of nodes are checked here alone,
  // and their time is counted from their beginning: they begin a tenth of their time ago, a minute
  // at most.
  static constexpr int64_t kBackdateS = 300;
  static constexpr int64_t kNodeBackdateMaxS = 60;
  static constexpr int64_t kNodeLifetimeS = 86'400;
  static constexpr int64_t kNodeLifetimeMinS = 2;
  static constexpr int64_t kNodeLifetimeMaxS = 90 * int64_t{86'400};

  // The one of the database; made when there is none.
  static absl::StatusOr<std::unique_ptr<Authority>> open(Database& db, const MasterKey& key,
                                                         const Clock& clock,
                                                         int64_t node_lifetime_s = kNodeLifetimeS);

  // PEM.
  const std::string& ca() const { return pair_.certificate; }
  // With the row for the store. INVALID_ARGUMENT: the request is none, or its key is not taken.
  struct Issued {
    std::string certificate;
    NodeCertificateRow row;
  };
  absl::StatusOr<Issued> issue_node(const std::string& node,
                                    std::string_view signing_request) const;
  // For a key that stays in this process. `names`: hosts and addresses, the first is the subject.
  absl::StatusOr<CaPair> issue_server(const std::vector<std::string>& names,
                                      int64_t lifetime_s) const;

  // How a node's name stands in its certificate.
  static std::string uri_of(std::string_view node) {
    return "urn:northgate:node:" + std::string(node);
  }

 private:
  Authority(CaPair pair, const Clock& clock, int64_t node_lifetime_s)
      : pair_(std::move(pair)), clock_(clock), node_lifetime_s_(node_lifetime_s) {}
  int64_t now_s() const { return clock_.wall_ns() / 1'000'000'000; }

  const CaPair pair_;
  const Clock& clock_;
  const int64_t node_lifetime_s_;
};

// The certificate that the control plane shows. A new one, with a new key, takes its place when two
// thirds of its time are over; connections that began with the one before go on.
class ServerCertificate {
 public:
  static constexpr int64_t kLifetimeS = 7 * int64_t{86'400};
  static constexpr size_t kNamesMax = 90;

  // INVALID_ARGUMENT: a name that no host can have. `authority` and `clock` outlive this.
  static absl::StatusOr<std::unique_ptr<ServerCertificate>> make(const Authority& authority,
                                                                 std::vector<std::string> names,
                                                                 const Clock& clock);

  struct Current {
    uint64_t number = 0;  // another one for another certificate
    CaPair pair;
  };
  // Cheap while it is not time for another.
  Current current();

 private:
  ServerCertificate(const Authority& authority, std::vector<std::string> names, const Clock& clock)
      : authority_(authority), names_(std::move(names)), clock_(clock) {}
  absl::Status renew();

  const Authority& authority_;
  const std::vector<std::string> names_;
  const Clock& clock_;
  std::mutex mutex_;
  Current current_;
  int64_t renew_at_ = 0;  // Unix seconds
};

}  // namespace gw
