#include "dataplane/policy/registry.h"

#include "dataplane/policy/types.h"

namespace gw {

const std::vector<PolicyType>& policy_types() {
  using C = v1::PolicyConfig;
  static const std::vector<PolicyType> types = {
      {"apiKey", C::kApiKey, Phase::kAuthentication, Combine::kNearest, false, build_api_key},
      {"clientCertificate", C::kClientCertificate, Phase::kAuthentication, Combine::kNearest, false, build_client_certificate},
      {"ipList", C::kIpList, Phase::kConnection, Combine::kAll, false, build_ip_list},
      {"cors", C::kCors, Phase::kCors, Combine::kNearest, false, build_cors},
      {"headers", C::kHeaders, Phase::kTransform, Combine::kAll, false, build_headers},
      {"rateLimit", C::kRateLimit, Phase::kRate, Combine::kAll, false, build_rate_limit},
  };
  return types;
}

const PolicyType* find_policy_type(v1::PolicyConfig::TypeCase type_case) {
  for (const PolicyType& t : policy_types()) {
    if (t.type_case == type_case) return &t;
  }
  return nullptr;
}

std::unique_ptr<Policy> build_policy(Policy::Info info, const v1::PolicyEntry& entry, DiagnosticList& diagnostics) {
  ObjectLabel label{"Policy", info.owner + "/" + info.name};
  const PolicyType* type = find_policy_type(entry.config().type_case());
  if (!type) {
    diagnostics.error("GW1420", label, "spec.type", "this build knows no such policy type");
    return nullptr;
  }
  info.type = type->name;
  info.observe = entry.mode() == v1::POLICY_MODE_OBSERVE;
  return type->build(std::move(info), entry.config(), label, diagnostics);
}

std::string_view phase_name(Phase phase) {
  static constexpr std::string_view kNames[] = {"connection", "cors", "waf",       "auth", "authorization",
                                                "rate",       "validation", "transform", "cache"};
  return kNames[static_cast<size_t>(phase)];
}

}  // namespace gw
