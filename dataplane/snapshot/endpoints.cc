#include "dataplane/snapshot/endpoints.h"

#include <algorithm>
#include <utility>

#include "dataplane/snapshot/target_source.h"

namespace gw {
namespace {

constexpr size_t kMaxEndpointBytes = 4096;  // of one entry

// One entry into the list of its Upstream. False: the problem is an error in `diagnostics`.
bool read_endpoint(const EntryKey& key, const std::string& bytes, std::map<uint64_t, std::vector<AddedTarget>>& out,
                   DiagnosticList& diagnostics) {
  ObjectLabel label;
  if (key.kind != v1::ENTRY_ENDPOINT) {
    diagnostics.error("GW3005", label, "", "an entry of kind " + std::to_string(key.kind) + " does not belong to the endpoints");
    return false;
  }
  v1::EndpointEntry entry;
  if (!parse_entry(key, bytes, entry, label, diagnostics)) return false;
  AddedTarget added;
  added.expires_at = entry.expires_at();
  if (auto problem = read_target(entry.target(), added.target)) {
    diagnostics.error(problem->code, label, "target." + std::string(problem->field), problem->what);
    return false;
  }
  added.target.source = UpstreamTarget::Source::kEndpoint;
  out[entry.upstream()].push_back(std::move(added));
  return true;
}

}  // namespace

const std::shared_ptr<const Endpoints>& Endpoints::none() {
  static const std::shared_ptr<const Endpoints> kNone = std::make_shared<const Endpoints>();
  return kNone;
}

const std::vector<AddedTarget>& Endpoints::of(uint64_t upstream_uid) const {
  static const std::vector<AddedTarget> kNothing;
  auto at = targets_.find(upstream_uid);
  return at == targets_.end() ? kNothing : at->second;
}

int64_t Endpoints::next_end(int64_t wall_s) const {
  int64_t out = 0;
  for (const auto& [uid, targets] : targets_) {
    for (const AddedTarget& t : targets) {
      if (t.expires_at > wall_s && (out == 0 || t.expires_at < out)) out = t.expires_at;
    }
  }
  return out;
}

EndpointsBuilder::EndpointsBuilder()
    : entries_({.entries = Endpoints::kMax, .entry_bytes = kMaxEndpointBytes, .total_bytes = Endpoints::kMax * kMaxEndpointBytes}),
      endpoints_(Endpoints::none()) {}

// The set is small, so that the whole is made anew each time.
EndpointsBuilder::Result EndpointsBuilder::prepare(const v1::Offer& offer) const {
  Result result;
  StreamState state;
  result.outcome = entries_.prepare(offer, result.delta, state, result.diagnostics);
  if (result.outcome != PrepareOutcome::kReady) return result;
  result.outcome = PrepareOutcome::kRefused;
  auto next = std::make_shared<Endpoints>();
  next->state_ = state;
  for (const auto& [key, bytes] : entries_.entries()) {
    if (!result.delta.contains(key) && !read_endpoint(key, *bytes, next->targets_, result.diagnostics)) return result;
  }
  for (const auto& [key, bytes] : result.delta) {
    if (bytes && !read_endpoint(key, *bytes, next->targets_, result.diagnostics)) return result;
  }
  for (auto& [uid, targets] : next->targets_) {
    std::sort(targets.begin(), targets.end(), [](const AddedTarget& a, const AddedTarget& b) { return a.target.authority < b.target.authority; });
    next->size_ += targets.size();
  }
  result.outcome = PrepareOutcome::kReady;
  result.endpoints = std::move(next);
  return result;
}

void EndpointsBuilder::commit(Result result) {
  StreamState state = result.endpoints->state_;
  endpoints_ = std::move(result.endpoints);
  entries_.commit(std::move(result.delta), state);
}

}  // namespace gw
