// Browsers' gRPC-Web through a worker: over HTTP/1.1 and HTTP/2, in binary and in text.
#include <catch2/catch.hpp>
#include <thread>

#include "common/crypto/base64.h"
#include "dataplane/exchange/grpc_web.h"
#include "tests/support/http2_client.h"
#include "tests/support/http2_upstream.h"
#include "tests/support/worker_fixture.h"

namespace gw::test {
namespace {

std::string web_frame(const std::string& bytes, char flag = 0) {
  std::string out(1, flag);
  for (int shift = 24; shift >= 0; shift -= 8) out += static_cast<char>(bytes.size() >> shift);
  return out + bytes;
}

Config web_config(uint16_t port, const std::string& route = "grpcWeb: true") {
  return Config{.upstream_port = port, .upstream = "protocol: http2", .route = route, .listener = "http2: true"};
}

Http2Reply web_answer(const std::string& message, const std::string& status = "0") {
  return {.fields = {{":status", "200"}, {"content-type", "application/grpc+proto"}, {"x-initial", "1"}},
          .body = web_frame(message),
          .trailers = {{"grpc-status", status}, {"grpc-message", "so"}, {"x-last", "2"}}};
}

Message web_post(uint16_t port, const std::string& type, const std::string& body, const std::string& fields = "") {
  Connection client = Connection::to(port);
  client.send("POST /s.S/M HTTP/1.1\r\nHost: x\r\nContent-Type: " + type + "\r\nX-Grpc-Web: 1\r\nX-User-Agent: grpc-web-javascript/0.1\r\n" + fields +
              "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body);
  return read_message(client);
}

std::string from_text(const std::string& text) {
  std::string out;
  Base64Reader reader;
  return reader.read(text, true, out) ? out : "no base64: " + text;
}

const std::string kTrailersOfAnswer = web_frame("grpc-status: 0\r\ngrpc-message: so\r\nx-last: 2\r\n", '\x80');

TEST_CASE("A binary request is a gRPC call upstream, and the answer's trailers come as a frame", "[grpc][web]") {
  Http2Upstream upstream([](const Http2Request& r) { return web_answer(r.body); });
  WorkerFixture gw(web_config(upstream.port()).yaml());
  Message m = web_post(gw.port(), "application/grpc-web+proto", web_frame("hi"), "Accept: application/grpc-web+proto\r\nX-Meta: 1\r\n");
  CHECK(m.status() == 200);
  CHECK(m.field("content-type") == "application/grpc-web+proto");
  CHECK(m.field("x-initial") == "1");
  CHECK(m.body == web_frame(web_frame("hi")) + kTrailersOfAnswer);
  auto seen = upstream.requests();
  REQUIRE(seen.size() == 1);
  CHECK(seen[0].field("content-type") == "application/grpc+proto");
  CHECK(seen[0].field("te") == "trailers");
  CHECK(seen[0].field("x-meta") == "1");
  CHECK(seen[0].field("x-user-agent") == "grpc-web-javascript/0.1");
  CHECK(seen[0].field("x-grpc-web").empty());
  CHECK(seen[0].field("accept").empty());
  CHECK(seen[0].body == web_frame("hi"));
}

TEST_CASE("Text is base64 both ways, in groups that are padded anywhere and come in any pieces", "[grpc][web]") {
  Http2Upstream upstream([](const Http2Request& r) { return web_answer(r.body); });
  WorkerFixture gw(web_config(upstream.port()).yaml());
  std::string one = web_frame("first"), two = web_frame("second message");
  Message m = web_post(gw.port(), "application/grpc-web-text+proto", to_base64(one) + to_base64(two));
  CHECK(m.field("content-type") == "application/grpc-web-text+proto");
  CHECK(from_text(m.body) == web_frame(one + two) + kTrailersOfAnswer);
  CHECK(upstream.requests().at(0).body == one + two);
  CHECK(upstream.requests().at(0).field("content-length").empty());
  // Byte by byte over HTTP/2.
  Http2Client client(gw.port());
  int32_t id = client.open("/s.S/M", {{":method", "POST"}, {"content-type", "application/grpc-web-text"}});
  std::string text = to_base64(one) + to_base64(two);
  for (char c : text) {
    client.send(id, std::string(1, c));
    client.ping();
    int before = client.pongs();
    CHECK(client.run([&] { return client.pongs() > before; }));
  }
  client.send(id, "", true);
  Http2Answer& answer = client.finish(id);
  CHECK(answer.field("content-type") == "application/grpc-web-text+proto");  // with the suffix that the answer has
  CHECK(from_text(answer.body) == web_frame(one + two) + kTrailersOfAnswer);
  CHECK(answer.trailers.empty());
  CHECK(upstream.requests().at(1).body == one + two);
}

TEST_CASE("A status alone stands in the head and in a frame", "[grpc][web]") {
  Http2Upstream upstream([](const Http2Request&) {
    return Http2Reply{.fields = {{":status", "200"}, {"content-type", "application/grpc"}, {"grpc-status", "5"}, {"grpc-message", "no such"}}, .body = ""};
  });
  WorkerFixture gw(web_config(upstream.port()).yaml());
  std::string frame = web_frame("grpc-status: 5\r\ngrpc-message: no such\r\n", '\x80');
  Message m = web_post(gw.port(), "application/grpc-web", web_frame("x"));
  CHECK(m.field("grpc-status") == "5");
  CHECK(m.body == frame);
  Http2Client client(gw.port());
  Http2Answer& answer = client.finish(client.request("/s.S/M", {{":method", "POST"}, {"content-type", "application/grpc-web-text"}}, to_base64(web_frame("x"))));
  CHECK(answer.field("grpc-status") == "5");
  CHECK(from_text(answer.body) == frame);
}

TEST_CASE("What the gateway refuses of gRPC-Web is a status in the head", "[grpc][web]") {
  Http2Upstream upstream([](const Http2Request&) { return Http2Reply{.how = Http2Reply::How::kReset}; });
  WorkerFixture gw(web_config(upstream.port()).yaml());
  Message m = web_post(gw.port(), "application/grpc-web-text", to_base64(web_frame("x")));
  CHECK(m.status() == 200);
  CHECK(m.field("content-type") == "application/grpc-web-text");
  CHECK(m.field("grpc-status") == "14");
  CHECK(m.field("content-length") == "0");
  CHECK_FALSE(m.field("grpc-status-details-bin").empty());
  CHECK(m.body.empty());
  Message bad = web_post(gw.port(), "application/grpc-web-text", "****");
  CHECK(bad.field("grpc-status") == "3");
  CHECK(bad.field("grpc-message").find("base64") != std::string::npos);
  Message late = web_post(gw.port(), "application/grpc-web", web_frame("x"), "Grpc-Timeout: 1y\r\n");
  CHECK(late.field("grpc-status") == "13");
}

TEST_CASE("An answer that breaks off says so in a frame behind whole messages, and is cut within one", "[grpc][web]") {
  Http2Upstream upstream([](const Http2Request& r) {
    Http2Reply a = web_answer("whole");
    if (r.field("x-how") == "reset") a.how = Http2Reply::How::kResetMidBody;
    if (r.field("x-how") == "within") {
      a.how = Http2Reply::How::kResetMidBody;
      a.body = web_frame("whole") + web_frame("half").substr(0, 7);
    }
    if (r.field("x-how") == "short") a.body = web_frame("half").substr(0, 7);
    if (r.field("x-how") == "forged") a.body = web_frame("grpc-status: 0\r\n", '\x80');
    if (r.field("x-how") == "owes") a.trailers = {{"x-last", "2"}};
    if (r.field("x-how") == "html") a = {.fields = {{":status", "503"}, {"content-type", "text/html"}}, .body = "<p>"};
    return a;
  });
  WorkerFixture gw(web_config(upstream.port()).yaml());
  auto post = [&](const std::string& how) { return web_post(gw.port(), "application/grpc-web", web_frame("x"), "X-How: " + how + "\r\n"); };
  Message reset = post("reset");
  CHECK(reset.complete);
  CHECK(reset.body.find(web_frame("whole") + std::string("\x80", 1)) == 0);
  CHECK(reset.body.find("grpc-status: 14\r\n") != std::string::npos);
  for (const char* how : {"within", "short", "forged"}) {
    INFO(how);
    Message m = post(how);
    CHECK_FALSE(m.complete);
    CHECK(m.body.find("grpc-status") == std::string::npos);
  }
  CHECK(post("owes").body == web_frame("whole") + web_frame("grpc-status: 2\r\nx-last: 2\r\n", '\x80'));
  Message html = post("html");
  CHECK(html.status() == 503);
  CHECK(html.body == "<p>");
}

TEST_CASE("A route without grpcWeb passes gRPC-Web on as it is", "[grpc][web]") {
  Http2Upstream upstream([](const Http2Request& r) {
    return Http2Reply{.fields = {{":status", "200"}, {"content-type", "application/grpc-web-text"}}, .body = r.body};
  });
  WorkerFixture gw(web_config(upstream.port(), "").yaml());
  std::string body = to_base64(web_frame("x"));
  Message m = web_post(gw.port(), "application/grpc-web-text", body);
  CHECK(m.body == body);
  CHECK(upstream.requests().at(0).field("content-type") == "application/grpc-web-text");
  CHECK(upstream.requests().at(0).field("x-grpc-web") == "1");
  for (const auto& [uid, route] : gw.stats().routes) CHECK(route.grpc.empty());
}

TEST_CASE("gRPC itself passes a route with grpcWeb as on any other, and so does JSON", "[grpc][web]") {
  Http2Upstream upstream([](const Http2Request& r) { return r.field("content-type") == "application/json" ? Http2Reply() : web_answer("m"); });
  WorkerFixture gw(web_config(upstream.port()).yaml());
  Http2Client client(gw.port());
  Http2Answer& answer = client.finish(client.request("/s.S/M", {{":method", "POST"}, {"content-type", "application/grpc"}, {"te", "trailers"}}, web_frame("x")));
  CHECK(answer.body == web_frame("m"));
  CHECK(answer.trailers.size() == 3);
  CHECK(client.finish(client.request("/s.S/M", {{":method", "POST"}, {"content-type", "application/json"}}, "{}")).body == "ok\n");
}

TEST_CASE("Messages of an open stream come to a browser as they are sent", "[grpc][web]") {
  Http2Upstream upstream(nullptr, {.echo_calls = true});
  WorkerFixture gw(web_config(upstream.port()).yaml());
  Http2Client client(gw.port());
  int32_t id = client.open("/s.S/Echo", {{":method", "POST"}, {"content-type", "application/grpc-web-text"}});
  std::string all;
  for (const char* text : {"a", "bc", "", "defg"}) {
    all += web_frame(text);
    client.send(id, to_base64(web_frame(text)));
    CHECK(client.run([&] { return from_text(client.answer(id).body) == all; }));
  }
  client.send(id, "", true);
  CHECK(from_text(client.finish(id).body) == all + web_frame("grpc-status: 0\r\nx-last: 2\r\n", '\x80'));
}

TEST_CASE("A browser that takes nothing stops a large answer, and no more than some of it waits here", "[grpc][web]") {
  std::string message(6 << 20, 'm');
  Http2Upstream upstream([&](const Http2Request&) { return web_answer(message); });
  WorkerFixture gw(web_config(upstream.port()).yaml());
  Connection slow = Connection::to(gw.port());
  slow.send("POST /s.S/M HTTP/1.1\r\nHost: x\r\nContent-Type: application/grpc-web-text\r\nContent-Length: 8\r\n\r\nAAAAAAA=");
  CHECK(upstream.wait([&] { return upstream.requests().size() == 1; }));
  CHECK(web_post(gw.port(), "application/grpc-web", web_frame("")).body.size() == message.size() + 5 + kTrailersOfAnswer.size());
  CHECK(gw.stats().gauges.buffer_bytes < (4 << 20));
  Message m = read_message(slow);
  CHECK(from_text(m.body) == web_frame(message) + kTrailersOfAnswer);
}

TEST_CASE("Pages of other origins read the status through the cors policy", "[grpc][web]") {
  Http2Upstream upstream([](const Http2Request&) { return web_answer("m"); });
  Config config = web_config(upstream.port());
  config.api = "policies: [pages]";
  config.more = R"(---
apiVersion: gw/v1
kind: Policy
metadata: {name: pages, owner: platform}
spec: {type: cors, config: {origins: ["https://app.example"], methods: [POST], headers: [content-type, x-grpc-web, x-user-agent, grpc-timeout],
  exposeHeaders: [grpc-status, grpc-message, grpc-status-details-bin]}}
)";
  WorkerFixture gw(config.yaml());
  Connection client = Connection::to(gw.port());
  client.send("OPTIONS /s.S/M HTTP/1.1\r\nHost: x\r\nOrigin: https://app.example\r\nAccess-Control-Request-Method: POST\r\n"
              "Access-Control-Request-Headers: content-type,x-grpc-web,x-user-agent\r\n\r\n");
  CHECK(read_message(client).status() == 204);
  Message m = web_post(gw.port(), "application/grpc-web", web_frame("x"), "Origin: https://app.example\r\n");
  CHECK(m.field("access-control-allow-origin") == "https://app.example");
  CHECK(m.field("access-control-expose-headers").find("grpc-status") != std::string::npos);
  Message refused = web_post(gw.port(), "application/grpc-web", web_frame("x"), "Origin: https://app.example\r\nGrpc-Timeout: x\r\n");
  CHECK(refused.field("grpc-status") == "13");
  CHECK(refused.field("access-control-expose-headers").find("grpc-status") != std::string::npos);
}

}  // namespace
}  // namespace gw::test
