#include "cli/commands/summary.h"

#include <google/protobuf/descriptor.h>

#include "common/base/units.h"

namespace gw::cli {
namespace {

template <class Range>
std::string joined(const Range& range, const char* between = ", ") {
  std::string out;
  for (const auto& item : range) out += (out.empty() ? "" : between) + std::string(item);
  return out;
}

std::string gateway_summary(const v1::GatewaySpec& spec) {
  std::string out;
  for (const v1::Listener& l : spec.listeners()) {
    bool six = l.address().find(':') != std::string::npos;
    out += (out.empty() ? "" : ", ") + l.name() + " " + (six ? "[" + l.address() + "]" : l.address()) + ":" + std::to_string(l.port());
  }
  return out;
}

std::string upstream_summary(const v1::UpstreamSpec& spec) {
  std::string out;
  for (const v1::Target& t : spec.targets()) out += (out.empty() ? "" : ", ") + t.url();
  const v1::Discovery& found = spec.discovery();
  auto add = [&](const std::string& part) { out += (out.empty() ? "" : ", ") + part; };
  if (!found.dns().empty()) add("dns " + found.dns() + ":" + std::to_string(found.port()));
  if (!found.srv().empty()) add("srv " + found.srv());
  if (found.has_endpoints()) add("endpoints");
  return out;
}

std::string path_text(const v1::PathMatch& path) {
  if (!path.exact().empty()) return "exact " + path.exact();
  if (!path.prefix().empty()) return "prefix " + path.prefix();
  if (!path.template_().empty()) return "template " + path.template_();
  if (path.has_grpc()) return "gRPC " + path.grpc().service() + (path.grpc().method().empty() ? "" : "/" + path.grpc().method());
  return "regex " + path.regex();
}

std::string target_text(const v1::RouteTarget& to) {
  if (!to.upstream().empty()) return to.upstream();
  if (to.has_redirect()) return "redirect " + std::to_string(to.redirect().status() == 0 ? 302 : to.redirect().status());
  if (to.has_respond()) return "respond " + std::to_string(to.respond().status());
  std::string out;
  for (const v1::WeightedUpstream& w : to.split()) {
    out += (out.empty() ? "" : ", ") + w.upstream() + " " + std::to_string(w.weight());
  }
  return out;
}

std::string route_summary(const v1::RouteSpec& spec) {
  std::string out = joined(spec.match().methods(), "|");
  if (!out.empty()) out += " ";
  if (!spec.match().host().empty()) out += spec.match().host() + " ";
  return out + path_text(spec.match().path()) + " -> " + target_text(spec.to()) + (spec.grpc_web() ? ", gRPC-Web" : "");
}

std::string policy_summary(const v1::PolicySpec& spec) {
  const auto* field = v1::PolicyConfig::descriptor()->FindFieldByNumber(spec.config().type_case());
  std::string out = field == nullptr ? "(no type)" : field->json_name();
  return spec.mode() == v1::POLICY_MODE_OBSERVE ? out + ", only observed" : out;
}

std::string plan_summary(const v1::PlanSpec& spec) {
  std::string out;
  if (spec.has_rate()) out = std::to_string(spec.rate().requests()) + " per " + format_duration_ms(spec.rate().per_ms());
  if (spec.has_quota()) {
    const char* per = spec.quota().per() == v1::Quota::PER_HOUR ? "hour" : spec.quota().per() == v1::Quota::PER_DAY ? "day" : "month";
    out += (out.empty() ? "" : ", ") + std::to_string(spec.quota().requests()) + " a " + per;
  }
  return out;
}

}  // namespace

std::string summary(const v1::Object& object) {
  switch (object.spec_case()) {
    case v1::Object::kTeam: return object.team().title();
    case v1::Object::kGateway: return gateway_summary(object.gateway());
    case v1::Object::kUpstream: return upstream_summary(object.upstream());
    case v1::Object::kApi: return joined(object.api().hosts()) + " " + object.api().base_path();
    case v1::Object::kRoute: return object.route().api() + ": " + route_summary(object.route());
    case v1::Object::kPolicy: return policy_summary(object.policy());
    case v1::Object::kPlan: return plan_summary(object.plan());
    case v1::Object::kProduct: return joined(object.product().apis()) + " under " + joined(object.product().plans());
    case v1::Object::kConsumer: return object.consumer().title() + (object.consumer().suspended() ? " (suspended)" : "");
    case v1::Object::kApp: return "of " + object.app().consumer() + (object.app().suspended() ? " (suspended)" : "");
    case v1::Object::kSubscription:
      return object.subscription().app() + " to " + object.subscription().product() + " under " + object.subscription().plan();
    case v1::Object::kSecret: return "";  // its value is told by the server's facts
    case v1::Object::kCertificate: return joined(object.certificate().hosts());
    case v1::Object::SPEC_NOT_SET: break;
  }
  return "";
}

}  // namespace gw::cli
