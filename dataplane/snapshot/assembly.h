// From objects to a snapshot, sharing with the one before whatever did not change. For the builder alone.
#pragma once

#include <memory>
#include <set>
#include <vector>

#include "dataplane/snapshot/sources.h"

namespace gw {

class SnapshotAssembly {
 public:
  // `before`: the objects of the snapshot `last`, which may be null. `next`: changed objects in place, with what was made
  // from them, and the Routes, still as in `before`; assemble() brings that up to date.
  SnapshotAssembly(const Objects& before, const Snapshot* last, Objects& next, RouteChanges routes, BuildStats& stats,
                   DiagnosticList& diagnostics);

  // Null after errors.
  std::shared_ptr<const Snapshot> assemble(const StreamState& state, uint64_t needs_directory);

 private:
  enum class Use : uint8_t { kChain, kAuth, kPlan };

  bool check_policies(const std::vector<uint64_t>& uids, Use use, const ObjectLabel& label, std::string_view path);
  bool check_references();
  bool references_may_break() const;
  bool check_route(const RouteSource& route);
  bool policies_changed(const std::vector<uint64_t>& uids) const;
  void make_plans();
  void change_routes();
  void make_routers();
  std::shared_ptr<const GatewayConfig> make_gateway(const GatewaySource& gateway);
  std::shared_ptr<const ApiOnGateway> serve(const GatewaySource& gateway, const ApiSource& api);
  std::shared_ptr<const Route> make_route(const GatewaySource& gateway, const ApiSource& api, const RouteSource& route) const;
  void add_level(const std::vector<uint64_t>& uids, Place place, const GatewaySource& gateway,
                 std::vector<ChainEntry>& chain) const;
  void make_chain(const GatewaySource& gateway, const ApiSource& api, const RouteSource& route, Route& out) const;
  static void set_flags(Route& route);
  template <class Source>
  bool changed(uint64_t uid, ByUid<Source> Objects::*map) const;
  void take_upstreams(Snapshot& out) const;
  size_t memory() const;

  const Objects& before_;
  const Snapshot* last_;
  Objects& next_;
  BuildStats& stats_;
  DiagnosticList& diagnostics_;
  const RouteChanges changed_routes_;
  std::set<uint64_t> changed_policies_;
  std::map<std::pair<uint64_t, uint64_t>, ServedApi> made_;  // becomes next_.served
};

}  // namespace gw
