// Names of upstream targets to addresses, through the system's resolver on libuv's thread pool. One per worker; answers
// are kept for kTtlMs, and an old answer is served while a new one cannot be had. Loop's thread.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "common/http/address.h"
#include "dataplane/loop/loop.h"

namespace gw {

class Resolver {
 public:
  static constexpr int64_t kTtlMs = 10'000;
  static constexpr int64_t kRetryMs = 1'000;  // after a failure

  explicit Resolver(Loop& loop) : loop_(loop) {}

  // Called after each answer, good or bad.
  void on_answer(std::function<void(const std::string& host)> listener) { listener_ = std::move(listener); }
  // Addresses known now (perhaps none); starts a look-up when they are missing or old. Valid until the next turn.
  const std::vector<IpAddress>& lookup(const std::string& host);
  // The same without starting anything.
  const std::vector<IpAddress>& known(const std::string& host) { return entries_[host].addresses; }

 private:
  struct Entry {
    std::vector<IpAddress> addresses;
    int64_t fresh_until_ms = 0;
    bool asking = false;
  };
  struct Request;

  void ask(const std::string& host);
  void answered(const std::string& host, int status, const addrinfo* list);

  Loop& loop_;
  std::function<void(const std::string&)> listener_;
  std::unordered_map<std::string, Entry> entries_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace gw
