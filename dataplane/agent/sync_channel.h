// The control channel as the agent sees it: plain values in and out. The gRPC one is grpc_channels.h.
#pragma once

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "gw/v1/config_sync.pb.h"

namespace gw {

// Called from the channel's own threads, never from within a call to the channel.
class SyncEvents {
 public:
  virtual ~SyncEvents() = default;
  // May wait until the agent has room for it: what holds up the sender's flow.
  virtual void on_message(v1::ToNode message) = 0;
  // Once after each successful open(): the stream ended. kUnauthenticated: the token was refused.
  virtual void on_closed(absl::Status status) = 0;
};

// One stream at a time. Called from the agent's thread.
class SyncChannel {
 public:
  virtual ~SyncChannel() = default;
  // Trades a join token for a node token, and for a certificate if `signing_request` is not empty; shows no certificate. Blocks, at
  // most 10 s. kUnauthenticated: the join token was refused.
  virtual absl::StatusOr<v1::JoinResponse> join(const std::string& join_token, const std::string& node, const std::string& signing_request) = 0;
  // A certificate in place of the one in force. Blocks, at most 3 s: the lease is longer. Errors as of join().
  virtual absl::StatusOr<v1::RenewResponse> renew(const std::string& node_token, const std::string& signing_request) = 0;
  // Starts a stream; whether it reaches anyone is seen by what `events` is told. REQUIRES: none is open.
  virtual void open(const std::string& node_token, SyncEvents& events) = 0;
  // Queues a message; false when the stream is gone or takes no more (its end is reported by on_closed).
  virtual bool send(const v1::FromNode& message) = 0;
  // Ends the stream; returns when no event will come any more.
  virtual void close() = 0;
  // Makes a join() or renew() under way return soon; for good. Any thread.
  virtual void cancel() = 0;
};

}  // namespace gw
