#include "dataplane/exchange/forwarding.h"

#include <catch2/catch.hpp>
#include <string>

#include "dataplane/policy/policy.h"

namespace gw {
namespace {

struct Request {
  Arena arena;
  RequestHead head;
  ConnectionInfo connection;
  bool expects_continue = false;

  Request(std::string_view method, std::string_view target, std::initializer_list<std::pair<const char*, const char*>> fields) {
    head.method = parse_method(method);
    head.method_text = method;
    head.target = target;
    for (auto& [name, value] : fields) head.headers.add(name, value);
    connection.peer = *IpAddress::parse("192.0.2.9");
    connection.peer_text_size = static_cast<uint8_t>(connection.peer.format(connection.peer_text));
  }
  RuleVerdict check(bool trusted = false) { return check_request(head, arena, connection, trusted, expects_continue); }
  size_t count(std::string_view name) const { return head.headers.count(name); }
};

TEST_CASE("What only a gateway may say is dropped from clients", "[exchange]") {
  Request r("GET", "/", {{"Host", "x"}, {"Proxy", "p"}, {"Forwarded", "for=1"}, {"X-Real-IP", "1.1.1.1"}, {"X-GW-App", "root"},
                         {"x-gw-consumer", "root"}, {"X-Forwarded-For", "1.1.1.1"}, {"X-Forwarded-Proto", "https"},
                         {"X-Original-URL", "/admin"}, {"X-Request-Id", "mine"}, {"Accept", "*/*"}});
  REQUIRE(r.check().reason == Reason::kNone);
  for (const char* name : {"proxy", "forwarded", "x-real-ip", "x-gw-app", "x-gw-consumer", "x-forwarded-for", "x-forwarded-proto",
                           "x-original-url", "x-request-id"}) {
    INFO(name);
    CHECK(r.count(name) == 0);
  }
  CHECK(r.count("accept") == 1);
}

TEST_CASE("A trusted proxy's X-Forwarded fields and request id are kept; identity fields never", "[exchange]") {
  Request r("GET", "/", {{"Host", "x"}, {"X-Forwarded-For", "203.0.113.1"}, {"X-Forwarded-Proto", "https"}, {"X-Request-Id", "abc"}, {"X-GW-App", "root"}});
  REQUIRE(r.check(true).reason == Reason::kNone);
  FastRandom random(1);
  RequestIds ids = make_ids(r.head, true, random, r.arena);
  CHECK(ids.request_id == "abc");
  add_forwarded(r.head, r.connection, true, false, ids, Identity{}, "1.1 northgate-1", r.arena);
  CHECK(r.head.headers.find("x-forwarded-for")->value == "203.0.113.1, 192.0.2.9");
  CHECK(r.head.headers.find("x-forwarded-proto")->value == "https");
  CHECK(r.head.headers.find("x-request-id")->value == "abc");
  CHECK(r.count("x-request-id") == 1);
  CHECK(r.count("x-gw-app") == 0);
}

TEST_CASE("Requests that break the rules are refused, and say why", "[exchange]") {
  CHECK(Request("GET", "/", {}).check().reason == Reason::kBadRequest);
  CHECK(Request("GET", "/", {{"Host", "x"}, {"Host", "x"}}).check().reason == Reason::kBadRequest);
  CHECK(Request("GET", "/", {{"Host", "x"}, {"a_b", "c"}}).check().reason == Reason::kBadRequest);
  CHECK(Request("TRACE", "/", {{"Host", "x"}}).check().reason == Reason::kMethodNotAllowed);
  CHECK(Request("CONNECT", "x:22", {{"Host", "x:22"}}).check().reason == Reason::kMethodNotAllowed);
  CHECK(Request("POST", "/", {{"Host", "x"}, {"Expect", "y 100-continue"}}).check().status == 417);
  CHECK(Request("GET", "/a/../b", {{"Host", "x"}}).check().reason == Reason::kBadRequest);
}

TEST_CASE("An HTTP/1.0 request may leave out Host", "[exchange]") {
  Request r("GET", "/", {});
  r.connection.http10 = true;
  CHECK(r.check().reason == Reason::kNone);
}

TEST_CASE("Connection may name fields of its sender's, but not those that the gateway relies on", "[exchange]") {
  Request r("GET", "/", {{"Host", "x"}, {"Connection", "close, Host, X-Hop, Content-Length, X-Forwarded-For"}, {"X-Hop", "1"}, {"Content-Length", "0"}});
  REQUIRE(r.check().reason == Reason::kNone);
  CHECK(r.count("x-hop") == 0);
  CHECK(r.count("host") == 1);
  CHECK(r.count("content-length") == 1);
}

TEST_CASE("The client's address is the nearest from the right that is no trusted proxy", "[exchange]") {
  CidrSet trusted({*Cidr::parse("10.0.0.0/8"), *Cidr::parse("192.0.2.0/24")});
  IpAddress peer = *IpAddress::parse("192.0.2.9");
  auto client = [&](const char* list) {
    Request r("GET", "/", {{"X-Forwarded-For", list}});
    return client_address(r.head, peer, trusted).to_string();
  };
  CHECK(client("1.1.1.1, 203.0.113.7, 10.1.2.3") == "203.0.113.7");
  CHECK(client("6.6.6.6, junk, 10.1.2.3") == "10.1.2.3");
  CHECK(client("10.9.9.9") == "10.9.9.9");
  Request none("GET", "/", {});
  CHECK(client_address(none.head, peer, trusted) == peer);
}

TEST_CASE("A valid traceparent's trace goes on under a new span", "[exchange]") {
  FastRandom random(3);
  Request r("GET", "/", {{"traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}});
  RequestIds ids = make_ids(r.head, false, random, r.arena);
  CHECK(ids.trace_id == "0af7651916cd43dd8448eb211c80319c");
  CHECK(ids.traceparent.substr(36, 16) != "b7ad6b7169203331");
  Request bad("GET", "/", {{"traceparent", "00-00000000000000000000000000000000-b7ad6b7169203331-01"}});
  CHECK(make_ids(bad.head, false, random, bad.arena).trace_id != "00000000000000000000000000000000");
}

}  // namespace
}  // namespace gw
