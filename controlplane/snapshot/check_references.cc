#include <algorithm>

#include "controlplane/snapshot/check.h"
#include "controlplane/snapshot/limits.h"
#include "controlplane/snapshot/references.h"

namespace gw {
namespace {

std::string article_name(const Reference& r) { return std::string(kind_name(r.kind)) + " " + r.text; }

void report_missing(const CheckContext& c, const v1::Object& object, const Reference& r) {
  ObjectLabel label = key_of(object).label();
  const std::string& owner = object.metadata().owner();
  std::vector<ObjectKey> candidates = Catalog::candidates(r.kind, owner, r.text);
  bool deleted = std::any_of(candidates.begin(), candidates.end(), [&](const ObjectKey& key) { return c.changed.contains(key); });
  if (c.options.partial) {
    c.out.warning("GW2008", label, r.path, article_name(r) + " is not in these files; it is not checked");
    return;
  }
  if (deleted && !c.changed.contains(key_of(object))) {
    Diagnostic& d = c.out.error("GW1201", label, r.path, article_name(r) + " would be gone, and is still used here");
    d.set_cure("change or delete " + key_of(object).text() + " in the same apply");
    return;
  }
  Diagnostic& d = c.out.error("GW1201", label, r.path, article_name(r) + " does not exist");
  std::string meant = did_you_mean(r.text, c.catalog.names_for(r.kind, owner));
  d.set_cure(meant.empty() ? "create it in the same apply or before" : "did you mean \"" + meant + "\"?");
}

}  // namespace

void check_references(const CheckContext& c, const v1::Object& object) {
  ObjectKey key = key_of(object);
  if (key.kind != v1::Object::kTeam && !c.catalog.find({v1::Object::kTeam, "", key.owner})) {
    if (c.options.partial) {
      c.out.warning("GW2008", key.label(), "metadata.owner", "Team " + key.owner + " is not in these files; it is not checked");
    } else {
      bool deleted = c.changed.contains({v1::Object::kTeam, "", key.owner});
      c.out.error("GW1203", key.label(), "metadata.owner",
                  deleted ? "Team " + key.owner + " would be gone, and still owns this" : "there is no Team " + key.owner)
          .set_cure(deleted ? "delete what it owns in the same change" : "an admin applies a Team of that name first");
    }
  }
  for (const Reference& r : references_of(object)) {
    Catalog::Resolution found = c.catalog.resolve(r.kind, key.owner, r.text);
    if (found.object) continue;
    if (!found.withheld) {
      report_missing(c, object, r);
      continue;
    }
    ObjectKey other = key_of(*found.withheld);
    Diagnostic& d = c.out.error("GW1202", key.label(), r.path, other.text() + " is not shared with " + key.owner);
    d.set_cure("its owner adds `shareWith: [" + key.owner + "]` to its metadata");
    d.add_related(other.full_name());
  }
}

void check_limits(const CheckContext& c) {
  for (const KindLimit& limit : kKindLimits) {
    size_t count = c.catalog.count(limit.kind);
    if (count <= limit.max) continue;
    Diagnostic& d = c.out.error("GW1601", {std::string(kind_name(limit.kind)), ""}, "",
                                std::to_string(count) + " objects of this kind; at most " + std::to_string(limit.max) +
                                    " are possible");
    d.set_cure("delete what is not used");
  }
}

std::vector<const v1::Object*> gateways_of(const Catalog& catalog, const v1::Object& api) {
  std::vector<const v1::Object*> out;
  if (api.api().gateways().empty()) {
    catalog.for_each(v1::Object::kGateway, [&](const v1::Object& gateway) {
      if (shared_with(gateway, api.metadata().owner())) out.push_back(&gateway);
    });
    return out;
  }
  for (const std::string& name : api.api().gateways()) {
    if (const v1::Object* g = catalog.referenced(api, v1::Object::kGateway, name)) out.push_back(g);
  }
  return out;
}

namespace {

// Objects of `kind` that name `target` and mean it.
std::vector<const v1::Object*> users(const Catalog& catalog, const v1::Object& target, Kind kind) {
  std::vector<const v1::Object*> out;
  const std::set<ObjectKey>& all = catalog.dependents(key_of(target));
  for (auto at = all.lower_bound({kind, "", ""}); at != all.end() && at->kind == kind; ++at) {
    const v1::Object* user = catalog.find(*at);
    if (!user) continue;
    for (const Reference& r : references_of(*user)) {
      if (r.kind == target.spec_case() && catalog.referenced(*user, r.kind, r.text) == &target) {
        out.push_back(user);
        break;
      }
    }
  }
  return out;
}

}  // namespace

std::vector<const v1::Object*> products_of(const Catalog& catalog, const v1::Object& api) {
  return users(catalog, api, v1::Object::kProduct);
}

std::vector<const v1::Object*> routes_of(const Catalog& catalog, const v1::Object& api) {
  std::vector<const v1::Object*> out;
  const std::set<ObjectKey>& all = catalog.dependents(key_of(api));
  for (auto at = all.lower_bound({v1::Object::kRoute, "", ""}); at != all.end() && at->kind == v1::Object::kRoute; ++at) {
    const v1::Object* route = catalog.find(*at);
    if (route && catalog.referenced(*route, v1::Object::kApi, route->route().api()) == &api) out.push_back(route);
  }
  return out;
}

}  // namespace gw
