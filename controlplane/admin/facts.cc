#include "controlplane/admin/facts.h"

#include <algorithm>

#include "common/base/units.h"
#include "controlplane/snapshot/check.h"

namespace gw {
namespace {

class Facts {
 public:
  Facts(const Catalog& now, v1::ObjectView& view) : now_(now), view_(view) {}

  void add(std::string name, std::string value) {
    v1::Pair& fact = *view_.add_facts();
    fact.set_name(std::move(name));
    fact.set_value(std::move(value));
  }

  // "platform/base-waf    Gateway/edge, required"
  void policies(const v1::Object& where, const NameList& names, const char* title, const v1::GatewaySpec* gateway = nullptr) {
    for (const std::string& name : names) {
      const v1::Object* policy = now_.referenced(where, v1::Object::kPolicy, name);
      std::string text = policy ? key_of(*policy).full_name() : name;
      if (policy) text += " (" + type_name(policy->policy()) + ")";
      text += "  from " + std::string(kind_name(where.spec_case())) + "/" + where.metadata().name();
      if (gateway && std::find(gateway->required().begin(), gateway->required().end(), name) != gateway->required().end()) {
        text += ", required";
      }
      if (policy && policy->policy().mode() == v1::POLICY_MODE_OBSERVE) text += ", observe";
      add(title, std::move(text));
    }
  }

  void claims(const v1::Object& api) {
    for (const std::string& host : api.api().hosts()) add("claim", host + api.api().base_path());
    for (const v1::Grant& grant : api.api().grants()) add("grant", grant.team() + " at " + grant.base_path());
  }

  void gateways(const v1::Object& api) {
    for (const v1::Object* gateway : gateways_of(now_, api)) add("gateway", key_of(*gateway).full_name());
  }

 private:
  const Catalog& now_;
  v1::ObjectView& view_;
};

bool runs_on(const v1::GatewaySpec& gateway, const v1::NodeInfo& node) {
  const auto& labels = gateway.nodes().labels();
  return std::all_of(labels.begin(), labels.end(), [&](const v1::Pair& want) {
    return std::any_of(node.labels().begin(), node.labels().end(),
                       [&](const v1::Pair& have) { return have.name() == want.name() && have.value() == want.value(); });
  });
}

void describe_route(const Catalog& now, const v1::Object& route, Facts& facts) {
  if (route.route().has_websocket()) {
    std::string from;
    for (const std::string& origin : route.route().websocket().origins()) from += (from.empty() ? "" : ", ") + origin;
    facts.add("websocket", "from " + (from.empty() ? "its own host" : from));
  }
  if (const v1::PathMatch& path = route.route().match().path(); path.has_grpc()) {
    facts.add("grpc", path.grpc().service() + (path.grpc().method().empty() ? ", all methods" : "/" + path.grpc().method()));
  }
  if (route.route().grpc_web()) facts.add("grpcWeb", "gRPC-Web requests go on as gRPC");
  if (const v1::RouteTarget& to = route.route().to(); to.has_mirror()) {
    const v1::Object* mirror = now.referenced(route, v1::Object::kUpstream, to.mirror().upstream());
    facts.add("mirror", format_percent(to.mirror().percent_ppm()) + " to " +
                            (mirror ? key_of(*mirror).full_name() : to.mirror().upstream()));
  }
  const v1::Object* api = now.referenced(route, v1::Object::kApi, route.route().api());
  if (!api) return;
  facts.add("api", key_of(*api).full_name());
  for (const v1::Object* gateway : gateways_of(now, *api)) {
    facts.add("gateway", key_of(*gateway).full_name());
    facts.policies(*gateway, gateway->gateway().policies(), "policy", &gateway->gateway());
  }
  facts.policies(*api, api->api().policies(), "policy");
  facts.policies(route, route.route().policies(), "policy");
  bool own = !route.route().auth().empty();
  facts.policies(own ? route : *api, own ? route.route().auth() : api->api().auth(), "auth");
}

}  // namespace

void add_facts(const Catalog& now, const v1::Object& object, const std::vector<v1::NodeInfo>& nodes, v1::ObjectView& view) {
  Facts facts(now, view);
  switch (object.spec_case()) {
    case v1::Object::kGateway:
      for (const v1::NodeInfo& node : nodes) {
        if (runs_on(object.gateway(), node)) facts.add("node", node.node() + (node.connected() ? "" : " (not connected)"));
      }
      facts.policies(object, object.gateway().policies(), "policy", &object.gateway());
      break;
    case v1::Object::kApi:
      facts.claims(object);
      facts.gateways(object);
      facts.policies(object, object.api().auth(), "auth");
      facts.policies(object, object.api().policies(), "policy");
      for (const v1::Object* route : routes_of(now, object)) facts.add("route", key_of(*route).full_name());
      for (const v1::Object* product : products_of(now, object)) facts.add("product", key_of(*product).full_name());
      break;
    case v1::Object::kRoute: describe_route(now, object, facts); break;
    case v1::Object::kUpstream:
    case v1::Object::kPolicy:
    case v1::Object::kPlan:
    case v1::Object::kProduct:
    case v1::Object::kConsumer:
    case v1::Object::kApp:
    case v1::Object::kSecret:
    case v1::Object::kCertificate:
      for (const ObjectKey& user : now.dependents(key_of(object))) {
        if (now.find(user)) facts.add("used by", user.text());
      }
      break;
    default: break;
  }
}

}  // namespace gw
