// Who holds which certificates: a node gets those that its Gateways need, by the newest configuration and by the active one, since
// it may run either. What neither needs any more leaves a node with the next version of the certificates.
#include <utility>

#include "controlplane/push/push_core.h"
#include "controlplane/snapshot/certificate_needs.h"

namespace gw {

bool PushCore::speaks(const NodeSession& node, v1::Stream stream) {
  if (stream == v1::STREAM_CERTIFICATES) return node.capabilities.count("CertificateEntry.keyPairs") > 0;
  if (stream == v1::STREAM_TICKETS) return node.capabilities.count("TicketKeyEntry.secret") > 0;
  return true;
}

std::set<EntryKey> PushCore::needed_by(const NodeSession& node) const {
  std::set<EntryKey> out;
  if (needs_latest_) add_needed(*needs_latest_, node.labels, out);
  if (needs_active_) add_needed(*needs_active_, node.labels, out);
  return out;
}

EntryTable PushCore::certificates_of(const std::set<EntryKey>& needed) const {
  EntryTable out;
  for (const EntryKey& key : needed) {
    if (auto at = certificates_->find(key); at != certificates_->end()) out.insert(*at);
  }
  return out;
}

// Every node comes to the new version, most with what they have: so each says that it is there.
void PushCore::publish_certificates(const Publication& p) {
  cache_.clear();
  bool next = p.previous != 0 && p.previous == certificates_version_;
  certificates_ = p.entries;
  certificates_version_ = p.version;
  needs_latest_ = p.needs;
  std::map<std::pair<std::shared_ptr<VersionedSet>, std::set<EntryKey>>, std::shared_ptr<VersionedSet>> made;
  for (auto& [name, node] : nodes_) {
    if (!node.certificates_set) continue;  // was never here
    node.needed = needed_by(node);
    std::shared_ptr<VersionedSet>& set = made[{node.certificates_set, node.needed}];
    if (!set) {
      set = std::make_shared<VersionedSet>(*node.certificates_set);
      EntryTable wanted = certificates_of(node.needed);
      if (next && set->latest() == p.previous) {
        std::vector<EntryPtr> upserts;
        std::vector<EntryKey> removals;
        for (const auto& [key, entry] : wanted) {
          auto had = set->table().find(key);
          if (had == set->table().end() || had->second != entry) upserts.push_back(entry);
        }
        for (const auto& [key, entry] : set->table()) {
          if (wanted.count(key) == 0) removals.push_back(key);
        }
        set->apply(p.version, upserts, removals);
        set->settle(p.version);
      } else {
        set->reset(p.version, std::move(wanted));
      }
    }
    node.certificates_set = set;
    if (node.link) offer_stream(node, v1::STREAM_CERTIFICATES, false);
  }
}

// Of a node that says Hello, perhaps with other labels than before.
void PushCore::assign_certificates(NodeSession& node) {
  node.needed = needed_by(node);
  EntryTable wanted = certificates_of(node.needed);
  auto fits = [&](const std::shared_ptr<VersionedSet>& set) {
    return set && set->latest() == certificates_version_ && set->table() == wanted;
  };
  if (fits(node.certificates_set)) return;
  for (const auto& [name, other] : nodes_) {
    if (!fits(other.certificates_set)) continue;
    node.certificates_set = other.certificates_set;
    return;
  }
  node.certificates_set = std::make_shared<VersionedSet>(options_.history);
  node.certificates_set->reset(certificates_version_, std::move(wanted));
}

std::vector<CertificateHolder> PushCore::certificate_holders() const {
  std::vector<CertificateHolder> out;
  for (const auto& [name, node] : nodes_) {
    if (node.leased && speaks(node, v1::STREAM_CERTIFICATES)) out.push_back({name, node.needed, node.certificates.applied});
  }
  return out;
}

}  // namespace gw
