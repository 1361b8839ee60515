// HTTP/2 clients through a worker: requests, answers, bodies both ways, the end of streams and of connections.
#include <catch2/catch.hpp>

#include <condition_variable>
#include <mutex>

#include "tests/support/http2_client.h"
#include "tests/support/http2_upstream.h"
#include "tests/support/worker_fixture.h"

namespace gw::test {
namespace {

constexpr uint8_t kRst = 3, kGoaway = 7;

Config http2_config(uint16_t upstream) { return Config{.upstream_port = upstream, .listener = "http2: true"}; }

uint64_t http2_count(WorkerFixture& gw, Counter counter) { return gw.stats().counters[static_cast<size_t>(counter)]; }

// Waits until `fn` holds; false: the cap.
bool comes_true(const std::function<bool()>& fn) {
  auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(kCapMs);
  while (!fn()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::yield();
  }
  return true;
}

// Holds requests back until it is opened.
class Gate {
 public:
  void open() {
    std::lock_guard lock(mutex_);
    open_ = true;
    changed_.notify_all();
  }
  void pass() {
    std::unique_lock lock(mutex_);
    ++waiting_;
    changed_.notify_all();
    changed_.wait_for(lock, std::chrono::milliseconds(kCapMs), [&] { return open_; });
  }
  bool wait_for(int waiting) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::milliseconds(kCapMs), [&] { return waiting_ >= waiting; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  int waiting_ = 0;
  bool open_ = false;
};

TEST_CASE("Requests of one HTTP/2 connection are in work at the same time, and each gets its own answer", "[http2]") {
  constexpr int kRequests = 40;
  Gate gate;
  Upstream upstream([&](const Message& request, const std::string&) {
    gate.pass();
    return ok_response(request.start_line);
  });
  WorkerFixture gw(http2_config(upstream.port()).yaml());
  Http2Client client(gw.port());
  std::vector<int32_t> ids;
  for (int i = 0; i < kRequests; ++i) ids.push_back(client.request("/" + std::to_string(i)));
  client.ping();
  REQUIRE(client.run([&] { return client.pongs() == 1; }));
  REQUIRE(gate.wait_for(kRequests));  // all at once, though nothing was answered
  CHECK(gw.stats().gauges.http2_streams == kRequests);
  CHECK(gw.stats().gauges.http2_connections == 1);
  gate.open();
  for (int i = 0; i < kRequests; ++i) {
    Http2Answer& answer = client.finish(ids[static_cast<size_t>(i)]);
    CHECK(answer.status == 200);
    CHECK(answer.body == "GET /" + std::to_string(i) + " HTTP/1.1");
    CHECK(answer.code == 0);
  }
  CHECK(gw.stats().gauges.http2_streams == 0);
  CHECK(http2_count(gw, Counter::kHttp2Requests) == kRequests);
}

TEST_CASE("The upstream of an HTTP/2 client sees an ordinary request", "[http2]") {
  Upstream upstream;
  WorkerFixture gw(http2_config(upstream.port()).yaml());
  Http2Client client(gw.port());
  int32_t id = client.request("/a/b?c=d", {{":authority", "gw.test:8080"},
                                           {"cookie", "a=1"},
                                           {"cookie", "b=2"},
                                           {"x-own", "value"},
                                           {"cookie", "c=3"},
                                           {"x-forwarded-for", "1.2.3.4"},
                                           {"x-gw-plan", "gold"}});
  CHECK(client.finish(id).status == 200);
  Message seen = upstream.requests().at(0);
  CHECK(seen.start_line == "GET /a/b?c=d HTTP/1.1");
  CHECK(seen.count("host") == 1);
  CHECK(seen.field("host") == "gw.test:8080");
  CHECK(seen.count("cookie") == 1);
  CHECK(seen.field("cookie") == "a=1; b=2; c=3");
  CHECK(seen.field("x-own") == "value");
  CHECK(seen.field("x-forwarded-for") == "127.0.0.1");
  CHECK(seen.field("x-forwarded-host") == "gw.test:8080");
  CHECK(seen.count("x-gw-plan") == 0);
  CHECK(seen.field("via").substr(0, 4) == "2.0 ");
  CHECK(seen.count("content-length") == 0);
  CHECK(seen.count("transfer-encoding") == 0);
  // A Host beside :authority that says the same is one Host; one without :authority stands for it.
  int32_t both = client.request("/", {{"host", "X"}});
  CHECK(client.finish(both).status == 200);
  CHECK(upstream.requests().at(1).count("host") == 1);
}

TEST_CASE("What is of an HTTP/1 connection does not come to an HTTP/2 client", "[http2]") {
  Upstream upstream([](const Message& request, const std::string&) -> std::string {
    if (request.start_line.find("/chunks") != std::string::npos) {
      return "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX-MIXED-Case: Kept\r\nConnection: x-hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\n"
             "Upgrade: h2c\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n";
    }
    if (request.start_line.find("/none") != std::string::npos) return "HTTP/1.1 204 No Content\r\n\r\n";
    if (request.start_line.find("/hints") != std::string::npos) {
      return "HTTP/1.1 103 Early Hints\r\nLink: </x.css>\r\n\r\n" + ok_response("hinted");
    }
    if (request.start_line.substr(0, 4) == "HEAD") return "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n";
    return "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
  });
  WorkerFixture gw(http2_config(upstream.port()).yaml());
  Http2Client client(gw.port());
  Http2Answer chunks = client.finish(client.request("/chunks"));
  CHECK(chunks.body == "abcde");
  CHECK(chunks.field("x-mixed-case") == "Kept");
  for (const char* name : {"transfer-encoding", "connection", "keep-alive", "upgrade", "x-hop", "content-length"}) {
    INFO(name);
    CHECK(chunks.field(name).empty());
  }
  Http2Answer whole = client.finish(client.request("/"));
  CHECK(whole.body == "hello");
  CHECK(whole.field("content-length") == "5");
  Http2Answer head = client.finish(client.request("/", {{":method", "HEAD"}}));
  CHECK(head.status == 200);
  CHECK(head.ended);
  CHECK(head.body.empty());
  CHECK(head.field("content-length") == "5");
  Http2Answer none = client.finish(client.request("/none"));
  CHECK(none.status == 204);
  CHECK(none.ended);
  Http2Answer hints = client.finish(client.request("/hints"));
  CHECK(hints.interim == std::vector<int>{103});
  CHECK(hints.body == "hinted");
  Http2Answer missing = client.finish(client.request("/", {{":method", "TRACE"}}));
  CHECK(missing.status == 405);
  CHECK(missing.body.find("METHOD_NOT_ALLOWED") != std::string::npos);
}

TEST_CASE("Bodies go both ways as their windows allow", "[http2]") {
  Upstream upstream([](const Message& request, const std::string&) { return ok_response(request.body); });
  WorkerFixture gw(http2_config(upstream.port()).yaml());
  Http2Client client(gw.port());
  std::string body;
  for (int i = 0; body.size() < 3'000'000; ++i) body += std::to_string(i) + ",";
  int32_t plain = client.request("/plain", {}, body);
  int32_t length = client.request("/length", {{"content-length", std::to_string(body.size())}}, body);
  int32_t pieces = client.open("/pieces");
  client.run([&] { return client.settled(); });
  client.send(pieces, "one,");
  client.send(pieces, "two");
  client.send(pieces, "", true);
  CHECK(client.finish(pieces).body == "one,two");
  CHECK(client.finish(plain).body == body);
  CHECK(client.finish(length).body == body);
  for (const Message& seen : upstream.requests()) {
    bool has_length = seen.start_line.find("/length") != std::string::npos;
    CHECK(seen.count("content-length") == (has_length ? 1u : 0u));
    CHECK(seen.count("transfer-encoding") == (has_length ? 0u : 1u));
  }
}

TEST_CASE("A client that expects 100 Continue is told to go on over HTTP/2, too", "[http2]") {
  Upstream upstream([](const Message& request, const std::string&) { return ok_response(request.body); });
  WorkerFixture gw(http2_config(upstream.port()).yaml());
  Http2Client client(gw.port());
  int32_t id = client.open("/", {{"expect", "100-continue"}});
  REQUIRE(client.run([&] { return client.answer(id).interim == std::vector<int>{100}; }));
  client.send(id, "body", true);
  CHECK(client.finish(id).body == "body");
  CHECK(upstream.requests().at(0).count("expect") == 0);
}

TEST_CASE("Trailers pass where both sides speak HTTP/2 and the client asks for them, and cross to no other version", "[http2]") {
  Upstream plain([](const Message&, const std::string&) {
    return std::string("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: x-sum\r\n\r\n3\r\nabc\r\n0\r\nX-Sum: 7\r\nContent-Length: 9\r\n\r\n");
  });
  Http2Upstream shared([](const Http2Request&) {
    Http2Reply reply;
    reply.body = "abc";
    reply.trailers = {{"x-sum", "7"}, {"authorization", "no"}};
    return reply;
  });
  Config config = http2_config(plain.port());
  WorkerFixture gw(config.yaml());
  Http2Client client(gw.port());
  for (int version : {1, 2}) {
    INFO(version);
    Http2Answer asked = client.finish(client.request("/", {{"te", "trailers"}}));
    CHECK(asked.body == "abc");
    CHECK(asked.trailers == (version == 2 ? Http2Fields{{"x-sum", "7"}} : Http2Fields{}));
    CHECK(asked.ended);
    Http2Answer not_asked = client.finish(client.request("/"));
    CHECK(not_asked.body == "abc");
    CHECK(not_asked.trailers.empty());
    CHECK(not_asked.ended);
    Http2Answer sent = client.finish(client.request("/", {{"te", "trailers"}}, "body", {{"x-after", "1"}}));
    CHECK(sent.status == 200);
    if (version == 2) break;
    CHECK(plain.requests().back().body == "body");
    config.upstream_port = shared.port();
    config.upstream = "protocol: http2";
    gw.install(config.yaml());
  }
  auto seen = shared.requests();
  REQUIRE(seen.size() == 3);
  CHECK(seen[0].field("te") == "trailers");
  CHECK(seen[1].field("te").empty());
  CHECK(seen[2].body == "body");
  CHECK(seen[2].trailers == Http2Fields{{"x-after", "1"}});
}

TEST_CASE("A client that takes nothing stops the upstream, and no other stream", "[http2]") {
  constexpr size_t kSize = 64 << 20;
  std::atomic<size_t> sent{0};
  Server upstream([&](Connection& c, int) {
    while (true) {
      std::string head = c.take_through("\r\n\r\n");
      if (head.empty()) return;
      if (head.find("/small") != std::string::npos) {
        c.send(ok_response("small"));
        continue;
      }
      c.send("HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(kSize) + "\r\n\r\n");
      std::string piece(1 << 16, 'x');
      for (size_t done = 0; done < kSize; done += piece.size()) {
        if (!c.send(piece)) return;
        sent += piece.size();
      }
    }
  });
  WorkerFixture gw(http2_config(upstream.port()).yaml());
  Http2Client client(gw.port(), {.consume = false, .window = 100'000, .connection_window = 1 << 20});
  int32_t large = client.request("/large");
  REQUIRE(client.run([&] { return client.answer(large).received == 100'000; }));
  // What is on its way fills the buffers there are, and then nothing moves.
  size_t before = 0;
  for (int same = 0; same < 1000; same = sent == before ? same + 1 : 0) {
    before = sent;
    std::this_thread::yield();
  }
  CHECK(before < kSize / 2);
  CHECK(gw.stats().gauges.buffer_bytes < 1 << 20);
  int32_t small = client.request("/small");
  CHECK(client.finish(small).body == "small");
  for (int i = 1; i <= 10; ++i) {  // each update brings as much
    client.window_update(large, 50'000);
    REQUIRE(client.run([&] { return client.answer(large).received == 100'000 + static_cast<size_t>(i) * 50'000; }));
  }
}

TEST_CASE("An upstream that takes nothing stops the client by its stream's window, and no other stream", "[http2]") {
  constexpr size_t kSize = 32 << 20;
  Gate gate;
  Server upstream([&](Connection& c, int) {
    std::string head = c.take_through("\r\n\r\n");
    if (head.find("/small") != std::string::npos) {
      c.send(ok_response("small"));
      return;
    }
    gate.pass();
    size_t got = 0;
    while (got < kSize) {
      size_t piece = c.take(std::min<size_t>(1 << 20, kSize - got)).size();
      if (piece == 0) return;
      got += piece;
    }
    c.send(ok_response("all"));
    c.read_to_end();
  });
  Config config = http2_config(upstream.port());
  config.gateway = "limits: {bodyBytes: 1GiB}";
  WorkerFixture gw(config.yaml());
  Http2Client client(gw.port());
  int32_t large = client.request("/large", {{"content-length", std::to_string(kSize)}}, std::string(kSize, 'y'));
  REQUIRE(client.run([&] { return client.settled(); }));
  // Small requests pass while the large one stands; it moves until the buffers on the way are full.
  size_t before = kSize + 1;
  for (int same = 0; same < 20; same = client.unsent(large) == before ? same + 1 : 0) {
    before = client.unsent(large);
    int32_t small = client.request("/small");
    REQUIRE(client.finish(small).body == "small");
  }
  CHECK(before > 0);
  gate.open();
  CHECK(client.finish(large).body == "all");
}

TEST_CASE("A request that its HTTP/2 client resets ends at the upstream", "[http2]") {
  std::atomic<int> ended{0};
  Gate gate;
  Server upstream([&](Connection& c, int) {
    c.take_through("\r\n\r\n");
    gate.open();
    c.read_to_end();
    ++ended;
  });
  WorkerFixture gw(http2_config(upstream.port()).yaml());
  Http2Client client(gw.port());
  int32_t id = client.request("/");
  client.ping();
  REQUIRE(client.run([&] { return client.pongs() == 1; }));
  gate.pass();  // it has come to the upstream
  client.reset(id, 8);
  CHECK(comes_true([&] { return ended == 1; }));
  CHECK(http2_count(gw, Counter::kClientClosed) == 1);
  client.ping();  // the connection goes on
  CHECK(client.run([&] { return client.pongs() == 2; }));
  CHECK(gw.stats().gauges.http2_streams == 0);
}

TEST_CASE("An answer that breaks off is reset, so that an HTTP/2 client sees it", "[http2]") {
  Server upstream([&](Connection& c, int) {
    c.take_through("\r\n\r\n");
    c.send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf");
  });
  WorkerFixture gw(http2_config(upstream.port()).yaml());
  Http2Client client(gw.port());
  Http2Answer answer = client.finish(client.request("/"));
  CHECK(answer.status == 200);
  CHECK(answer.body == "half");
  CHECK_FALSE(answer.ended);
  CHECK(answer.code == 2);  // INTERNAL_ERROR
  Http2Answer next = client.finish(client.request("/"));
  CHECK(next.status == 200);
}

TEST_CASE("An answer before the end of its request ends the request without harm to others", "[http2]") {
  Upstream upstream;
  Config config = http2_config(upstream.port());
  config.route = "limits: {bodyBytes: 10}";
  WorkerFixture gw(config.yaml());
  Http2Client client(gw.port());
  int32_t id = client.open("/");
  client.run([&] { return client.settled(); });
  client.send(id, "far too many bytes");
  Http2Answer answer = client.finish(id);
  CHECK(answer.status == 413);
  CHECK(answer.ended);
  CHECK(answer.code == 0);  // NO_ERROR: do not send the rest
  CHECK(client.finish(client.request("/")).status == 200);
}

TEST_CASE("A head beyond the limits is answered with 431, and the HTTP/2 connection goes on", "[http2]") {
  Upstream upstream;
  Config config = http2_config(upstream.port());
  config.gateway = "limits: {headerBytes: 4KiB, headerFields: 20}";
  WorkerFixture gw(config.yaml());
  Http2Client client(gw.port());
  CHECK(client.finish(client.request("/", {{"x-large", std::string(5000, 'a')}})).status == 431);
  Http2Fields many;
  for (int i = 0; i < 25; ++i) many.emplace_back("x-" + std::to_string(i), "1");
  CHECK(client.finish(client.request("/", many)).status == 431);
  CHECK(client.finish(client.request("/", {{"x-small", std::string(1000, 'a')}})).status == 200);
  CHECK(client.setting(6) == 4096);  // MAX_HEADER_LIST_SIZE
  CHECK(http2_count(gw, Counter::kRequestHeadTooLarge) == 2);
  CHECK(upstream.requests().size() == 1);
}

TEST_CASE("Messages that HTTP/2 forbids are refused one by one", "[http2]") {
  Upstream upstream;
  WorkerFixture gw(http2_config(upstream.port()).yaml());
  Connection client = Connection::to(gw.port());
  client.send(std::string(kHttp2Preface) + http2_frame(4, 0, 0, ""));
  int32_t id = 1;
  const Http2Fields good = {{":method", "GET"}, {":scheme", "http"}, {":authority", "x"}, {":path", "/"}};
  auto with = [&](const std::string& name, const std::string& value) {
    Http2Fields fields = good;
    if (name[0] != ':') {
      fields.emplace_back(name, value);
      return fields;
    }
    for (auto& f : fields) {
      if (f.first == name) f.second = value;
    }
    return fields;
  };
  std::vector<Http2Fields> refused = {
      with("connection", "close"), with("transfer-encoding", "chunked"), with("upgrade", "h2c"), with("keep-alive", "1"),
      with("proxy-connection", "close"), with("te", "gzip"), with("X-Upper", "1"), with("x y", "1"), with("x:y", "1"), with("", "1"),
      with("x-value", " leading"), with("x-value", "trailing "), with("x-value", "a\r\nb"), with("x-value", std::string("a\0b", 3)),
      with("host", "evil.test"), with("content-length", "1"), with("content-length", "x"), with(":path", ""), with(":path", "a"),
      with(":path", "http://x/"), with(":path", "/a b"), with(":path", "/\xff"), with(":path", "*"), with(":scheme", "ftp"),
      with(":scheme", ""), with(":method", "G T"), with(":method", ""), with(":method", "PSTO"), with(":method", "get"), with(":authority", "u@x"), with(":authority", "")};
  for (const char* missing : {":method", ":scheme", ":path", ":authority"}) {
    Http2Fields fields = good;
    std::erase_if(fields, [&](const auto& f) { return f.first == missing; });
    refused.push_back(fields);
  }
  for (const char* twice : {":method", ":scheme", ":path", ":authority"}) {
    Http2Fields fields = good;
    fields.push_back(*std::find_if(good.begin(), good.end(), [&](const auto& f) { return f.first == twice; }));
    refused.push_back(fields);
  }
  Http2Fields late = good;
  late.insert(late.begin(), {"x-first", "1"});
  refused.push_back(late);
  refused.push_back(with(":status", "200"));
  refused.back().insert(refused.back().begin(), {":status", "200"});
  refused.push_back(good);
  refused.back().insert(refused.back().begin(), {":protocol", "websocket"});
  for (const Http2Fields& fields : refused) {
    INFO(http2_literals(fields));
    client.send(http2_frame(1, 5, id, http2_literals(fields)));
    Http2Frame frame;
    do {
      frame = read_http2_frame(client);
    } while (frame.type != 0xff && frame.type != kGoaway && frame.stream != id);
    // 400 is the first of its three digits in literals or in the static table (0x8c); else RST_STREAM with PROTOCOL_ERROR.
    bool answered = frame.type == 1 && !frame.payload.empty() && static_cast<unsigned char>(frame.payload[0]) == 0x8c;
    CHECK((answered || (frame.type == kRst && frame.code() == 1)));
    id += 2;
  }
  CHECK(upstream.requests().empty());
  client.send(http2_get(id));
  Http2Frame served = read_http2_until(client, 1, id);
  REQUIRE(served.type == 1);
  CHECK(static_cast<unsigned char>(served.payload[0]) == 0x88);  // 200
}

TEST_CASE("Bodies and trailers that HTTP/2 forbids do not pass", "[http2]") {
  Upstream upstream;
  WorkerFixture gw(http2_config(upstream.port()).yaml());
  auto sent = [&](const std::string& frames) {
    Connection client = Connection::to(gw.port());
    client.send(std::string(kHttp2Preface) + http2_frame(4, 0, 0, "") + frames);
    Http2Frame frame;
    do {
      frame = read_http2_frame(client);
    } while (frame.type != 0xff && frame.type != kGoaway && frame.type != kRst && frame.type != 1);
    return frame;
  };
  std::string length = http2_frame(1, 4, 1, http2_literals({{":method", "POST"}, {":scheme", "http"}, {":authority", "x"}, {":path", "/"},
                                                             {"content-length", "3"}}));
  std::string open = http2_get(1, "/", false);
  CHECK(sent(length + http2_frame(0, 1, 1, "four")).type == kRst);
  CHECK(sent(length + http2_frame(0, 1, 1, "2!")).type == kRst);
  CHECK(sent(open + http2_frame(0, 0, 1, "x") + http2_frame(1, 5, 1, http2_literal(":path", "/admin"))).type == kRst);
  CHECK(sent(open + http2_frame(0, 0, 1, "x") + http2_frame(1, 5, 1, http2_literal("connection", "close"))).type == kRst);
  CHECK(sent(http2_frame(1, 5, 2, http2_literals({{":method", "GET"}, {":scheme", "http"}, {":authority", "x"}, {":path", "/"}}))).type == kGoaway);
  CHECK(sent(http2_frame(5, 4, 1, std::string("\0\0\0\2", 4))).type == kGoaway);  // PUSH_PROMISE
  CHECK(sent(http2_frame(0, 0, 1, "x")).type == kGoaway);                          // DATA before HEADERS
}

TEST_CASE("HTTP/1 and HTTP/2 share a port", "[http2]") {
  Upstream upstream;
  WorkerFixture gw(http2_config(upstream.port()).yaml());
  Connection one = Connection::to(gw.port());
  one.send("PRI");
  one.send(" * HTTP/2.0\r\n\r\nSM\r\n\r\n");
  one.send(http2_frame(4, 0, 0, "") + http2_get(1));
  CHECK(read_http2_until(one, 1, 1).type == 1);
  Connection two = Connection::to(gw.port());
  two.send("GET / HTTP/1.1\r\nHost: x\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n");
  CHECK(read_message(two).status() == 200);
  CHECK(read_message(two).status() == 200);
  Config config = http2_config(upstream.port());
  config.listener = "";
  gw.install(config.yaml());
  Connection three = Connection::to(gw.port());
  three.send(std::string(kHttp2Preface) + http2_frame(4, 0, 0, ""));
  CHECK(read_message(three).status() == 400);
}

TEST_CASE("A worker that drains says GOAWAY twice, serves what comes in between, and closes when all is answered", "[http2]") {
  Gate gate;
  Upstream upstream([&](const Message& request, const std::string&) {
    if (request.start_line.find("/slow") != std::string::npos) gate.pass();
    return ok_response("done");
  });
  WorkerFixture gw(http2_config(upstream.port()).yaml());
  Http2Client client(gw.port());
  int32_t slow = client.request("/slow");
  client.ping();
  REQUIRE(client.run([&] { return client.pongs() == 1; }));
  std::atomic<bool> drained{false};
  gw.on_worker([&](Worker& worker) { worker.drain(0, [&] { drained = true; }); });
  // The client has not heard of it when this leaves.
  Http2Answer crossing = client.finish(client.request("/crossing"));
  CHECK(crossing.body == "done");
  REQUIRE(client.run([&] { return client.goaways().size() == 2; }));
  CHECK(client.goaways()[0] == 0x7fffffff);
  CHECK(client.goaways()[1] >= slow);
  CHECK(client.goaway_code() == 0);
  CHECK_FALSE(drained);
  gate.open();
  CHECK(client.finish(slow).body == "done");
  CHECK(client.run_to_end());
  CHECK(comes_true([&] { return drained.load(); }));
}

TEST_CASE("An HTTP/2 client that has nothing in work loses its connection to a drain, and one that says nothing at all as well", "[http2]") {
  Upstream upstream;
  WorkerFixture gw(http2_config(upstream.port()).yaml());
  Http2Client idle(gw.port());
  CHECK(idle.finish(idle.request("/")).status == 200);
  Connection silent = Connection::to(gw.port());
  silent.send(std::string(kHttp2Preface) + http2_frame(4, 0, 0, ""));
  read_http2_until(silent, 4);
  std::atomic<bool> drained{false};
  gw.on_worker([&](Worker& worker) { worker.drain(0, [&] { drained = true; }); });
  CHECK(idle.run_to_end());
  CHECK(idle.goaways().at(0) == 0x7fffffff);  // this client reads no further once it has nothing in work
  // It answers no PING: the second GOAWAY comes after a time.
  CHECK(read_http2_until(silent, kGoaway).type == kGoaway);
  Http2Frame last = read_http2_until(silent, kGoaway);
  CHECK(last.type == kGoaway);
  CHECK(last.code() == 0);
  CHECK(read_http2_until(silent, kGoaway).type == 0xff);
  silent.close();
  CHECK(comes_true([&] { return drained.load(); }));
}

TEST_CASE("An HTTP/2 connection ends after as many requests as it may have", "[http2]") {
  Upstream upstream;
  Config config = http2_config(upstream.port());
  config.gateway = "limits: {requestsPerConnection: 3}";
  WorkerFixture gw(config.yaml());
  Http2Client client(gw.port());
  for (int i = 0; i < 2; ++i) CHECK(client.finish(client.request("/")).status == 200);
  CHECK(client.goaways().empty());
  CHECK(client.finish(client.request("/")).status == 200);
  CHECK(client.run_to_end());
  CHECK(client.goaways().at(0) == 0x7fffffff);
  CHECK(client.goaway_code() == 0);
  CHECK(http2_count(gw, Counter::kConnectionRequestsUsedUp) == 1);
}

TEST_CASE("HTTP/2 connections end when idle, and when a head has no end", "[http2]") {
  Upstream upstream;
  Config config = http2_config(upstream.port());
  config.gateway = "limits: {idleTimeout: 100ms, headTimeout: 100ms}";
  WorkerFixture gw(config.yaml());
  SECTION("nothing but the preface") {
    Connection silent = Connection::to(gw.port());
    silent.send(kHttp2Preface);
    Http2Frame last = read_http2_until(silent, kGoaway);
    CHECK(last.type == kGoaway);
    CHECK(read_http2_frame(silent).type == 0xff);
  }
  SECTION("idle") {
    Http2Client client(gw.port());
    CHECK(client.finish(client.request("/")).status == 200);
    CHECK(client.run_to_end());
    CHECK(client.goaway_code() == 0);
  }
  SECTION("HEADERS without an end") {
    Connection slow = Connection::to(gw.port());
    slow.send(std::string(kHttp2Preface) + http2_frame(4, 0, 0, "") + http2_frame(1, 1, 1, http2_literal(":method", "GET")));
    Http2Frame last = read_http2_until(slow, kGoaway);
    CHECK(last.code() == 11);
    CHECK(read_http2_until(slow, kGoaway).type == 0xff);
    CHECK(http2_count(gw, Counter::kRequestTimeouts) == 1);
  }
  SECTION("half a HEADERS frame") {
    Connection slow = Connection::to(gw.port());
    slow.send(std::string(kHttp2Preface) + http2_frame(4, 0, 0, "") + http2_get(1).substr(0, 20));
    CHECK(read_http2_until(slow, kGoaway).code() == 11);
  }
  CHECK(upstream.requests().size() <= 1);
}

TEST_CASE("A client that is gone without a word is noticed by its silence, one that answers a PING is not", "[http2]") {
  Gate gate;
  Upstream upstream([&](const Message&, const std::string&) {
    gate.pass();
    return ok_response("late");
  });
  Config config = http2_config(upstream.port());
  config.listener = "http2: true, http2Limits: {pingAfter: 1s}";
  WorkerFixture gw(config.yaml());
  Connection client = Connection::to(gw.port());
  client.send(std::string(kHttp2Preface) + http2_frame(4, 0, 0, "") + http2_get(1));
  Http2Frame ping = read_http2_until(client, 6);
  REQUIRE(ping.type == 6);
  CHECK(ping.flags == 0);
  client.send(http2_frame(6, 1, 0, ping.payload));
  CHECK(read_http2_until(client, 6).type == 6);  // and again, for the answer is still not there
  gate.open();
  CHECK(read_http2_until(client, 1, 1).type == 1);
}

TEST_CASE("The more urgent of two HTTP/2 answers is written first", "[http2]") {
  bool update = GENERATE(false, true);
  Upstream upstream([](const Message& request, const std::string&) {
    return ok_response(std::string(request.start_line.find("/low") != std::string::npos ? 100'000 : 60'000, 'x'));
  });
  WorkerFixture gw(http2_config(upstream.port()).yaml());
  Http2Client client(gw.port(), {.consume = false, .window = 1 << 20});
  // The low one takes all of the connection's window, and has less left than the high one.
  int32_t low = client.request("/low", {{"priority", "u=5"}});
  REQUIRE(client.run([&] { return client.answer(low).received == 65535; }));
  int32_t high = client.request("/high", {{"priority", update ? "u=7" : "u=1"}});
  REQUIRE(client.run([&] { return client.answer(high).status == 200; }));
  if (update) {
    client.priority_update(high, "u=0");
    client.ping();
    REQUIRE(client.run([&] { return client.pongs() == 1; }));
  }
  size_t given = 65535;
  while (!client.answer(high).ended) {
    client.window_update(0, 4000);
    given += 4000;
    REQUIRE(client.run([&] { return client.answer(low).received + client.answer(high).received == given || client.answer(high).ended; }));
  }
  CHECK(client.answer(high).received == 60'000);
  CHECK_FALSE(client.answer(low).ended);
  client.window_update(0, 1 << 20);
  CHECK(client.finish(low).received == 100'000);
}

}  // namespace
}  // namespace gw::test
