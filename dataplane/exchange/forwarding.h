// What an exchange does to heads on their way: the request rules before routing, and the fields that the gateway adds and
// removes. Pure functions over views; what is added lies in the arena.
#pragma once

#include <string_view>

#include "common/base/arena.h"
#include "common/base/random.h"
#include "common/http/address.h"
#include "common/http/message.h"
#include "common/http/proxy_protocol.h"
#include "dataplane/exchange/streams.h"

namespace gw {

struct Identity;
class CidrSet;

// A request that must not go on; `reason` kNone: it may.
struct RuleVerdict {
  Reason reason = Reason::kNone;
  int status = 0;
  std::string_view detail;
  bool close = false;
};

// Checks and cleans the request's fields before anything is decided by them: Host stands once, no `_` in names, TRACE and
// CONNECT, Expect, Upgrade: websocket; drops what only a gateway may say. `trusted`: the peer is a trusted proxy.
// `expects_continue`: the client waits for 100 before it sends the body.
RuleVerdict check_request(RequestHead& head, Arena& arena, const ConnectionInfo& connection, bool trusted,
                          bool& expects_continue);

// The client's address: the peer, or, through trusted proxies, the nearest address from the right of X-Forwarded-For that is
// none of them.
IpAddress client_address(const RequestHead& head, const IpAddress& peer, const CidrSet& trusted_proxies);

// What a PROXY protocol header says to an upstream of `client`, who may be other than the connection's peer.
ProxyHeader client_header(const IpAddress& client, const ConnectionInfo& connection);

// Ids of one request, as text in the arena.
struct RequestIds {
  std::string_view request_id;
  std::string_view traceparent;  // sent upstream
  std::string_view trace_id;
};
// Keeps a trusted proxy's request id and any valid traceparent's trace.
RequestIds make_ids(const RequestHead& head, bool trusted, FastRandom& random, Arena& arena);

// Adds x-request-id, traceparent, x-forwarded-*, Via (`via`, which outlives the exchange; behind those that are there) and the
// identity fields.
void add_forwarded(RequestHead& head, const ConnectionInfo& connection, bool trusted, bool over_tls, const RequestIds& ids,
                   const Identity& identity, std::string_view via, Arena& arena);

// Removes the fields that Connection names. Never those that the gateway itself adds or relies on.
void remove_connection_fields(HeaderList& headers);

}  // namespace gw
