// Claims: who may claim a host and path, given what others claim. An Api displaces the claim that would have had the
// requests without it; where that one belongs to another team, it must have granted them.
#include <algorithm>
#include <vector>

#include "controlplane/snapshot/check.h"
#include "dataplane/routing/claim.h"

namespace gw {
namespace {

using Held = HeldClaim;

// Whether `a` is asked before `b` for requests that both cover.
bool beats(const Held& a, const Held& b) {
  int left = host_pattern_rank(a.host()), right = host_pattern_rank(b.host());
  return left != right ? left > right : a.base.size() > b.base.size();
}

// The claim that `mine` takes requests from: the best of the others for host and region.
const Held* displaced(const std::vector<Held>& all, const Held& mine, const std::string& region) {
  const Held* best = nullptr;
  for (const Held& other : all) {
    if (other.api == mine.api || !beats(mine, other)) continue;
    if (!host_pattern_covers(other.host(), mine.host()) || !path_covers(other.base, region)) continue;
    if (!best || beats(other, *best)) best = &other;
  }
  return best;
}

bool grants(const v1::Object& api, const std::string& team, const std::string& region) {
  const auto& all = api.api().grants();
  return std::any_of(all.begin(), all.end(), [&](const v1::Grant& g) {
    return g.team() == team && path_covers(normal_base(g.base_path()), region);
  });
}

std::string claim_text(const std::string& host, const std::string& base) { return host + (base.empty() ? "/" : base); }

void check_displacing(const CheckContext& c, const std::vector<Held>& all, const Held& mine, const std::string& region) {
  const Held* other = displaced(all, mine, region);
  if (!other) return;
  const std::string& team = mine.api->metadata().owner();
  if (other->api->metadata().owner() == team || grants(*other->api, team, region)) return;
  bool host_differs = other->host() != mine.host();
  ObjectKey inner = key_of(*mine.api), outer = key_of(*other->api);
  std::string cure = "grants: [{team: " + team + ", basePath: " + (region.empty() ? "/" : region) + "}]";
  // Said where the change is: an Api that takes what others stand on must grant it in the same breath.
  bool blame_outer = c.changed.contains(outer) && !c.changed.contains(inner);
  std::string path = host_differs ? "spec.hosts[" + std::to_string(blame_outer ? other->host_index : mine.host_index) + "]"
                                  : "spec.basePath";
  Diagnostic& d = c.out.error(
      host_differs ? "GW1303" : "GW1302", (blame_outer ? outer : inner).label(), path,
      blame_outer ? "it lies over " + inner.text() + " (" + claim_text(mine.host(), mine.base) + ") of team " + team +
                        " without a grant"
                  : claim_text(mine.host(), region) + " lies in the claim of " + outer.text() + " (" +
                        claim_text(other->host(), other->base) + ")");
  d.set_cure(blame_outer ? "add `" + cure + "`" : outer.full_name() + " needs `" + cure + "`");
  d.add_related(blame_outer ? inner.full_name() : outer.full_name());
}

void check_exclusive(const CheckContext& c, const std::vector<Held>& all, const v1::Object& api) {
  for (const Held& mine : all) {
    if (mine.api != &api) continue;
    for (const Held& other : all) {
      bool same = mine.host() == other.host() && mine.base == other.base;
      if (!same || (other.api == &api && other.host_index >= mine.host_index)) continue;
      ObjectKey them = key_of(*other.api);
      std::string path = "spec.hosts[" + std::to_string(mine.host_index) + "]";
      if (other.api == &api) {
        c.out.error("GW1301", key_of(api).label(), path, mine.host() + " is in the list already").set_cure("leave one out");
        continue;
      }
      Diagnostic& d = c.out.error("GW1301", key_of(api).label(), path,
                                  claim_text(mine.host(), mine.base) + " is claimed by " + them.text());
      d.set_cure("claim another host or path, or add Routes to that Api");
      d.add_related(them.full_name());
    }
  }
}

}  // namespace

void check_claims(const CheckContext& c, const v1::Object& api) {
  std::vector<Held> all = c.catalog.claims().meeting(api);
  // Apis that no Gateway serves together cannot take each other's requests.
  std::vector<const v1::Object*> mine_on = gateways_of(c.catalog, api);
  std::erase_if(all, [&](const Held& other) {
    if (other.api == &api || mine_on.empty()) return false;
    std::vector<const v1::Object*> theirs_on = gateways_of(c.catalog, *other.api);
    return !theirs_on.empty() && std::find_first_of(mine_on.begin(), mine_on.end(), theirs_on.begin(), theirs_on.end()) == mine_on.end();
  });
  check_exclusive(c, all, api);
  for (const Held& mine : all) {
    check_displacing(c, all, mine, mine.base);
    // A claim on a narrower host also takes the longer paths of claims on wider ones.
    for (const Held& wider : all) {
      bool below = wider.base.size() > mine.base.size() && path_covers(mine.base, wider.base);
      bool hidden = wider.api != mine.api && wider.host() != mine.host() && host_pattern_covers(wider.host(), mine.host());
      if (below && hidden) check_displacing(c, all, mine, wider.base);
    }
  }
}

}  // namespace gw
