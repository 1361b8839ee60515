#include "controlplane/push/push_core.h"

#include <algorithm>
#include <utility>

#include "common/base/status.h"
#include "common/crypto/digest_sum.h"

namespace gw {
namespace {

EntryPtr make_share(uint32_t active_nodes) {
  v1::ShareEntry share;
  share.set_active_nodes(active_nodes);
  auto entry = std::make_shared<EntryData>();
  entry->key = {v1::ENTRY_SHARE, 1};
  entry->bytes = share.SerializeAsString();
  entry->hash = entry_hash(static_cast<uint8_t>(v1::ENTRY_SHARE), 1, entry->bytes);
  entry->object = "Share";
  return entry;
}

// `next` on top of `before`, as one step.
Publication fold(Publication before, Publication next) {
  std::map<EntryKey, EntryPtr> net;
  for (Publication* p : {&before, &next}) {
    for (const EntryKey& key : p->removals) net[key] = nullptr;
    for (const EntryPtr& entry : p->upserts) net[entry->key] = entry;
  }
  next.previous = before.previous;
  next.upserts.clear();
  next.removals.clear();
  for (auto& [key, entry] : net) {
    if (entry) next.upserts.push_back(std::move(entry));
    else next.removals.push_back(key);
  }
  return next;
}

}  // namespace

PushCore::PushCore(const ConfigPushOptions& options, RolloutLog& log)
    : options_(options),
      log_(log),
      activation_({.overtake_ms = options.overtake_ms}),
      groups_(options.history),
      directory_(options.history),
      quota_(options.history),
      switches_(options.history),
      endpoints_(options.history),
      tickets_(options.history),
      cache_(options.lineage, options.chunk_bytes) {
  // Versions of the quota stream rise over restarts, so that what a node has from before is not taken for a newer one.
  quota_.reset(static_cast<uint64_t>(wall_ms()), EntryTable{});
}

void PushCore::restore(Publication active) {
  needs_[active.version] = {active.needs_directory, active.needs_certificates, active.needs};
  needs_active_ = active.needs;
  groups_.restore(active);
  activation_.restore(active.version, now_ms());
}

void PushCore::expect(const std::string& name) {
  NodeSession& node = nodes_[name];
  node.name = name;
  node.leased = true;
  node.lease_ends_ms = now_ms() + options_.lease_ms;
  activation_.expected(name);
  share_changed();
}

void PushCore::know(const std::string& name) { nodes_[name].name = name; }

// ---- versions

void PushCore::publish(Publication publication) {
  switch (publication.stream) {
    case v1::STREAM_CONFIG: publish_config(std::move(publication)); break;
    case v1::STREAM_DIRECTORY: publish_whole(directory_, publication); break;
    case v1::STREAM_SWITCHES: publish_whole(switches_, publication); break;
    case v1::STREAM_ENDPOINTS: publish_whole(endpoints_, publication); break;
    case v1::STREAM_TICKETS: publish_whole(tickets_, publication); break;
    case v1::STREAM_CERTIFICATES: publish_certificates(publication); break;
    case v1::STREAM_QUOTA: publish_quota(publication); break;
    default: break;
  }
  tell_watches();
}

void PushCore::publish_config(Publication publication) {
  uint64_t version = publication.version;
  needs_[version] = {publication.needs_directory, publication.needs_certificates, publication.needs};
  unfed_.push_back(std::move(publication));
  run(activation_.published(version, now_ms()));
}

// Groups get a version when it is offered: what waits behind the pending one and is overtaken never becomes a step.
void PushCore::feed_groups(uint64_t version) {
  std::optional<Publication> step;
  while (!unfed_.empty() && unfed_.front().version <= version) {
    step = step && unfed_.front().previous == step->version ? fold(*std::move(step), std::move(unfed_.front()))
                                                            : std::move(unfed_.front());
    unfed_.pop_front();
  }
  if (!step) return;
  std::vector<Labels> labels;
  for (const auto& [name, node] : nodes_) {
    if (node.group) labels.push_back(node.labels);
  }
  cache_.clear();
  groups_.publish(*step, labels);
  for (auto& [name, node] : nodes_) {
    if (node.group) node.group = groups_.assign(node.labels);
  }
  groups_.drop_unused();
}

// Directory, switches, endpoints, tickets: what the store numbers, and nodes take at once.
void PushCore::publish_whole(VersionedSet& set, const Publication& p) {
  cache_.clear();
  if (p.previous == 0 || p.previous != set.latest()) set.reset(p.version, *p.entries);
  else set.apply(p.version, p.upserts, p.removals);
  set.settle(p.version);
  for (auto& [name, node] : nodes_) {
    if (node.link) offer_stream(node, p.stream, false);
  }
}

// The store's set is the truth, whatever upserts and removals say; the share is this class's own.
void PushCore::publish_quota(const Publication& p) {
  std::vector<EntryPtr> upserts;
  std::vector<EntryKey> removals;
  for (const auto& [key, entry] : *p.entries) {
    auto old = quota_.table().find(key);
    if (old == quota_.table().end() || old->second->hash != entry->hash) upserts.push_back(entry);
  }
  for (const auto& [key, entry] : quota_.table()) {
    if (key.kind != v1::ENTRY_SHARE && p.entries->count(key) == 0) removals.push_back(key);
  }
  if (!upserts.empty() || !removals.empty()) advance_quota(upserts, removals);
}

void PushCore::share_changed() {
  uint32_t now = std::max<uint32_t>(1, static_cast<uint32_t>(activation_.leased()));
  if (now == share_) return;
  share_ = now;
  advance_quota({make_share(now)}, {});
}

void PushCore::advance_quota(const std::vector<EntryPtr>& upserts, const std::vector<EntryKey>& removals) {
  uint64_t version = std::max(quota_.latest() + 1, static_cast<uint64_t>(wall_ms()));
  quota_.apply(version, upserts, removals);
  quota_.settle(version);
  for (auto& [name, node] : nodes_) {
    if (node.link) offer_stream(node, v1::STREAM_QUOTA, false);
  }
}

void PushCore::run(const ActivationSteps& steps) {
  using Kind = ActivationStep::Kind;
  for (const ActivationStep& step : steps) {
    auto node = nodes_.find(step.node);
    bool reachable = node != nodes_.end() && node->second.link != nullptr;
    v1::ToNode message;
    switch (step.kind) {
      case Kind::kOffer:
        if (step.version > groups_.latest()) feed_groups(step.version);
        if (reachable) offer_config(node->second, step);
        break;
      case Kind::kActivate:
        if (!reachable) break;
        message.mutable_activate()->set_stream(v1::STREAM_CONFIG);
        message.mutable_activate()->set_version(step.version);
        send(node->second, message);
        node->second.config_base = step.version;
        break;
      case Kind::kAbort:
        if (!reachable) break;
        message.mutable_abort()->set_stream(v1::STREAM_CONFIG);
        message.mutable_abort()->set_version(step.version);
        message.mutable_abort()->set_why(step.why);
        send(node->second, message);
        break;
      case Kind::kSettled:
        if (step.version > groups_.latest()) feed_groups(step.version);
        groups_.settle();
        needs_.erase(needs_.begin(), needs_.lower_bound(step.version));
        if (auto at = needs_.find(step.version); at != needs_.end()) needs_active_ = at->second.of;
        break;
      case Kind::kPhase:
        log_.phase(step.version, phase_name(step.phase));
        break;
    }
  }
}

void PushCore::offer_config(NodeSession& node, const ActivationStep& step) {
  uint64_t base = step.whole ? 0 : node.config_base;
  auto at = needs_.find(step.version);
  Needs needs = at != needs_.end() ? at->second : Needs();
  const EncodedOffer& offer = cache_.get(node.group->set(), {.stream = v1::STREAM_CONFIG,
                                                             .base = base,
                                                             .version = step.version,
                                                             .needs_directory = needs.directory,
                                                             .needs_certificates = needs.certificates,
                                                             .activate = step.activate});
  node.config_bytes_pushed += offer.bytes;
  ++(offer.whole ? node.offers_whole : node.offers_delta);
  node.link->send(offer.frames);
  if (step.activate) node.config_base = step.version;
}

const VersionedSet& PushCore::set_of(const NodeSession& node, v1::Stream stream) const {
  static const VersionedSet nothing;
  if (stream == v1::STREAM_CERTIFICATES) return node.certificates_set ? *node.certificates_set : nothing;
  if (stream == v1::STREAM_TICKETS) return tickets_;
  if (stream == v1::STREAM_SWITCHES) return switches_;
  if (stream == v1::STREAM_ENDPOINTS) return endpoints_;
  return stream == v1::STREAM_DIRECTORY ? directory_ : quota_;
}

StreamProgress* PushCore::progress_of(NodeSession& node, v1::Stream stream) {
  switch (stream) {
    case v1::STREAM_DIRECTORY: return &node.directory;
    case v1::STREAM_QUOTA: return &node.quota;
    case v1::STREAM_SWITCHES: return &node.switches;
    case v1::STREAM_ENDPOINTS: return &node.endpoints;
    case v1::STREAM_CERTIFICATES: return &node.certificates;
    case v1::STREAM_TICKETS: return &node.tickets;
    default: return nullptr;
  }
}

// Every stream but config: from what the node holds to the latest, activated at once.
void PushCore::offer_stream(NodeSession& node, v1::Stream stream, bool whole) {
  if (!speaks(node, stream)) return;
  const VersionedSet& set = set_of(node, stream);
  StreamProgress& progress = *progress_of(node, stream);
  if (set.latest() == 0 || (!whole && progress.sent == set.latest())) return;
  const EncodedOffer& offer = cache_.get(
      set, {.stream = stream, .base = whole ? 0 : progress.sent, .version = set.latest(), .activate = true});
  node.link->send(offer.frames);
  progress.sent = set.latest();
  progress.sent_whole = offer.whole;
}

void PushCore::send(NodeSession& node, const v1::ToNode& message) { node.link->send({encode(message)}); }

void PushCore::tick() {
  int64_t now = now_ms();
  for (auto& [name, node] : nodes_) {
    if (node.link && node.certificate_ends != 0 && wall_ms() / 1000 >= node.certificate_ends) {
      end_link(node, unavailable("the certificate that this connection began with has ended"));
    }
    if (!node.leased || now < node.lease_ends_ms) continue;
    if (node.link) end_link(node, unavailable("the lease has run out: no heartbeat for " + std::to_string(options_.lease_ms) + " ms"));
    end_lease(node);
  }
  run(activation_.tick(now));
  tell_watches();
}

}  // namespace gw
