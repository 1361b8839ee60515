// How explain words what it finds.
#pragma once

#include <string>

#include "dataplane/snapshot/directory.h"
#include "dataplane/snapshot/snapshot.h"

namespace gw {

std::string listeners_text(const GatewayConfig& gateway);   // http 127.0.0.1:8080
std::string match_text(const RouteMatch& match);            // prefix /attendees, GET HEAD
std::string caller_text(const AppRecord& app);              // app platform/mobile of platform/acme
std::string plan_text(const PlanConfig& plan, uint32_t nodes);  // rate 50 per 1s, burst 100 (a node's share: 25); quota 10000 per month
// "5% of requests are copied, with bodies to 65536 bytes, 100 at once"
std::string mirror_text(const MirrorRule& mirror);
std::string targets_text(const UpstreamConfig& upstream);   // 127.0.0.1:9101, or "{a:1,b:2}"
std::string target_rules_text(const UpstreamConfig& upstream);  // least request; up to 2 retries on reset, 503; "" by default

// What a route lacks for the request; kNone: it matches, and another ranks before it.
MatchFailure match_failure(const RouteMatch& match, std::string_view base, std::string_view path, const RequestHead& request,
                           Arena& arena);
std::string lost_text(const RouteMatch& match, MatchFailure failure, const RequestHead& request, Arena& arena);

}  // namespace gw
