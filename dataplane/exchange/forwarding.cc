#include "dataplane/exchange/forwarding.h"

#include <cstring>
#include <optional>

#include "common/http/uri.h"
#include "dataplane/policy/policy.h"
#include "dataplane/snapshot/directory.h"
#include "dataplane/snapshot/snapshot.h"
#include "dataplane/telemetry/trace.h"

namespace gw {
namespace {

RuleVerdict bad(std::string_view detail) { return {Reason::kBadRequest, 0, detail, true}; }

std::string_view join(Arena& arena, std::string_view a, std::string_view b, std::string_view c) {
  char* out = arena.allocate(a.size() + b.size() + c.size());
  std::memcpy(out, a.data(), a.size());
  std::memcpy(out + a.size(), b.data(), b.size());
  std::memcpy(out + a.size() + b.size(), c.data(), c.size());
  return {out, a.size() + b.size() + c.size()};
}

bool asks_for(const HeaderList& headers, HeaderId id, std::string_view member) {
  bool found = false;
  if (!headers.maybe_has(id)) return false;
  for (const HeaderField& f : headers.fields()) {
    if (f.id == id) for_each_list_member(f.value, [&](std::string_view m) { found = found || equals_ignore_case(m, member); });
  }
  return found;
}

// Reads and removes fields in one walk. Returns what is wrong with one of them, or empty.
std::string_view walk_fields(RequestHead& head, bool trusted, std::optional<std::string_view>& host) {
  for (HeaderField& f : head.headers.fields()) {
    switch (f.id) {
      case HeaderId::kOther:
        if (std::memchr(f.name.data(), '_', f.name.size()) != nullptr) return "a field name with an underscore";
        break;
      case HeaderId::kHost:
        if (host.has_value()) return "more than one Host field";
        host = f.value;
        break;
      case HeaderId::kProxy:
      case HeaderId::kForwarded:
      case HeaderId::kXRealIp:
      case HeaderId::kXRewrite:
        f.id = HeaderId::kRemoved;
        break;
      case HeaderId::kXGateway:
        f.id = HeaderId::kRemoved;
        break;
      case HeaderId::kXForwardedFor:
      case HeaderId::kXForwardedProto:
      case HeaderId::kXForwardedHost:
      case HeaderId::kXForwardedOther:
      case HeaderId::kXRequestId:
        if (!trusted) f.id = HeaderId::kRemoved;
        break;
      default:
        break;
    }
  }
  return {};
}

}  // namespace

RuleVerdict check_request(RequestHead& head, Arena& arena, const ConnectionInfo& connection, bool trusted,
                          bool& expects_continue) {
  std::optional<std::string_view> host;
  if (std::string_view why = walk_fields(head, trusted, host); !why.empty()) return bad(why);
  if (head.method == Method::kTrace || head.method == Method::kConnect) {
    return {Reason::kMethodNotAllowed, 0, "TRACE and CONNECT are never allowed", true};
  }
  if (!host.has_value() && !connection.http10) return bad("no Host field");
  std::string_view why;
  if (!parse_target(head, arena, head.target, host, why, connection.path_rule)) return bad(why);
  if (head.headers.maybe_has(HeaderId::kExpect)) {
    const HeaderField* expect = head.headers.find(HeaderId::kExpect);
    if (!equals_ignore_case(expect->value, "100-continue")) return {Reason::kBadRequest, 417, "an Expect other than 100-continue", true};
    expects_continue = head.has_body && !connection.http10;
    head.headers.remove(HeaderId::kExpect);
  }
  if (head.headers.maybe_has(HeaderId::kUpgrade)) head.wants_websocket = asks_for(head.headers, HeaderId::kUpgrade, "websocket");
  if (head.headers.maybe_has(HeaderId::kTe)) head.wants_trailers = asks_for(head.headers, HeaderId::kTe, "trailers");
  if (head.headers.maybe_has(HeaderId::kConnection)) remove_connection_fields(head.headers);
  return {};
}

void remove_connection_fields(HeaderList& headers) {
  if (!headers.maybe_has(HeaderId::kConnection)) return;
  size_t named = 0;
  for (size_t i = 0; i < headers.size(); ++i) {
    if (headers.fields()[i].id != HeaderId::kConnection) continue;
    for_each_list_member(headers.fields()[i].value, [&](std::string_view member) {
      if (equals_ignore_case(member, "close") || equals_ignore_case(member, "keep-alive") || ++named > 32) return;
      // Framing, Host and what tells where a request comes from are not the sender's to remove.
      switch (header_id(member)) {
        case HeaderId::kOther:
          headers.remove(member);
          break;
        default:
          break;
      }
    });
  }
}

IpAddress client_address(const RequestHead& head, const IpAddress& peer, const CidrSet& trusted_proxies) {
  IpAddress client = peer;
  if (!head.headers.maybe_has(HeaderId::kXForwardedFor)) return client;
  const auto& fields = head.headers.fields();
  for (size_t i = fields.size(); i-- > 0;) {
    if (fields[i].id != HeaderId::kXForwardedFor) continue;
    std::string_view list = fields[i].value;
    while (!list.empty()) {
      size_t comma = list.rfind(',');
      std::string_view member = comma == std::string_view::npos ? list : list.substr(comma + 1);
      list = comma == std::string_view::npos ? std::string_view() : list.substr(0, comma);
      while (!member.empty() && (member.front() == ' ' || member.front() == '\t')) member.remove_prefix(1);
      while (!member.empty() && (member.back() == ' ' || member.back() == '\t')) member.remove_suffix(1);
      std::optional<IpAddress> address = IpAddress::parse(member);
      if (!address.has_value()) return client;  // what stands left of a bad entry was not written by a trusted proxy
      client = *address;
      if (!trusted_proxies.contains(client)) return client;
    }
  }
  return client;
}

ProxyHeader client_header(const IpAddress& client, const ConnectionInfo& connection) {
  ProxyHeader out;
  out.has_addresses = true;
  out.source = client;
  out.source_port = client == connection.peer ? connection.peer_port : 0;  // of another's connection it is not known
  out.destination = connection.local;
  out.destination_port = connection.local_port;
  return out;
}

RequestIds make_ids(const RequestHead& head, bool trusted, FastRandom& random, Arena& arena) {
  RequestIds ids;
  if (trusted) {
    std::string_view given = head.headers.get(HeaderId::kXRequestId);
    if (is_request_id(given)) ids.request_id = given;
  }
  if (ids.request_id.empty()) {
    char* text = arena.allocate(kRequestIdSize);
    make_request_id(random, text);
    ids.request_id = {text, kRequestIdSize};
  }
  std::optional<TraceContext> parent;
  if (head.headers.maybe_has(HeaderId::kTraceparent)) parent = TraceContext::parse(head.headers.get(HeaderId::kTraceparent));
  TraceContext trace = parent.has_value() ? parent->child(random) : TraceContext::generate(random);
  char* text = arena.allocate(TraceContext::kTraceparentSize);
  trace.format(text);
  ids.traceparent = {text, TraceContext::kTraceparentSize};
  ids.trace_id = ids.traceparent.substr(3, 32);
  return ids;
}

void add_forwarded(RequestHead& head, const ConnectionInfo& connection, bool trusted, bool over_tls, const RequestIds& ids,
                   const Identity& identity, std::string_view via, Arena& arena) {
  HeaderList& headers = head.headers;
  std::string_view peer(connection.peer_text, connection.peer_text_size);
  if (headers.maybe_has(HeaderId::kTraceparent)) headers.remove(HeaderId::kTraceparent);
  bool forwarded_proto = false, forwarded_host = false;
  std::string_view before;
  if (trusted) {
    for (HeaderField& f : headers.fields()) {
      if (f.id == HeaderId::kXForwardedFor) {
        before = before.empty() ? f.value : join(arena, before, ", ", f.value);
        f.id = HeaderId::kRemoved;
      }
      if (f.id == HeaderId::kXRequestId) f.id = HeaderId::kRemoved;
      forwarded_proto = forwarded_proto || f.id == HeaderId::kXForwardedProto;
      forwarded_host = forwarded_host || f.id == HeaderId::kXForwardedHost;
    }
  }
  headers.add("x-request-id", ids.request_id, HeaderId::kXRequestId);
  headers.add("traceparent", ids.traceparent, HeaderId::kTraceparent);
  headers.add("x-forwarded-for", before.empty() ? peer : join(arena, before, ", ", peer), HeaderId::kXForwardedFor);
  if (!forwarded_proto) headers.add("x-forwarded-proto", over_tls ? "https" : "http", HeaderId::kXForwardedProto);
  if (!forwarded_host) headers.add("x-forwarded-host", head.authority, HeaderId::kXForwardedHost);
  if (!via.empty()) headers.add("via", via, HeaderId::kVia);
  if (identity.app != nullptr) {
    headers.add("x-gw-consumer", identity.app->consumer->name, HeaderId::kXGateway);
    headers.add("x-gw-app", identity.app->name, HeaderId::kXGateway);
    if (identity.plan != nullptr) headers.add("x-gw-plan", identity.plan->name, HeaderId::kXGateway);
  }
}

}  // namespace gw
