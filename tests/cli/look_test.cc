#include <catch2/catch.hpp>

#include "cli/output.h"
#include "tests/cli/gwctl_run.h"

namespace gw::cli {
namespace {

v1::ObjectView route_view() {
  v1::ObjectView out = view(
      "apiVersion: gw/v1\nkind: Route\nmetadata: {name: attendees, owner: attendees, labels: {domain: conference}}\n"
      "spec: {api: attendee-api, match: {path: {prefix: /attendees}, methods: [GET]}, timeouts: {request: 5m}, to: {split: [{upstream: platform/legacy, weight: 90}, {upstream: attendees, weight: 10}], stickyBy: consumer}}\n");
  out.mutable_object()->set_uid(0x1234);
  out.mutable_object()->set_generation(3);
  out.mutable_object()->set_set("conference-repo");
  v1::Condition& c = *out.add_conditions();
  c.set_type("Active");
  c.set_status("2/2");
  v1::Pair& fact = *out.add_facts();
  fact.set_name("policies");
  fact.set_value("platform/security-headers (Gateway/edge)");
  return out;
}

v1::ObjectView api_view() {
  return view("apiVersion: gw/v1\nkind: Api\nmetadata: {name: web, owner: platform}\nspec: {title: Web, version: \"1.0\", hosts: [www.localhost], basePath: /, auth: [anonymous]}\n");
}

v1::NodeInfo node(const std::string& name, const std::string& zone, uint64_t version, bool connected, int port) {
  v1::NodeInfo out;
  out.set_node(name);
  out.set_zone(zone);
  out.set_build("0.1.0");
  out.set_connected(connected);
  out.set_config_version(version);
  out.set_directory_version(37);
  out.set_config_bytes_pushed(123456);
  out.set_offers_whole(1);
  out.set_offers_delta(141);
  out.set_last_seen_ms(1'800'000'000'000);
  v1::BoundListener& l = *out.add_listeners();
  l.set_gateway("platform/edge");
  l.set_name("http");
  l.set_address("127.0.0.1");
  l.set_port(port);
  return out;
}

v1::VersionInfo version_info(uint64_t n, const std::string& phase, int64_t age_s) {
  v1::VersionInfo out;
  out.set_version(n);
  out.set_phase(phase);
  out.set_created_at_ms(1'800'000'000'000 - age_s * 1000);
  out.set_actor("alice@platform");
  out.set_message("halve the free quota");
  out.set_set("conference-repo");
  out.set_digest("00ff");
  return out;
}

v1::StatusResponse status() {
  v1::StatusResponse out;
  out.set_latest(142);
  out.set_target(142);
  out.set_active(142);
  out.set_latest_phase("active");
  out.set_directory_version(37);
  out.set_server_build("0.1.0");
  *out.add_nodes() = node("n1", "az-a", 142, true, 8080);
  *out.add_nodes() = node("n2", "az-b", 142, true, 40001);
  *out.add_recent() = version_info(142, "active", 0);
  *out.add_recent() = version_info(141, "active", 7200);
  v1::ApiTotals& api = *out.add_apis();
  api.set_api("attendees/attendee-api");
  api.set_route("attendees/attendees");
  api.set_requests(1234567);
  api.set_client_errors(12);
  api.set_p50_ms(0.8);
  api.set_p99_ms(12.5);
  v1::UpstreamStatus& upstream = *out.add_upstreams();
  upstream.set_upstream("platform/legacy");
  upstream.set_attempts(1234000);
  upstream.set_failures(3);
  return out;
}

v1::ExplainResponse explanation() {
  v1::ExplainResponse out;
  out.set_version(142);
  auto step = [&](const char* phase, const char* object, const char* place, const char* verdict, const char* detail, const char* reason) {
    v1::ExplainStep& s = *out.add_steps();
    s.set_phase(phase);
    s.set_object(object);
    s.set_place(place);
    s.set_verdict(verdict);
    s.set_detail(detail);
    s.set_reason(reason);
  };
  step("listener", "platform/edge", "", "ok", "http 127.0.0.1:8080", "");
  step("route", "attendees/attendees", "", "ok", "prefix /attendees", "");
  step("route", "attendees/attendees-health", "", "lost", "path is not /attendees/healthz", "");
  step("auth", "platform/api-key", "Api/attendee-api", "refused", "no x-api-key", "AUTH_MISSING");
  out.set_status(401);
  out.set_reason("AUTH_MISSING");
  out.set_route("attendees/attendees");
  out.set_answer("401 AUTH_MISSING");
  return out;
}

}  // namespace

TEST_CASE("get prints a table, wide, names, and JSON that is kept") {
  GwctlRun gwctl;
  gwctl.admin.objects = {route_view(), api_view()};
  CHECK(gwctl.run({"get", "routes"}) == 0);
  CHECK(gwctl.out ==
        "NAME                 WHAT\n"
        "attendees/attendees  attendee-api: GET prefix /attendees -> platform/legacy 90, attendees 10\n");
  CHECK(gwctl.run({"get", "all", "--no-headers"}) == 0);
  CHECK(gwctl.out.find("Api    platform/web") != std::string::npos);
  CHECK(gwctl.run({"get", "route", "-o", "wide"}) == 0);
  CHECK(gwctl.out.find("conference-repo  domain=conference  Active=2/2") != std::string::npos);
  CHECK(gwctl.run({"get", "route", "-o", "name"}) == 0);
  CHECK(gwctl.out == "route/attendees/attendees\n");
  CHECK(gwctl.run({"get", "route/attendees/attendees", "-o", "json"}) == 0);
  CHECK(is_golden("get_route.json", gwctl.out));
  CHECK(gwctl.run({"get", "all", "-o", "json"}) == 0);
  CHECK(Json::parse(gwctl.out).size() == 2);
}

TEST_CASE("what get -o yaml prints can be applied again") {
  GwctlRun gwctl;
  gwctl.admin.objects = {route_view(), api_view()};
  CHECK(gwctl.run({"get", "all", "-o", "yaml"}) == 0);
  gwctl.admin.answer("apply", v1::ApplyResponse());
  gwctl.input = gwctl.out;
  CHECK(gwctl.run({"apply", "-f", "-"}) == 0);
  auto sent = gwctl.admin.asked<v1::ApplyRequest>("apply");
  REQUIRE(sent.objects_size() == 2);
  v1::Object route = route_view().object();
  route.clear_uid();
  route.clear_generation();
  route.clear_set();
  CHECK(sent.objects(0).SerializeAsString() == route.SerializeAsString());
}

TEST_CASE("export writes every object without what the server added") {
  GwctlRun gwctl;
  gwctl.admin.objects = {route_view(), api_view()};
  CHECK(gwctl.run({"export"}) == 0);
  CHECK(gwctl.out.find("status") == std::string::npos);
  CHECK(gwctl.out.find("\n---\n") != std::string::npos);
  CHECK(gwctl.err == "2 objects of version 142\n");
}

TEST_CASE("an object that is not there is exit 4 with a suggestion") {
  GwctlRun gwctl;
  gwctl.admin.objects = {route_view()};
  CHECK(gwctl.run({"get", "route", "attendes"}) == 4);
  CHECK(gwctl.err == "gwctl: Route attendes: there is none; did you mean attendees?\n");
  CHECK(gwctl.run({"describe", "route", "attendees/attendes"}) == 4);
  CHECK(gwctl.err.find("did you mean attendees/attendees?") != std::string::npos);
}

TEST_CASE("describe tells conditions, facts and the object") {
  GwctlRun gwctl;
  gwctl.admin.objects = {route_view()};
  CHECK(gwctl.run({"describe", "route", "attendees"}) == 0);
  for (const char* part : {"Route attendees/attendees\n", "generation  3", "set         conference-repo", "Active      2/2", "platform/security-headers (Gateway/edge)", "stickyBy: consumer"}) {
    CHECK(gwctl.out.find(part) != std::string::npos);
  }
  CHECK(gwctl.run({"describe", "route"}) == 2);
}

TEST_CASE("status says in its first lines what is live, where, and what changed") {
  GwctlRun gwctl;
  gwctl.clock.set_wall_ns(INT64_C(1'800'000'000'000'000'000));
  gwctl.admin.answer("status", status());
  CHECK(gwctl.run({"status"}) == 0);
  CHECK(is_golden("status.txt", gwctl.out));
  CHECK(gwctl.run({"status", "-o", "json"}) == 0);
  CHECK(is_golden("status.json", gwctl.out));
}

TEST_CASE("status names lost nodes and a version that was refused") {
  GwctlRun gwctl;
  v1::StatusResponse s = status();
  s.set_latest(143);
  s.set_latest_phase("refused");
  s.mutable_nodes(1)->set_connected(false);
  s.add_holds("conference-repo");
  gwctl.admin.answer("status", s);
  CHECK(gwctl.run({"status"}) == 0);
  CHECK(gwctl.out.find("version 142 active on 1/2 nodes (az-a 1)    version 143 refused    0 stale    lost: n2") == 0);
  CHECK(gwctl.out.find("holds 1 (conference-repo)") != std::string::npos);
}

TEST_CASE("status names nodes that are overloaded") {
  GwctlRun gwctl;
  v1::StatusResponse s = status();
  s.mutable_nodes(0)->set_overload_stage(1);
  s.mutable_nodes(1)->set_overload_stage(2);
  gwctl.admin.answer("status", s);
  CHECK(gwctl.run({"status"}) == 0);
  CHECK(gwctl.out.find("overloaded: n1 (ends connections), n2 (refuses requests)") != std::string::npos);
}

TEST_CASE("node list shows listeners, and what was pushed when asked for more") {
  GwctlRun gwctl;
  v1::ListNodesResponse nodes;
  *nodes.add_nodes() = node("n1", "az-a", 142, true, 8080);
  *nodes.add_nodes() = node("n2", "", 141, false, 40001);
  v1::Pair& label = *nodes.mutable_nodes(1)->add_labels();
  label.set_name("tier");
  label.set_value("edge");
  nodes.mutable_nodes(0)->set_certificate_serial("4abd");
  nodes.mutable_nodes(0)->set_certificate_expires_at(1'800'000'000);
  gwctl.admin.answer("list_nodes", nodes);
  CHECK(gwctl.run({"node", "list"}) == 0);
  CHECK(gwctl.out ==
        "NODE  ZONE  STATE      VERSION  DIRECTORY  LISTENERS\n"
        "n1    az-a  connected      142         37  http 127.0.0.1:8080\n"
        "n2    -     lost           141         37  http 127.0.0.1:40001\n");
  CHECK(gwctl.run({"node", "list", "-l", "tier=edge", "-o", "name"}) == 0);
  CHECK(gwctl.out == "node/n2\n");
  CHECK(gwctl.run({"node", "list", "-o", "wide"}) == 0);
  CHECK(gwctl.out.find("123,456") != std::string::npos);
  CHECK(gwctl.out.find("4abd             2027-01-15T08:00:00Z") != std::string::npos);
  CHECK(gwctl.run({"node", "list", "-o", "json"}) == 0);
  CHECK(is_golden("node_list.json", gwctl.out));
  nodes.mutable_nodes(1)->set_revoked(true);
  gwctl.admin.answer("list_nodes", nodes);
  CHECK(gwctl.run({"node", "list"}) == 0);
  CHECK(gwctl.out.find("n2    -     revoked") != std::string::npos);
}

TEST_CASE("explain-request prints numbered steps and what lost") {
  GwctlRun gwctl;
  gwctl.admin.answer("explain", explanation());
  CHECK(gwctl.run({"explain-request", "GET", "http://api.localhost/attendees/42", "--as", "platform/acme-mobile", "--at", "140", "-H", "accept: text/html"}) == 0);
  CHECK(is_golden("explain_request.txt", gwctl.out));
  auto request = gwctl.admin.asked<v1::ExplainRequest>("explain");
  CHECK(request.as_app() == "platform/acme-mobile");
  CHECK(request.version() == 140);
  REQUIRE(request.headers_size() == 1);
  CHECK(request.headers(0).value() == "text/html");
  CHECK(gwctl.run({"explain-request", "GET", "http://api.localhost/attendees/42", "-o", "json"}) == 0);
  CHECK(is_golden("explain_request.json", gwctl.out));
}

TEST_CASE("--expect is the exit code") {
  GwctlRun gwctl;
  gwctl.admin.answer("explain", explanation());
  auto expect = [&](const std::string& what) { return gwctl.run({"explain-request", "GET", "http://a/", "--expect", what}); };
  for (const char* met : {"401", "AUTH_MISSING", "reason=AUTH_MISSING", "route=attendees/attendees", "status=401"}) CHECK(expect(met) == 0);
  for (const char* unmet : {"200", "forwarded", "NO_ROUTE", "route=platform/web", "upstream=platform/legacy"}) CHECK(expect(unmet) == 1);
  CHECK(gwctl.err == "expected upstream=platform/legacy, got none\n");
}

TEST_CASE("explain tells about kinds, fields, codes and reasons, offline") {
  GwctlRun gwctl;
  gwctl.variables.erase("GW_SERVER");
  for (auto [what, part] : {std::pair{"Route.match.path", "prefix"}, {"GW1004", "unknown field"}, {"NO_ROUTE", "404"}}) {
    CHECK(gwctl.run({"explain", what}) == 0);
    CHECK(gwctl.out.find(part) != std::string::npos);
  }
  CHECK(gwctl.run({"explain", "Route.mach"}) == 4);
  CHECK(gwctl.err.find("match") != std::string::npos);
}

TEST_CASE("history and show tell who, when, what") {
  GwctlRun gwctl;
  gwctl.clock.set_wall_ns(INT64_C(1'800'000'000'000'000'000));
  v1::HistoryResponse history;
  *history.add_versions() = version_info(142, "active", 0);
  *history.add_versions() = version_info(141, "superseded", 7200);
  gwctl.admin.answer("history", history);
  CHECK(gwctl.run({"rollout", "history", "--no-headers"}) == 0);
  CHECK(gwctl.out.find("141  superseded  2 h  alice@platform  conference-repo  halve the free quota") != std::string::npos);
  CHECK(gwctl.run({"rollout", "history", "-o", "json"}) == 0);
  CHECK(is_golden("history.json", gwctl.out));
  v1::HistoryResponse one;
  *one.add_versions() = version_info(142, "refused", 60);
  *one.mutable_versions(0)->mutable_changes() = plan_change().changes();
  *one.mutable_versions(0)->add_nodes() = node_rollout("n2", "az-b", v1::REFUSED);
  gwctl.admin.answer("history", one);
  CHECK(gwctl.run({"rollout", "show", "142"}) == 0);
  CHECK(gwctl.out.find("+ spec.quota.requests: 5000") != std::string::npos);
  CHECK(gwctl.run({"rollout", "status", "142"}) == 1);
  CHECK(gwctl.out.find("node n2 (az-b)  refused") != std::string::npos);
  gwctl.admin.answer("history", v1::HistoryResponse());
  CHECK(gwctl.run({"rollout", "show", "9"}) == 4);
}

TEST_CASE("usage is grouped, with the period in UTC") {
  GwctlRun gwctl;
  v1::UsageResponse usage;
  v1::UsageRow& row = *usage.add_rows();
  row.set_app("platform/acme-mobile");
  row.set_api("attendees/attendee-api");
  row.set_plan("platform/pro");
  row.set_period("2026-11");
  row.set_requests(812440);
  row.set_units(812440);
  row.set_request_bytes(1000);
  row.set_response_bytes(2000);
  gwctl.admin.answer("usage", usage);
  CHECK(gwctl.run({"usage", "--from", "2026-11", "--to", "2026-11-24T13"}) == 0);
  CHECK(gwctl.out ==
        "MONTH    APP                   API                     PLAN          REQUESTS  BYTES IN  BYTES OUT\n"
        "2026-11  platform/acme-mobile  attendees/attendee-api  platform/pro   812,440     1,000      2,000\n");
  auto request = gwctl.admin.asked<v1::UsageRequest>("usage");
  CHECK(request.from_hour() == 498192);
  CHECK(request.to_hour() == 498192 + 23 * 24 + 13);
  CHECK(gwctl.run({"usage", "--by", "app,day", "-o", "json"}) == 0);
  CHECK(is_golden("usage.json", gwctl.out));
}

TEST_CASE("version and whoami say who is at the other end") {
  GwctlRun gwctl;
  v1::WhoAmIResponse who;
  who.set_name("ci");
  who.set_role("editor");
  who.set_team("attendees");
  who.set_server_build("0.1.0");
  who.set_lineage("00ff");
  gwctl.admin.answer("who_am_i", who);
  CHECK(gwctl.run({"whoami"}) == 0);
  CHECK(gwctl.out == "ci, editor of team attendees, at 127.0.0.1:7443\n");
  CHECK(gwctl.run({"version", "-o", "json"}) == 0);
  CHECK(Json::parse(gwctl.out)["lineage"] == "00ff");
  gwctl.admin.calls.clear();
  CHECK(gwctl.run({"version", "--client"}) == 0);
  CHECK(gwctl.admin.calls.empty());
}

TEST_CASE("a narrow terminal gets a table that fits") {
  GwctlRun gwctl;
  gwctl.admin.objects = {route_view()};
  gwctl.env.out_is_terminal = true;
  gwctl.variables["NO_COLOR"] = "1";
  gwctl.env.columns = 60;
  CHECK(gwctl.run({"get", "routes"}) == 0);
  CHECK(gwctl.out.find("attendees/attendees  attendee-api: GET prefix") != std::string::npos);
  CHECK(gwctl.out.find("…\n") != std::string::npos);
  CHECK(gwctl.out.find('\x1b') == std::string::npos);
}

}  // namespace gw::cli
