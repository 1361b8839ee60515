#include "dataplane/snapshot/snapshot_builder.h"

#include <chrono>

#include "dataplane/snapshot/assembly.h"
#include "dataplane/snapshot/sources.h"

namespace gw {

struct SnapshotBuilder::State {
  std::shared_ptr<IndexRegistry> indexes;
  BuilderOptions options;
  EntrySet entries;
  Objects objects;
  std::shared_ptr<const Snapshot> snapshot;
};

class SnapshotBuilder::Prepared {
 public:
  explicit Prepared(const Objects& before) : objects(before) {}
  EntrySet::Delta delta;
  StreamState state;
  Objects objects;
};

namespace {

// Decodes one changed entry into `objects`, or takes it out.
template <class Source, class Decode>
bool change(ByUid<Source>& map, uint64_t uid, const EntrySet::Bytes& bytes, size_t& built, Decode&& decode) {
  if (!bytes) {
    map.edit().erase(uid);
    return true;
  }
  auto made = decode(*bytes);
  if (!made) return false;
  map.edit()[uid] = std::move(made);
  ++built;
  return true;
}

bool change_route(const EntryKey& key, const EntrySet::Bytes& bytes, Decoder& decoder, RouteChanges& routes, BuildStats& stats) {
  std::shared_ptr<const RouteSource>& route = routes[key.uid];
  if (!bytes) return true;
  route = decoder.route(key, *bytes);
  ++stats.routes_built;
  return route != nullptr;
}

bool apply(const EntryKey& key, const EntrySet::Bytes& bytes, Decoder& decoder, Objects& objects, RouteChanges& routes, BuildStats& stats,
           DiagnosticList& diagnostics) {
  size_t other = 0;
  auto decode = [&](auto member) { return [&, member](const std::string& b) { return (decoder.*member)(key, b); }; };
  switch (key.kind) {
    case v1::ENTRY_GATEWAY: return change(objects.gateways, key.uid, bytes, other, decode(&Decoder::gateway));
    case v1::ENTRY_API: return change(objects.apis, key.uid, bytes, other, decode(&Decoder::api));
    case v1::ENTRY_ROUTE: return change_route(key, bytes, decoder, routes, stats);
    case v1::ENTRY_UPSTREAM:
      return change(objects.upstreams, key.uid, bytes, stats.upstreams_built, decode(&Decoder::upstream));
    case v1::ENTRY_POLICY: return change(objects.policies, key.uid, bytes, stats.policies_built, decode(&Decoder::policy));
    case v1::ENTRY_PLAN: return change(objects.plans, key.uid, bytes, other, decode(&Decoder::plan));
    default:
      diagnostics.error("GW3005", {}, "", "an entry of kind " + std::to_string(key.kind) + " does not belong to the configuration");
      return false;
  }
}

}  // namespace

SnapshotBuilder::SnapshotBuilder(std::shared_ptr<IndexRegistry> indexes, BuilderOptions options)
    : state_(std::make_unique<State>(State{std::move(indexes), options, EntrySet(options.limits), {}, nullptr})) {}

SnapshotBuilder::~SnapshotBuilder() = default;

SnapshotBuilder::Result SnapshotBuilder::prepare(const v1::Offer& offer) const {
  auto start = std::chrono::steady_clock::now();
  Result result;
  auto prepared = std::make_shared<Prepared>(state_->objects);
  result.outcome = state_->entries.prepare(offer, prepared->delta, prepared->state, result.diagnostics);
  if (result.outcome != PrepareOutcome::kReady) return result;
  result.outcome = PrepareOutcome::kRefused;
  result.stats.entries_changed = prepared->delta.size();
  Decoder decoder(*state_->indexes, state_->options, result.diagnostics);
  bool ok = true;
  RouteChanges routes;
  for (const auto& [key, bytes] : prepared->delta) {
    ok = apply(key, bytes, decoder, prepared->objects, routes, result.stats, result.diagnostics) && ok;
  }
  if (!ok) return result;
  SnapshotAssembly assembly(state_->objects, state_->snapshot.get(), prepared->objects, std::move(routes), result.stats, result.diagnostics);
  result.snapshot = assembly.assemble(prepared->state, offer.needs_directory());
  if (!result.snapshot) return result;
  result.stats.bytes = result.snapshot->memory_bytes();
  result.stats.micros =
      std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::steady_clock::now() - start).count();
  result.prepared = std::move(prepared);
  result.outcome = PrepareOutcome::kReady;
  return result;
}

void SnapshotBuilder::commit(Result result) {
  state_->entries.commit(std::move(result.prepared->delta), result.prepared->state);
  state_->objects = std::move(result.prepared->objects);
  state_->snapshot = std::move(result.snapshot);
}

const StreamState& SnapshotBuilder::state() const { return state_->entries.state(); }

const std::shared_ptr<const Snapshot>& SnapshotBuilder::snapshot() const { return state_->snapshot; }

v1::Offer SnapshotBuilder::whole() const {
  v1::Offer out = state_->entries.whole(v1::STREAM_CONFIG);
  if (state_->snapshot) out.set_needs_directory(state_->snapshot->needs_directory());
  return out;
}

}  // namespace gw
