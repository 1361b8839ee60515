#include "dataplane/exchange/local_response.h"

#include <catch2/catch.hpp>
#include <string>

namespace gw {
namespace {

TEST_CASE("A problem document has type, title, status, detail, instance and reason", "[exchange]") {
  LocalResponse r;
  r.reason = Reason::kRateLimited;
  r.detail = "say \"please\"";
  std::string out;
  write_problem(out, r, {"01ABC", "", 0}, false);
  CHECK(out ==
        "{\"type\":\"urn:gw:reason:RATE_LIMITED\",\"title\":\"Too many requests\",\"status\":429,\"detail\":\"say \\\"please\\\"\","
        "\"instance\":\"01ABC\",\"reason\":\"RATE_LIMITED\"}\n");
  out.clear();
  write_problem(out, r, {"01ABC", "platform/limit", 7}, false);
  CHECK(out.find("\"policy\":\"platform/limit\",\"version\":7") != std::string::npos);
}

TEST_CASE("Browsers get a page, escaped; programs get JSON", "[exchange]") {
  RequestHead browser, program, both;
  browser.headers.add("Accept", "text/html,application/xhtml+xml,*/*;q=0.8");
  program.headers.add("Accept", "*/*");
  both.headers.add("Accept", "application/json, text/html");
  CHECK(prefers_html(browser));
  CHECK_FALSE(prefers_html(program));
  CHECK_FALSE(prefers_html(both));
  LocalResponse r;
  r.reason = Reason::kNoRoute;
  r.detail = "<script>";
  std::string out;
  write_problem(out, r, {"id", "", 0}, true);
  CHECK(out.find("<script>") == std::string::npos);
  CHECK(out.find("NO_ROUTE") != std::string::npos);
}

}  // namespace
}  // namespace gw
