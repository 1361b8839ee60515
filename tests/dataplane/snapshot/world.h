// A small configuration and directory, written by uid, and requests through the decision core.
#pragma once

#include <catch2/catch.hpp>
#include <memory>
#include <string>
#include <vector>

#include "common/crypto/api_key.h"
#include "common/http/uri.h"
#include "dataplane/policy/pipeline.h"
#include "dataplane/policy/rate_table.h"
#include "dataplane/snapshot/directory_builder.h"
#include "dataplane/snapshot/snapshot_builder.h"
#include "dataplane/snapshot/tables.h"
#include "google/protobuf/text_format.h"
#include "tests/dataplane/snapshot/stream_maker.h"

namespace gw::testing {

template <class M>
M text(const std::string& proto) {
  M out;
  if (!google::protobuf::TextFormat::ParseFromString(proto, &out)) FAIL("not a message: " << proto);
  return out;
}

inline std::string named(const std::string& name) {
  size_t slash = name.find('/');
  return "name { owner: '" + name.substr(0, slash) + "' name: '" + name.substr(slash + 1) + "' } ";
}

// All findings as lines, for comparing.
inline std::string lines(const DiagnosticList& list) {
  std::string out;
  for (const Diagnostic& d : list.items()) out += to_text(d) + "\n";
  return out;
}

class World {
 public:
  explicit World(BuilderOptions options = {}) : builder(std::make_shared<IndexRegistry>(), std::move(options)) {
    tables.directory = directory.directory();
    tables.quota = quota.quota();
  }

  void gateway(uint64_t uid, const std::string& name, const std::string& rest = {}) {
    config.put(v1::ENTRY_GATEWAY, uid,
               text<v1::GatewayEntry>(named(name) + "listeners { name: 'http' address: '127.0.0.1' port: 8080 protocol: PROTOCOL_HTTP } " + rest));
  }
  void api(uint64_t uid, const std::string& name, const std::string& rest) {
    config.put(v1::ENTRY_API, uid, text<v1::ApiEntry>(named(name) + rest));
  }
  void route(uint64_t uid, const std::string& name, const std::string& rest) {
    config.put(v1::ENTRY_ROUTE, uid, text<v1::RouteEntry>(named(name) + rest));
  }
  void upstream(uint64_t uid, const std::string& name, const std::string& url = "http://127.0.0.1:9000", const std::string& rest = {}) {
    config.put(v1::ENTRY_UPSTREAM, uid, text<v1::UpstreamEntry>(named(name) + "targets { url: '" + url + "' } " + rest));
  }
  void policy(uint64_t uid, const std::string& name, const std::string& rest) {
    config.put(v1::ENTRY_POLICY, uid, text<v1::PolicyEntry>(named(name) + rest));
  }
  void plan(uint64_t uid, const std::string& name, const std::string& rest) {
    config.put(v1::ENTRY_PLAN, uid, text<v1::PlanEntry>(named(name) + "on_failure: ON_FAILURE_OPEN " + rest));
  }
  // Gateway 1, upstream 10, open Api 2 on every host at "/", route 3 for everything.
  void basics(const std::string& gateway_rest = {}, const std::string& api_rest = {}, const std::string& route_rest = {}) {
    gateway(1, "platform/edge", gateway_rest);
    upstream(10, "platform/up");
    api(2, "platform/all", "gateways: 1 hosts: '*' base_path: '/' allow_anonymous: true " + api_rest);
    route(3, "platform/all", "api: 2 match { path { prefix: '/' } } upstream: 10 " + route_rest);
  }

  void consumer(uint64_t uid, const std::string& name, bool suspended = false) {
    records.put(v1::ENTRY_CONSUMER, uid, text<v1::ConsumerEntry>(named(name) + (suspended ? "suspended: true" : "")));
  }
  void app(uint64_t uid, const std::string& name, uint64_t of, bool suspended = false) {
    records.put(v1::ENTRY_APP, uid,
                text<v1::AppEntry>(named(name) + "live: true consumer: " + std::to_string(of) + (suspended ? " suspended: true" : "")));
  }
  void subscription(uint64_t uid, const std::string& name, uint64_t app, uint64_t product, uint64_t plan) {
    records.put(v1::ENTRY_SUBSCRIPTION, uid,
                text<v1::SubscriptionEntry>(named(name) + "app: " + std::to_string(app) + " product: " + std::to_string(product) +
                                            " plan: " + std::to_string(plan)));
  }
  // Returns the key.
  std::string key(uint64_t uid, uint64_t app, int64_t expires_at = 0) {
    NewApiKey made = generate_api_key(true);
    v1::KeyEntry e;
    e.set_app(app);
    e.set_sha256(made.sha256.data(), made.sha256.size());
    e.set_key_id(made.key_id);
    e.set_live(true);
    e.set_expires_at(expires_at);
    records.put(v1::ENTRY_KEY, uid, e);
    return made.text;
  }
  void imported_key(uint64_t uid, uint64_t app, const std::string& key) {
    Sha256 hash = sha256(key);
    v1::KeyEntry e;
    e.set_app(app);
    e.set_sha256(hash.data(), hash.size());
    records.put(v1::ENTRY_KEY, uid, e);
  }

