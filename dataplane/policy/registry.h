// The policy types that this build knows, in one explicit list (registry.cc). Thread-safe.
#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include "common/base/diagnostic.h"
#include "dataplane/policy/policy.h"
#include "gw/v1/snapshot.pb.h"

namespace gw {

struct PolicyType {
  std::string_view name;  // as in YAML: apiKey
  v1::PolicyConfig::TypeCase type_case;
  Phase phase;
  Combine combine;
  // Depends on something outside the process: onFailure is required.
  bool asks_outside;
  std::unique_ptr<Policy> (*build)(Policy::Info info, const v1::PolicyConfig& config, const ObjectLabel& label,
                                   DiagnosticList& diagnostics);
};

const std::vector<PolicyType>& policy_types();
// Null for one that this build does not know, or none.
const PolicyType* find_policy_type(v1::PolicyConfig::TypeCase type_case);

// Null after an error; field paths in it begin with `spec.config`. info.type is filled in here.
std::unique_ptr<Policy> build_policy(Policy::Info info, const v1::PolicyEntry& entry, DiagnosticList& diagnostics);

std::string_view phase_name(Phase phase);  // connection, cors, waf, auth, authorization, rate, validation, transform, cache

}  // namespace gw
