// PushCore's dealings with nodes: who they are, what they have, what they say.
#include <algorithm>
#include <utility>

#include "common/base/status.h"
#include "controlplane/push/push_core.h"

namespace gw {
namespace {

constexpr size_t kMaxLabels = 64;
constexpr size_t kMaxCapabilities = 10'000;
constexpr size_t kMaxListeners = 1'000;
constexpr size_t kMaxGuests = 10'000;

std::string text(const Lineage& lineage) { return {lineage.begin(), lineage.end()}; }

bool read_digest(const std::string& bytes, Digest& out) {
  if (bytes.size() != out.size()) return false;
  std::copy(bytes.begin(), bytes.end(), out.begin());
  return true;
}

}  // namespace

NodeSession* PushCore::node_of(const NodeLink* link) {
  auto at = links_.find(link);
  if (at == links_.end()) return nullptr;
  auto node = nodes_.find(at->second);
  return node != nodes_.end() && node->second.link.get() == link ? &node->second : nullptr;
}

void PushCore::opened(std::shared_ptr<NodeLink> link) {
  if (guests_.size() >= kMaxGuests) {
    link->close(resource_exhausted("too many connections that have not said who they are"));
    return;
  }
  const NodeLink* key = link.get();
  guests_[key].link = std::move(link);
}

void PushCore::admitted(const std::shared_ptr<NodeLink>& link, absl::StatusOr<NodeIdentity> node) {
  auto at = guests_.find(link.get());
  if (at == guests_.end()) return;
  if (!node.ok()) {
    guests_.erase(at);
    link->close(node.status());
    return;
  }
  at->second.identity = *std::move(node);
  if (!at->second.first) return;
  v1::FromNode first = *std::exchange(at->second.first, std::nullopt);
  auto done = std::exchange(at->second.done, nullptr);
  received(link, std::move(first), std::move(done));
}

void PushCore::received(const std::shared_ptr<NodeLink>& link, v1::FromNode from, std::function<void()> done) {
  auto at = guests_.find(link.get());
  if (at == guests_.end()) {
    if (NodeSession* node = node_of(link.get())) message(*node, from);
    tell_watches();
    if (done) done();
    return;
  }
  if (at->second.identity.node.empty()) {
    at->second.first = std::move(from);
    at->second.done = std::move(done);
    return;
  }
  Guest guest = std::move(at->second);
  guests_.erase(at);
  if (from.has_hello()) hello(std::move(guest), from.hello());
  else link->close(invalid_argument("the first message must be Hello"));
  tell_watches();
  if (done) done();
}

void PushCore::closed(const std::shared_ptr<NodeLink>& link) {
  guests_.erase(link.get());
  if (NodeSession* node = node_of(link.get())) {
    node->link = nullptr;
    activation_.disconnected(node->name);
  }
  links_.erase(link.get());
  tell_watches();
}

void PushCore::close_all(const absl::Status& why) {
  for (auto& [key, guest] : guests_) guest.link->close(why);
  guests_.clear();
  for (auto& [name, node] : nodes_) {
    if (node.link) end_link(node, why);
  }
}

void PushCore::end_node(const std::string& name, const absl::Status& why) {
  std::erase_if(guests_, [&](const auto& entry) {
    if (entry.second.identity.node != name) return false;
    entry.second.link->close(why);
    return true;
  });
  auto at = nodes_.find(name);
  if (at == nodes_.end()) return;
  if (at->second.link) end_link(at->second, why);
  if (at->second.leased) end_lease(at->second);
  activation_.forget(name);  // and is not missed
  tell_watches();
}

void PushCore::end_link(NodeSession& node, absl::Status why) {
  links_.erase(node.link.get());
  std::exchange(node.link, nullptr)->close(std::move(why));
  activation_.disconnected(node.name);
}

void PushCore::end_lease(NodeSession& node) {
  node.leased = false;
  run(activation_.lost(node.name, now_ms()));
  share_changed();
}

void PushCore::hello(Guest guest, const v1::Hello& hello) {
  if (hello.node() != guest.identity.node) {
    guest.link->close(permission_denied("the token is that of node " + guest.identity.node + ", not of " + hello.node()));
    return;
  }
  if (static_cast<size_t>(hello.labels_size()) > kMaxLabels ||
      static_cast<size_t>(hello.capabilities_size()) > kMaxCapabilities ||
      static_cast<size_t>(hello.listeners_size()) > kMaxListeners) {
    guest.link->close(invalid_argument("Hello has more labels, capabilities or listeners than a node can have"));
    return;
  }
  NodeSession& node = nodes_[guest.identity.node];
  node.name = guest.identity.node;
  node.certificate_ends = guest.identity.certificate_ends;
  if (node.link) end_link(node, aborted("node " + node.name + " has connected anew; are there two of that name?"));
  node.link = std::move(guest.link);
  links_[node.link.get()] = node.name;
  node.zone = hello.zone();
  node.build = hello.build();
  node.admin = hello.admin_address().empty() && hello.admin_port() == 0
                   ? std::string()
                   : hello.admin_address() + ":" + std::to_string(hello.admin_port());
  node.labels.clear();
  for (const v1::Pair& label : hello.labels()) node.labels[label.name()] = label.value();
  if (!node.zone.empty()) node.labels.emplace("zone", node.zone);
  node.capabilities = {hello.capabilities().begin(), hello.capabilities().end()};
  node.listeners = {hello.listeners().begin(), hello.listeners().end()};
  node.group = groups_.assign(node.labels);
  take_positions(node, hello);
  greet(node);
}

// What it holds, as far as it is of this lineage and known here; else the whole is next.
void PushCore::take_positions(NodeSession& node, const v1::Hello& hello) {
  node.config_base = node.config_active = 0;
  node.directory = node.quota = node.switches = node.endpoints = node.certificates = node.tickets = StreamProgress{};
  assign_certificates(node);
  for (const v1::StreamPosition& have : hello.have()) {
    Digest digest;
    if (have.lineage() != text(options_.lineage) || !read_digest(have.digest(), digest)) continue;
    switch (have.stream()) {
      case v1::STREAM_CONFIG:
        node.config_active = have.version();
        if (activation_.pending() == have.version() && have.version() > groups_.latest()) {
          feed_groups(have.version());  // a position that only an earlier life of this process can have led to
        }
        if (node.group->set().holds(have.version(), digest)) node.config_base = have.version();
        break;
      default:
        if (StreamProgress* progress = progress_of(node, have.stream())) {
          if (set_of(node, have.stream()).holds(have.version(), digest)) progress->sent = progress->applied = have.version();
        }
        break;
    }
  }
}

void PushCore::greet(NodeSession& node) {
  v1::ToNode welcome;
  welcome.mutable_welcome()->set_lease_ms(options_.lease_ms);
  welcome.mutable_welcome()->set_lineage(text(options_.lineage));
  send(node, welcome);
  node.leased = true;
  node.lease_ends_ms = now_ms() + options_.lease_ms;
  node.last_seen_wall_ms = wall_ms();
  offer_stream(node, v1::STREAM_SWITCHES, false);
  offer_stream(node, v1::STREAM_ENDPOINTS, false);
  offer_stream(node, v1::STREAM_CERTIFICATES, false);
  offer_stream(node, v1::STREAM_TICKETS, false);
  offer_stream(node, v1::STREAM_DIRECTORY, false);
  offer_stream(node, v1::STREAM_QUOTA, false);
  uint64_t holds = node.config_base;
  // Known by number only (this process has no step that leads from there): not to be taken back, but sent the whole.
  if (holds == 0 && node.config_active > activation_.active() && node.config_active <= activation_.latest()) {
    holds = node.config_active;
  }
  run(activation_.joined(node.name, holds, now_ms()));
  share_changed();
}

void PushCore::message(NodeSession& node, const v1::FromNode& from) {
  node.lease_ends_ms = now_ms() + options_.lease_ms;
  node.last_seen_wall_ms = wall_ms();
  v1::ToNode renewed;
  switch (from.message_case()) {
    case v1::FromNode::kAck: ack(node, from.ack()); break;
    case v1::FromNode::kHeartbeat:
      if (from.heartbeat().listeners_size() > 0) {
        node.listeners = {from.heartbeat().listeners().begin(), from.heartbeat().listeners().end()};
      }
      renewed.mutable_lease();
      send(node, renewed);
      break;
    case v1::FromNode::kGoodbye:
      end_link(node, absl::OkStatus());
      end_lease(node);
      break;
    case v1::FromNode::kHello: end_link(node, invalid_argument("Hello is said once")); break;
    case v1::FromNode::MESSAGE_NOT_SET: break;
  }
}

void PushCore::ack(NodeSession& node, const v1::Ack& ack) {
  if (ack.listeners_size() > 0) node.listeners = {ack.listeners().begin(), ack.listeners().end()};
  if (ack.stream() != v1::STREAM_CONFIG) {
    stream_ack(node, ack);
    return;
  }
  if (ack.state() == v1::ACTIVE) node.config_active = ack.version();
  if ((ack.state() == v1::REFUSED || ack.state() == v1::MISMATCH) && node.config_base == ack.version()) {
    node.config_base = 0;
  }
  if (ack.state() != v1::MISMATCH && activation_.knows(ack.version())) note_state(node, ack);
  run(activation_.acknowledged(node.name, ack, now_ms()));
}

void PushCore::note_state(const NodeSession& node, const v1::Ack& ack) {
  NodeStateRecord record;
  record.node = node.name;
  record.version = ack.version();
  record.state = ack.state();
  record.diagnostics.assign(ack.diagnostics().begin(), ack.diagnostics().end());
  for (v1::Diagnostic& d : record.diagnostics) d.set_node(node.name);
  record.build_micros = ack.build_micros();
  record.at_ms = wall_ms();
  log_.node_state(std::move(record));
}

void PushCore::stream_ack(NodeSession& node, const v1::Ack& ack) {
  StreamProgress* of = progress_of(node, ack.stream());
  if (of == nullptr) return;
  StreamProgress& progress = *of;
  if (ack.state() == v1::ACTIVE) {
    progress.applied = std::max(progress.applied, ack.version());
  } else if (ack.state() == v1::MISMATCH && !progress.sent_whole) {
    offer_stream(node, ack.stream(), true);
  } else if (ack.state() == v1::MISMATCH || ack.state() == v1::REFUSED) {
    progress.refused = ack.version();
    progress.why.assign(ack.diagnostics().begin(), ack.diagnostics().end());
    progress.sent = progress.applied;  // the next change goes out from what it has
    progress.sent_whole = false;
  }
}

// ---- what others ask

std::optional<v1::RolloutStatus> PushCore::status(uint64_t version) const {
  if (!activation_.knows(version)) return std::nullopt;
  v1::RolloutStatus out = activation_.status(version, now_ms());
  for (v1::NodeRollout& row : *out.mutable_nodes()) {
    auto node = nodes_.find(row.node());
    if (node != nodes_.end()) row.set_zone(node->second.zone);
  }
  return out;
}

// How far the nodes are with a stream that is activated at once. A node whose lease ends meanwhile is named, and not waited for.
v1::RolloutStatus PushCore::stream_status(Watch& watch, v1::Stream stream, uint64_t latest, uint64_t version) const {
  v1::RolloutStatus out;
  bool waiting = latest < version;  // on its way here from the store
  bool refused = false;
  for (const auto& [name, node] : nodes_) {
    if (node.leased && speaks(node, stream)) watch.asked.insert(name);
  }
  for (const std::string& name : watch.asked) {
    const NodeSession& node = nodes_.at(name);
    v1::NodeRollout& row = *out.add_nodes();
    row.set_node(name);
    row.set_zone(node.zone);
    row.set_connected(node.leased);
    const StreamProgress& there = *progress_of(node, stream);
    if (there.applied >= version) {
      row.set_state(v1::ACTIVE);
    } else if (there.refused >= version) {
      row.set_state(v1::REFUSED);
      for (const v1::Diagnostic& d : there.why) *row.add_diagnostics() = d;
      refused = true;
    } else {
      waiting = waiting || node.leased;
    }
  }
  out.set_phase(waiting ? "offered" : refused ? "refused" : watch.asked.empty() ? "no-nodes" : "active");
  out.set_final(!waiting);
  out.set_seconds(static_cast<double>(now_ms() - watch.began_ms) / 1000);
  return out;
}

v1::RolloutStatus PushCore::watched_status(Watch& watch) const {
  const RolloutWatch& what = watch.what;
  if (what.version == 0 && what.switches_version != 0) return stream_status(watch, v1::STREAM_SWITCHES, switches_.latest(), what.switches_version);
  if (what.version == 0 && what.endpoints_version != 0) return stream_status(watch, v1::STREAM_ENDPOINTS, endpoints_.latest(), what.endpoints_version);
  v1::RolloutStatus out;
  bool done = true;
  if (what.version == 0 && what.certificates_version != 0) {
    out = stream_status(watch, v1::STREAM_CERTIFICATES, certificates_version_, what.certificates_version);
    done = out.final();
  } else if (what.version != 0) {
    if (auto known = status(what.version)) {
      out = *std::move(known);
      done = activation_.settled(what.version, what.until);
    } else {
      out.set_version(what.version);
      done = what.version <= activation_.latest();  // a newer one is on its way here from the store
    }
  }
  bool ended = out.phase() == "refused" || out.phase() == "superseded" || out.phase() == "no-nodes";
  if (what.directory_version != 0 && !ended) {
    for (const auto& [name, node] : nodes_) {
      if (node.leased && node.directory.applied < what.directory_version) done = false;
    }
  }
  if (what.version != 0 && what.certificates_version != 0 && !ended) {
    for (const auto& [name, node] : nodes_) {
      const StreamProgress& there = node.certificates;
      if (node.leased && speaks(node, v1::STREAM_CERTIFICATES) && std::max(there.applied, there.refused) < what.certificates_version) done = false;
    }
  }
  out.set_final(done);
  return out;
}

uint64_t PushCore::watch(const RolloutWatch& what, Rollouts::Fn fn) {
  uint64_t id = next_watch_++;
  watches_[id] = Watch{what, std::move(fn), {}, now_ms(), {}};
  tell_watches();
  return id;
}

void PushCore::tell_watches() {
  for (auto at = watches_.begin(); at != watches_.end();) {
    v1::RolloutStatus status = watched_status(at->second);
    v1::RolloutStatus compared = status;
    compared.clear_seconds();
    std::string bytes = compared.SerializeAsString() + "!";  // never equal to what nobody was told
    if (bytes != at->second.last) {
      at->second.last = std::move(bytes);
      at->second.fn(status);
    }
    at = status.final() ? watches_.erase(at) : std::next(at);
  }
}

RolloutHeads PushCore::heads() const {
  RolloutHeads out;
  out.latest = activation_.latest();
  out.target = activation_.target();
  out.active = activation_.active();
  if (activation_.knows(out.latest)) out.latest_phase = phase_name(activation_.phase(out.latest));
  out.directory = directory_.latest();
  out.switches = switches_.latest();
  out.certificates = certificates_version_;
  return out;
}

std::vector<v1::NodeInfo> PushCore::nodes() const {
  std::vector<v1::NodeInfo> out;
  for (const auto& [name, node] : nodes_) {
    v1::NodeInfo info;
    info.set_node(name);
    info.set_zone(node.zone);
    for (const auto& [label, value] : node.labels) {
      v1::Pair& pair = *info.add_labels();
      pair.set_name(label);
      pair.set_value(value);
    }
    info.set_build(node.build);
    info.set_connected(node.link != nullptr);
    info.set_lease_left_ms(node.leased ? std::max<int64_t>(0, node.lease_ends_ms - now_ms()) : 0);
    info.set_config_version(node.config_active);
    info.set_directory_version(node.directory.applied);
    info.set_switches_version(node.switches.applied);
    info.set_endpoints_version(node.endpoints.applied);
    info.set_certificates_version(node.certificates.applied);
    for (const v1::BoundListener& listener : node.listeners) *info.add_listeners() = listener;
    info.set_admin(node.admin);
    info.set_last_seen_ms(node.last_seen_wall_ms);
    info.set_config_bytes_pushed(node.config_bytes_pushed);
    info.set_offers_whole(node.offers_whole);
    info.set_offers_delta(node.offers_delta);
    out.push_back(std::move(info));
  }
  return out;
}

std::vector<LackingNode> PushCore::lacking(const EntryTable& entries) const {
  std::vector<LackingNode> out;
  std::map<std::string, std::string> needed;  // capability -> an object that needs it
  for (const auto& [key, entry] : entries) {
    for (const std::string& capability : entry->capabilities) needed.emplace(capability, entry->object);
  }
  for (const auto& [name, node] : nodes_) {
    if (!node.leased || !node.link) continue;
    bool lacks = std::any_of(needed.begin(), needed.end(),
                             [&has = node.capabilities](const auto& n) { return has.count(n.first) == 0; });
    if (!lacks) continue;
    std::set<std::string> named;
    for (const auto& [key, entry] : member_table(entries, node.labels)) {
      for (const std::string& capability : entry->capabilities) {
        if (node.capabilities.count(capability) > 0 || !named.insert(capability).second) continue;
        out.push_back({name, capability, entry->object});
      }
    }
  }
  return out;
}

}  // namespace gw
