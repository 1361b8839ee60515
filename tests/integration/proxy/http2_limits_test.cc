// What one HTTP/2 connection may cost: streams, resets, frames that carry nothing.
#include <catch2/catch.hpp>

#include "tests/support/http2_client.h"
#include "tests/support/worker_fixture.h"

namespace gw::test {
namespace {

constexpr uint8_t kRstFrame = 3, kGoawayFrame = 7;
constexpr uint32_t kRefused = 7, kCalm = 11;

Config limited(uint16_t upstream, const std::string& limits) {
  return Config{.upstream_port = upstream, .listener = "http2: true, http2Limits: {" + limits + "}"};
}

Connection raw_client(WorkerFixture& gw) {
  Connection client = Connection::to(gw.port());
  client.send(std::string(kHttp2Preface) + http2_frame(4, 0, 0, ""));
  return client;
}

uint64_t budget_count(WorkerFixture& gw) { return gw.stats().counters[static_cast<size_t>(Counter::kHttp2BudgetExceeded)]; }

// The connection was ended for too much of something.
void check_calmed(WorkerFixture& gw, Connection& client) {
  Http2Frame last = read_http2_until(client, kGoawayFrame);
  REQUIRE(last.type == kGoawayFrame);
  CHECK(last.code() == kCalm);
  CHECK(read_http2_until(client, kGoawayFrame).type == 0xff);
  CHECK(budget_count(gw) == 1);
  CHECK(gw.stats().gauges.http2_streams == 0);
}

bool still_serves(Connection& client, int32_t stream) {
  client.send(http2_get(stream));
  return read_http2_until(client, 1, stream).type == 1;
}

TEST_CASE("One HTTP/2 stream too many is refused, and the others go on", "[http2]") {
  std::mutex mutex;
  std::condition_variable changed;
  int waiting = 0;
  bool open = false;
  Upstream upstream([&](const Message&, const std::string&) {
    std::unique_lock lock(mutex);
    ++waiting;
    changed.notify_all();
    changed.wait_for(lock, std::chrono::milliseconds(kCapMs), [&] { return open; });
    return ok_response();
  });
  WorkerFixture gw(limited(upstream.port(), "maxStreams: 5").yaml());
  Connection client = raw_client(gw);
  Http2Frame settings = read_http2_until(client, 4);
  CHECK(settings.payload.substr(0, 6) == std::string("\0\3\0\0\0\5", 6));  // what the client is told
  client.send(http2_frame(4, 1, 0, ""));
  for (int32_t id = 1; id <= 9; id += 2) client.send(http2_get(id));
  {
    std::unique_lock lock(mutex);
    REQUIRE(changed.wait_for(lock, std::chrono::milliseconds(kCapMs), [&] { return waiting == 5; }));
  }
  for (int32_t id = 11; id <= 19; id += 2) {
    client.send(http2_get(id));
    Http2Frame refused = read_http2_until(client, kRstFrame);
    CHECK(refused.stream == id);
    CHECK(refused.code() == kRefused);
  }
  {
    std::lock_guard lock(mutex);
    open = true;
    changed.notify_all();
  }
  for (int i = 0; i < 5; ++i) CHECK(read_http2_until(client, 1).type == 1);
  CHECK(still_serves(client, 21));
  CHECK(upstream.requests().size() == 6);
  CHECK(budget_count(gw) == 0);
}

TEST_CASE("A client that opens and resets streams without end loses its HTTP/2 connection", "[http2]") {
  Upstream upstream;
  WorkerFixture gw(limited(upstream.port(), "maxResets: 20").yaml());
  Connection client = raw_client(gw);
  bool at_once = GENERATE(true, false);
  std::string frames;
  for (int32_t id = 1; id < 2000; id += 2) {
    std::string pair = http2_get(id) + http2_frame(kRstFrame, 0, id, std::string("\0\0\0\x8", 4));
    if (at_once) frames += pair;
    else if (!client.send(pair)) break;
  }
  client.send(frames);
  check_calmed(gw, client);
  CHECK(upstream.requests().size() <= 21);
  if (at_once) CHECK(upstream.requests().empty());  // a request that is reset before it was looked at is never begun
}

TEST_CASE("Resets that a client brings about count as its own", "[http2]") {
  Upstream upstream;
  WorkerFixture gw(limited(upstream.port(), "maxResets: 20").yaml());
  Connection client = raw_client(gw);
  SECTION("malformed requests") {
    for (int32_t id = 1; id < 200; id += 2) client.send(http2_frame(1, 5, id, http2_literal("X-Upper", "1")));
    check_calmed(gw, client);
  }
  SECTION("bodies that are longer than they say") {
    std::string head = http2_literals({{":method", "POST"}, {":scheme", "http"}, {":authority", "x"}, {":path", "/"}, {"content-length", "1"}});
    for (int32_t id = 1; id < 200; id += 2) client.send(http2_frame(1, 4, id, head) + http2_frame(0, 0, id, "too long"));
    check_calmed(gw, client);
  }
  SECTION("windows beyond their limit") {
    for (int32_t id = 1; id < 200; id += 2) client.send(http2_get(id, "/", false) + http2_frame(8, 0, id, "\x7f\xff\xff\xff"));
    check_calmed(gw, client);
  }
  SECTION("streams beyond the limit") {
    std::string frames;
    for (int32_t id = 1; id < 1000; id += 2) frames += http2_get(id, "/", false);
    client.send(frames);
    check_calmed(gw, client);
    CHECK(upstream.requests().size() <= 100);
  }
}

TEST_CASE("Frames that carry nothing are counted, those that requests bring with them are not", "[http2]") {
  Upstream upstream;
  WorkerFixture gw(limited(upstream.port(), "maxControlFrames: 100").yaml());
  Connection client = raw_client(gw);
  std::string zero(4, '\0'), ping = http2_frame(6, 0, 0, "12345678");
  auto flood = [&](const std::string& frame) {
    for (int i = 0; i < 300; ++i) client.send(frame);
    check_calmed(gw, client);
  };
  SECTION("SETTINGS") { flood(http2_frame(4, 0, 0, "")); }
  SECTION("PING") { flood(ping); }
  SECTION("PRIORITY") { flood(http2_frame(2, 0, 1, zero + "\x10")); }
  SECTION("WINDOW_UPDATE") { flood(http2_frame(8, 0, 0, std::string("\0\0\0\1", 4))); }
  SECTION("PRIORITY_UPDATE") { flood(http2_frame(16, 0, 0, std::string("\0\0\0\1u=1", 7))); }
  SECTION("unknown types") { flood(http2_frame(77, 0, 0, "?")); }
  SECTION("empty DATA") {
    client.send(http2_get(1, "/", false));
    flood(http2_frame(0, 0, 1, ""));
  }
  SECTION("DATA with padding alone") {
    client.send(http2_get(1, "/", false));
    flood(http2_frame(0, 8, 1, std::string("\3\0\0\0", 4)));
  }
  SECTION("CONTINUATION") {
    client.send(http2_frame(1, 1, 1, http2_literal(":method", "GET")));
    flood(http2_frame(9, 0, 1, ""));
  }
  SECTION("with requests") {
    for (int32_t id = 1; id < 400; id += 2) {
      client.send(ping + http2_frame(8, 0, 0, std::string("\0\0\0\1", 4)));
      REQUIRE(still_serves(client, id));
    }
    CHECK(budget_count(gw) == 0);
  }
  SECTION("with the pieces of a large answer") {
    Upstream large([](const Message&, const std::string&) { return ok_response(std::string(20 << 20, 'x')); });
    gw.install(limited(large.port(), "maxControlFrames: 100").yaml());
    Http2Client reader(gw.port());
    CHECK(reader.finish(reader.request("/")).received == 20 << 20);  // with a window of 64 KiB: many updates
    CHECK(budget_count(gw) == 0);
  }
}

TEST_CASE("A head that unfolds into far more than it may have ends the HTTP/2 connection", "[http2]") {
  Upstream upstream;
  Config config = limited(upstream.port(), "maxStreams: 10");
  config.gateway = "limits: {headerBytes: 8KiB}";
  WorkerFixture gw(config.yaml());
  Connection client = raw_client(gw);
  // One field into the table, then named again and again by one byte.
  std::string field = "\x40\x01x\x7f\xa1\x1e" + std::string(4000, 'a');  // 127 + 0x21 + (0x1e << 7)
  std::string block = http2_literals({{":method", "GET"}, {":scheme", "http"}, {":authority", "x"}, {":path", "/"}}) + field +
                      std::string(2000, '\xbe');
  client.send(http2_frame(1, 5, 1, block));
  check_calmed(gw, client);
  CHECK(upstream.requests().empty());
}

TEST_CASE("A client that reads nothing cannot make answers to its frames pile up", "[http2]") {
  Upstream upstream;
  WorkerFixture gw(limited(upstream.port(), "maxControlFrames: 1000000, maxResets: 1000000, maxStreams: 1").yaml());
  Connection client = raw_client(gw);
  std::string pings;
  for (int i = 0; i < 1000; ++i) pings += http2_frame(6, 0, 0, "12345678");
  // Each must be answered; the socket's buffers take some, then the connection ends.
  int sent = 0;
  while (sent < 100'000 && client.send(pings)) ++sent;
  CHECK(sent < 100'000);
  CHECK(gw.stats().gauges.buffer_bytes < 1 << 20);
}

TEST_CASE("Client and server windows are those of the configuration", "[http2]") {
  Upstream upstream;
  WorkerFixture gw(limited(upstream.port(), "streamWindow: 128KiB, connectionWindow: 2MiB, maxStreams: 7").yaml());
  Http2Client client(gw.port());
  REQUIRE(client.run([&] { return client.settled(); }));
  CHECK(client.setting(3) == 7);
  CHECK(client.setting(4) == 128 << 10);
  CHECK(client.setting(9) == 1);   // NO_RFC7540_PRIORITIES
  CHECK(client.setting(2) == -1);  // nothing of push
  Connection raw = raw_client(gw);
  Http2Frame update = read_http2_until(raw, 8, 0);
  uint32_t more = 0;
  for (char c : update.payload) more = more << 8 | static_cast<unsigned char>(c);
  CHECK(more == (2 << 20) - 65535);
}

}  // namespace
}  // namespace gw::test
