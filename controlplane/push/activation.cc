#include "controlplane/push/activation.h"

#include <algorithm>

namespace gw {

std::string phase_name(RolloutPhase phase) {
  switch (phase) {
    case RolloutPhase::kOffered: return "offered";
    case RolloutPhase::kActivating: return "activating";
    case RolloutPhase::kActive: return "active";
    case RolloutPhase::kRefused: return "refused";
    case RolloutPhase::kSuperseded: return "superseded";
    case RolloutPhase::kNoNodes: return "no-nodes";
  }
  return {};
}

void Activation::restore(uint64_t active, int64_t now_ms) {
  latest_ = active_ = announced_ = active;
  Version& v = versions_[active];
  v.phase = RolloutPhase::kActive;
  v.since_ms = v.settled_ms = now_ms;
}

size_t Activation::leased() const {
  return static_cast<size_t>(std::count_if(nodes_.begin(), nodes_.end(), [](const auto& n) { return n.second.leased; }));
}

RolloutPhase Activation::phase(uint64_t version) const { return versions_.at(version).phase; }

void Activation::set_phase(uint64_t version, RolloutPhase phase, int64_t now_ms, ActivationSteps& out) {
  Version& v = versions_[version];
  v.phase = phase;
  v.settled_ms = now_ms;
  out.push_back({.kind = ActivationStep::Kind::kPhase, .version = version, .phase = phase});
}

void Activation::supersede(uint64_t version, uint64_t by, int64_t now_ms, ActivationSteps& out) {
  versions_[version].superseded_by = by;
  set_phase(version, RolloutPhase::kSuperseded, now_ms, out);
}

ActivationSteps Activation::published(uint64_t version, int64_t now_ms) {
  ActivationSteps out;
  latest_ = version;
  Version& v = versions_[version];
  v.since_ms = v.settled_ms = now_ms;
  trim();
  bool under_way = pending_ != 0 && versions_[pending_].phase == RolloutPhase::kOffered;
  if (under_way && now_ms - pending_since_ms_ < patience_ms()) {
    if (waiting_ != 0) supersede(waiting_, version, now_ms, out);
    waiting_ = version;
    set_phase(version, RolloutPhase::kOffered, now_ms, out);
    return out;
  }
  if (waiting_ != 0) supersede(waiting_, version, now_ms, out);
  waiting_ = 0;
  if (pending_ != 0) supersede(pending_, version, now_ms, out);
  if (under_way) overtaken_in_row_ = std::min(overtaken_in_row_ + 1, 4);
  begin(version, now_ms, out);
  return out;
}

void Activation::begin(uint64_t version, int64_t now_ms, ActivationSteps& out) {
  pending_ = version;
  pending_since_ms_ = now_ms;
  for (const auto& [name, node] : nodes_) versions_[version].answers[name];  // who is lost is named too
  if (leased() == 0) {
    set_phase(version, RolloutPhase::kNoNodes, now_ms, out);
    return;
  }
  set_phase(version, RolloutPhase::kOffered, now_ms, out);
  for (auto& [name, node] : nodes_) {
    if (node.connected) offer(name, node, version, false, out);
  }
}

void Activation::begin_waiting(int64_t now_ms, ActivationSteps& out) {
  if (waiting_ == 0) return;
  uint64_t next = std::exchange(waiting_, 0);
  begin(next, now_ms, out);
}

void Activation::offer(const std::string& name, Node& node, uint64_t version, bool activate, ActivationSteps& out) {
  out.push_back({.kind = ActivationStep::Kind::kOffer, .node = name, .version = version, .activate = activate});
  if (activate) {
    node.holds = version;
  } else {
    node.offered = version;
    // Forget what an earlier connection said: the node must say it again.
    NodeAnswer& answer = versions_[version].answers[name];
    answer = NodeAnswer{};
  }
}

void Activation::expected(const std::string& node) { nodes_[node].leased = true; }

ActivationSteps Activation::joined(const std::string& name, uint64_t version, int64_t now_ms) {
  ActivationSteps out;
  Node& node = nodes_[name];
  node.connected = node.leased = true;
  node.holds = version;
  node.offered = node.built = node.whole = 0;
  node.retry_at_ms = 0;
  node.active = version;
  node.persisted = std::min(node.persisted, version);
  node.drained = std::min(node.drained, version);
  if (pending_ != 0 && version == pending_) {
    // Activated by an earlier life of this control plane, which then could not note it: the verdict was reached.
    node.offered = node.built = version;
    NodeAnswer& answer = versions_[version].answers[name];
    answer.received = answer.built = answer.active = true;
  } else {
    catch_up(name, node, out);
    if (pending_ != 0) offer(name, node, pending_, false, out);
  }
  if (pending_ != 0 && versions_[pending_].phase == RolloutPhase::kNoNodes) {
    pending_since_ms_ = now_ms;
    set_phase(pending_, RolloutPhase::kOffered, now_ms, out);
  }
  check(now_ms, out);
  return out;
}

// Never back, while something newer is on its way: a node may be ahead of what an earlier life of this control plane noted.
void Activation::catch_up(const std::string& name, Node& node, ActivationSteps& out) {
  if (active_ == 0) return;
  if (node.holds == active_) {
    NodeAnswer& answer = versions_[active_].answers[name];
    answer.received = answer.built = answer.active = true;
    return;
  }
  if (node.holds > active_ && pending_ > node.holds) return;
  offer(name, node, active_, true, out);
}

void Activation::disconnected(const std::string& name) {
  auto at = nodes_.find(name);
  if (at != nodes_.end()) at->second.connected = false;
}

ActivationSteps Activation::lost(const std::string& name, int64_t now_ms) {
  ActivationSteps out;
  auto at = nodes_.find(name);
  if (at == nodes_.end() || !at->second.leased) return out;
  at->second.connected = at->second.leased = false;
  check(now_ms, out);
  check_active(now_ms, out);
  return out;
}

void Activation::forget(const std::string& name) {
  auto at = nodes_.find(name);
  if (at == nodes_.end() || at->second.leased) return;
  nodes_.erase(at);
  for (auto& [number, version] : versions_) version.answers.erase(name);
}

ActivationSteps Activation::acknowledged(const std::string& name, const v1::Ack& ack, int64_t now_ms) {
  ActivationSteps out;
  auto at = nodes_.find(name);
  auto version = versions_.find(ack.version());
  if (at == nodes_.end() || version == versions_.end()) return out;
  Node& node = at->second;
  NodeAnswer& answer = version->second.answers[name];
  switch (ack.state()) {
    case v1::RECEIVED:
      answer.received = true;
      break;
    case v1::BUILT:
      answer.received = answer.built = true;
      answer.refused = false;
      answer.build_micros = ack.build_micros();
      node.built = std::max(node.built, ack.version());
      check(now_ms, out);
      break;
    case v1::REFUSED:
      answer.refused = true;
      answer.diagnostics.assign(ack.diagnostics().begin(), ack.diagnostics().end());
      for (v1::Diagnostic& d : answer.diagnostics) d.set_node(name);
      // It still holds what it had; the next delta must start from there, or, since that is not known here, from nothing.
      if (node.holds == ack.version()) node.holds = 0;
      if (ack.version() == active_) node.retry_at_ms = now_ms + options_.retry_ms;
      refused(name, ack.version(), now_ms, out);
      check_active(now_ms, out);
      break;
    case v1::ACTIVE:
      answer.received = answer.built = answer.active = true;
      answer.refused = false;
      if (ack.build_micros() > 0) answer.build_micros = ack.build_micros();
      node.active = std::max(node.active, ack.version());
      check_active(now_ms, out);
      break;
    case v1::PERSISTED:
      answer.persisted = true;
      node.persisted = std::max(node.persisted, ack.version());
      break;
    case v1::DRAINED:
      answer.drained = true;
      node.drained = std::max(node.drained, ack.version());
      break;
    case v1::MISMATCH:
      mismatch(name, node, ack, now_ms, out);
      break;
    default:
      break;
  }
  return out;
}

void Activation::refused(const std::string& name, uint64_t version, int64_t now_ms, ActivationSteps& out) {
  if (version != pending_) return;  // an old offer, or a node that could not be caught up: it says so in its state
  for (auto& [other, node] : nodes_) {
    if (!node.connected || node.offered != version) continue;
    node.offered = node.built = 0;
    out.push_back({.kind = ActivationStep::Kind::kAbort, .node = other, .version = version,
                   .why = "refused by node " + name});
  }
  pending_ = 0;
  overtaken_in_row_ = 0;
  set_phase(version, RolloutPhase::kRefused, now_ms, out);
  // A node that ran ahead (see catch_up) comes back to what all others run.
  for (auto& [other, node] : nodes_) {
    if (node.connected && active_ != 0 && node.holds > active_) offer(other, node, active_, true, out);
  }
  begin_waiting(now_ms, out);
}

void Activation::mismatch(const std::string& name, Node& node, const v1::Ack& ack, int64_t now_ms, ActivationSteps& out) {
  uint64_t version = ack.version();
  bool catching_up = version == active_;
  if (!catching_up && version != pending_) return;  // overtaken meanwhile
  if (node.whole == version) {
    NodeAnswer& answer = versions_[version].answers[name];
    answer.refused = true;
    answer.diagnostics.assign(ack.diagnostics().begin(), ack.diagnostics().end());
    for (v1::Diagnostic& d : answer.diagnostics) d.set_node(name);
    if (node.holds == version) node.holds = 0;
    node.whole = 0;
    if (catching_up) node.retry_at_ms = now_ms + options_.retry_ms;
    refused(name, version, now_ms, out);
    return;
  }
  offer(name, node, version, catching_up, out);
  out.back().whole = true;
  node.whole = version;
}

// The verdict on the pending version.
void Activation::check(int64_t now_ms, ActivationSteps& out) {
  if (pending_ == 0 || versions_[pending_].phase == RolloutPhase::kNoNodes) return;
  bool any = false;
  for (const auto& [name, node] : nodes_) {
    if (!node.leased) continue;
    any = true;
    if (node.built != pending_) return;
  }
  if (!any) {
    set_phase(pending_, RolloutPhase::kNoNodes, now_ms, out);
    uint64_t stranded = pending_;
    if (waiting_ != 0) {
      supersede(stranded, waiting_, now_ms, out);
      begin_waiting(now_ms, out);
    }
    return;
  }
  active_ = std::exchange(pending_, 0);
  overtaken_in_row_ = 0;
  out.push_back({.kind = ActivationStep::Kind::kSettled, .version = active_});
  set_phase(active_, RolloutPhase::kActivating, now_ms, out);
  for (auto& [name, node] : nodes_) {
    if (!node.connected || node.offered != active_) continue;
    out.push_back({.kind = ActivationStep::Kind::kActivate, .node = name, .version = active_});
    node.holds = active_;
    node.offered = node.built = 0;
  }
  check_active(now_ms, out);
  begin_waiting(now_ms, out);
}

// activating -> active, in order: when every node with a lease runs it, or something newer.
void Activation::check_active(int64_t now_ms, ActivationSteps& out) {
  for (auto& [number, version] : versions_) {
    if (number <= announced_ || version.phase != RolloutPhase::kActivating) continue;
    bool any = false;
    for (const auto& [name, node] : nodes_) {
      if (!node.leased) continue;
      any = true;
      auto answer = version.answers.find(name);
      bool settled = node.active >= number || (answer != version.answers.end() && answer->second.refused);
      if (!settled) return;
    }
    if (!any) return;  // all were lost on the way: the first that comes back decides
    announced_ = number;
    set_phase(number, RolloutPhase::kActive, now_ms, out);
  }
}

ActivationSteps Activation::tick(int64_t now_ms) {
  ActivationSteps out;
  for (auto& [name, node] : nodes_) {
    if (node.retry_at_ms == 0 || now_ms < node.retry_at_ms || !node.connected) continue;
    node.retry_at_ms = 0;
    if (active_ != 0 && node.holds != active_) offer(name, node, active_, true, out);
  }
  if (waiting_ == 0 || pending_ == 0 || now_ms - pending_since_ms_ < patience_ms()) return out;
  overtaken_in_row_ = std::min(overtaken_in_row_ + 1, 4);
  supersede(pending_, waiting_, now_ms, out);
  pending_ = 0;
  begin_waiting(now_ms, out);
  return out;
}

void Activation::trim() {
  auto at = versions_.begin();
  while (versions_.size() > options_.versions_kept && at != versions_.end()) {
    bool needed = at->first == active_ || at->first == pending_ || at->first == waiting_ || at->first == latest_ ||
                  at->second.phase == RolloutPhase::kActivating;
    at = needed ? std::next(at) : versions_.erase(at);
  }
}

v1::NodeState Activation::shown(const NodeAnswer& a) {
  if (a.refused) return v1::REFUSED;
  if (a.drained) return v1::DRAINED;
  if (a.persisted) return v1::PERSISTED;
  if (a.active) return v1::ACTIVE;
  if (a.built) return v1::BUILT;
  if (a.received) return v1::RECEIVED;
  return v1::NODE_STATE_UNSPECIFIED;
}

v1::RolloutStatus Activation::status(uint64_t number, int64_t now_ms) const {
  const Version& version = versions_.at(number);
  v1::RolloutStatus out;
  out.set_version(number);
  out.set_phase(phase_name(version.phase));
  out.set_superseded_by(version.superseded_by);
  bool moving = version.phase == RolloutPhase::kOffered || version.phase == RolloutPhase::kActivating;
  out.set_seconds(static_cast<double>((moving ? now_ms : version.settled_ms) - version.since_ms) / 1000.0);
  for (const auto& [name, node] : nodes_) {
    auto answer = version.answers.find(name);
    if (answer == version.answers.end() && !node.leased) continue;
    v1::NodeRollout& row = *out.add_nodes();
    row.set_node(name);
    row.set_connected(node.connected);
    if (answer == version.answers.end()) continue;
    row.set_state(shown(answer->second));
    row.set_build_micros(answer->second.build_micros);
    for (const v1::Diagnostic& d : answer->second.diagnostics) {
      if (answer->second.refused) *row.add_diagnostics() = d;
    }
  }
  return out;
}

bool Activation::settled(uint64_t number, v1::WatchRolloutRequest::Until until) const {
  const Version& version = versions_.at(number);
  switch (version.phase) {
    case RolloutPhase::kOffered:
    case RolloutPhase::kActivating: return false;
    case RolloutPhase::kRefused:
    case RolloutPhase::kSuperseded:
    case RolloutPhase::kNoNodes: return true;
    case RolloutPhase::kActive: break;
  }
  for (const auto& [name, node] : nodes_) {
    if (!node.leased) continue;
    auto answer = version.answers.find(name);
    if (answer != version.answers.end() && answer->second.refused) continue;
    if (until == v1::WatchRolloutRequest::UNTIL_PERSISTED && node.persisted < number) return false;
    if (until == v1::WatchRolloutRequest::UNTIL_DRAINED && node.drained < number) return false;
  }
  return true;
}

}  // namespace gw
