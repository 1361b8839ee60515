// The push without its threads (push_core.cc versions, push_nodes.cc nodes, push_certificates.cc who holds which certificates): sessions, groups, activation and watchers, driven by events. All on one thread.
//
// received() before admitted(): kept (one message) until the token has been checked.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "controlplane/push/activation.h"
#include "controlplane/push/config_push.h"
#include "controlplane/push/groups.h"
#include "controlplane/push/node_session.h"
#include "controlplane/push/offer_cache.h"

namespace gw {

class PushCore {
 public:
  PushCore(const ConfigPushOptions& options, RolloutLog& log);

  void restore(Publication active);
  void expect(const std::string& node);  // known, and may hold a lease from before
  void know(const std::string& node);    // has joined
  void publish(Publication publication);
  void tick();

  void opened(std::shared_ptr<NodeLink> link);
  void admitted(const std::shared_ptr<NodeLink>& link, absl::StatusOr<NodeIdentity> node);
  void received(const std::shared_ptr<NodeLink>& link, v1::FromNode message, std::function<void()> done);
  void closed(const std::shared_ptr<NodeLink>& link);
  void end_node(const std::string& node, const absl::Status& why);
  void close_all(const absl::Status& why);

  std::optional<v1::RolloutStatus> status(uint64_t version) const;
  uint64_t watch(const RolloutWatch& what, Rollouts::Fn fn);
  void unwatch(uint64_t id) { watches_.erase(id); }
  RolloutHeads heads() const;
  std::vector<v1::NodeInfo> nodes() const;
  std::vector<CertificateHolder> certificate_holders() const;
  int leased() const { return static_cast<int>(activation_.leased()); }
  std::vector<LackingNode> lacking(const EntryTable& entries) const;

 private:
  // A connection that is not a node's yet, or no longer.
  struct Guest {
    std::shared_ptr<NodeLink> link;
    NodeIdentity identity;  // that its token belongs to; no name: not checked yet
    std::optional<v1::FromNode> first;
    std::function<void()> done;  // of `first`
  };
  struct Watch {
    RolloutWatch what;
    Rollouts::Fn fn;
    std::string last;  // serialized, as told
    int64_t began_ms = 0;
    std::set<std::string> asked;  // streams that the store numbers: every node that held a lease meanwhile
  };

  int64_t now_ms() const { return options_.clock->mono_ns() / 1'000'000; }
  int64_t wall_ms() const { return options_.clock->wall_ns() / 1'000'000; }

  void publish_config(Publication publication);
  void publish_whole(VersionedSet& set, const Publication& publication);
  void publish_certificates(const Publication& publication);
  std::set<EntryKey> needed_by(const NodeSession& node) const;
  EntryTable certificates_of(const std::set<EntryKey>& needed) const;
  void assign_certificates(NodeSession& node);
  void publish_quota(const Publication& publication);
  void share_changed();
  void advance_quota(const std::vector<EntryPtr>& upserts, const std::vector<EntryKey>& removals);
  void feed_groups(uint64_t version);
  void run(const ActivationSteps& steps);
  void offer_config(NodeSession& node, const ActivationStep& step);
  void offer_stream(NodeSession& node, v1::Stream stream, bool whole);
  const VersionedSet& set_of(const NodeSession& node, v1::Stream stream) const;
  static StreamProgress* progress_of(NodeSession& node, v1::Stream stream);
  static const StreamProgress* progress_of(const NodeSession& node, v1::Stream stream) { return progress_of(const_cast<NodeSession&>(node), stream); }
  // Older nodes do not know the newer streams: they are neither offered them nor waited for.
  static bool speaks(const NodeSession& node, v1::Stream stream);
  void send(NodeSession& node, const v1::ToNode& message);

  void hello(Guest guest, const v1::Hello& hello);
  void greet(NodeSession& node);
  void take_positions(NodeSession& node, const v1::Hello& hello);
  void message(NodeSession& node, const v1::FromNode& message);
  void ack(NodeSession& node, const v1::Ack& ack);
  void stream_ack(NodeSession& node, const v1::Ack& ack);
  void note_state(const NodeSession& node, const v1::Ack& ack);
  void end_link(NodeSession& node, absl::Status why);
  void end_lease(NodeSession& node);
  NodeSession* node_of(const NodeLink* link);

  v1::RolloutStatus watched_status(Watch& watch) const;
  v1::RolloutStatus stream_status(Watch& watch, v1::Stream stream, uint64_t latest, uint64_t version) const;
  void tell_watches();

  const ConfigPushOptions options_;
  RolloutLog& log_;
  Activation activation_;
  Groups groups_;
  VersionedSet directory_, quota_, switches_, endpoints_, tickets_;
  // All of them, and who needs which by the newest configuration and by the active one.
  std::shared_ptr<const EntryTable> certificates_ = std::make_shared<EntryTable>();
  uint64_t certificates_version_ = 0;
  std::shared_ptr<const CertificateNeeds> needs_latest_, needs_active_;
  OfferCache cache_;
  std::deque<Publication> unfed_;  // config versions that no group has yet: they wait behind the pending one
  struct Needs {
    uint64_t directory = 0, certificates = 0;
    std::shared_ptr<const CertificateNeeds> of;
  };
  std::map<uint64_t, Needs> needs_;  // of config versions that may still be offered
  std::map<std::string, NodeSession> nodes_;
  std::map<const NodeLink*, Guest> guests_;
  std::map<const NodeLink*, std::string> links_;  // of nodes
  std::map<uint64_t, Watch> watches_;
  uint64_t next_watch_ = 1;
  uint32_t share_ = 0;  // active nodes as last published
};

}  // namespace gw
