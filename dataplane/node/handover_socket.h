// Messages of a hand-over, with descriptors beside, on a Unix socket.
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "dataplane/node/handover_message.h"

namespace gw {

struct ReceivedMessage {
  HandoverMessage message;
  std::vector<int> fds;  // the receiver's from here on
};

absl::Status send_message(int socket, const HandoverMessage& message, const std::vector<int>& fds = {});
// Waits for at most `timeout_ms` (kDeadlineExceeded), or until `stop` can be read (kCancelled; -1: nothing stops it).
// kUnavailable: the other side is gone. A message that is not understood, or whose descriptors are not those of its items, is an
// error, and its descriptors are closed.
absl::StatusOr<ReceivedMessage> receive_message(int socket, int timeout_ms, int stop = -1);
void close_all(const std::vector<int>& fds);

// Where the process that runs in a state directory listens; an error if the path is too long for a Unix socket.
absl::StatusOr<int> connect_handover(const std::string& state_dir);
// A socket that listens there, put in place of whatever was there by one rename.
absl::StatusOr<int> listen_handover(const std::string& state_dir);

}  // namespace gw
