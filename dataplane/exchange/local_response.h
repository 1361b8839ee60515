// Answers that the gateway makes by itself: a problem document (RFC 9457), or a small page for browsers.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "common/http/message.h"
#include "dataplane/policy/decision.h"

namespace gw {

struct ProblemFacts {
  std::string_view request_id;
  // Empty unless the Gateway says errorDetail: full.
  std::string_view policy;
  uint64_t version = 0;
};

// Status of `response`: its own, or its reason's.
int status_of(const LocalResponse& response);
// True: a browser asks (Accept names text/html before anything of JSON).
bool prefers_html(const RequestHead& request);
// The body; its type is problem_type().
void write_problem(std::string& out, const LocalResponse& response, const ProblemFacts& facts, bool html);
std::string_view problem_type(bool html);

}  // namespace gw
