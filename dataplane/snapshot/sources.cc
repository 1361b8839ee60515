#include "dataplane/snapshot/sources.h"

#include "common/base/text.h"

#include <algorithm>

#include "common/base/status.h"
#include "common/http/uri.h"
#include "dataplane/policy/registry.h"
#include "dataplane/routing/claim.h"
#include "dataplane/routing/hash.h"

namespace gw {
namespace {

std::string full_name(const v1::ObjectName& n) { return n.owner() + "/" + n.name(); }

// Keeps a policy's index for as long as the policy.
struct PolicyWithIndex {
  std::unique_ptr<Policy> policy;
  std::shared_ptr<const IndexHold> hold;
};

std::string without_slash(std::string path) {
  while (!path.empty() && path.back() == '/') path.pop_back();
  return path;
}

}  // namespace

void Decoder::identify(ObjectInfo& info, IndexSpace space, uint64_t uid, const v1::ObjectName& name) {
  info.uid = uid;
  info.name = full_name(name);
  info.hold = indexes_.hold(space, uid);
  info.index = info.hold->index();
}

bool Decoder::fail(std::string_view path, const std::string& what, std::string_view code) {
  diagnostics_.error(code, label_, path, what);
  return false;
}

bool Decoder::http2_limits(const v1::Http2Limits& in, const std::string& path, ListenerHttp2Config& out) {
  if (in.has_max_streams()) out.streams = static_cast<uint32_t>(in.max_streams());
  if (in.has_stream_window()) out.stream_window = static_cast<uint32_t>(in.stream_window());
  if (in.has_connection_window()) out.connection_window = static_cast<uint32_t>(in.connection_window());
  if (in.has_max_resets()) out.resets = static_cast<uint32_t>(in.max_resets());
  if (in.has_max_control_frames()) out.control_frames = static_cast<uint32_t>(in.max_control_frames());
  if (in.has_ping_after_ms()) out.ping_after_ms = in.ping_after_ms();
  // Windows are below 2^31 (RFC 9113 §6.9.1).
  constexpr int64_t kMostWindow = std::numeric_limits<int32_t>::max();
  bool small = (in.has_max_streams() && in.max_streams() < 1) || (in.has_stream_window() && in.stream_window() < 1) ||
               (in.has_connection_window() && in.connection_window() < 65535) || (in.has_max_resets() && in.max_resets() < 1) ||
               (in.has_max_control_frames() && in.max_control_frames() < 1) || out.ping_after_ms < 1;
  bool large = in.stream_window() > kMostWindow || in.connection_window() > kMostWindow;
  return small || large ? fail(path, "a limit is out of range") : true;
}

bool Decoder::listener(const v1::Listener& in, std::string_view path, ListenerConfig& out) {
  out.name = in.name();
  out.address_text = in.address();
  out.port = in.port();
  out.protocol = in.protocol();
  auto address = IpAddress::parse(in.address());
  if (!address) return fail(std::string(path) + ".address", "\"" + in.address() + "\" is no address");
  out.address = *address;
  if (in.port() < 0 || in.port() > 65535) return fail(std::string(path) + ".port", "must be 0 to 65535");
  if (in.path_rule() == v1::Listener::PATH_RULE_NORMALIZE) out.path_rule = PathRule::kNormalize;
  if (in.path_rule() == v1::Listener::PATH_RULE_RAW) out.path_rule = PathRule::kRaw;
  out.proxy_protocol = in.proxy_protocol();
  const bool https = in.protocol() == v1::Listener::PROTOCOL_HTTPS;
  out.http2 = in.has_http2() ? in.http2() : https;
  out.redirect_to_https = in.redirect_to_https();
  if (in.https_port() > 0) out.https_port = in.https_port();
  if (in.tls().has_handshake_timeout_ms()) out.tls.handshake_timeout_ms = in.tls().handshake_timeout_ms();
  if (in.tls().has_max_handshakes()) out.tls.max_handshakes = in.tls().max_handshakes();
  if (in.tls().has_max_handshakes_per_second()) out.tls.max_handshakes_per_second = in.tls().max_handshakes_per_second();
  if (in.tls().has_session_tickets()) out.tls.session_tickets = in.tls().session_tickets();
  out.tls.early_data = in.tls().early_data();
  if (in.has_hsts()) {
    out.tls.hsts = "max-age=" + std::to_string(in.hsts().max_age_ms() / 1000);
    if (in.hsts().include_subdomains()) out.tls.hsts += "; includeSubDomains";
    if (in.hsts().preload()) out.tls.hsts += "; preload";
  }
  if (out.tls.handshake_timeout_ms < 1 || out.tls.max_handshakes < 1 || out.tls.max_handshakes_per_second < 0) {
    return fail(std::string(path) + ".tls", "a limit must be > 0");
  }
  if (!http2_limits(in.http2_limits(), std::string(path) + ".http2Limits", out.http2_limits)) return false;
  if (in.protocol() == v1::Listener::PROTOCOL_UNSPECIFIED) return fail(std::string(path) + ".protocol", "must be set");
  return true;
}

void Decoder::client_auth(const v1::GatewayEntry& in, GatewayConfig& out) {
  for (const v1::ListenerCertificates& of : in.certificates()) {
    for (ListenerConfig& listener : out.listeners) {
      if (listener.name != of.listener()) continue;
      listener.tls.certificates.assign(of.certificates().begin(), of.certificates().end());
      listener.tls.default_certificate = of.default_certificate();
    }
  }
  for (const v1::ClientAuthEntry& entry : in.client_auth()) {
    ClientAuthConfig& c = out.client_auth.emplace_back();
    c.mode = entry.mode();
    c.trust = entry.trust();
    c.crl = entry.crl();
    for (const std::string& host : entry.hosts()) c.hosts.push_back(ascii_lower(host));
    c.header = entry.header().empty() ? "x-gw-client-certificate" : ascii_lower(entry.header());
    auto& names = out.client_auth_headers;
    if (std::find(names.begin(), names.end(), c.header) == names.end()) names.push_back(c.header);
  }
}

std::shared_ptr<const GatewaySource> Decoder::gateway(const EntryKey& key, const std::string& bytes) {
  v1::GatewayEntry e;
  if (!parse_entry(key, bytes, e, label_, diagnostics_)) return nullptr;
  auto out = std::make_shared<GatewaySource>();
  GatewayConfig& c = out->config;
  identify(c, IndexSpace::kGateway, key.uid, e.name());
  for (int i = 0; i < e.listeners_size(); ++i) {
    c.listeners.emplace_back();
    if (!listener(e.listeners(i), "spec.listeners[" + std::to_string(i) + "]", c.listeners.back())) return nullptr;
  }
  client_auth(e, c);
  std::vector<Cidr> trusted;
  for (const std::string& text : e.trusted_proxies()) {
    auto cidr = Cidr::parse(text);
    if (!cidr) return fail("spec.clientAddress.trustedProxies", "\"" + text + "\" is no CIDR"), nullptr;
    trusted.push_back(*cidr);
  }
  c.trusted_proxies = CidrSet(trusted);
  if (e.limits().has_body_bytes()) c.body_bytes = e.limits().body_bytes();
  if (e.limits().has_header_bytes()) c.header_bytes = e.limits().header_bytes();
  if (e.limits().has_header_fields()) c.header_fields = e.limits().header_fields();
  if (e.limits().has_idle_timeout_ms()) c.idle_timeout_ms = e.limits().idle_timeout_ms();
  if (e.limits().has_head_timeout_ms()) c.head_timeout_ms = e.limits().head_timeout_ms();
  if (e.limits().has_stacked_gateways()) c.stacked_gateways = e.limits().stacked_gateways();
  if (e.limits().has_max_connections()) c.max_connections = e.limits().max_connections();
  if (e.limits().has_max_connections_per_client()) c.max_connections_per_client = e.limits().max_connections_per_client();
  if (e.limits().has_requests_per_connection()) c.requests_per_connection = e.limits().requests_per_connection();
  c.via = via_pseudonym(c.uid);
  c.via_http10 = "1.0 " + c.via;
  c.via_http11 = "1.1 " + c.via;
  c.via_http2 = "2.0 " + c.via;
  if (e.limits_max().has_body_bytes()) c.body_bytes_max = e.limits_max().body_bytes();
  if (c.body_bytes < 0 || c.header_bytes < 1 || c.header_fields < 1 || c.idle_timeout_ms < 1 || c.head_timeout_ms < 1 ||
      c.stacked_gateways < 0 || c.max_connections < 1 || c.max_connections_per_client < 1 || c.requests_per_connection < 1) {
    return fail("spec.limits", "a limit must be > 0"), nullptr;
  }
  if (!e.access_log().to().file().empty()) {
    c.access_log = {AccessLogConfig::To::kFile, e.access_log().to().file()};
  } else if (e.access_log().to().word() == v1::LogTarget::WORD_NONE) {
    c.access_log.to = AccessLogConfig::To::kNone;
  }
  c.full_error_detail = e.full_error_detail();
  out->policies.assign(e.policies().begin(), e.policies().end());
  out->required.assign(e.required().begin(), e.required().end());
  for (uint64_t uid : out->required) {
    if (std::find(out->policies.begin(), out->policies.end(), uid) == out->policies.end()) {
      return fail("spec.required", "what is required must also stand in `policies`", "GW1403"), nullptr;
    }
  }
  return out;
}

std::shared_ptr<const ApiSource> Decoder::api(const EntryKey& key, const std::string& bytes) {
  v1::ApiEntry e;
  if (!parse_entry(key, bytes, e, label_, diagnostics_)) return nullptr;
  auto config = std::make_shared<ApiConfig>();
  identify(*config, IndexSpace::kApi, key.uid, e.name());
  config->hosts.assign(e.hosts().begin(), e.hosts().end());
  config->base_path = e.base_path();
  config->products.assign(e.products().begin(), e.products().end());
  std::sort(config->products.begin(), config->products.end());
  if (config->hosts.empty()) return fail("spec.hosts", "must name at least one host"), nullptr;
  if (const char* why = path_problem(e.base_path())) return fail("spec.basePath", why), nullptr;
  auto out = std::make_shared<ApiSource>();
  out->base = normal_base(e.base_path());
  out->gateways.assign(e.gateways().begin(), e.gateways().end());
  out->policies.assign(e.policies().begin(), e.policies().end());
  out->auth.policies.assign(e.auth().begin(), e.auth().end());
  out->auth.allow_anonymous = e.allow_anonymous();
  if (e.limits().has_body_bytes()) out->body_bytes = e.limits().body_bytes();
  if (e.timeouts().has_request_ms()) out->request_ms = e.timeouts().request_ms();
  if (e.timeouts().has_body_idle_ms()) out->body_idle_ms = e.timeouts().body_idle_ms();
  if (e.timeouts().has_first_byte_ms()) out->first_byte_ms = e.timeouts().first_byte_ms();
  if (e.timeouts().has_idle_ms()) out->idle_ms = e.timeouts().idle_ms();
  out->config = std::move(config);
  return out;
}

bool Decoder::route_to(const v1::RouteEntry& in, RouteConfig& config, RouteSource& out) {
  switch (in.to_case()) {
    case v1::RouteEntry::kUpstream:
      out.upstreams.push_back(in.upstream());
      config.to = UpstreamRef{};
      return true;
    case v1::RouteEntry::kSplit: {
      SplitTo split;
      split.sticky_by = in.split().sticky_by();
      std::map<uint64_t, uint64_t> seen;  // an upstream that stands twice has two arms
      for (const v1::SplitArm& arm : in.split().arms()) {
        if (arm.weight() < 0) return fail("spec.to.split", "a weight must be >= 0");
        uint64_t seed = fold_multiply(arm.upstream() ^ 0x9e3779b97f4a7c15, 0xd6e8feb86659fd93 + seen[arm.upstream()]++);
        split.arms.push_back({kNoIndex, static_cast<uint32_t>(arm.weight()), seed});
        split.total_weight += static_cast<uint32_t>(arm.weight());
        out.upstreams.push_back(arm.upstream());
      }
      if (split.arms.empty()) return fail("spec.to.split", "must have at least one upstream");
      config.to = std::move(split);
      return true;
    }
    case v1::RouteEntry::kRedirect: {
      const v1::Redirect& r = in.redirect();
      RedirectTo to{r.status() == 0 ? 302 : r.status(), r.scheme(), r.host(), r.path(), !r.has_keep_query() || r.keep_query()};
      if (to.status < 301 || to.status > 308 || !is_field_value(to.scheme + to.host + to.path)) {
        return fail("spec.to.redirect", "is not valid");
      }
      config.to = std::move(to);
      return true;
    }
    default: {
      const v1::Respond& r = in.respond();
      RespondWith with{r.status(), r.body(), r.content_type().empty() ? "text/plain; charset=utf-8" : r.content_type(), {}};
      if (with.status < 200 || with.status > 599 || !is_field_value(with.content_type)) return fail("spec.to.respond", "is not valid");
      for (const v1::HeaderValue& h : r.headers()) {
        if (!is_token(h.name()) || !is_field_value(h.value())) return fail("spec.to.respond.headers", "\"" + h.name() + "\" is not valid");
        with.headers.emplace_back(h.name(), h.value());
      }
      config.to = std::move(with);
      return true;
    }
  }
}

// What a Route that forwards may have beside its target.
bool Decoder::route_extras(const v1::RouteEntry& in, RouteConfig& config, RouteSource& out) {
  if (!in.has_websocket() && !in.has_mirror() && !in.grpc_web()) return true;
  if (in.has_redirect() || in.has_respond()) {
    return fail("spec.to", "nothing is forwarded that could be upgraded, copied or translated", "GW1320");
  }
  config.grpc_web = in.grpc_web();
  if (in.has_websocket()) {
    auto rule = std::make_unique<WebSocketRule>();
    rule->origins.assign(in.websocket().origins().begin(), in.websocket().origins().end());
    if (in.websocket().has_idle_timeout_ms()) rule->idle_ms = in.websocket().idle_timeout_ms();
    if (rule->idle_ms < 1) return fail("spec.websocket.idleTimeout", "must be > 0");
    config.websocket = std::move(rule);
  }
  if (in.has_mirror()) {
    const v1::MirrorTo& m = in.mirror();
    auto rule = std::make_unique<MirrorRule>();
    if (m.percent_ppm() < 0 || m.percent_ppm() > 1'000'000) return fail("spec.to.mirror.percent", "must be 0% to 100%");
    rule->ppm = static_cast<uint32_t>(m.percent_ppm());
    if (m.has_max_body_bytes()) rule->max_body_bytes = m.max_body_bytes();
    if (m.has_timeout_ms()) rule->timeout_ms = m.timeout_ms();
    if (m.has_max_in_flight() && m.max_in_flight() < 1) return fail("spec.to.mirror.maxInFlight", "must be > 0");
    if (m.has_max_in_flight()) rule->max_in_flight = static_cast<uint32_t>(m.max_in_flight());
    if (rule->max_body_bytes < 0 || rule->timeout_ms < 1) return fail("spec.to.mirror", "is not valid");
    auto hold = indexes_.hold(IndexSpace::kUpstream, m.upstream());
    rule->upstream = hold->index();
    out.upstreams.push_back(m.upstream());
    config.upstream_holds.push_back(std::move(hold));
    config.mirror = std::move(rule);
  }
  return true;
}

std::shared_ptr<const RouteSource> Decoder::route(const EntryKey& key, const std::string& bytes) {
  v1::RouteEntry e;
  if (!parse_entry(key, bytes, e, label_, diagnostics_)) return nullptr;
  auto config = std::make_shared<RouteConfig>();
  auto out = std::make_shared<RouteSource>();
  identify(*config, IndexSpace::kRoute, key.uid, e.name());
  auto match = RouteMatch::compile(e.match(), e.priority(), config->name);
  if (!match.ok()) {
    std::string text = message_of(match.status());  // "match.path.regex: what is wrong"
    size_t colon = text.find(": ");
    return fail("spec." + text.substr(0, colon), colon == std::string::npos ? text : text.substr(colon + 2)), nullptr;
  }
  config->match = *match;
  config->metered = !e.unmetered();
  config->rewrite = {normal_base(e.rewrite().strip_prefix()), without_slash(e.rewrite().add_prefix()), e.rewrite().host()};
  if (!is_field_value(config->rewrite.host) || (!e.rewrite().add_prefix().empty() && path_problem(e.rewrite().add_prefix()))) {
    return fail("spec.rewrite", "is not valid"), nullptr;
  }
  if (!route_to(e, *config, *out)) return nullptr;
  out->api = e.api();
  out->policies.assign(e.policies().begin(), e.policies().end());
  if (e.has_auth()) {
    out->auth = AuthSource{{e.auth().policies().begin(), e.auth().policies().end()}, e.auth().allow_anonymous()};
  }
  if (e.limits().has_body_bytes()) out->body_bytes = e.limits().body_bytes();
  if (e.timeouts().has_request_ms()) out->request_ms = e.timeouts().request_ms();
  if (e.timeouts().has_body_idle_ms()) out->body_idle_ms = e.timeouts().body_idle_ms();
  if (e.timeouts().has_first_byte_ms()) out->first_byte_ms = e.timeouts().first_byte_ms();
  if (e.timeouts().has_idle_ms()) out->idle_ms = e.timeouts().idle_ms();
  config->upstream_holds.reserve(out->upstreams.size());
  for (size_t i = 0; i < out->upstreams.size(); ++i) {
    auto hold = indexes_.hold(IndexSpace::kUpstream, out->upstreams[i]);
    if (auto* one = std::get_if<UpstreamRef>(&config->to)) one->upstream = hold->index();
    if (auto* split = std::get_if<SplitTo>(&config->to)) split->arms[i].upstream = hold->index();
    config->upstream_holds.push_back(std::move(hold));
  }
  if (!route_extras(e, *config, *out)) return nullptr;
  out->config = std::move(config);
  return out;
}

std::shared_ptr<const Policy> Decoder::policy(const EntryKey& key, const std::string& bytes) {
  v1::PolicyEntry e;
  if (!parse_entry(key, bytes, e, label_, diagnostics_)) return nullptr;
  auto out = std::make_shared<PolicyWithIndex>();
  out->hold = indexes_.hold(IndexSpace::kPolicy, key.uid);
  Policy::Info info;
  info.uid = key.uid;
  info.owner = e.name().owner();
  info.name = e.name().name();
  info.index = out->hold->index();
  info.observe = e.mode() == v1::POLICY_MODE_OBSERVE;
  if (options_.make_policy) out->policy = options_.make_policy(info, e);
  if (!out->policy) out->policy = build_policy(std::move(info), e, diagnostics_);
  if (!out->policy) return nullptr;
  const Policy* policy = out->policy.get();
  return std::shared_ptr<const Policy>(std::move(out), policy);
}

std::shared_ptr<const PlanSource> Decoder::plan(const EntryKey& key, const std::string& bytes) {
  v1::PlanEntry e;
  if (!parse_entry(key, bytes, e, label_, diagnostics_)) return nullptr;
  auto out = std::make_shared<PlanSource>();
  PlanConfig& c = out->config;
  identify(c, IndexSpace::kPlan, key.uid, e.name());
  c.has_rate = e.has_rate();
  c.rate_requests = e.rate().requests();
  c.rate_per_ns = e.rate().per_ms() * 1'000'000;
  c.rate_burst = e.rate().has_burst() ? e.rate().burst() : e.rate().requests();
  if (c.has_rate && (c.rate_requests < 1 || c.rate_per_ns < 1 || c.rate_burst < 1)) return fail("spec.rate", "must be > 0"), nullptr;
  c.has_quota = e.has_quota();
  c.quota_requests = e.quota().requests();
  c.quota_per = e.quota().per();
  if (c.has_quota && (c.quota_requests < 1 || c.quota_per == v1::Quota::PER_UNSPECIFIED)) return fail("spec.quota", "is not valid"), nullptr;
  if (e.on_failure() == v1::ON_FAILURE_UNSPECIFIED) return fail("spec.onFailure", "must be set"), nullptr;
  c.fail_open = e.on_failure() == v1::ON_FAILURE_OPEN;
  out->policies.assign(e.policies().begin(), e.policies().end());
  return out;
}

}  // namespace gw
