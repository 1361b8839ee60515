// Large bodies that no policy wants move within the kernel: whole, in order, with back-pressure, and with an end that can be
// told from a break.
#include <catch2/catch.hpp>

#include "tests/support/worker_fixture.h"

namespace gw::test {
namespace {

constexpr size_t kLarge = 3 << 20;

// Bytes that tell where they belong.
std::string pattern(size_t size) {
  std::string out(size, '\0');
  for (size_t i = 0; i < size; ++i) out[i] = static_cast<char>('a' + (i * 31 + i / 4099) % 26);
  return out;
}

std::string head(size_t length, const std::string& more = "") {
  return "HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(length) + "\r\n" + more + "\r\n";
}

uint64_t spliced(WorkerFixture& gw) { return gw.stats().counters[static_cast<size_t>(Counter::kBodiesSpliced)]; }

bool no_request_left(WorkerFixture& gw) {
  for (int i = 0; i < kCapMs / 10; ++i) {
    if (gw.stats().gauges.active_requests == 0) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return false;
}

// Sends until nothing has been taken for a while: everything on the way is full.
size_t send_until_full(Connection& c, std::string_view bytes) {
  size_t sent = 0;
  for (int idle = 0; idle < 50 && sent < bytes.size();) {
    ssize_t n = ::send(c.fd(), bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n > 0) {
      sent += static_cast<size_t>(n);
      idle = 0;
    } else {
      ++idle;
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
  }
  return sent;
}

TEST_CASE("A large answer of known length is spliced, and its connections go on", "[splice]") {
  const std::string body = pattern(kLarge);
  Upstream upstream([&](const Message&, const std::string& raw) { return raw.find("/large") != std::string::npos ? ok_response(body) : ok_response("small"); });
  WorkerFixture gw(Config{.upstream_port = upstream.port()}.yaml());
  Connection client = Connection::to(gw.port());
  for (int i = 0; i < 5; ++i) {
    client.send("GET /large HTTP/1.1\r\nHost: x\r\n\r\n");
    CHECK(read_message(client).body == body);
    client.send("GET /small HTTP/1.1\r\nHost: x\r\n\r\n");
    CHECK(read_message(client).body == "small");
  }
  CHECK(spliced(gw) == 5);
  CHECK(upstream.connections() == 1);
}

TEST_CASE("A request that was sent while a spliced answer was on its way is answered next", "[splice]") {
  const std::string body = pattern(kLarge);
  Upstream upstream([&](const Message&, const std::string&) { return ok_response(body); });
  WorkerFixture gw(Config{.upstream_port = upstream.port()}.yaml());
  Connection client = Connection::to(gw.port());
  client.send("GET /1 HTTP/1.1\r\nHost: x\r\n\r\nGET /2 HTTP/1.1\r\nHost: x\r\n\r\nHEAD /3 HTTP/1.1\r\nHost: x\r\n\r\n");
  CHECK(read_message(client).body == body);
  CHECK(read_message(client).body == body);
  CHECK(read_message(client, true).field("content-length") == std::to_string(body.size()));
}

TEST_CASE("A large request of known length is spliced, and its connections go on", "[splice]") {
  const std::string body = pattern(kLarge);
  std::vector<std::string> got;
  Upstream upstream([&](const Message& request, const std::string&) {
    got.push_back(request.body);
    return ok_response("thanks");
  });
  WorkerFixture gw(Config{.upstream_port = upstream.port()}.yaml());
  Connection client = Connection::to(gw.port());
  for (int i = 0; i < 3; ++i) {
    client.send("POST /in HTTP/1.1\r\nHost: x\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body + "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    CHECK(read_message(client).body == "thanks");
    CHECK(read_message(client).body == "thanks");
  }
  REQUIRE(got.size() == 6);
  CHECK((got[0] == body && got[2] == body && got[4] == body));
  CHECK(spliced(gw) == 3);
  CHECK(upstream.connections() == 1);
}

TEST_CASE("Chunks, small bodies and HTTP/1.0's until close pass through the process", "[splice]") {
  const std::string body = pattern(kLarge);
  Server upstream([&](Connection& c, int) {
    std::string request = c.take_through("\r\n\r\n");
    if (request.find("/chunks") != std::string::npos) {
      char size[20];
      std::snprintf(size, sizeof size, "%zx\r\n", body.size());
      c.send(std::string("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n") + size + body + "\r\n0\r\n\r\n");
    } else if (request.find("/close") != std::string::npos) {
      c.send("HTTP/1.0 200 OK\r\n\r\n" + body);
    } else {
      c.send(ok_response(body.substr(0, 50'000)));
    }
  });
  WorkerFixture gw(Config{.upstream_port = upstream.port()}.yaml());
  for (const char* path : {"/chunks", "/close", "/small"}) {
    Connection client = Connection::to(gw.port());
    client.send(std::string("GET ") + path + " HTTP/1.1\r\nHost: x\r\n\r\n");
    CHECK(read_message(client).body == (path == std::string_view("/small") ? body.substr(0, 50'000) : body));
  }
  CHECK(spliced(gw) == 0);
}

TEST_CASE("A slow reader holds a spliced answer up, not the others, and gets all of it", "[splice]") {
  const std::string body = pattern(64 << 20);
  Server upstream([&](Connection& c, int) {
    while (c.take_through("\r\n\r\n").size() > 0) c.send(head(body.size()) + body);
  });
  WorkerFixture gw(Config{.upstream_port = upstream.port()}.yaml());
  Connection slow = Connection::to(gw.port());
  slow.send("GET /large HTTP/1.1\r\nHost: x\r\n\r\n");
  slow.take_through("\r\n\r\n");
  for (int i = 0; i < 3; ++i) {
    Connection other = Connection::to(gw.port());
    other.send("GET /large HTTP/1.1\r\nHost: x\r\n\r\n");
    CHECK(read_message(other).body == body);
  }
  CHECK(gw.stats().gauges.active_requests == 1);
  CHECK(gw.stats().gauges.buffer_bytes < 1 << 20);
  CHECK(slow.take(body.size()) == body);
}

TEST_CASE("A spliced answer that stops short ends in a reset, never as if it were whole", "[splice]") {
  bool stalls = GENERATE(false, true);
  const std::string body = pattern(kLarge);
  Server upstream([&](Connection& c, int) {
    c.take_through("\r\n\r\n");
    c.send(head(body.size()) + body.substr(0, kLarge - 1000));
    if (stalls) c.read_to_end();
  });
  WorkerFixture gw(Config{.upstream_port = upstream.port(), .upstream = "timeouts: {idle: 200ms}"}.yaml());
  Connection client = Connection::to(gw.port());
  client.send("GET /large HTTP/1.1\r\nHost: x\r\n\r\n");
  Message answer = read_message(client);
  CHECK(answer.status() == 200);
  CHECK_FALSE(answer.complete);
  CHECK(answer.body == body.substr(0, answer.body.size()));
  CHECK(no_request_left(gw));
  CHECK(spliced(gw) == 1);
}

TEST_CASE("Who leaves within a spliced body takes the other side along", "[splice]") {
  const std::string body = pattern(64 << 20);
  SECTION("a client that reads, by FIN or by RST") {
    bool hard = GENERATE(false, true);
    std::atomic<int> cut{0};
    Server upstream([&](Connection& c, int) {
      c.take_through("\r\n\r\n");
      if (!c.send(head(body.size()) + body)) ++cut;
    });
    WorkerFixture gw(Config{.upstream_port = upstream.port()}.yaml());
    Connection client = Connection::to(gw.port());
    client.send("GET /large HTTP/1.1\r\nHost: x\r\n\r\n");
    client.take(1 << 20);
    hard ? client.reset() : client.close();
    CHECK(no_request_left(gw));
    for (int i = 0; i < kCapMs / 10 && cut == 0; ++i) std::this_thread::sleep_for(std::chrono::milliseconds(10));
    CHECK(cut == 1);
    CHECK(spliced(gw) == 1);
  }
  SECTION("an upstream that takes a request's body: the client is told") {
    Server upstream([&](Connection& c, int) {
      c.take(1 << 20);
      c.reset();
    });
    WorkerFixture gw(Config{.upstream_port = upstream.port(), .route = "limits: {bodyBytes: 100MiB}"}.yaml());
    Connection client = Connection::to(gw.port());
    client.send("POST /in HTTP/1.1\r\nHost: x\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n");
    send_until_full(client, std::string_view(body));
    Message answer = read_message(client);
    CHECK(((answer.status() == 502 && answer.body.find("UPSTREAM_RESET") != std::string::npos) || answer.start_line.empty()));
    CHECK(no_request_left(gw));
  }
  SECTION("an upstream that answers before it has taken the body: the answer comes through, the connection ends") {
    Server upstream([&](Connection& c, int) {
      c.take(1 << 20);
      c.send("HTTP/1.1 413 Content Too Large\r\nContent-Length: 4\r\n\r\nlong");
      c.read_to_end();
    });
    WorkerFixture gw(Config{.upstream_port = upstream.port(), .route = "limits: {bodyBytes: 100MiB}"}.yaml());
    Connection client = Connection::to(gw.port());
    client.send("POST /in HTTP/1.1\r\nHost: x\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n");
    client.send(std::string_view(body).substr(0, 2 << 20));
    Message answer = read_message(client);
    CHECK(answer.status() == 413);
    CHECK(answer.body == "long");
    CHECK(answer.field("connection") == "close");
    CHECK(no_request_left(gw));
  }
}

TEST_CASE("An upstream that does not take a spliced request's body is given up after its idle timeout", "[splice]") {
  const std::string body = pattern(64 << 20);
  std::atomic<bool> over{false};
  Server upstream([&](Connection& c, int) {
    c.take(1);
    while (!over) std::this_thread::sleep_for(std::chrono::milliseconds(5));
  });
  WorkerFixture gw(Config{.upstream_port = upstream.port(), .upstream = "timeouts: {idle: 300ms}", .route = "limits: {bodyBytes: 100MiB}"}.yaml());
  Connection client = Connection::to(gw.port());
  client.send("POST /in HTTP/1.1\r\nHost: x\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n");
  send_until_full(client, body);
  CHECK(read_message(client).status() == 504);
  CHECK(spliced(gw) == 1);
  over = true;
}

}  // namespace
}  // namespace gw::test
