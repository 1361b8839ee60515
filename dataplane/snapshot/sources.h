// Entries decoded: what the builder keeps of each object between offers, and the parts of a snapshot that one object makes
// by itself. For the builder alone.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "dataplane/snapshot/config.h"
#include "dataplane/snapshot/entry.h"
#include "dataplane/snapshot/persistent_map.h"
#include "dataplane/snapshot/snapshot.h"
#include "dataplane/snapshot/snapshot_builder.h"

namespace gw {

struct GatewaySource {
  GatewayConfig config;  // without claims, apis and local_response
  std::vector<uint64_t> policies, required;
};

struct AuthSource {
  std::vector<uint64_t> policies;
  bool allow_anonymous = false;
};

struct ApiSource {
  std::shared_ptr<const ApiConfig> config;
  std::string base;  // normal form
  std::vector<uint64_t> gateways, policies;
  AuthSource auth;
  std::optional<int64_t> body_bytes, request_ms, body_idle_ms, first_byte_ms, idle_ms;
};

struct RouteSource {
  std::shared_ptr<const RouteConfig> config;
  uint64_t api = 0;
  std::vector<uint64_t> policies;
  std::optional<AuthSource> auth;
  std::vector<uint64_t> upstreams;
  std::optional<int64_t> body_bytes, request_ms, body_idle_ms, first_byte_ms, idle_ms;
};

struct PlanSource {
  PlanConfig config;  // without policies
  std::vector<uint64_t> policies;
};

// The Routes of one Api.
struct RouteGroup {
  std::vector<std::shared_ptr<const RouteSource>> routes;  // by uid
  size_t bytes = 0;                                        // of memory, estimated
};

// One gateway's view of an Api, and what it was made from.
struct ServedApi {
  std::shared_ptr<const ApiOnGateway> served;
  std::shared_ptr<const RouteGroup> group;  // by position in `served`
  size_t bytes = 0;
};

// A map that its copies share until one of them is edited.
template <class Key, class Value>
class SharedMap {
 public:
  using Map = std::map<Key, Value>;
  const Map& operator*() const { return *map_; }
  const Map* operator->() const { return map_.get(); }
  bool shares(const SharedMap& other) const { return map_ == other.map_; }
  void set(Map map) { map_ = std::make_shared<Map>(std::move(map)); }
  // Copies all of it when another has it too.
  Map& edit() {
    if (map_.use_count() > 1) map_ = std::make_shared<Map>(*map_);
    return *map_;
  }

 private:
  std::shared_ptr<Map> map_ = std::make_shared<Map>();
};
template <class Source>
using ByUid = SharedMap<uint64_t, std::shared_ptr<const Source>>;

// All objects of one version. A copy shares everything, and what a change of some Routes costs does not depend on how many
// others there are.
struct Objects {
  ByUid<GatewaySource> gateways;
  ByUid<ApiSource> apis;
  PersistentMap<RouteSource> routes;  // by uid
  ByUid<RouteGroup> groups;           // by Api, the same Routes
  ByUid<UpstreamConfig> upstreams;
  ByUid<Policy> policies;
  ByUid<PlanSource> plans;
  // Made from the above.
  ByUid<PlanConfig> plan_configs;
  ByUid<ApiRouter> routers;  // by Api
  SharedMap<std::pair<uint64_t, uint64_t>, ServedApi> served;  // by Gateway and Api
  size_t upstream_bytes = 0;
};

// Routes that an offer changes, by uid; null: removed.
using RouteChanges = std::map<uint64_t, std::shared_ptr<const RouteSource>>;

// Decodes single entries. Null after an error, which is in `diagnostics`.
class Decoder {
 public:
  Decoder(IndexRegistry& indexes, const BuilderOptions& options, DiagnosticList& diagnostics)
      : indexes_(indexes), options_(options), diagnostics_(diagnostics) {}

  std::shared_ptr<const GatewaySource> gateway(const EntryKey& key, const std::string& bytes);
  std::shared_ptr<const ApiSource> api(const EntryKey& key, const std::string& bytes);
  std::shared_ptr<const RouteSource> route(const EntryKey& key, const std::string& bytes);
  std::shared_ptr<const UpstreamConfig> upstream(const EntryKey& key, const std::string& bytes);
  std::shared_ptr<const Policy> policy(const EntryKey& key, const std::string& bytes);
  std::shared_ptr<const PlanSource> plan(const EntryKey& key, const std::string& bytes);

 private:
  void identify(ObjectInfo& info, IndexSpace space, uint64_t uid, const v1::ObjectName& name);
  bool fail(std::string_view path, const std::string& what, std::string_view code = "GW3007");
  bool http2_limits(const v1::Http2Limits& in, const std::string& path, ListenerHttp2Config& out);
  bool listener(const v1::Listener& in, std::string_view path, ListenerConfig& out);
  void client_auth(const v1::GatewayEntry& in, GatewayConfig& out);
  // upstream_source.cc
  bool upstream_tls(const v1::UpstreamEntry& in, UpstreamConfig& out);
  bool balance(const v1::Balance& in, BalanceConfig& out);
  bool retries(const v1::Retries& in, RetryConfig& out);
  bool discovery(const v1::Discovery& in, DiscoveryConfig& out);
  bool protocol(const v1::UpstreamEntry& in, UpstreamConfig& out);
  bool route_to(const v1::RouteEntry& in, RouteConfig& config, RouteSource& out);
  bool route_extras(const v1::RouteEntry& in, RouteConfig& config, RouteSource& out);

  IndexRegistry& indexes_;
  const BuilderOptions& options_;
  DiagnosticList& diagnostics_;
  ObjectLabel label_;
};

}  // namespace gw