  // Builds and commits what changed in each stream.
  void build() {
    auto made = builder.prepare(builder.state().version == 0 ? config.whole() : config.delta());
    INFO(lines(made.diagnostics));
    REQUIRE(made.outcome == PrepareOutcome::kReady);
    stats = made.stats;
    builder.commit(std::move(made));
    tables.snapshot = builder.snapshot();
    auto dir = directory.prepare(directory.state().version == 0 ? records.whole() : records.delta());
    INFO(lines(dir.diagnostics));
    REQUIRE(dir.outcome == PrepareOutcome::kReady);
    directory.commit(std::move(dir));
    tables.directory = directory.directory();
    auto q = quota.prepare(quota.state().version == 0 ? quotas.whole() : quotas.delta());
    REQUIRE(q.outcome == PrepareOutcome::kReady);
    quota.commit(std::move(q));
    tables.quota = quota.quota();
  }
  // What a refused build says.
  std::string refusal() {
    auto made = builder.prepare(builder.state().version == 0 ? config.whole() : config.delta());
    REQUIRE(made.outcome == PrepareOutcome::kRefused);
    CHECK(made.snapshot == nullptr);
    return lines(made.diagnostics);
  }

  SnapshotBuilder builder;
  DirectoryBuilder directory;
  QuotaBuilder quota;
  StreamMaker config{v1::STREAM_CONFIG}, records{v1::STREAM_DIRECTORY}, quotas{v1::STREAM_QUOTA};
  BuildStats stats;
  Tables tables;
  RateTable rates{1024};
  ManualClock clock;
};

// One request through routing and pipeline, with everything that it needs.
class Exchange {
 public:
  Exchange(World& world, std::string method, std::string target, std::vector<std::pair<std::string, std::string>> headers = {},
           std::string host = "a.test", std::string client = "192.0.2.1")
      : method_(std::move(method)), target_(std::move(target)), host_(std::move(host)), headers_(std::move(headers)) {
    head.method = parse_method(method_);
    head.method_text = method_;
    for (const auto& [name, value] : headers_) head.headers.add(name, value);
    std::string_view why;
    REQUIRE(parse_target(head, arena, target_, host_, why));
    ctx.request = &head;
    ctx.tables = &tables_;
    tables_ = world.tables;
    ctx.arena = &arena;
    ctx.rates = &world.rates;
    ctx.client = *IpAddress::parse(client);
    ctx.now_ns = world.clock.mono_ns();
    ctx.wall_ns = world.clock.wall_ns();
    ctx.gateway = tables_.snapshot->gateways().at(0).get();
    result = ctx.gateway->match(head, arena);
    ctx.route = result.route;
    ctx.preflight = result.preflight;
  }
  Exchange(const Exchange&) = delete;

  // "ok", "pause", "204" or a reason.
  std::string run(PolicyCounters* counters = nullptr) {
    REQUIRE(ctx.route);
    pipeline.reset(counters);
    return say(pipeline.run(ctx));
  }
  std::string resume(Decision d) { return say(pipeline.resume(ctx, d)); }
  std::string say(Decision d) {
    response = d.response;
    if (d.kind == Decision::Kind::kNext) return "ok";
    if (d.kind == Decision::Kind::kPause) return "pause";
    return d.response->reason == Reason::kNone ? std::to_string(d.response->status) : std::string(info(d.response->reason).name);
  }
  std::string field(std::string_view name) const {
    for (size_t i = 0; i < response->header_count; ++i) {
      if (response->headers[i].name == name) return std::string(response->headers[i].value);
    }
    return "-";
  }

  RequestHead head;
  Arena arena;
  PolicyContext ctx;
  Pipeline pipeline;
  RouteResult result;
  LocalResponse* response = nullptr;

 private:
  std::string method_, target_, host_;
  std::vector<std::pair<std::string, std::string>> headers_;
  Tables tables_;
};

}  // namespace gw::testing
