#include <algorithm>
#include <map>
#include <set>

#include "controlplane/snapshot/check.h"

namespace gw {
namespace {

std::vector<const v1::Object*> apis_of(const Catalog& catalog, const v1::Object& product) {
  std::vector<const v1::Object*> out;
  for (const std::string& name : product.product().apis()) {
    if (const v1::Object* api = catalog.referenced(product, v1::Object::kApi, name)) out.push_back(api);
  }
  return out;
}

void check_doubles(const CheckContext& c, const v1::Object& product, Kind kind, const NameList& names, const char* field) {
  std::set<const v1::Object*> seen;
  for (int i = 0; i < names.size(); ++i) {
    const v1::Object* object = c.catalog.referenced(product, kind, names[i]);
    if (!object || seen.insert(object).second) continue;
    c.out.error("GW1503", key_of(product).label(), std::string(field) + "[" + std::to_string(i) + "]",
                names[i] + " is in the list already")
        .set_cure("leave one out");
  }
}

// The Api that both products cover, or null.
const v1::Object* common_api(const Catalog& catalog, const v1::Object& a, const v1::Object& b) {
  std::vector<const v1::Object*> left = apis_of(catalog, a), right = apis_of(catalog, b);
  for (const v1::Object* api : left) {
    if (std::find(right.begin(), right.end(), api) != right.end()) return api;
  }
  return nullptr;
}

}  // namespace

void check_product(const CheckContext& c, const v1::Object& product) {
  check_doubles(c, product, v1::Object::kApi, product.product().apis(), "spec.apis");
  check_doubles(c, product, v1::Object::kPlan, product.product().plans(), "spec.plans");
}

void check_subscription(const CheckContext& c, const v1::Object& subscription) {
  const v1::SubscriptionSpec& spec = subscription.subscription();
  ObjectLabel label = key_of(subscription).label();
  const v1::Object* app = c.catalog.referenced(subscription, v1::Object::kApp, spec.app());
  const v1::Object* product = c.catalog.referenced(subscription, v1::Object::kProduct, spec.product());
  const v1::Object* plan = c.catalog.referenced(subscription, v1::Object::kPlan, spec.plan());
  if (product && plan) {
    const auto& plans = product->product().plans();
    bool offered = std::any_of(plans.begin(), plans.end(), [&](const std::string& name) {
      return c.catalog.referenced(*product, v1::Object::kPlan, name) == plan;
    });
    if (!offered) {
      std::string names;
      for (const std::string& name : plans) names += (names.empty() ? "" : ", ") + name;
      Diagnostic& d = c.out.error("GW1501", label, "spec.plan",
                                  key_of(*plan).full_name() + " is not a plan of " + key_of(*product).text());
      d.set_cure("its plans are: " + names);
    }
  }
  if (!app || !product) return;
  for (const ObjectKey& key : c.catalog.dependents(key_of(*app))) {
    const v1::Object* other = key.kind == v1::Object::kSubscription ? c.catalog.find(key) : nullptr;
    if (!other || other == &subscription) continue;
    if (c.catalog.referenced(*other, v1::Object::kApp, other->subscription().app()) != app) continue;
    const v1::Object* theirs = c.catalog.referenced(*other, v1::Object::kProduct, other->subscription().product());
    const v1::Object* api = theirs ? common_api(c.catalog, *product, *theirs) : nullptr;
    if (!api) continue;
    Diagnostic& d = c.out.error("GW1502", label, "spec.product",
                                key_of(*app).text() + " has " + key_of(*api).full_name() + " already by " + key_of(*other).text());
    d.set_cure("change or delete that one: an Api is covered by one subscription of an App");
    d.add_related(key_of(*other).full_name());
  }
}

}  // namespace gw
