// Upstreams that speak HTTP/2 and go away, refuse, break the rules, or speak something else; and how they are probed.
#include <catch2/catch.hpp>
#include <condition_variable>
#include <map>
#include <thread>

#include "dataplane/upstream/health_checker.h"
#include "dataplane/upstream/http2_call.h"
#include "tests/support/http2_upstream.h"
#include "tests/support/worker_fixture.h"

namespace gw::test {
namespace {

using How = Http2Reply::How;

std::string target_url(uint16_t port) { return "{url: \"http://127.0.0.1:" + std::to_string(port) + "\"}"; }

std::string http2_targets(std::vector<uint16_t> ports, const std::string& more = "") {
  std::string yaml = Config{.upstream_port = ports[0], .upstream = "protocol: http2" + (more.empty() ? "" : ", " + more)}.yaml();
  std::string first = target_url(ports[0]), all = first;
  for (size_t i = 1; i < ports.size(); ++i) all += ", " + target_url(ports[i]);
  return yaml.replace(yaml.find(first), first.size(), all);
}

Message ask(uint16_t port, const std::string& method = "GET", const std::string& path = "/x", const std::string& body = "") {
  Connection client = Connection::to(port);
  std::string head = method + " " + path + " HTTP/1.1\r\nHost: x\r\n";
  if (!body.empty()) head += "Content-Length: " + std::to_string(body.size()) + "\r\n";
  client.send(head + "\r\n" + body);
  return read_message(client);
}

uint64_t total(WorkerFixture& gw, Counter which) { return gw.stats().counters[static_cast<size_t>(which)]; }

TEST_CASE("A GOAWAY costs no request: those in work end, those left out go to another connection", "[http2]") {
  std::atomic<int> asked{0};
  Http2Upstream upstream([&](const Http2Request&) {
    Http2Reply a;
    a.goaway = ++asked % 7 == 0;
    return a;
  });
  WorkerFixture gw(http2_targets({upstream.port()}));
  std::atomic<int> good{0};
  std::vector<std::thread> clients;
  for (int c = 0; c < 8; ++c) {
    clients.emplace_back([&] {
      Connection client = Connection::to(gw.port());
      for (int i = 0; i < 50; ++i) {
        client.send(i % 5 == 0 ? "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi" : "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
        good += read_message(client).status() == 200 ? 1 : 0;
      }
    });
  }
  for (std::thread& t : clients) t.join();
  CHECK(good == 400);
  CHECK(upstream.connections() > 10);
  CHECK(total(gw, Counter::kUpstreamHttp2Goaways) > 10);
}

TEST_CASE("Requests above the last one of a GOAWAY are sent again elsewhere, once", "[http2]") {
  Http2Upstream upstream([&](const Http2Request& r) {
    Http2Reply a;
    a.hold = r.connection == 1 && r.stream == 1;
    if (r.connection == 1 && r.stream > 1) a = {.how = How::kNothing, .goaway_last = 1};
    return a;
  });
  WorkerFixture gw(http2_targets({upstream.port()}));
  Connection one = Connection::to(gw.port()), two = Connection::to(gw.port());
  one.send("GET /1 HTTP/1.1\r\nHost: x\r\n\r\n");
  CHECK(upstream.wait([&] { return upstream.begun() == 1; }));
  two.send("POST /2 HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n");
  CHECK(read_message(two).status() == 200);
  upstream.let_go();
  CHECK(read_message(one).status() == 200);
  CHECK(upstream.connections() == 2);
  CHECK(upstream.requests().size() == 3);
  CHECK(total(gw, Counter::kUpstreamHttp2Moved) == 1);
  CHECK(total(gw, Counter::kRetryRefused) == 0);
  CHECK(upstream.wait([&] { return upstream.open_connections() == 1; }));
}

TEST_CASE("A refused stream is tried at another target; where there is none the client hears of it", "[http2]") {
  Http2Upstream refuses([](const Http2Request&) { return Http2Reply{.how = How::kRefuse}; });
  Http2Upstream good;
  {
    WorkerFixture gw(http2_targets({refuses.port(), good.port()}));
    for (int i = 0; i < 10; ++i) CHECK(ask(gw.port(), "POST").status() == 200);
    CHECK(refuses.requests().size() > 0);
    CHECK(refuses.connections() == 1);
  }
  WorkerFixture gw(http2_targets({refuses.port()}));
  Message m = ask(gw.port());
  CHECK(m.status() == 502);
  CHECK(m.field("content-type") == "application/problem+json");
  CHECK(m.body.find("UPSTREAM_RESET") != std::string::npos);
}

TEST_CASE("A stream that is reset fails alone", "[http2]") {
  Http2Upstream upstream([](const Http2Request& r) {
    Http2Reply a;
    if (r.field(":path") == "/reset") a.how = How::kReset;
    if (r.field(":path") == "/cut") {
      a.how = How::kResetMidBody;
      a.fields.push_back({"content-length", "100"});
    }
    return a;
  });
  WorkerFixture gw(http2_targets({upstream.port()}));
  Message reset = ask(gw.port(), "GET", "/reset");
  CHECK(reset.status() == 502);
  CHECK(reset.body.find("UPSTREAM_RESET") != std::string::npos);
  Message cut = ask(gw.port(), "GET", "/cut");
  CHECK(cut.status() == 200);
  CHECK_FALSE(cut.complete);
  CHECK(ask(gw.port()).status() == 200);
  CHECK(upstream.connections() == 1);
}

TEST_CASE("A connection that ends takes its requests with it; one that was dead by then is not noticed", "[http2]") {
  std::atomic<int> asked{0};
  Http2Upstream upstream([&](const Http2Request& r) {
    Http2Reply a;
    if (r.field(":path") == "/hangup" || (r.field(":path") == "/once" && ++asked == 1)) a.how = How::kHangUp;
    return a;
  });
  WorkerFixture gw(http2_targets({upstream.port()}));
  Message m = ask(gw.port(), "GET", "/hangup");
  CHECK(m.status() == 502);  // the connection's first request: nobody knows what became of it
  CHECK(m.body.find("UPSTREAM_RESET") != std::string::npos);
  CHECK(ask(gw.port()).status() == 200);
  CHECK(ask(gw.port(), "GET", "/once").status() == 200);  // on a connection that had served: tried again
  CHECK(total(gw, Counter::kRetryReused) == 1);
  CHECK(ask(gw.port(), "POST", "/hangup").status() == 502);
}

TEST_CASE("Answers that HTTP/1 could not be written from are refused", "[http2]") {
  struct Case {
    const char* what;
    Http2Fields fields;
    std::string body;
  };
  const Case cases[] = {
      {"no status", {{"content-type", "text/plain"}}, ""},
      {"status twice", {{":status", "200"}, {":status", "200"}}, ""},
      {"status behind a field", {{"a", "b"}, {":status", "200"}}, ""},
      {"status of two digits", {{":status", "20"}}, ""},
      {"status that is no number", {{":status", "2x0"}}, ""},
      {"101", {{":status", "101"}}, ""},
      {"a request's pseudo field", {{":status", "200"}, {":path", "/"}}, ""},
      {"an unknown pseudo field", {{":status", "200"}, {":x", "1"}}, ""},
      {"upper case", {{":status", "200"}, {"X-Up", "1"}}, ""},
      {"an empty name", {{":status", "200"}, {"", "1"}}, ""},
      {"a space in a name", {{":status", "200"}, {"a b", "1"}}, ""},
      {"a colon in a name", {{":status", "200"}, {"a:b", "1"}}, ""},
      {"CR LF in a value", {{":status", "200"}, {"a", "b\r\nset-cookie: x=1"}}, ""},
      {"NUL in a value", {{":status", "200"}, {"a", std::string("b\0c", 3)}}, ""},
      {"white space around a value", {{":status", "200"}, {"a", " b"}}, ""},
      {"connection", {{":status", "200"}, {"connection", "close"}}, ""},
      {"transfer-encoding", {{":status", "200"}, {"transfer-encoding", "chunked"}}, ""},
      {"upgrade", {{":status", "200"}, {"upgrade", "h2c"}}, ""},
      {"a length that is too large", {{":status", "200"}, {"content-length", "4"}}, "abc"},
      {"a length that is too small", {{":status", "200"}, {"content-length", "2"}}, "abc"},
      {"two lengths", {{":status", "200"}, {"content-length", "3"}, {"content-length", "3"}}, "abc"},
      {"a length that is no number", {{":status", "200"}, {"content-length", "+3"}}, "abc"},
  };
  for (const Case& c : cases) {
    INFO(c.what);
    Server upstream([&](Connection& connection, int) {
      connection.send(http2_frame(4, 0, 0, {}) + http2_frame(4, 1, 0, {}));
      connection.take(24);
      while (true) {
        std::string frame = connection.take(9);
        if (frame.size() != 9) return;
        size_t size = static_cast<unsigned char>(frame[1]) << 8 | static_cast<unsigned char>(frame[2]);
        connection.take(size);
        if (frame[3] != 1) continue;
        auto id = static_cast<unsigned char>(frame[8]);
        std::string head = http2_frame(1, c.body.empty() ? 5 : 4, id, http2_literals(c.fields));
        connection.send(head + (c.body.empty() ? "" : http2_frame(0, 1, id, c.body)));
      }
    });
    WorkerFixture gw(http2_targets({upstream.port()}));
    Connection client = Connection::to(gw.port());
    client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    Message m = read_message(client);
    if (m.status() == 200) {  // it shows behind the head: the client must see that something is missing
      CHECK_FALSE(c.body.empty());
      CHECK_FALSE(m.complete);
    } else {
      CHECK(m.status() == 502);
      CHECK(m.body.find("UPSTREAM_INVALID") != std::string::npos);
    }
  }
}

// Says `bytes` behind its SETTINGS once a request's head has come; `%` stands for the stream's id.
std::unique_ptr<Server> raw_upstream(std::function<std::string(uint32_t id)> bytes) {
  return std::make_unique<Server>([bytes](Connection& connection, int) {
    connection.send(http2_frame(4, 0, 0, {}) + http2_frame(4, 1, 0, {}));
    connection.take(24);
    while (true) {
      std::string frame = connection.take(9);
      if (frame.size() != 9) return;
      size_t size = static_cast<unsigned char>(frame[1]) << 8 | static_cast<unsigned char>(frame[2]);
      connection.take(size);
      if (frame[3] == 1 && !connection.send(bytes(static_cast<unsigned char>(frame[8])))) return;
    }
  });
}

TEST_CASE("Floods and bombs from an upstream end its connection, not the worker", "[http2]") {
  auto repeated = [](const std::string& frame, int times) {
    std::string out;
    for (int i = 0; i < times; ++i) out += frame;
    return out;
  };
  std::string settings = repeated(http2_frame(4, 0, 0, {}), 5000), pings = repeated(http2_frame(6, 0, 0, "12345678"), 5000);
  struct Case {
    const char* what;
    std::function<std::string(uint32_t)> bytes;
  };
  const Case cases[] = {
      {"SETTINGS", [&](uint32_t) { return settings; }},
      {"PING", [&](uint32_t) { return pings; }},
      {"empty DATA", [&](uint32_t id) { return http2_frame(1, 4, id, http2_literals({{":status", "200"}})) + repeated(http2_frame(0, 0, id, {}), 5000); }},
      {"WINDOW_UPDATE", [&](uint32_t) { return repeated(http2_frame(8, 0, 0, std::string("\0\0\0\1", 4)), 5000); }},
      {"unknown frames", [&](uint32_t) { return repeated(http2_frame(99, 0, 0, "x"), 5000); }},
      {"CONTINUATION", [&](uint32_t id) { return http2_frame(1, 0, id, http2_literals({{":status", "200"}})) + repeated(http2_frame(9, 0, id, http2_literals({{"a", "b"}})), 5000); }},
      {"too many fields", [&](uint32_t id) { return http2_frame(1, 5, id, http2_literals({{":status", "200"}}) + repeated(http2_literals({{"a", "b"}}), 300)); }},
      {"fields too large", [&](uint32_t id) {
         return http2_frame(1, 1, id, http2_literals({{":status", "200"}})) + repeated(http2_frame(9, 0, id, http2_literals({{"a", std::string(16000, 'v')}})), 5) + http2_frame(9, 4, id, {});
       }},
      {"PUSH_PROMISE", [&](uint32_t id) {
         return http2_frame(5, 4, id, std::string("\0\0\0\2", 4) + http2_literals({{":method", "GET"}, {":scheme", "http"}, {":path", "/"}, {":authority", "x"}}));
       }},
      {"DATA beyond the window", [&](uint32_t id) { return http2_frame(1, 4, id, http2_literals({{":status", "200"}})) + repeated(http2_frame(0, 0, id, std::string(16384, 'd')), 200); }},
      {"an answer nobody asked for", [&](uint32_t id) { return http2_frame(1, 5, id + 100, http2_literals({{":status", "200"}})); }},
  };
  for (const Case& c : cases) {
    INFO(c.what);
    auto upstream = raw_upstream(c.bytes);
    WorkerFixture gw(http2_targets({upstream->port()}, "timeouts: {firstByte: 20s}"));
    Connection client = Connection::to(gw.port());
    client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    Message m = read_message(client);
    CHECK((m.status() == 502 || (m.status() == 200 && !m.complete)));
    CHECK(gw.stats().gauges.active_requests == 0);
  }
}

TEST_CASE("What does not speak HTTP/2 is a failed connection: safe to try elsewhere, and named", "[http2]") {
  Server speaks_http1([](Connection& c, int) {
    c.take(24);
    c.send("HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
  });
  Server silent([](Connection& c, int) { c.read_to_end(); });
  Server closes([](Connection&, int) {});
  Http2Upstream good;
  {
    WorkerFixture gw(http2_targets({speaks_http1.port()}));
    Message m = ask(gw.port(), "POST");
    CHECK(m.status() == 502);
    CHECK(m.body.find("UPSTREAM_CONNECT") != std::string::npos);
    CHECK(m.body.find("HTTP/2") != std::string::npos);
  }
  {
    WorkerFixture gw(http2_targets({closes.port()}));
    CHECK(ask(gw.port()).status() == 502);
  }
  {
    WorkerFixture gw(http2_targets({silent.port()}, "timeouts: {connect: 100ms}"));
    CHECK(ask(gw.port()).status() == 504);
  }
  WorkerFixture gw(http2_targets({speaks_http1.port(), good.port()}));
  for (int i = 0; i < 6; ++i) CHECK(ask(gw.port(), "POST").status() == 200);
  CHECK(gw.stats().gauges.active_requests == 0);
}

TEST_CASE("A client that leaves while its request waits for a connection leaves nothing behind", "[http2]") {
  Server silent([](Connection& c, int) { c.read_to_end(); });
  WorkerFixture gw(http2_targets({silent.port()}, "timeouts: {connect: 20s}"));
  {
    Connection client = Connection::to(gw.port());
    client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    for (int i = 0; i < 200'000 && silent.connections() == 0; ++i) std::this_thread::yield();
    client.reset();
  }
  for (int i = 0; i < 200'000 && gw.stats().gauges.active_requests > 0; ++i) std::this_thread::yield();
  CHECK(gw.stats().gauges.active_requests == 0);
}

TEST_CASE("A connection that falls silent is asked for a sign, and ended without one", "[http2]") {
  auto upstream = raw_upstream([](uint32_t) { return std::string(); });  // reads on and says nothing
  Http2Upstream alive([](const Http2Request&) { return Http2Reply{.hold = true}; });
  WorkerFixture dead(http2_targets({upstream->port()}, "http2: {pingAfter: 1s}, timeouts: {firstByte: 60s}"));
  WorkerFixture well(http2_targets({alive.port()}, "http2: {pingAfter: 1s}, timeouts: {firstByte: 60s}"));
  Connection waits = Connection::to(well.port());
  waits.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  Message m = ask(dead.port());
  CHECK(m.status() == 502);
  CHECK(alive.wait([&] { return alive.pings() > 0; }));
  alive.let_go();
  CHECK(read_message(waits).status() == 200);
  CHECK(alive.connections() == 1);
}

// What was told last of each target. Any thread.
class Verdicts {
 public:
  void operator()(const HealthChange& change) {
    std::lock_guard lock(mutex_);
    last_[change.authority] = change.what;
    ++count_;
    changed_.notify_all();
  }
  bool wait(uint16_t port, HealthChange::What what) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::milliseconds(kCapMs), [&] {
      auto at = last_.find("127.0.0.1:" + std::to_string(port));
      return at != last_.end() && at->second == what;
    });
  }
  int count() {
    std::lock_guard lock(mutex_);
    return count_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<std::string, HealthChange::What> last_;
  int count_ = 0;
};

std::string probes(const std::string& how) { return "health: {active: {" + how + "interval: 100ms, timeout: 2s, unhealthyAfter: 2, healthyAfter: 2}}"; }

TEST_CASE("Probes speak the upstream's protocol", "[http2][health]") {
  std::atomic<int> status{200};
  Http2Upstream upstream([&](const Http2Request&) { return Http2Reply{.fields = {{":status", std::to_string(status)}}}; });
  Server not_http2([](Connection& c, int) { c.send("HTTP/1.1 400 Bad Request\r\n\r\n"); });
  Verdicts told;
  TableMaker maker;
  HealthChecker checker([&](const HealthChange& change) { told(change); });
  checker.configure(maker.make(http2_targets({upstream.port()}, probes("path: /ping, host: probe.test, "))).snapshot);
  CHECK(upstream.wait([&] { return upstream.requests().size() >= 3; }));
  CHECK(told.count() == 0);
  CHECK(upstream.requests()[0].field(":path") == "/ping");
  CHECK(upstream.requests()[0].field(":authority") == "probe.test");
  status = 500;
  CHECK(told.wait(upstream.port(), HealthChange::What::kProbeFailed));
  status = 204;
  CHECK(told.wait(upstream.port(), HealthChange::What::kProbeGood));
  // Without a path: HTTP/2 must be spoken all the same.
  int before = upstream.connections();
  checker.configure(maker.make(http2_targets({upstream.port(), not_http2.port()}, probes(""))).snapshot);
  CHECK(told.wait(not_http2.port(), HealthChange::What::kProbeFailed));
  CHECK(upstream.wait([&] { return upstream.connections() > before + 2; }));
  CHECK(told.count() == 3);
}

TEST_CASE("The gRPC health protocol tells whether a service serves", "[http2][health]") {
  std::atomic<int> state{1};  // SERVING
  std::atomic<bool> trailers_only{false};
  Http2Upstream upstream([&](const Http2Request&) {
    Http2Reply a;
    a.fields = {{":status", "200"}, {"content-type", "application/grpc"}};
    a.body = std::string("\0\0\0\0\2\x08", 6) + static_cast<char>(state.load());
    a.trailers = {{"grpc-status", "0"}};
    if (trailers_only) a = {.fields = {{":status", "200"}, {"content-type", "application/grpc"}, {"grpc-status", "12"}}, .body = ""};
    return a;
  });
  Verdicts told;
  TableMaker maker;
  HealthChecker checker([&](const HealthChange& change) { told(change); });
  checker.configure(maker.make(http2_targets({upstream.port()}, probes("grpc: {service: shop.Cart}, "))).snapshot);
  CHECK(upstream.wait([&] { return upstream.requests().size() >= 3; }));
  CHECK(told.count() == 0);
  Http2Request asked = upstream.requests()[0];
  CHECK(asked.field(":method") == "POST");
  CHECK(asked.field(":path") == "/grpc.health.v1.Health/Check");
  CHECK(asked.field("content-type") == "application/grpc");
  CHECK(asked.field("te") == "trailers");
  CHECK(asked.body == std::string("\0\0\0\0\x0b\x0a\x09", 7) + "shop.Cart");
  state = 2;  // NOT_SERVING
  CHECK(told.wait(upstream.port(), HealthChange::What::kProbeFailed));
  state = 1;
  CHECK(told.wait(upstream.port(), HealthChange::What::kProbeGood));
  trailers_only = true;  // UNIMPLEMENTED
  CHECK(told.wait(upstream.port(), HealthChange::What::kProbeFailed));
}

TEST_CASE("Bodies of the gRPC health protocol are read with care", "[http2][health]") {
  auto framed = [](const std::string& message) { return std::string("\0\0\0\0", 4) + static_cast<char>(message.size()) + message; };
  CHECK(grpc_says_serving(framed("\x08\x01")));
  CHECK(grpc_says_serving(framed("\x12\x03" "abc\x08\x01")));   // a field of a later version
  CHECK_FALSE(grpc_says_serving(framed("\x08\x02")));
  CHECK_FALSE(grpc_says_serving(framed("")));
  CHECK_FALSE(grpc_says_serving(framed("\x08")));
  CHECK_FALSE(grpc_says_serving(framed("\x12\x7f" "abc")));
  CHECK_FALSE(grpc_says_serving(framed("\x08\x01") + "x"));
  CHECK_FALSE(grpc_says_serving(std::string("\1\0\0\0\2\x08\x01", 7)));  // compressed
  CHECK_FALSE(grpc_says_serving(std::string("\0\0\0", 3)));
  CHECK(grpc_health_request("") == std::string(5, '\0'));
}

}  // namespace
}  // namespace gw::test
