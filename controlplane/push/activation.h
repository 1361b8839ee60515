// The two-step state machine: which config version each node is offered, when one becomes active, and what is told of it.
//
// A version is offered to every node that holds a lease; when all have built it, it is activated on all; when one refuses
// it, it is activated on none. Nodes that are lost are not waited for beyond their lease. A node that joins is brought to
// the active version, then offered the pending one.
//
// One version is on its way at a time. A newer one waits for its verdict, but at most `overtake_ms` (doubled each time that
// happens in a row): then the older one is superseded. Of several that wait only the newest is ever offered. So a stream of
// changes faster than the nodes build still gets somewhere, and a change is not held up by a slow one for long.
//
// Pure: driven by events, returns what to do, knows neither bytes nor connections. One thread.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "gw/v1/admin.pb.h"
#include "gw/v1/config_sync.pb.h"

namespace gw {

enum class RolloutPhase : uint8_t { kOffered, kActivating, kActive, kRefused, kSuperseded, kNoNodes };
// offered, activating, active, refused, superseded, no-nodes
std::string phase_name(RolloutPhase phase);

// What to do, in this order.
struct ActivationStep {
  enum class Kind : uint8_t {
    kOffer,     // to `node`: `version`, activated as soon as built if `activate`; the whole set if `whole`
    kActivate,  // to `node`
    kAbort,     // to `node`, with `why`
    kSettled,   // `version` is the active one from here on: the base of what comes
    kPhase,     // `version` is in `phase`
  };
  Kind kind;
  std::string node;
  uint64_t version = 0;
  bool activate = false;
  bool whole = false;
  RolloutPhase phase = RolloutPhase::kOffered;
  std::string why;
};
using ActivationSteps = std::vector<ActivationStep>;

class Activation {
 public:
  struct Options {
    int64_t overtake_ms = 1'000;
    int64_t retry_ms = 5'000;  // a node that refused to be brought to the active version is asked again
    size_t versions_kept = 256;
  };
  explicit Activation(Options options) : options_(options) {}

  // What was active when the control plane last ran. REQUIRES: nothing was published yet.
  void restore(uint64_t active, int64_t now_ms);

  // Events. `now_ms` is monotonic.
  ActivationSteps published(uint64_t version, int64_t now_ms);
  // A node that may hold a lease from before, and is waited for until its lease ends.
  void expected(const std::string& node);
  // Connected, holding `version` (0: nothing, or nothing of this lineage).
  ActivationSteps joined(const std::string& node, uint64_t version, int64_t now_ms);
  // The connection ended; the lease goes on.
  void disconnected(const std::string& node);
  // The lease ended, or the node said goodbye.
  ActivationSteps lost(const std::string& node, int64_t now_ms);
  ActivationSteps acknowledged(const std::string& node, const v1::Ack& ack, int64_t now_ms);
  ActivationSteps tick(int64_t now_ms);
  // The node is no longer known: forgotten everywhere. REQUIRES: it holds no lease.
  void forget(const std::string& node);

  uint64_t latest() const { return latest_; }
  uint64_t active() const { return active_; }
  uint64_t pending() const { return pending_; }
  uint64_t target() const { return pending_ != 0 ? pending_ : active_; }
  // Nodes with a lease.
  size_t leased() const;
  bool knows(uint64_t version) const { return versions_.count(version) > 0; }
  RolloutPhase phase(uint64_t version) const;  // REQUIRES: knows(version)
  // Phase, nodes (name, state, connected, diagnostics, build time), seconds, superseded_by. REQUIRES: knows(version)
  v1::RolloutStatus status(uint64_t version, int64_t now_ms) const;
  // Whether nothing more will happen that `until` waits for. REQUIRES: knows(version)
  bool settled(uint64_t version, v1::WatchRolloutRequest::Until until) const;

 private:
  struct Node {
    bool connected = false;
    bool leased = false;
    uint64_t holds = 0;    // active there once it has read what was sent
    uint64_t offered = 0;  // newest offer sent that waits for Activate
    uint64_t built = 0;    // newest offer that it built
    uint64_t whole = 0;    // version that was sent whole after a mismatch
    int64_t retry_at_ms = 0;  // the active version was refused: when to offer it again; 0: it was not
    // Highest versions so acknowledged.
    uint64_t active = 0, persisted = 0, drained = 0;
  };
  struct NodeAnswer {
    bool received = false, built = false, refused = false, active = false, persisted = false, drained = false;
    std::vector<v1::Diagnostic> diagnostics;
    int64_t build_micros = 0;
  };
  struct Version {
    RolloutPhase phase = RolloutPhase::kOffered;
    uint64_t superseded_by = 0;
    int64_t since_ms = 0;    // published
    int64_t settled_ms = 0;  // last phase
    std::map<std::string, NodeAnswer> answers;
  };

  int64_t patience_ms() const { return options_.overtake_ms << overtaken_in_row_; }
  void begin(uint64_t version, int64_t now_ms, ActivationSteps& out);
  void begin_waiting(int64_t now_ms, ActivationSteps& out);
  void supersede(uint64_t version, uint64_t by, int64_t now_ms, ActivationSteps& out);
  void set_phase(uint64_t version, RolloutPhase phase, int64_t now_ms, ActivationSteps& out);
  void offer(const std::string& name, Node& node, uint64_t version, bool activate, ActivationSteps& out);
  void catch_up(const std::string& name, Node& node, ActivationSteps& out);
  void check(int64_t now_ms, ActivationSteps& out);
  void check_active(int64_t now_ms, ActivationSteps& out);
  void refused(const std::string& name, uint64_t version, int64_t now_ms, ActivationSteps& out);
  void mismatch(const std::string& name, Node& node, const v1::Ack& ack, int64_t now_ms, ActivationSteps& out);
  void trim();
  static v1::NodeState shown(const NodeAnswer& answer);

  const Options options_;
  std::map<std::string, Node> nodes_;
  std::map<uint64_t, Version> versions_;
  uint64_t latest_ = 0;
  uint64_t active_ = 0;
  uint64_t pending_ = 0;        // on its way, or 0
  int64_t pending_since_ms_ = 0;
  uint64_t waiting_ = 0;        // next, or 0
  int overtaken_in_row_ = 0;    // at most 4
  uint64_t announced_ = 0;      // newest version that reached phase active
};

}  // namespace gw
