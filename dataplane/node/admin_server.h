// The node's admin listener: /healthz, /readyz, /metrics and the like, on a loop of its own, so that it answers also when
// the workers are busy. Never carries traffic. Owner: the Node.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <thread>

#include "dataplane/loop/listener.h"

namespace gw {

class AdminServer {
 public:
  struct Page {
    int status = 200;
    std::string content_type = "text/plain; charset=utf-8";
    std::string body;
  };
  // May be called on any thread, once, also when the server is gone.
  using Reply = std::function<void(Page)>;
  // Called on the server's thread for each GET or HEAD; must not block.
  using Handler = std::function<void(std::string_view path, std::string_view query, Reply reply)>;

  // Most connections at once.
  static constexpr size_t kMaxConnections = 64;

  static std::unique_ptr<AdminServer> start(ListenSocket socket, Handler handler);
  ~AdminServer();

  const ListenSocket& socket() const;
  // Accepts no more: another process does, on the same socket. Connections end after their next answer.
  void hand_over();

 private:
  class Impl;
  explicit AdminServer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace gw
