// The policy types, as registry.cc builds them: one function each, in its own .cc. Null after an error; its field path
// begins with `spec.config`.
#pragma once

#include <memory>

#include "common/base/diagnostic.h"
#include "dataplane/policy/policy.h"
#include "gw/v1/policies.pb.h"

namespace gw {

std::unique_ptr<Policy> build_api_key(Policy::Info info, const v1::PolicyConfig& config, const ObjectLabel& label,
                                      DiagnosticList& diagnostics);
std::unique_ptr<Policy> build_client_certificate(Policy::Info info, const v1::PolicyConfig& config, const ObjectLabel& label,
                                                 DiagnosticList& diagnostics);
std::unique_ptr<Policy> build_cors(Policy::Info info, const v1::PolicyConfig& config, const ObjectLabel& label,
                                   DiagnosticList& diagnostics);
std::unique_ptr<Policy> build_headers(Policy::Info info, const v1::PolicyConfig& config, const ObjectLabel& label,
                                      DiagnosticList& diagnostics);
std::unique_ptr<Policy> build_ip_list(Policy::Info info, const v1::PolicyConfig& config, const ObjectLabel& label,
                                      DiagnosticList& diagnostics);
std::unique_ptr<Policy> build_rate_limit(Policy::Info info, const v1::PolicyConfig& config, const ObjectLabel& label,
                                         DiagnosticList& diagnostics);

}  // namespace gw
