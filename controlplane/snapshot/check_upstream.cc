#include <algorithm>
#include <charconv>
#include <optional>

#include "common/http/address.h"
#include "common/http/grpc_status.h"
#include "common/http/target_address.h"
#include "controlplane/snapshot/check.h"

namespace gw {
namespace {

struct TargetHost {
  std::string host;  // lower case, no brackets
  int port = 80;
};

// The loader has checked the form http://host:port or https://host:port; what is unreadable here is refused by the caller.
std::optional<TargetHost> parse_target(const std::string& url) {
  size_t at = url.find("://");
  if (at == std::string::npos) return std::nullopt;
  std::string rest = url.substr(at + 3);
  rest = rest.substr(0, rest.find('/'));
  TargetHost out;
  if (url.starts_with("https://")) out.port = 443;
  size_t colon = rest.rfind(':');
  size_t bracket = rest.rfind(']');
  if (colon != std::string::npos && (bracket == std::string::npos || colon > bracket)) {
    auto [end, error] = std::from_chars(rest.data() + colon + 1, rest.data() + rest.size(), out.port);
    if (error != std::errc() || end != rest.data() + rest.size()) return std::nullopt;
    rest.resize(colon);
  }
  if (rest.size() > 2 && rest.front() == '[' && rest.back() == ']') rest = rest.substr(1, rest.size() - 2);
  std::transform(rest.begin(), rest.end(), rest.begin(), [](unsigned char ch) { return static_cast<char>(tolower(ch)); });
  if (!rest.empty() && rest.back() == '.') rest.pop_back();
  if (rest.empty()) return std::nullopt;
  out.host = rest;
  return out;
}

// 2130706433, 0x7f.1, 127.1: resolvers take them for addresses, so they may not pass for names.
bool looks_like_number(const std::string& host) {
  std::string last = host.substr(host.rfind('.') == std::string::npos ? 0 : host.rfind('.') + 1);
  bool hex = last.size() >= 2 && last[0] == '0' && last[1] == 'x';
  return hex || std::all_of(last.begin(), last.end(), [](unsigned char ch) { return isdigit(ch); });
}

bool is_metadata(const std::string& host, const std::optional<IpAddress>& address) {
  static const std::string names[] = {"metadata", "metadata.google.internal", "metadata.goog", "instance-data",
                                      "instance-data.ec2.internal"};
  if (std::find(std::begin(names), std::end(names), host) != std::end(names)) return true;
  return address && is_metadata_address(*address);
}

bool is_localhost(const std::string& host) {
  return host == "localhost" || (host.size() > 10 && host.compare(host.size() - 10, 10, ".localhost") == 0);
}

bool same_place(const TargetHost& target, const std::optional<IpAddress>& address, const AdminAddress& admin) {
  if (target.port != admin.port) return false;
  auto theirs = IpAddress::parse(admin.host);
  bool loopback = is_localhost(target.host) || (address && address->is_loopback());
  if (!theirs) return target.host == admin.host;
  return (loopback && theirs->is_loopback()) || (loopback && theirs->is_unspecified()) || (address && reaches(*address, *theirs));
}

void check_target(const ObjectLabel& label, const std::string& path, const std::string& url, const CompileOptions& options, DiagnosticList& out) {
  auto target = parse_target(url);
  if (!target) {
    out.error("GW1416", label, path, "not http://host:port").set_cure("write http://host:port");
    return;
  }
  auto address = IpAddress::parse(target->host);
  if (!address && looks_like_number(target->host)) {
    out.error("GW1416", label, path, target->host + " is not an address as it is usually written")
        .set_cure("write four decimal numbers with dots, or a host name");
    return;
  }
  if (is_metadata(target->host, address)) {
    out.error("GW1414", label, path, target->host + " is a cloud's metadata service").set_cure("name the service behind the Api");
  } else if (address && address->is_link_local()) {
    out.error("GW1414", label, path, target->host + " is a link-local address (where metadata services live)")
        .set_cure("use an address that is routed");
  } else if (address && address->is_unspecified()) {
    out.error("GW1414", label, path, target->host + " is every address and no target").set_cure("name one host");
  } else if (address && refused_as_target(*address)) {
    out.error("GW1414", label, path, target->host + " is a group of hosts, or stands for an address that is refused").set_cure("name one host");
  }
  for (const AdminAddress& admin : options.admin) {
    if (!same_place(*target, address, admin)) continue;
    out.error("GW1415", label, path, "this is Northgate's own admin port").set_cure("name the service behind the Api");
    break;
  }
}

bool is_public(const std::string& host) {
  return !is_localhost(host) && !(host.size() > 2 && host[0] == '*' && is_localhost(host.substr(2)));
}

// A public host that some Route to the upstream answers for; empty if there is none.
std::string public_host(const Catalog& catalog, const v1::Object& upstream) {
  for (const ObjectKey& user : catalog.dependents(key_of(upstream))) {
    const v1::Object* route = user.kind == v1::Object::kRoute ? catalog.find(user) : nullptr;
    if (!route) continue;
    const v1::Object* api = catalog.referenced(*route, v1::Object::kApi, route->route().api());
    if (!api || gateways_of(catalog, *api).empty()) continue;
    for (const std::string& host : api->api().hosts()) {
      if (is_public(host)) return host;
    }
  }
  return "";
}

void check_grpc_statuses(const CheckContext& c, const v1::Object& upstream) {
  const v1::UpstreamSpec& spec = upstream.upstream();
  ObjectLabel label = key_of(upstream).label();
  for (int i = 0; i < spec.retries().grpc_statuses_size(); ++i) {
    const std::string& name = spec.retries().grpc_statuses(i);
    GrpcStatus status = grpc_status_named(name);
    if (status != GrpcStatus::kNone && status != GrpcStatus::kOk && status != GrpcStatus::kCancelled) continue;
    c.out.error("GW1431", label, "spec.retries.grpcStatuses[" + std::to_string(i) + "]", "\"" + name + "\" is no status that could be tried again")
        .set_cure("write unavailable, resource-exhausted or another of gRPC's, in lower case with hyphens, but ok and cancelled");
  }
  bool http2 = spec.protocol() == v1::UpstreamSpec::PROTOCOL_HTTP2 || spec.protocol() == v1::UpstreamSpec::PROTOCOL_AUTO;
  if (spec.retries().grpc_statuses().empty() || http2) return;
  c.out.error("GW1437", label, "spec.retries.grpcStatuses", "gRPC is spoken over HTTP/2 alone")
      .set_cure("set `protocol: http2`, or `auto` with https:// targets");
}

}  // namespace

void check_upstream(const CheckContext& c, const v1::Object& upstream) {
  const auto& targets = upstream.upstream().targets();
  bool some_weight = false;
  for (int i = 0; i < targets.size(); ++i) {
    check_target(key_of(upstream).label(), "spec.targets[" + std::to_string(i) + "].url", targets[i].url(), c.options, c.out);
    some_weight = some_weight || !targets[i].has_weight() || targets[i].weight() > 0;
  }
  check_grpc_statuses(c, upstream);
  const v1::Discovery& discovery = upstream.upstream().discovery();
  if (is_metadata(discovery.dns(), std::nullopt)) {
    c.out.error("GW1414", key_of(upstream).label(), "spec.discovery.dns", discovery.dns() + " is a cloud's metadata service")
        .set_cure("name the service behind the Api");
  }
  if (!some_weight && !targets.empty() && !upstream.upstream().has_discovery()) {
    c.out.warning("GW2003", key_of(upstream).label(), "spec.targets", "every weight is 0: no target gets requests");
  }
}

void check_endpoint(const ObjectLabel& upstream, const v1::Target& target, const CompileOptions& options, DiagnosticList& out) {
  check_target(upstream, target.url(), target.url(), options, out);
}

void warn_loopback(const CheckContext& c, const v1::Object& upstream) {
  const auto& targets = upstream.upstream().targets();
  for (int i = 0; i < targets.size(); ++i) {
    auto target = parse_target(targets[i].url());
    if (!target) continue;
    auto address = IpAddress::parse(target->host);
    if (!is_localhost(target->host) && !(address && address->is_loopback())) continue;
    std::string host = public_host(c.catalog, upstream);
    if (host.empty()) return;
    c.out.warning("GW2001", key_of(upstream).label(), "spec.targets[" + std::to_string(i) + "].url",
                  "loopback: this gateway serves " + host);
  }
}

}  // namespace gw
