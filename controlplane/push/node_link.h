// One connected node, and what the transport tells of it: the seam between gRPC's reactors and the push.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "controlplane/push/node_tokens.h"
#include "gw/v1/config_sync.pb.h"

namespace gw {

// A serialized ToNode, shared by all nodes that it goes to.
using Frame = std::shared_ptr<const std::string>;

// Any thread. Nothing here blocks.
class NodeLink {
 public:
  virtual ~NodeLink() = default;
  // Most bytes waiting for a node that does not read; what goes beyond ends the link with a message.
  static constexpr size_t kMaxQueuedBytes = size_t{64} << 20;
  // In order. A group of frames is taken whole when the queue is below its limit, so that one large offer always fits.
  virtual void send(std::vector<Frame> frames) = 0;
  // Ends the stream with `status` after what was sent. NodeLinkHandler::closed follows.
  virtual void close(absl::Status status) = 0;
};

// Called from reactors; returns at once.
class NodeLinkHandler {
 public:
  virtual ~NodeLinkHandler() = default;
  using GrantDone = std::function<void(absl::StatusOr<NodeGrant>)>;
  virtual void join(std::string token, v1::JoinRequest request, GrantDone done) = 0;
  virtual void renew(NodeCredentials credentials, v1::RenewRequest request, GrantDone done) = 0;
  virtual void opened(std::shared_ptr<NodeLink> link, NodeCredentials credentials) = 0;
  // `done`: the message has been dealt with, the next may be read. So one message of each node waits at most.
  using Done = std::function<void()>;
  virtual void received(std::shared_ptr<NodeLink> link, v1::FromNode message, Done done) = 0;
  // Once per opened link; nothing comes after it.
  virtual void closed(std::shared_ptr<NodeLink> link) = 0;
};

}  // namespace gw
