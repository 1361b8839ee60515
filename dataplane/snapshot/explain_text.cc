#include "dataplane/snapshot/explain_text.h"

#include "common/base/units.h"
#include "common/http/grpc_status.h"
#include "common/http/uri.h"
#include "dataplane/policy/rate_table.h"

namespace gw {
namespace {

std::string kind_text(const RouteMatch& m) {
  if (!m.grpc.empty()) return "gRPC " + m.grpc;
  static constexpr const char* kKinds[] = {"exact ", "prefix ", "template ", "regex "};
  return kKinds[static_cast<size_t>(m.kind)] + m.path_text;
}

std::string methods_text(const MethodSet& methods) {
  std::string out;
  auto append = [&](std::string_view name) { out += (out.empty() ? "" : " ") + std::string(name); };
  for (unsigned m = 0; m < static_cast<unsigned>(Method::kOther); ++m) {
    if (methods.bits & (1u << m)) append(method_name(static_cast<Method>(m)));
  }
  for (const std::string& m : methods.others) append(m);
  return out;
}

// The first condition that does not hold.
std::string condition_text(const RouteMatch& m, const RequestHead& request, Arena& arena) {
  for (const NamedCondition& c : m.headers) {
    const HeaderField* f = request.headers.find(std::string_view(c.name));
    if (!c.holds(f ? &f->value : nullptr)) return c.describe("header");
  }
  for (const NamedCondition& c : m.query) {
    std::string_view value;
    bool found = query_find(request.query, c.name, arena, value);
    if (!c.holds(found ? &value : nullptr)) return c.describe("query");
  }
  return {};
}

}  // namespace

std::string listeners_text(const GatewayConfig& gateway) {
  std::string out;
  for (const ListenerConfig& l : gateway.listeners) {
    bool v6 = l.address_text.find(':') != std::string::npos;
    out += (out.empty() ? "" : ", ") + l.name + " " + (v6 ? "[" + l.address_text + "]" : l.address_text) + ":" + std::to_string(l.port);
    if (l.path_rule == PathRule::kNormalize) out += " (paths normalized)";
    if (l.path_rule == PathRule::kRaw) out += " (raw paths)";
    if (l.http2) out += l.protocol == v1::Listener::PROTOCOL_HTTPS ? " (HTTP/2)" : " (HTTP/2 by prior knowledge)";
    if (l.proxy_protocol) out += " (PROXY protocol)";
    if (l.protocol == v1::Listener::PROTOCOL_HTTPS) out += l.http2 ? " (TLS, HTTP/2)" : " (TLS)";
    else if (l.http2) out += " (HTTP/2)";
    if (l.redirect_to_https) out += " (redirects to https)";
  }
  return out;
}

std::string match_text(const RouteMatch& m) {
  std::string out = kind_text(m);
  if (!m.methods.any()) out += ", " + methods_text(m.methods);
  if (!m.host.empty()) out += ", host " + m.host;
  for (const NamedCondition& c : m.headers) out += ", header " + c.name;
  for (const NamedCondition& c : m.query) out += ", query " + c.name;
  if (m.priority != 0) out += ", priority " + std::to_string(m.priority);
  return out;
}

std::string caller_text(const AppRecord& app) { return "app " + app.name + " of " + app.consumer->name; }

std::string plan_text(const PlanConfig& plan, uint32_t nodes) {
  std::string out;
  if (plan.has_rate) {
    out = "rate " + std::to_string(plan.rate_requests) + " per " + format_duration_ms(plan.rate_per_ns / 1'000'000) + ", burst " + std::to_string(plan.rate_burst);
    if (nodes > 1) out += " (shared by " + std::to_string(nodes) + " nodes)";
  }
  if (plan.has_quota) {
    static constexpr const char* kPer[] = {"", "hour", "day", "month"};
    out += (out.empty() ? "" : "; ") + std::string("quota ") + std::to_string(plan.quota_requests) + " per " + kPer[plan.quota_per];
  }
  return out;
}

std::string mirror_text(const MirrorRule& mirror) {
  return format_percent(mirror.ppm) + " of requests are copied, with bodies to " + std::to_string(mirror.max_body_bytes) + " bytes, " +
         std::to_string(mirror.max_in_flight) + " at once";
}

std::string targets_text(const UpstreamConfig& upstream) {
  const DiscoveryConfig& discovery = upstream.discovery;
  std::string out;
  size_t count = 0;
  auto add = [&](const std::string& part) { out += (count++ > 0 ? "," : "") + part; };
  for (const UpstreamTarget& t : upstream.targets) add(t.authority);
  if (!discovery.dns.empty()) add("addresses of " + discovery.dns + ":" + std::to_string(discovery.port));
  if (!discovery.srv.empty()) add("records of " + discovery.srv);
  if (discovery.max_endpoints > 0) add("endpoints");
  return count == 1 && upstream.targets.size() == 1 ? out : "{" + out + "}";
}

namespace {

std::string balance_text(const BalanceConfig& b) {
  std::string out;
  switch (b.by) {
    case BalanceConfig::By::kRoundRobin: break;
    case BalanceConfig::By::kLeastRequest: out = "least request"; break;
    case BalanceConfig::By::kCookie: out = "cookie " + b.name; break;
    case BalanceConfig::By::kHash:
      out = b.hash_on == BalanceConfig::HashOn::kAddress  ? "hash of the address"
            : b.hash_on == BalanceConfig::HashOn::kPath   ? "hash of the path"
            : b.hash_on == BalanceConfig::HashOn::kHeader ? "hash of header " + b.name
                                                          : "hash of cookie " + b.name;
  }
  if (b.zone_aware) out += (out.empty() ? "round robin" : "") + std::string(", own zone first");
  return out;
}

std::string retries_text(const RetryConfig& r) {
  std::string when;
  auto add = [&](const std::string& word) { when += (when.empty() ? "" : ", ") + word; };
  if (r.on_connect) add("connectFailure");
  if (r.on_reset) add("reset");
  if (r.on_timeout) add("timeout of " + format_duration_ms(r.per_try_ms));
  for (uint16_t status : r.statuses) add(std::to_string(status));
  for (unsigned i = 0; i < kGrpcStatuses; ++i) {
    if ((r.grpc_statuses & (1u << i)) != 0) add("gRPC " + std::string(grpc_status_name(static_cast<GrpcStatus>(i))));
  }
  if (r.hedge_after_ms > 0) when += "; a second try beside the first after " + format_duration_ms(r.hedge_after_ms);
  return "up to " + std::to_string(r.tries) + " retries on " + when;
}

std::string protocol_text(const UpstreamConfig& u) {
  if (u.protocol == v1::UpstreamSpec::PROTOCOL_HTTP1) return {};
  return std::string("HTTP/2") + (u.protocol == v1::UpstreamSpec::PROTOCOL_AUTO ? " or HTTP/1.1" : "") + ", up to " +
         std::to_string(u.http2.max_streams) + " requests on a connection";
}

std::string probe_text(const ActiveHealthConfig& active) {
  if (!active.by_grpc) return active.path.empty() ? "a connection" : "GET " + active.path;
  return "the gRPC health protocol" + (active.grpc_service.empty() ? std::string() : " for " + active.grpc_service);
}

std::string breaker_text(const BreakerConfig& b) {
  std::string out;
  auto add = [&](const std::string& word) { out += (out.empty() ? "at most " : ", ") + word; };
  if (b.max_connections > 0) add(std::to_string(b.max_connections) + " at once and " + std::to_string(b.max_pending) + " waiting");
  if (b.max_requests > 0) add(std::to_string(b.max_requests) + " requests");
  if (b.max_retries >= 0) add(std::to_string(b.max_retries) + " retries");
  if (b.open_after_failures > 0) {
    out += (out.empty() ? "" : "; ") + std::string("circuit opens for ") + format_duration_ms(b.open_for_ms) + " after " +
           std::to_string(b.open_after_failures) + " failures";
  }
  return out;
}

}  // namespace

std::string target_rules_text(const UpstreamConfig& upstream) {
  std::string out;
  auto add = [&](const std::string& part) {
    if (!part.empty()) out += (out.empty() ? "" : "; ") + part;
  };
  add(protocol_text(upstream));
  add(balance_text(upstream.balance));
  if (upstream.retry.configured) add(retries_text(upstream.retry));
  if (upstream.active) {
    add("probed with " + probe_text(*upstream.active) + " every " + format_duration_ms(upstream.active->interval_ms));
  }
  if (upstream.passive && !upstream.passive->connects_only && upstream.passive->consecutive_5xx > 0) {
    add("left out for " + format_duration_ms(upstream.passive->eject_for_ms) + " after " +
        std::to_string(upstream.passive->consecutive_5xx) + " failures");
  }
  if (upstream.passive && upstream.passive->below_ppm > 0) add("left out below " + format_percent(upstream.passive->below_ppm) + " success");
  if (upstream.breaker) add(breaker_text(*upstream.breaker));
  return out;
}

MatchFailure match_failure(const RouteMatch& match, std::string_view base, std::string_view path, const RequestHead& request,
                           Arena& arena) {
  if (!match.path_matches(base, path)) return MatchFailure::kPath;
  MatchFailure failure = match.check(request, arena);
  if (failure != MatchFailure::kNone) return failure;
  MatchMethod method = match_method(request);
  return match.methods.has(method.method, method.text) ? MatchFailure::kNone : MatchFailure::kMethod;
}

std::string lost_text(const RouteMatch& m, MatchFailure failure, const RequestHead& request, Arena& arena) {
  switch (failure) {
    case MatchFailure::kNone: return "matches too, but " + match_text(m) + " ranks lower";
    case MatchFailure::kPath:
      if (!m.grpc.empty()) return "path is not of gRPC " + m.grpc;
      if (m.kind == PathKind::kExact) return "path is not " + m.path_text;
      if (m.kind == PathKind::kPrefix) return "path is not below " + m.path_text;
      return "path does not match " + m.path_text;
    case MatchFailure::kHost: return "host does not match " + m.host;
    case MatchFailure::kMethod: return "method is not one of " + methods_text(m.methods);
    default: return condition_text(m, request, arena);
  }
}

}  // namespace gw
