#include <algorithm>
#include <charconv>

#include "common/base/text.h"
#include "common/crypto/base64.h"
#include "common/crypto/hex.h"
#include "common/http/grpc_status.h"
#include "common/http/target_address.h"
#include "common/http/uri.h"
#include "dataplane/snapshot/sources.h"
#include "dataplane/snapshot/target_source.h"

namespace gw {
namespace {

constexpr uint16_t kIdempotent = (1u << static_cast<unsigned>(Method::kGet)) | (1u << static_cast<unsigned>(Method::kHead)) |
                                 (1u << static_cast<unsigned>(Method::kPut)) | (1u << static_cast<unsigned>(Method::kDelete)) |
                                 (1u << static_cast<unsigned>(Method::kOptions));

ActiveHealthConfig active_health(const v1::ActiveHealth& in) {
  ActiveHealthConfig out;
  out.path = in.path();
  out.host = in.host();
  if (in.has_interval_ms()) out.interval_ms = std::max<int64_t>(in.interval_ms(), 100);
  if (in.has_timeout_ms()) out.timeout_ms = std::max<int64_t>(in.timeout_ms(), 1);
  if (in.has_unhealthy_after()) out.unhealthy_after = std::max(in.unhealthy_after(), 1);
  if (in.has_healthy_after()) out.healthy_after = std::max(in.healthy_after(), 1);
  out.by_grpc = in.has_grpc();
  out.grpc_service = in.grpc().service();
  return out;
}

PassiveHealthConfig passive_health(const v1::PassiveHealth& in) {
  PassiveHealthConfig out;
  if (in.has_consecutive5xx()) out.consecutive_5xx = std::max(in.consecutive5xx(), 0);
  if (in.has_success_rate()) {
    out.below_ppm = in.success_rate().below_ppm();
    if (in.success_rate().has_interval_ms()) out.window_ms = std::max<int64_t>(in.success_rate().interval_ms(), 100);
    if (in.success_rate().has_min_requests()) out.min_requests = std::max(in.success_rate().min_requests(), 1);
  }
  if (in.has_eject_for_ms()) out.eject_for_ms = std::max<int64_t>(in.eject_for_ms(), 1);
  if (in.has_max_eject_for_ms()) out.max_eject_for_ms = in.max_eject_for_ms();
  out.max_eject_for_ms = std::max(out.max_eject_for_ms, out.eject_for_ms);
  if (in.has_max_ejected_ppm()) out.max_ejected_ppm = in.max_ejected_ppm();
  return out;
}

// A target that cannot be connected to is passed over for a short while also where nothing is said.
PassiveHealthConfig without_passive() {
  PassiveHealthConfig out;
  out.connects_only = true;
  out.consecutive_5xx = 3;
  out.eject_for_ms = 5'000;
  out.max_eject_for_ms = 30'000;
  return out;
}

BreakerConfig circuit_breaker(const v1::CircuitBreaker& in) {
  BreakerConfig out;
  out.max_connections = in.max_connections();
  if (in.has_max_pending()) out.max_pending = in.max_pending();
  out.max_requests = in.max_requests();
  if (in.has_max_retries()) out.max_retries = in.max_retries();
  out.open_after_failures = in.open_after_failures();
  if (in.has_open_for_ms()) out.open_for_ms = std::max<int64_t>(in.open_for_ms(), 1);
  return out;
}

UpstreamHttp2Config http2_sharing(const v1::UpstreamHttp2& in) {
  UpstreamHttp2Config out;
  if (in.has_max_streams()) out.max_streams = static_cast<uint32_t>(std::clamp(in.max_streams(), 1, 10'000));
  if (in.has_stream_window()) out.stream_window = static_cast<uint32_t>(std::clamp<int64_t>(in.stream_window(), 16'384, 16 << 20));
  if (in.has_connection_window()) {
    out.connection_window = static_cast<uint32_t>(std::clamp<int64_t>(in.connection_window(), 65'535, 128 << 20));
  }
  if (in.has_ping_after_ms()) out.ping_after_ms = std::max<int64_t>(in.ping_after_ms(), 1'000);
  return out;
}

}  // namespace

bool Decoder::protocol(const v1::UpstreamEntry& in, UpstreamConfig& out) {
  if (in.protocol() != v1::UpstreamSpec::PROTOCOL_UNSPECIFIED) out.protocol = in.protocol();
  bool http1 = out.protocol == v1::UpstreamSpec::PROTOCOL_HTTP1;
  if (in.has_http2() && http1) return fail("spec.http2", "belongs to `protocol: http2` or `auto`", "GW1437");
  out.http2 = http2_sharing(in.http2());
  if (out.protocol == v1::UpstreamSpec::PROTOCOL_AUTO && !out.tls) {
    return fail("spec.protocol", "`auto` lets an https:// target choose, and there is none", "GW1437");
  }
  if (http1 && out.retry.grpc_statuses != 0) {
    return fail("spec.retries.grpcStatuses", "needs `protocol: http2`, or `auto`: gRPC is spoken over HTTP/2 alone", "GW1437");
  }
  if (out.active && out.active->by_grpc) {
    if (http1) return fail("spec.health.active.grpc", "needs `protocol: http2`: gRPC is spoken over HTTP/2 alone", "GW1438");
    if (!out.active->path.empty()) return fail("spec.health.active.path", "one of path and grpc, not both", "GW1438");
  }
  return true;
}

// All of an upstream's targets or none: those that are found have no scheme of their own.
bool Decoder::upstream_tls(const v1::UpstreamEntry& in, UpstreamConfig& out) {
  size_t https = static_cast<size_t>(std::count_if(out.targets.begin(), out.targets.end(), [](const UpstreamTarget& t) { return t.https; }));
  if (https != 0 && https != out.targets.size()) {
    return fail("spec.targets", "are partly http:// and partly https://; make two Upstreams of them", "GW1457");
  }
  if (in.has_tls() && https == 0 && !out.targets.empty()) {
    return fail("spec.tls", "belongs to https:// targets, and these are http://", "GW1457");
  }
  if (!in.has_tls() && https == 0) return true;
  UpstreamTlsConfig& tls = out.tls.emplace();
  tls.ca = in.tls().ca();
  tls.client_certificate = in.tls().client_certificate();
  tls.server_name = in.tls().server_name();
  tls.names.assign(in.tls().names().begin(), in.tls().names().end());
  for (const std::string& pin : in.tls().pins()) {
    constexpr std::string_view kScheme = "sha256/";
    auto bytes = pin.rfind(kScheme, 0) == 0 ? from_base64(std::string_view(pin).substr(kScheme.size())) : std::nullopt;
    if (!bytes || bytes->size() != 32) return fail("spec.tls.pins", "\"" + pin + "\" is not sha256/ and 32 bytes in base64", "GW1457");
    tls.pins.push_back(to_hex(*bytes));
  }
  tls.tls13_only = in.tls().min_tls() == "1.3";
  tls.verify = !in.tls().unverified();
  return true;
}

bool Decoder::balance(const v1::Balance& in, BalanceConfig& out) {
  switch (in.by()) {
    case v1::Balance::BY_LEAST_REQUEST: out.by = BalanceConfig::By::kLeastRequest; break;
    case v1::Balance::BY_HASH: out.by = BalanceConfig::By::kHash; break;
    case v1::Balance::BY_COOKIE: out.by = BalanceConfig::By::kCookie; break;
    default: break;
  }
  if (in.has_hash_on() != (out.by == BalanceConfig::By::kHash)) {
    return fail("spec.balance.hashOn", "belongs to `by: hash`, and is required there", "GW1430");
  }
  if (!in.cookie().empty() && out.by != BalanceConfig::By::kCookie) {
    return fail("spec.balance.cookie", "belongs to `by: cookie`", "GW1430");
  }
  if (out.by == BalanceConfig::By::kCookie) out.name = in.cookie().empty() ? "gw_target" : in.cookie();
  if (in.has_hash_on()) {
    const v1::HashOn& on = in.hash_on();
    out.hash_on = !on.header().empty()                ? BalanceConfig::HashOn::kHeader
                  : !on.cookie().empty()              ? BalanceConfig::HashOn::kCookie
                  : on.word() == v1::HashOn::WORD_PATH ? BalanceConfig::HashOn::kPath
                                                       : BalanceConfig::HashOn::kAddress;
    out.name = on.header().empty() ? on.cookie() : ascii_lower(on.header());
  }
  if (in.has_max_load_ppm()) out.max_load_ppm = std::max<int64_t>(in.max_load_ppm(), 1'000'000);
  out.zone_aware = in.zone_aware();
  out.slow_start_ms = in.slow_start_ms();
  out.panic_threshold_ppm = in.panic_threshold_ppm();
  return true;
}

bool Decoder::retries(const v1::Retries& in, RetryConfig& out) {
  out.configured = true;
  out.tries = std::clamp(in.attempts(), 0, 10);
  if (in.when_size() > 0) out.on_connect = out.on_reset = false;
  for (int i = 0; i < in.when_size(); ++i) {
    const std::string& word = in.when(i);
    uint16_t status = 0;
    auto [end, failure] = std::from_chars(word.data(), word.data() + word.size(), status);
    if (word == "connectFailure") {
      out.on_connect = true;
    } else if (word == "reset") {
      out.on_reset = true;
    } else if (word == "timeout") {
      out.on_timeout = true;
    } else if (failure == std::errc() && end == word.data() + word.size() && status >= 400 && status <= 599) {
      out.statuses.push_back(status);
    } else {
      return fail("spec.retries.when[" + std::to_string(i) + "]",
                  "\"" + word + "\" is none of connectFailure, reset, timeout, and codes from \"400\" to \"599\"", "GW1431");
    }
  }
  std::sort(out.statuses.begin(), out.statuses.end());
  for (int i = 0; i < in.grpc_statuses_size(); ++i) {
    GrpcStatus status = grpc_status_named(in.grpc_statuses(i));
    if (status == GrpcStatus::kNone || status == GrpcStatus::kOk || status == GrpcStatus::kCancelled) {
      return fail("spec.retries.grpcStatuses[" + std::to_string(i) + "]",
                  "\"" + in.grpc_statuses(i) + "\" is no status that could be tried again; write unavailable, resource-exhausted or another of gRPC's, but ok and cancelled",
                  "GW1431");
    }
    out.grpc_statuses |= 1u << static_cast<unsigned>(status);
  }
  if (out.on_timeout && !in.has_per_try_ms()) {
    return fail("spec.retries.when", "has timeout, but retries.perTry does not say after which time", "GW1432");
  }
  for (const std::string& name : in.methods()) {
    Method method = parse_method(name);
    if (method == Method::kOther) {
      return fail("spec.retries.methods", "\"" + name + "\" is no method of HTTP; such requests are not tried again", "GW1431");
    }
    out.methods |= method_bit(method);
    if (method == Method::kGet) out.methods |= method_bit(Method::kHead);
  }
  if (in.methods_size() == 0) out.methods = kIdempotent;
  if (in.has_budget_ppm()) out.budget_ppm = in.budget_ppm();
  out.per_try_ms = in.per_try_ms();
  out.hedge_after_ms = in.hedge_after_ms();
  if (out.hedge_after_ms > 0 && out.tries == 0) {
    return fail("spec.retries.hedgeAfter", "is a further try, but retries.attempts allows none", "GW1432");
  }
  if (in.has_backoff_ms()) out.backoff_ms = in.backoff_ms();
  if (in.has_body_bytes()) out.body_bytes = static_cast<size_t>(in.body_bytes());
  return true;
}

std::optional<TargetProblem> read_target(const v1::Target& in, UpstreamTarget& out) {
  TargetProblem not_a_target{"url", "\"" + in.url() + "\" is not http://host:port or https://host:port", "GW1416"};
  std::string_view url = in.url();
  out.https = url.substr(0, 8) == "https://";
  if (!out.https && url.substr(0, 7) != "http://") return not_a_target;
  std::string_view authority = url.substr(out.https ? 8 : 7);
  while (!authority.empty() && authority.back() == '/') authority.remove_suffix(1);
  Arena arena;
  std::string_view host, why;
  int port = -1;
  if (!parse_authority(authority, arena, host, port, why) || port == 0) return not_a_target;
  out.host = std::string(host);
  out.port = port < 0 ? (out.https ? 443 : 80) : static_cast<uint16_t>(port);
  if (auto address = IpAddress::parse(host)) {
    out.is_address = true;
    out.address = *address;
    if (refused_as_target(*address)) return TargetProblem{"url", "link-local, metadata and unspecified addresses are refused", "GW1414"};
  }
  bool v6 = host.find(':') != std::string_view::npos;
  out.authority = (v6 ? "[" + out.host + "]" : out.host) + ":" + std::to_string(out.port);
  if (in.has_weight() && in.weight() < 0) return TargetProblem{"weight", "must be >= 0", "GW3007"};
  out.weight = in.has_weight() ? static_cast<uint32_t>(in.weight()) : 1;
  out.zone = in.zone();
  if (in.priority() < 0 || in.priority() > 15) return TargetProblem{"priority", "must be 0 to 15", "GW3007"};
  out.priority = static_cast<uint8_t>(in.priority());
  return std::nullopt;
}

bool Decoder::discovery(const v1::Discovery& in, DiscoveryConfig& out) {
  if (!in.dns().empty() && !in.srv().empty()) return fail("spec.discovery", "one of dns and srv, not both", "GW1433");
  if (!in.dns().empty() && (in.port() < 1 || in.port() > 65535)) {
    return fail("spec.discovery.port", "is required beside dns: addresses have no port of their own", "GW1433");
  }
  if (in.dns().empty() && in.port() != 0) return fail("spec.discovery.port", "belongs to dns; SRV records name their own", "GW1433");
  out.dns = in.dns();
  out.port = static_cast<uint16_t>(in.port());
  out.srv = in.srv();
  if (in.has_endpoints()) out.max_endpoints = in.endpoints().has_max() ? static_cast<size_t>(std::max(in.endpoints().max(), 1)) : 100;
  ResolveConfig& r = out.resolve;
  r.servers.assign(in.servers().begin(), in.servers().end());
  if (in.family() == v1::Discovery::FAMILY_V4) r.family = ResolveConfig::Family::kV4;
  if (in.family() == v1::Discovery::FAMILY_V6) r.family = ResolveConfig::Family::kV6;
  if (in.has_min_refresh_ms()) r.min_refresh_ms = std::max<int64_t>(in.min_refresh_ms(), 100);
  if (in.has_max_refresh_ms()) r.max_refresh_ms = in.max_refresh_ms();
  if (r.max_refresh_ms < r.min_refresh_ms) return fail("spec.discovery.maxRefresh", "is less than minRefresh", "GW1433");
  if (in.has_max_stale_ms()) r.max_stale_ms = std::max<int64_t>(in.max_stale_ms(), 0);
  if (in.has_gone_after_ms()) r.gone_after_ms = std::max<int64_t>(in.gone_after_ms(), 0);
  if (in.has_max_targets()) r.max_targets = std::max(in.max_targets(), 1);
  return true;
}

std::shared_ptr<const UpstreamConfig> Decoder::upstream(const EntryKey& key, const std::string& bytes) {
  v1::UpstreamEntry e;
  if (!parse_entry(key, bytes, e, label_, diagnostics_)) return nullptr;
  auto out = std::make_shared<UpstreamConfig>();
  identify(*out, IndexSpace::kUpstream, key.uid, e.name());
  for (int i = 0; i < e.targets_size(); ++i) {
    out->targets.emplace_back();
    if (auto problem = read_target(e.targets(i), out->targets.back())) {
      return fail("spec.targets[" + std::to_string(i) + "]." + std::string(problem->field), problem->what, problem->code), nullptr;
    }
  }
  if (e.has_discovery() && !discovery(e.discovery(), out->discovery)) return nullptr;
  bool grows = out->discovery.searches() || out->discovery.max_endpoints > 0;
  if (out->targets.empty() && !grows) {
    return fail("spec.targets", "must name at least one target, where discovery has none of dns, srv and endpoints", "GW1434"), nullptr;
  }
  if (e.timeouts().has_connect_ms()) out->connect_ms = e.timeouts().connect_ms();
  if (e.timeouts().has_first_byte_ms()) out->first_byte_ms = e.timeouts().first_byte_ms();
  if (e.timeouts().has_idle_ms()) out->idle_ms = e.timeouts().idle_ms();
  if (e.proxy_protocol() != v1::UpstreamSpec::PROXY_PROTOCOL_UNSPECIFIED) out->proxy_protocol = e.proxy_protocol();
  if (out->connect_ms < 1 || out->first_byte_ms < 1 || out->idle_ms < 1) return fail("spec.timeouts", "must be > 0"), nullptr;
  if (!balance(e.balance(), out->balance) || (e.has_retries() && !retries(e.retries(), out->retry))) return nullptr;
  if (e.health().has_active()) out->active = active_health(e.health().active());
  if (e.health().has_passive()) {
    out->passive = passive_health(e.health().passive());
  } else if (out->targets.size() > 1 || grows) {
    out->passive = without_passive();
  }
  if (e.has_circuit_breaker()) out->breaker = circuit_breaker(e.circuit_breaker());
  if (!upstream_tls(e, *out) || !protocol(e, *out)) return nullptr;
  return out;
}

}  // namespace gw
