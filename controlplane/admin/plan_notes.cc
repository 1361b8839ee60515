#include <set>

#include "controlplane/admin/apply.h"
#include "controlplane/admin/quota.h"
#include "controlplane/store/usage.h"

namespace gw {
namespace {

struct Subscribers {
  std::set<const v1::Object*> apps;
  std::vector<uint64_t> subscriptions;
};

Subscribers subscribers_of(const Catalog& now, const v1::Object& plan) {
  Subscribers out;
  for (const ObjectKey& key : now.dependents(key_of(plan))) {
    const v1::Object* s = key.kind == v1::Object::kSubscription ? now.find(key) : nullptr;
    if (!s || now.referenced(*s, v1::Object::kPlan, s->subscription().plan()) != &plan) continue;
    out.subscriptions.push_back(s->uid());
    if (const v1::Object* app = now.referenced(*s, v1::Object::kApp, s->subscription().app())) out.apps.insert(app);
  }
  return out;
}

}  // namespace

void add_plan_notes(Engine& engine, const Catalog& now, const v1::Object* before, const v1::Object& after, v1::Change& out) {
  const v1::PlanSpec& plan = after.plan();
  if (before) {
    Subscribers subscribers = subscribers_of(now, *before);
    std::string note = std::to_string(subscribers.apps.size()) + (subscribers.apps.size() == 1 ? " app" : " apps");
    bool quota_changed = plan.has_quota() && before->plan().quota().SerializeAsString() != plan.quota().SerializeAsString();
    if (quota_changed) {
      Period period = period_of(plan.quota().per(), engine.now_s());
      int64_t over = 0;
      absl::Status status = engine.db().read([&](Connection& db) -> absl::Status {
        for (uint64_t uid : subscribers.subscriptions) {
          auto used = used_requests(db, uid, period.from_hour, period.to_hour);
          if (!used.ok()) return used.status();
          over += *used >= plan.quota().requests() ? 1 : 0;
        }
        return absl::OkStatus();
      });
      if (status.ok()) note += ", " + std::to_string(over) + " over the new quota now";
    }
    out.add_notes(note);
  }
  if (plan.has_rate()) {
    out.add_notes("rate: each node enforces its share; bound: at most 2 x the rate while a node joins or is lost");
  }
  if (plan.has_quota()) out.add_notes("quota: bound: what the nodes serve in the two seconds until they hear that it is used up");
}

}  // namespace gw
