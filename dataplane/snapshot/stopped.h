// What a request is answered that an operator's switch stops: shared by the exchange and by explain.
#pragma once

#include <cstdint>

#include "common/base/arena.h"
#include "common/http/address.h"
#include "dataplane/policy/decision.h"
#include "dataplane/snapshot/switches.h"

namespace gw {

// The client is blocked: 403 IP_DENIED. In the arena, with views of `switches`; null: it is not.
LocalResponse* blocked_answer(const Switches& switches, const IpAddress& client, int64_t wall_ns, Arena& arena);
// The Api is disabled: DISABLED with the operator's status, 503 by default. The same.
LocalResponse* disabled_answer(const Switches& switches, uint64_t api_uid, Arena& arena);

}  // namespace gw
