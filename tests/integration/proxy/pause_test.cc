// A policy that pauses: it resumes late, answers late, or loses its client; and policies that look at bodies.
#include <atomic>
#include <catch2/catch.hpp>
#include <cctype>
#include <thread>

#include "tests/support/worker_fixture.h"

namespace gw::test {
namespace {

// Stands in for an `ipList` policy of the configuration: the name of the policy says what it does.
class TestPolicy final : public Policy {
 public:
  using Policy::Policy;
  Phase phase() const override { return Phase::kValidation; }
  Combine combine() const override { return Combine::kAll; }
  bool has_done() const override { return true; }
  void on_done(PolicyContext&) const override { ++done; }

  Decision on_request(PolicyContext& ctx) const override {
    if (!info().name.starts_with("pause")) return Decision::next();
    Services* services = ctx.services;
    ExchangeRef ref = ctx.ref;
    Arena* arena = ctx.arena;
    bool refuse = info().name == "pause-refuse";
    ctx.services->after(ref, 20, [services, ref, arena, refuse] {
      LocalResponse* response = nullptr;
      if (refuse) {
        response = arena->make<LocalResponse>();
        response->reason = Reason::kPolicyUnavailable;
      }
      services->resume(ref, refuse ? Decision::respond(response) : Decision::next());
      services->resume(ref, Decision::next());  // a second answer changes nothing
    });
    return Decision::pause();
  }

  BodyMode request_body_mode() const override {
    if (info().name == "collect") return BodyMode::kCollect;
    if (info().name == "upper") return BodyMode::kTransform;
    return info().name == "inspect" ? BodyMode::kInspect : BodyMode::kNone;
  }
  BodyMode response_body_mode() const override { return info().name == "upper" ? BodyMode::kTransform : BodyMode::kNone; }
  size_t body_limit() const override { return 1000; }
  Decision on_request_body(PolicyContext& ctx, std::string_view piece, bool, std::string* out) const override {
    if (piece.find("forbidden") != std::string_view::npos) {
      auto* response = ctx.arena->make<LocalResponse>();
      response->reason = Reason::kValidation;
      return Decision::respond(response);
    }
    return upper(piece, out);
  }
  Decision on_response_body(PolicyContext&, std::string_view piece, bool, std::string* out) const override { return upper(piece, out); }

  static inline std::atomic<int> done{0};

 private:
  static Decision upper(std::string_view piece, std::string* out) {
    if (out != nullptr) {
      for (char c : piece) out->push_back(static_cast<char>(std::toupper(static_cast<unsigned char>(c))));
    }
    return Decision::next();
  }
};

std::string yaml(uint16_t port, const std::string& policy) {
  Config config{.upstream_port = port, .route = "policies: [" + policy + "]"};
  config.more = "\n---\napiVersion: gw/v1\nkind: Policy\nmetadata: {name: " + policy + ", owner: platform}\nspec: {type: ipList, config: {deny: [203.0.113.0/24]}}\n";
  return config.yaml();
}

BuilderOptions with_test_policy() {
  BuilderOptions options;
  options.make_policy = [](const Policy::Info& info, const v1::PolicyEntry&) { return std::make_unique<TestPolicy>(info); };
  return options;
}

TEST_CASE("A policy that pauses holds the request, body and all, and resumes it once", "[pause]") {
  TestPolicy::done = 0;
  Upstream upstream([](const Message& request, const std::string&) { return ok_response(request.body); });
  WorkerFixture gw(yaml(upstream.port(), "pause"), with_test_policy());
  Connection client = Connection::to(gw.port());
  client.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello");
  CHECK(read_message(client).body == "hello");
  client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  CHECK(read_message(client).status() == 200);
  gw.stats();  // runs on the worker, behind the end of both exchanges
  CHECK(TestPolicy::done == 2);
}

TEST_CASE("A policy may answer after a pause", "[pause]") {
  Upstream upstream;
  WorkerFixture gw(yaml(upstream.port(), "pause-refuse"), with_test_policy());
  Connection client = Connection::to(gw.port());
  client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  Message answer = read_message(client);
  CHECK(answer.status() == 503);
  CHECK(answer.body.find("POLICY_UNAVAILABLE") != std::string::npos);
  CHECK(upstream.requests().empty());
}

TEST_CASE("Clients that leave during a pause are forgotten; the late answers find nobody", "[pause]") {
  TestPolicy::done = 0;
  Upstream upstream;
  WorkerFixture gw(yaml(upstream.port(), "pause"), with_test_policy());
  for (int i = 0; i < 50; ++i) {
    Connection client = Connection::to(gw.port());
    client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    client.reset();
  }
  Connection client = Connection::to(gw.port());
  client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  CHECK(read_message(client).status() == 200);
  for (int i = 0; i < 5000 && gw.stats().gauges.active_requests > 0; ++i) std::this_thread::yield();
  CHECK(gw.stats().gauges.active_requests == 0);
  CHECK(TestPolicy::done <= 51);
  CHECK(TestPolicy::done >= 1);
}

TEST_CASE("Bodies are inspected, collected whole, or changed on their way", "[pause]") {
  Upstream upstream([](const Message& request, const std::string&) { return ok_response(request.body); });
  std::string mode = GENERATE(as<std::string>{}, "inspect", "collect", "upper");
  WorkerFixture gw(yaml(upstream.port(), mode), with_test_policy());
  Connection client = Connection::to(gw.port());
  client.send("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n3\r\ndef\r\n0\r\n\r\n");
  CHECK(read_message(client).body == (mode == "upper" ? "ABCDEF" : "abcdef"));
  client.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nforbidden");
  Message refused = read_message(client);
  CHECK(refused.status() == 400);
  CHECK(refused.body.find("VALIDATION") != std::string::npos);
  if (mode == "collect") {
    CHECK(upstream.requests().size() == 1);  // nothing of the second was sent
    Connection large = Connection::to(gw.port());
    large.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2000\r\n\r\n" + std::string(2000, 'x'));
    CHECK(read_message(large).status() == 413);
  }
}

}  // namespace
}  // namespace gw::test
