// Targets out of rotation by an operator's switch.
#include <algorithm>

#include "dataplane/snapshot/snapshot.h"
#include "dataplane/snapshot/switches.h"

namespace gw {

std::shared_ptr<const Snapshot> with_drained(std::shared_ptr<const Snapshot> snapshot, const Switches& switches) {
  if (snapshot == nullptr || switches.drained().empty()) return snapshot;
  using Upstreams = std::vector<std::shared_ptr<const UpstreamConfig>>;
  std::shared_ptr<Upstreams> list;
  for (size_t i = 0; i < snapshot->upstreams().size(); ++i) {
    const UpstreamConfig* upstream = snapshot->upstreams()[i].get();
    if (upstream == nullptr) continue;
    auto from = std::lower_bound(switches.drained().begin(), switches.drained().end(), upstream->uid,
                                 [](const DrainedTarget& d, uint64_t uid) { return d.upstream < uid; });
    std::shared_ptr<UpstreamConfig> changed;
    for (; from != switches.drained().end() && from->upstream == upstream->uid; ++from) {
      for (size_t t = 0; t < upstream->targets.size(); ++t) {
        if (upstream->targets[t].authority != from->authority || upstream->targets[t].weight == 0) continue;
        if (changed == nullptr) changed = std::make_shared<UpstreamConfig>(*upstream);
        changed->targets[t].weight = 0;
      }
    }
    if (changed == nullptr) continue;
    if (list == nullptr) list = std::make_shared<Upstreams>(snapshot->upstreams());
    (*list)[i] = std::move(changed);
  }
  if (list == nullptr) return snapshot;
  auto out = std::make_shared<Snapshot>(*snapshot);
  out->upstreams_ = std::move(list);
  return out;
}

}  // namespace gw
