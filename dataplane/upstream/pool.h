// One worker's connections to all upstreams: picks a target (smooth weighted round robin), reuses an idle connection to it or
// makes a new one. Worker's thread.
//
// State is keyed by the upstream's dense index and survives swaps: targets that stay keep their connections.
#pragma once

#include <netinet/in.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "dataplane/exchange/streams.h"
#include "dataplane/http1/client_session.h"
#include "dataplane/loop/resolver.h"
#include "dataplane/snapshot/config.h"

namespace gw {

class Snapshot;

class UpstreamPool final : private http1::ClientHost {
 public:
  // Per target and worker; beyond it requests are refused with OVERLOAD.
  static constexpr size_t kMaxConnections = 2048;
  static constexpr size_t kMaxIdle = 512;

  UpstreamPool(Loop& loop, Resolver& resolver);
  ~UpstreamPool() override;

  struct Acquired {
    UpstreamStream* stream = nullptr;  // null: `error`
    const void* endpoint = nullptr;    // to avoid on the next try
    ProxyError error;
  };
  // A stream to one of the upstream's targets, not `avoid` where there is another. `fresh`: not an idle connection.
  Acquired acquire(const UpstreamConfig& config, UpstreamEvents& events, Method method, const void* avoid, bool fresh);

  // Targets that the snapshot no longer names lose their idle connections; those in use end after their exchange.
  void configure(const Snapshot& snapshot);
  // Closes everything; exchanges must be gone.
  void close_all();

  size_t connections() const { return live_; }

 private:
  struct Endpoint;
  struct Upstream;

  void session_idle(http1::ClientSession& session) override;
  void session_closed(http1::ClientSession& session) override;
  std::string_view session_target(const http1::ClientSession& session) const override;

  Upstream& state_of(const UpstreamConfig& config);
  void update(Upstream& upstream, const UpstreamConfig& config);
  void retire(Endpoint& endpoint);
  Endpoint* pick(Upstream& upstream, const void* avoid);
  http1::ClientSession& open(Endpoint& endpoint);
  void connect(http1::ClientSession& session, Endpoint& endpoint, int64_t timeout_ms);
  void answered(const std::string& host);
  void resolved(Endpoint& endpoint);
  void bury();

  Loop& loop_;
  Resolver& resolver_;
  std::vector<std::unique_ptr<Upstream>> upstreams_;      // by dense index
  std::vector<std::unique_ptr<Endpoint>> retired_;        // wait for their last connection
  std::vector<http1::ClientSession*> dead_;               // destroyed at the end of the turn
  Deferred bury_task_;
  size_t live_ = 0;
};

}  // namespace gw
