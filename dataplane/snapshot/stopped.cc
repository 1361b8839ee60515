#include "dataplane/snapshot/stopped.h"

namespace gw {

LocalResponse* blocked_answer(const Switches& switches, const IpAddress& client, int64_t wall_ns, Arena& arena) {
  const BlockedClients* block = switches.blocked(client, wall_ns);
  if (block == nullptr) return nullptr;
  auto* response = arena.make<LocalResponse>();
  response->reason = Reason::kIpDenied;
  response->detail = block->detail;
  return response;
}

LocalResponse* disabled_answer(const Switches& switches, uint64_t api_uid, Arena& arena) {
  const DisabledApi* api = switches.disabled(api_uid);
  if (api == nullptr) return nullptr;
  auto* response = arena.make<LocalResponse>();
  response->reason = Reason::kDisabled;
  response->status = api->status;
  response->detail = api->detail;
  if (!api->retry_after.empty()) {
    response->headers = arena.make<HeaderField>("retry-after", api->retry_after, HeaderId::kOther);
    response->header_count = 1;
  }
  return response;
}

}  // namespace gw
