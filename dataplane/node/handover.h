// A new process takes over from the one that runs, without a refused or broken connection: it gets the listening sockets (the
// same, so that what waits in their queues stays), serves, and only then the old one stops accepting and drains. The two meet at
// a Unix socket in the state directory (0600); what they say is in handover_message.h.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "dataplane/node/handover_message.h"
#include "dataplane/node/listeners.h"

namespace gw {

// What the running process lends for a hand-over. The descriptors stay its own.
struct HandoverOffer {
  struct Lent {
    HandoverMessage::Item item;
    int fd = -1;
  };
  std::vector<Lent> descriptors;
  uint64_t config_version = 0;
  uint64_t handovers = 0;
};

// The node that runs, as its HandoverServer asks it. On the server's thread.
class HandoverHost {
 public:
  virtual ~HandoverHost() = default;
  // Stands still: configuration is neither taken nor written until withdraw(). Error: why it cannot be now; nothing has changed.
  virtual absl::StatusOr<HandoverOffer> offer() = 0;
  // The other process did not come so far, for this reason: on as before.
  virtual void withdraw(const std::string& why) = 0;
  // Process `pid` serves: drain.
  virtual void handed_over(int pid) = 0;
};

// Owner: the node; a thread of its own.
class HandoverServer {
 public:
  static constexpr int kMessageMs = 10'000;  // for a message that the other has only to write
  static constexpr int kReadyMs = 120'000;   // for the other to load and serve

  // Listens in `state_dir`, in place of whoever did before. The host outlives this.
  static absl::StatusOr<std::unique_ptr<HandoverServer>> start(const std::string& state_dir, HandoverHost& host);
  // Gives up a hand-over in work.
  ~HandoverServer();

 private:
  class Impl;
  explicit HandoverServer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// The new process's side.
class Takeover {
 public:
  static constexpr size_t kMaxDescriptors = 16'384;

  // Asks the process that runs in `state_dir`, and takes what it gives. Errors name the directory and the cure.
  static absl::StatusOr<std::unique_ptr<Takeover>> ask(const std::string& state_dir, const std::string& who);
  ~Takeover();
  Takeover(const Takeover&) = delete;
  Takeover& operator=(const Takeover&) = delete;

  // Given away once.
  int take_lock();
  std::optional<PassedSocket> take_admin() { return std::exchange(admin_, std::nullopt); }
  std::vector<PassedSocket> take_listeners() { return std::move(listeners_); }
  uint64_t config_version() const { return config_version_; }
  uint64_t handovers() const { return handovers_; }
  int from_pid() const { return from_pid_; }

  // This process serves. OK: the other one has let go, or is gone. Error: it goes on and this one must end.
  absl::Status finish();

 private:
  Takeover() = default;
  absl::Status receive_all();
  absl::Status sort_out(std::vector<HandoverOffer::Lent> got);

  int connection_ = -1;
  int lock_ = -1;
  int from_pid_ = 0;
  std::optional<PassedSocket> admin_;
  std::vector<PassedSocket> listeners_;
  uint64_t config_version_ = 0;
  uint64_t handovers_ = 0;
};

}  // namespace gw
