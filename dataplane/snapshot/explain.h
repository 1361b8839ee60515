// What a node would do with a request, by its own code: parse_target, the router, the pipeline, the pick of the upstream.
// Nothing is spent. The same in gwctl, the control plane and a node. Thread-safe over immutable tables.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "dataplane/snapshot/tables.h"
#include "gw/v1/admin.pb.h"

namespace gw {

class RateTable;

struct ExplainInput {
  std::string method = "GET";
  std::string url;  // http://host[:port]/path?query, or a path (then Host is looked for in `headers`)
  std::vector<std::pair<std::string, std::string>> headers;
  uint64_t as_app = 0;           // uid in the directory; 0: no caller is presumed
  std::string client_address;    // empty: 127.0.0.1
  std::string gateway;           // owner/name; empty: the only one, or the first that has an Api for the host
  int64_t wall_ns = 0;           // 0: now
  int64_t mono_ns = 0;
  RateTable* rates = nullptr;    // a live node's; null: the state of rates is unknown
};

// `version` of the response is the snapshot's. A url that cannot be read is a 400 in the response, not an error.
v1::ExplainResponse explain(const Tables& tables, const ExplainInput& input);

}  // namespace gw
