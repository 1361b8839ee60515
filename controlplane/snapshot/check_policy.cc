#include <cstdio>
#include <ctime>
#include <map>

#include "controlplane/snapshot/check.h"
#include "dataplane/policy/registry.h"

namespace gw {
namespace {

// Milliseconds at which the day after `date` (2027-01-15) begins in UTC; -1 when it is no date.
int64_t end_of_day_ms(const std::string& date) {
  std::tm day{};
  if (std::sscanf(date.c_str(), "%4d-%2d-%2d", &day.tm_year, &day.tm_mon, &day.tm_mday) != 3) return -1;
  day.tm_year -= 1900;
  day.tm_mon -= 1;
  return (static_cast<int64_t>(timegm(&day)) + 86'400) * 1000;
}

void check_observe(const CheckContext& c, const v1::Object& object) {
  const v1::PolicySpec& policy = object.policy();
  if (policy.mode() != v1::POLICY_MODE_OBSERVE || !is_authentication(policy)) return;
  ObjectLabel label = key_of(object).label();
  if (policy.reason().empty()) {
    c.out.error("GW1406", label, "spec.reason", "observing authentication admits everybody: it needs a reason")
        .set_cure("say why in `reason`, and until which day in `until`");
  }
  if (policy.until().empty()) {
    c.out.error("GW1406", label, "spec.until", "observing authentication admits everybody: it needs a last day")
        .set_cure("set `until: YYYY-MM-DD`");
  } else if (end_of_day_ms(policy.until()) <= c.options.now_ms) {
    c.out.error("GW1407", label, "spec.until", policy.until() + " has passed")
        .set_cure("set `mode: enforce`, or a later day");
  }
}

// One entry of a list of policies: the right kind for its place.
void check_entry(const CheckContext& c, const v1::Object& user, const std::string& path, const v1::Object& policy, bool auth) {
  ObjectLabel label = key_of(user).label();
  std::string name = key_of(policy).full_name();
  if (auth && !is_authentication(policy.policy())) {
    c.out.error("GW1401", label, path, name + " (" + type_name(policy.policy()) + ") does not authenticate")
        .set_cure("move it to `policies`");
  }
  if (!auth && is_authentication(policy.policy())) {
    c.out.error("GW1402", label, path, name + " (" + type_name(policy.policy()) + ") authenticates")
        .set_cure("move it to `auth` of the Api or Route");
  }
}

}  // namespace

bool is_authentication(const v1::PolicySpec& policy) {
  const PolicyType* type = find_policy_type(policy.config().type_case());
  return type && type->phase == Phase::kAuthentication;
}

bool is_nearest(const v1::PolicySpec& policy) {
  const PolicyType* type = find_policy_type(policy.config().type_case());
  return type && type->combine == Combine::kNearest;
}

std::string type_name(const v1::PolicySpec& policy) {
  const PolicyType* type = find_policy_type(policy.config().type_case());
  return type ? std::string(type->name) : "?";
}

void check_policy_list(const CheckContext& c, const v1::Object& user, const std::string& path, const NameList& names,
                       bool auth) {
  std::map<std::string, const v1::Object*> nearest;
  for (int i = 0; i < names.size(); ++i) {
    const v1::Object* policy = c.catalog.referenced(user, v1::Object::kPolicy, names[i]);
    if (!policy) continue;
    std::string here = path + "[" + std::to_string(i) + "]";
    check_entry(c, user, here, *policy, auth);
    if (auth || !is_nearest(policy->policy())) continue;
    auto [at, fresh] = nearest.try_emplace(type_name(policy->policy()), policy);
    if (!fresh && at->second != policy) {
      c.out.error("GW1411", key_of(user).label(), here,
                  key_of(*at->second).full_name() + " in the same list is of type " + at->first + " too; only one can be in force")
          .set_cure("leave one of them out");
    }
  }
}

void check_fail_open(const CheckContext& c, const v1::Object& user, const std::string& path, const NameList& names,
                     const v1::Object& gateway) {
  for (int i = 0; i < names.size(); ++i) {
    const v1::Object* policy = c.catalog.referenced(user, v1::Object::kPolicy, names[i]);
    if (!policy || policy->policy().on_failure() != v1::ON_FAILURE_OPEN) continue;
    Diagnostic& d = c.out.error("GW1404", key_of(user).label(), path + "[" + std::to_string(i) + "]",
                                key_of(*policy).text() + " has `onFailure: open`, which " + key_of(gateway).text() +
                                    " does not allow");
    d.set_cure("set `onFailure: closed`, or serve it by another Gateway");
    d.add_related(key_of(*policy).full_name());
  }
}

void check_policy(const CheckContext& c, const v1::Object& object) {
  const v1::PolicySpec& policy = object.policy();
  ObjectLabel label = key_of(object).label();
  if (policy.on_failure() == v1::ON_FAILURE_OPEN && policy.reason().empty()) {
    c.out.error("GW1405", label, "spec.reason", "`onFailure: open` needs a reason").set_cure("say why in `reason`");
  }
  const PolicyType* type = find_policy_type(policy.config().type_case());
  if (type && type->asks_outside && policy.on_failure() == v1::ON_FAILURE_UNSPECIFIED) {
    c.out.error("GW1418", label, "spec.onFailure", "this type asks something outside the process, which can fail")
        .set_cure("say what then: `open` (with a reason) or `closed`");
  }
  check_observe(c, object);
  const v1::PolicyConfig& config = policy.config();
  if (config.has_cors() && config.cors().credentials()) {
    for (int i = 0; i < config.cors().origins_size(); ++i) {
      if (config.cors().origins(i) != "*") continue;
      c.out.error("GW1412", label, "spec.config.origins[" + std::to_string(i) + "]", "any origin cannot go with credentials")
          .set_cure("list the origins, or set `credentials: false`");
    }
  }
  if (config.has_api_key() && config.api_key().in() == v1::ApiKeyPolicy::IN_QUERY) {
    c.out.warning("GW2004", label, "spec.config.in", "keys in a query end up in logs and histories").set_cure("prefer `in: header`");
  }
}

void check_plan(const CheckContext& c, const v1::Object& object) {
  const v1::PlanSpec& plan = object.plan();
  ObjectLabel label = key_of(object).label();
  if (plan.on_failure() == v1::ON_FAILURE_OPEN && plan.reason().empty()) {
    c.out.error("GW1405", label, "spec.reason", "`onFailure: open` needs a reason").set_cure("say why in `reason`");
  }
  check_policy_list(c, object, "spec.policies", plan.policies(), false);
  for (int i = 0; i < plan.policies_size(); ++i) {
    const v1::Object* policy = c.catalog.referenced(object, v1::Object::kPolicy, plan.policies(i));
    if (!policy || !is_nearest(policy->policy()) || is_authentication(policy->policy())) continue;
    c.out.error("GW1413", label, "spec.policies[" + std::to_string(i) + "]",
                key_of(*policy).full_name() + " (" + type_name(policy->policy()) +
                    ") runs before the caller is known, so it cannot belong to a Plan")
        .set_cure("put it on the Api or Route");
  }
}

}  // namespace gw
