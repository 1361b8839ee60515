#include "dataplane/telemetry/access_log.h"

#include <sys/stat.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <memory>
#include <sstream>
#include <vector>

#include "common/base/status.h"
#include "dataplane/snapshot/config.h"
#include "record_support.h"

using namespace gw;
using namespace gw::telemetry_test;

namespace {

std::string line(const RequestRecord& r) {
  auto out = std::make_unique<char[]>(AccessLogBuffer::kMaxLine);
  return {out.get(), format_access_line(r, "n1", "2026-01-15T12:00:00", out.get())};
}

std::vector<std::string> lines_of(const std::string& path) {
  std::ifstream in(path);
  std::vector<std::string> out;
  for (std::string l; std::getline(in, l);) out.push_back(l);
  return out;
}

AccessLogConfig to_file(const std::string& file) {
  AccessLogConfig config;
  config.to = AccessLogConfig::To::kFile;
  config.file = file;
  return config;
}

}  // namespace

TEST_CASE("a line says who asked for what, and what became of it") {
  Objects o;
  CHECK(line(o.record()) ==
        "{\"ts\":\"2026-01-15T12:00:00.123Z\",\"request_id\":\"01hv0000000000000000000000\","
        "\"trace_id\":\"0af7651916cd43dd8448eb211c80319c\",\"node\":\"n1\",\"version\":142,\"gateway\":\"platform/edge\","
        "\"api\":\"attendees/api-1\",\"route\":\"attendees/route-1\",\"consumer\":\"platform/acme-travel\","
        "\"app\":\"platform/acme-mobile\",\"plan\":\"platform/pro\",\"http.request.method\":\"GET\","
        "\"url.path\":\"/attendees/42\",\"server.address\":\"api.conference.localhost\",\"client.address\":\"::\","
        "\"user_agent.original\":\"curl/8\",\"status\":200,\"bytes_in\":10,\"bytes_out\":2000,\"duration_ms\":12.345,"
        "\"upstream\":\"attendees/attendees\",\"target\":\"127.0.0.1:9102\",\"upstream_ms\":11.000,\"attempts\":1}\n");
}

TEST_CASE("of a tunnel the line says how it ended") {
  RequestRecord r;
  r.status = 101;
  r.duration_ns = 5'000'000;
  r.request_bytes = 3;
  r.ended_by = "idle";
  CHECK_THAT(line(r), Catch::Contains("\"bytes_in\":3,\"bytes_out\":0,\"duration_ms\":5.000,\"tunnel_ended_by\":\"idle\"}"));
}

TEST_CASE("of a gRPC call the line has its status as the client saw it") {
  RequestRecord r;
  r.status = 200;
  CHECK_THAT(line(r), !Catch::Contains("rpc.grpc"));
  r.grpc = GrpcStatus::kOk;
  CHECK_THAT(line(r), Catch::Contains("\"status\":200,\"rpc.grpc.status_code\":0,"));
  r.grpc = GrpcStatus::kUnavailable;
  CHECK_THAT(line(r), Catch::Contains("\"rpc.grpc.status_code\":14,"));
  r.grpc = GrpcStatus::kMissing;
  CHECK_THAT(line(r), Catch::Contains("\"rpc.grpc.status_code\":2,"));
}

TEST_CASE("the line says which version of HTTP the client spoke") {
  RequestRecord r;
  r.method_text = "GET";
  r.path = "/";
  r.protocol = "2";
  CHECK_THAT(line(r), Catch::Contains("\"http.request.method\":\"GET\",\"network.protocol.version\":\"2\",\"url.path\":\"/\""));
}

TEST_CASE("a request that nothing took has no more fields than facts") {
  RequestRecord r;
  r.status = 404;
  r.reason = Reason::kNoRoute;
  r.policy = "platform/x";
  CHECK(line(r) == "{\"ts\":\"2026-01-15T12:00:00.000Z\",\"node\":\"n1\",\"version\":0,\"client.address\":\"::\","
                   "\"status\":404,\"reason\":\"NO_ROUTE\",\"policy\":\"platform/x\",\"bytes_in\":0,\"bytes_out\":0,"
                   "\"duration_ms\":0.000}\n");
}

TEST_CASE("what a client sends cannot break a line") {
  RequestRecord r;
  std::string all;
  for (int c = 1; c < 256; ++c) all += static_cast<char>(c);
  r.user_agent = all;
  std::string l = line(r);
  CHECK(std::count(l.begin(), l.end(), '\n') == 1);
  for (char c : l.substr(0, l.size() - 1)) CHECK(static_cast<unsigned char>(c) >= 0x20);
  CHECK(l.find("!\\\"#") != std::string::npos);
  CHECK(l.find("[\\\\]") != std::string::npos);
  CHECK(l.find("\\u0001") != std::string::npos);
  CHECK(l.find("\\u00ff") != std::string::npos);  // no UTF-8
}

TEST_CASE("each byte is escaped or not wherever it stands") {
  for (int c = 1; c < 256; ++c) {
    for (size_t place = 0; place < 17; ++place) {
      std::string sent(17, 'a'), wanted = sent;
      sent[place] = static_cast<char>(c);
      char escaped[8];
      if (c == '"' || c == '\\') {
        std::snprintf(escaped, sizeof escaped, "\\%c", c);
      } else if (c >= 0x20 && c < 0x7f) {
        std::snprintf(escaped, sizeof escaped, "%c", c);
      } else {
        std::snprintf(escaped, sizeof escaped, "\\u%04x", c);
      }
      wanted.replace(place, 1, escaped);
      RequestRecord r;
      r.user_agent = sent;
      if (line(r).find("\"user_agent.original\":\"" + wanted + "\",") == std::string::npos) FAIL("byte " << c << " at " << place);
    }
  }
}

