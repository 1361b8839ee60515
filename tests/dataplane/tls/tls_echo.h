// A loop on a thread of its own that accepts TLS connections and sends back what comes, by TcpStream and TlsFilter alone.
#pragma once

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "dataplane/loop/listener.h"
#include "dataplane/loop/loop.h"
#include "dataplane/tls/server_context.h"
#include "dataplane/tls/tls_filter.h"

namespace gw::test {

class TlsEcho {
 public:
  using Open = std::function<std::unique_ptr<TlsFilter>(Loop& loop)>;
  explicit TlsEcho(Open open);
  // With a context's certificates; `tickets`: may be null.
  explicit TlsEcho(std::shared_ptr<const TlsServerContext> context, std::shared_ptr<const TicketKeys> tickets = nullptr);
  ~TlsEcho();

  uint16_t port() const { return socket_->port(); }

  struct Ended {
    bool ready = false;
    TlsFilter::Failure failure = TlsFilter::Failure::kNone;
    std::string why;
    int error = 0;  // of on_read_end: 0: in due form
    bool http2 = false, resumed = false;
    std::shared_ptr<const TlsInfo> info;
    size_t early = 0;  // bytes that may have been a replay when they came
  };
  // Waits for the `count`th connection to end, counted from 1.
  Ended ended(size_t count);
  // Of the newest handshake that was done; waits for it.
  std::shared_ptr<const TlsInfo> info();

 private:
  struct One;
  void start();

  Open open_;
  Loop loop_;
  std::unique_ptr<ListenSocket> socket_;
  std::unique_ptr<Listener> listener_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<Ended> ended_;
  std::shared_ptr<const TlsInfo> info_;
  std::vector<std::unique_ptr<One>> connections_;
  std::thread thread_;
};

}  // namespace gw::test
