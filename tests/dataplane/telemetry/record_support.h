// Records of requests, and a directory for files, for tests of telemetry.
#pragma once

#include <memory>
#include <string>

#include "dataplane/snapshot/directory.h"
#include "dataplane/snapshot/snapshot.h"
#include "dataplane/telemetry/request_record.h"
#include "tests/support/temp_dir.h"

namespace gw::telemetry_test {

using test::TempDir;

// An Api with its route, an app with its consumer, subscription and plan, and requests of these.
struct Objects {
  Route route;
  GatewayConfig gateway;
  AppRecord app;
  SubscriptionRecord subscription;
  PlanConfig plan;

  explicit Objects(uint64_t uid = 1, uint32_t index = 0) {
    auto api = std::make_shared<ApiConfig>();
    api->uid = 100 + uid;
    api->name = "attendees/api-" + std::to_string(uid);
    auto config = std::make_shared<RouteConfig>();
    config->uid = 200 + uid;
    config->index = index;
    config->name = "attendees/route-" + std::to_string(uid);
    route.api = api;
    route.config = config;
    gateway.uid = 1;
    gateway.name = "platform/edge";
    auto consumer = std::make_shared<ConsumerRecord>();
    consumer->name = "platform/acme-travel";
    app.uid = 300 + uid;
    app.name = "platform/acme-mobile";
    app.consumer = consumer;
    subscription.uid = 400 + uid;
    plan.uid = 500 + uid;
    plan.name = "platform/pro";
  }

  RequestRecord record(int status = 200) const {
    RequestRecord r;
    r.wall_ns = 1'768'478'400'123'000'000;  // 2026-01-15T12:00:00.123Z
    r.duration_ns = 12'345'678;
    r.upstream_ns = 11'000'000;
    r.request_id = "01hv0000000000000000000000";
    r.trace_id = "0af7651916cd43dd8448eb211c80319c";
    r.config_version = 142;
    r.gateway = &gateway;
    r.route = &route;
    r.app = &app;
    r.subscription = &subscription;
    r.plan = &plan;
    r.method = Method::kGet;
    r.method_text = "GET";
    r.host = "api.conference.localhost";
    r.path = "/attendees/42";
    r.user_agent = "curl/8";
    r.status = status;
    r.request_bytes = 10;
    r.response_bytes = 2000;
    r.upstream = "attendees/attendees";
    r.target = "127.0.0.1:9102";
    r.attempts = 1;
    r.reached_upstream = true;
    r.metered = true;
    return r;
  }
};

}  // namespace gw::telemetry_test