TEST_CASE("UTF-8 is kept, what only looks like it is escaped") {
  RequestRecord r;
  r.user_agent = "\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80";
  CHECK(line(r).find("\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80") != std::string::npos);
  r.user_agent = "\xc0\xaf";  // overlong
  CHECK(line(r).find("\\u00c0\\u00af") != std::string::npos);
  r.user_agent = "\xed\xa0\x80";  // surrogate
  CHECK(line(r).find("\\u00ed\\u00a0\\u0080") != std::string::npos);
  r.user_agent = "\xe2\x82";  // cut short
  CHECK(line(r).find("\\u00e2\\u0082") != std::string::npos);
}

TEST_CASE("the longest line fits") {
  Objects o;
  RequestRecord r = o.record();
  std::string bad(100'000, '\x01');
  r.path = r.host = r.user_agent = r.request_id = r.trace_id = r.upstream = r.target = r.policy = r.method_text = bad;
  r.reason = Reason::kSubscriptionMissing;
  CHECK(line(r).size() < AccessLogBuffer::kMaxLine);
}

TEST_CASE("dates are written as the calendar has them") {
  auto utc = [](int64_t s) {
    char out[19];
    format_utc(s, out);
    return std::string(out, 19);
  };
  CHECK(utc(0) == "1970-01-01T00:00:00");
  CHECK(utc(951'782'399) == "2000-02-28T23:59:59");
  CHECK(utc(951'782'400) == "2000-02-29T00:00:00");
  CHECK(utc(1'768'478'400) == "2026-01-15T12:00:00");
  CHECK(utc(4'102'444'799) == "2099-12-31T23:59:59");
}

TEST_CASE("lines of several workers arrive whole in their files") {
  TempDir dir;
  Objects o;
  {
    AccessLog log({.node = "n1", .state_dir = dir.path()});
    uint32_t a = *log.open(to_file("a.log"));
    uint32_t b = *log.open(to_file(dir.path() + "/b.log"));
    CHECK(a == *log.open(to_file("a.log")));
    CHECK(a == log.find(to_file("a.log")));
    CHECK(a != b);
    auto work = [&](int n) {
      AccessLogBuffer buffer(log);
      for (int i = 0; i < n; ++i) {
        buffer.write(o.record(200), a);
        if (i % 2 == 0) buffer.write(o.record(404), b);
        buffer.write(o.record(500), AccessLog::kNowhere);
      }
    };
    std::thread one([&] { work(2000) ; }), two([&] { work(1000); });
    one.join();
    two.join();
    CHECK(log.dropped_lines() == 0);
  }
  auto a = lines_of(dir.path() + "/a.log"), b = lines_of(dir.path() + "/b.log");
  CHECK(a.size() == 3000);
  CHECK(b.size() == 1500);
  for (const auto& l : a) REQUIRE((l.starts_with("{\"ts\":") && l.ends_with("}") && l.find(":200,") != std::string::npos));
}

TEST_CASE("a flush hands over what is there") {
  TempDir dir;
  Objects o;
  AccessLog log({.node = "n1", .state_dir = dir.path()});
  uint32_t id = *log.open(to_file("a.log"));
  AccessLogBuffer buffer(log);
  buffer.write(o.record(), id);
  log.sync();
  CHECK(lines_of(dir.path() + "/a.log").empty());
  buffer.flush();
  log.sync();
  CHECK(lines_of(dir.path() + "/a.log").size() == 1);
}

TEST_CASE("after a rotation the file is opened anew") {
  TempDir dir;
  Objects o;
  AccessLog log({.node = "n1", .state_dir = dir.path()});
  uint32_t id = *log.open(to_file("a.log"));
  AccessLogBuffer buffer(log);
  buffer.write(o.record(), id);
  buffer.flush();
  log.sync();
  std::filesystem::rename(dir.path() + "/a.log", dir.path() + "/a.log.1");
  log.reopen();
  log.sync();
  buffer.write(o.record(), id);
  buffer.flush();
  log.sync();
  CHECK(lines_of(dir.path() + "/a.log.1").size() == 1);
  CHECK(lines_of(dir.path() + "/a.log").size() == 1);
}

TEST_CASE("lines that find no place in the queue are dropped and counted") {
  TempDir dir;
  Objects o;
  // A pipe that nobody reads from stalls the writer for as long as the test likes.
  std::string pipe = dir.path() + "/pipe";
  REQUIRE(::mkfifo(pipe.c_str(), 0600) == 0);
  std::unique_ptr<std::fstream> reader = std::make_unique<std::fstream>(pipe, std::ios::in | std::ios::out);
  AccessLog log({.node = "n1", .state_dir = dir.path(), .queue_max = 2});
  uint32_t id = *log.open(to_file(pipe));
  uint64_t written = 0;
  {
    AccessLogBuffer buffer(log);
    while (log.dropped_lines() == 0) {
      buffer.write(o.record(), id);
      ++written;
      REQUIRE(written < 100'000);
    }
  }
  CHECK(log.dropped_lines() > 0);
  CHECK(log.dropped_lines() < written);
}

TEST_CASE("a file that cannot be opened is named") {
  TempDir dir;
  AccessLog log({.node = "n1", .state_dir = dir.path()});
  auto id = log.open(to_file("no/such/dir.log"));
  REQUIRE_FALSE(id.ok());
  CHECK(message_of(id.status()).find(dir.path() + "/no/such/dir.log") != std::string::npos);
  AccessLogConfig none;
  none.to = AccessLogConfig::To::kNone;
  CHECK(*log.open(none) == AccessLog::kNowhere);
}
