// Several targets, some of which are not well: retries, ejection, circuit breaker, affinity.
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cerrno>
#include <condition_variable>

#include "tests/support/worker_fixture.h"

namespace gw::test {
namespace {

std::string target_at(uint16_t port) { return "{url: \"http://127.0.0.1:" + std::to_string(port) + "\"}"; }

// An Upstream with two targets; `spec` is added to it.
std::string upstream_with(uint16_t first, uint16_t second, const std::string& spec) {
  std::string yaml = Config{.upstream_port = first, .upstream = spec}.yaml();
  yaml.replace(yaml.find(target_at(first)), target_at(first).size(), target_at(first) + ", " + target_at(second));
  return yaml;
}

std::string status_response(int status) {
  return "HTTP/1.1 " + std::to_string(status) + " X\r\nContent-Length: 4\r\n\r\nbad\n";
}

Message ask(uint16_t port, const std::string& method = "GET", const std::string& fields = "", const std::string& body = "") {
  Connection client = Connection::to(port);
  std::string head = method + " /x HTTP/1.1\r\nHost: x\r\n" + fields;
  if (!body.empty()) head += "Content-Length: " + std::to_string(body.size()) + "\r\n";
  client.send(head + "\r\n" + body);
  return read_message(client);
}

uint64_t counter(WorkerFixture& gw, Counter which) { return gw.stats().counters[static_cast<size_t>(which)]; }

// Waits until `done` holds of the worker's numbers.
bool wait_stats(WorkerFixture& gw, const std::function<bool(const StatsSnapshot&)>& done) {
  for (int i = 0; i < 20'000; ++i) {
    if (done(gw.stats())) return true;
    std::this_thread::yield();
  }
  return false;
}

TEST_CASE("A listed status is tried again elsewhere, for listed methods, with its body", "[upstreams]") {
  Upstream bad([](const Message&, const std::string&) { return status_response(503); });
  Upstream good;
  WorkerFixture gw(upstream_with(bad.port(), good.port(), "retries: {attempts: 1, when: [\"503\"], methods: [GET, PUT], backoff: 1ms}"));
  for (int i = 0; i < 4; ++i) CHECK(ask(gw.port()).status() == 200);
  for (int i = 0; i < 4; ++i) CHECK(ask(gw.port(), "PUT", "", "the body").status() == 200);
  for (const Message& m : good.requests()) {
    if (m.start_line.substr(0, 3) == "PUT") CHECK(m.body == "the body");
  }
  CHECK(bad.requests().size() == 4);  // every second first try
  int passed_on = 0;
  for (int i = 0; i < 4; ++i) passed_on += ask(gw.port(), "POST", "", "once").status() == 503 ? 1 : 0;
  CHECK(passed_on == 2);
}

TEST_CASE("The last answer is passed on when no try is left", "[upstreams]") {
  Upstream bad([](const Message&, const std::string&) { return status_response(503); });
  WorkerFixture gw(Config{.upstream_port = bad.port(), .upstream = "retries: {attempts: 2, when: [\"503\"], backoff: 0s}"}.yaml());
  Message answer = ask(gw.port());
  CHECK(answer.status() == 503);
  CHECK(answer.body == "bad\n");
  CHECK(bad.requests().size() == 3);
}

TEST_CASE("A reset before the answer is tried again; a body beyond the bound is not", "[upstreams]") {
  std::atomic<int> asked{0};
  Upstream shaky([&](const Message&, const std::string&) { return ++asked % 2 == 1 ? std::string() : ok_response(); });
  WorkerFixture gw(Config{.upstream_port = shaky.port(), .upstream = "retries: {attempts: 1, backoff: 0s, bodyBytes: 16}"}.yaml());
  CHECK(ask(gw.port()).status() == 200);
  CHECK(ask(gw.port(), "PUT", "", "sixteen bytes ok").status() == 200);
  CHECK(ask(gw.port(), "PUT", "", "seventeen bytes !").status() == 502);
  CHECK(asked == 5);
}

TEST_CASE("A try that takes too long is given up for another", "[upstreams]") {
  std::mutex hold;
  hold.lock();
  std::atomic<int> asked{0};
  Server slow([&](Connection& c, int) {
    while (!c.take_through("\r\n\r\n").empty()) {
      if (++asked == 1) c.read_to_end();  // never answers; the gateway hangs up
      c.send(ok_response());
    }
  });
  hold.unlock();
  WorkerFixture gw(Config{.upstream_port = slow.port(), .upstream = "retries: {attempts: 1, when: [timeout], perTry: 50ms, backoff: 0s}"}.yaml());
  CHECK(ask(gw.port()).status() == 200);
  CHECK(asked == 2);
  auto stats = gw.stats();
  CHECK(stats.upstreams.begin()->second.retries[static_cast<size_t>(RetryReason::kTimeout)] == 1);
}

TEST_CASE("Retries end where their budget ends", "[upstreams]") {
  Upstream bad([](const Message&, const std::string&) { return status_response(503); });
  WorkerFixture gw(Config{.upstream_port = bad.port(), .upstream = "retries: {attempts: 1, when: [\"503\"], budget: 0%, backoff: 0s}"}.yaml());
  for (int i = 0; i < 40; ++i) CHECK(ask(gw.port()).status() == 503);
  size_t retried = bad.requests().size() - 40;
  CHECK(retried >= 10);
  CHECK(retried < 40);
  CHECK(counter(gw, Counter::kRetryRefused) == 40 - retried);
}

TEST_CASE("A target that fails in a row gets no requests for a while", "[upstreams]") {
  std::atomic<bool> broken{true};
  Upstream bad([&](const Message&, const std::string&) { return broken ? status_response(500) : ok_response(); });
  Upstream good;
  WorkerFixture gw(upstream_with(bad.port(), good.port(), "health: {passive: {consecutive5xx: 3, ejectFor: 300ms}}"));
  int failed = 0;
  for (int i = 0; i < 40; ++i) failed += ask(gw.port()).status() == 500 ? 1 : 0;
  CHECK(failed == 3);
  CHECK(counter(gw, Counter::kUpstreamEjections) == 1);
  CHECK(wait_stats(gw, [](const StatsSnapshot& s) { return s.counters[static_cast<size_t>(Counter::kUpstreamEjections)] == 1; }));
  broken = false;
  size_t before = bad.requests().size();
  bool back = false;
  for (int i = 0; i < 20'000 && !back; ++i) {
    CHECK(ask(gw.port()).status() == 200);
    back = bad.requests().size() > before;
  }
  CHECK(back);
}

TEST_CASE("Of several targets a dead one is passed over, also where nothing is said", "[upstreams]") {
  Upstream good;
  uint16_t unused;
  {
    Upstream gone;
    unused = gone.port();
  }
  WorkerFixture gw(upstream_with(unused, good.port(), "timeouts: {connect: 2s}"));
  for (int i = 0; i < 60; ++i) CHECK(ask(gw.port()).status() == 200);
  auto stats = gw.stats();
  CHECK(stats.counters[static_cast<size_t>(Counter::kUpstreamEjections)] == 1);
  CHECK(stats.upstreams.begin()->second.attempts[static_cast<size_t>(AttemptResult::kConnect)] == 3);
}

// A port to which no connection comes about, as to a host that is gone: its queue is full, and the system drops what comes.
class Vanished {
 public:
  Vanished() {
    sockaddr_in where{};
    where.sin_family = AF_INET;
    where.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof where;
    auto* address = reinterpret_cast<sockaddr*>(&where);
    fds_.push_back(socket(AF_INET, SOCK_STREAM, 0));
    REQUIRE(bind(fds_[0], address, size) == 0);
    REQUIRE(listen(fds_[0], 0) == 0);
    REQUIRE(getsockname(fds_[0], address, &size) == 0);
    port_ = ntohs(where.sin_port);
    for (int i = 0; i < 4; ++i) {
      fds_.push_back(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0));
      if (connect(fds_.back(), address, size) != 0) REQUIRE(errno == EINPROGRESS);
    }
  }
  ~Vanished() {
    for (int fd : fds_) close(fd);
  }
  uint16_t port() const { return port_; }

 private:
  std::vector<int> fds_;
  uint16_t port_ = 0;
};

TEST_CASE("A target to which connections do not come about is left out as one that refuses them", "[upstreams]") {
  Vanished vanished;
  Upstream good;
  // Whichever limit ends the wait: nothing was sent, so that another target is tried, for any method.
  std::string spec = GENERATE("timeouts: {connect: 100ms}", "timeouts: {connect: 10m, firstByte: 1s}",
                              "timeouts: {connect: 10m}, retries: {attempts: 1, perTry: 1s, backoff: 0s}");
  WorkerFixture gw(upstream_with(vanished.port(), good.port(), spec));
  for (int i = 0; i < 60; ++i) CHECK(ask(gw.port(), i % 4 < 2 ? "GET" : "POST").status() == 200);
  auto stats = gw.stats();
  CHECK(stats.counters[static_cast<size_t>(Counter::kUpstreamEjections)] == 1);
  CHECK(stats.upstreams.begin()->second.attempts[static_cast<size_t>(AttemptResult::kConnect)] == 3);
}

TEST_CASE("The only target is never left out, unless it is said", "[upstreams]") {
  Upstream bad([](const Message&, const std::string&) { return status_response(500); });
  WorkerFixture gw(Config{.upstream_port = bad.port(), .upstream = "health: {passive: {consecutive5xx: 1}}"}.yaml());
  for (int i = 0; i < 5; ++i) CHECK(ask(gw.port()).status() == 500);
  gw.install(Config{.upstream_port = bad.port(), .upstream = "health: {passive: {consecutive5xx: 1, maxEjected: 100%}}"}.yaml());
  CHECK(ask(gw.port()).status() == 500);
  Message refused = ask(gw.port());
  CHECK(refused.status() == 503);
  CHECK(refused.body.find("NO_HEALTHY_ENDPOINT") != std::string::npos);
}

TEST_CASE("What the prober found is kept over a swap, and undone by it", "[upstreams]") {
  Upstream a, b;
  std::string health = "health: {active: {interval: 1h}}";
  WorkerFixture gw(upstream_with(a.port(), b.port(), health));
  CHECK(ask(gw.port()).status() == 200);
  uint64_t uid = gw.stats().upstreams.begin()->first;
  HealthChange change{uid, "127.0.0.1:" + std::to_string(a.port()), HealthChange::What::kProbeFailed, 0};
  gw.on_worker([&](Worker& w) { w.apply_health(change); });
  size_t before = a.requests().size();
  for (int i = 0; i < 6; ++i) CHECK(ask(gw.port()).status() == 200);
  CHECK(a.requests().size() == before);
  gw.install(upstream_with(a.port(), b.port(), health + ", timeouts: {connect: 1s}"));
  for (int i = 0; i < 6; ++i) CHECK(ask(gw.port()).status() == 200);
  CHECK(a.requests().size() == before);
  change.what = HealthChange::What::kProbeGood;
  gw.on_worker([&](Worker& w) { w.apply_health(change); });
  for (int i = 0; i < 6; ++i) CHECK(ask(gw.port()).status() == 200);
  CHECK(a.requests().size() == before + 3);
  // Left out for failing requests: a good probe brings it back as well.
  change.what = HealthChange::What::kEjected;
  change.until_ns = INT64_MAX;
  gw.on_worker([&](Worker& w) { w.apply_health(change); });
  for (int i = 0; i < 6; ++i) CHECK(ask(gw.port()).status() == 200);
  CHECK(a.requests().size() == before + 3);
  change.what = HealthChange::What::kProbeGood;
  gw.on_worker([&](Worker& w) { w.apply_health(change); });
  for (int i = 0; i < 6; ++i) CHECK(ask(gw.port()).status() == 200);
  CHECK(a.requests().size() == before + 6);
}

TEST_CASE("Requests beyond maxConnections wait their turn, beyond maxPending they are refused", "[upstreams]") {
  std::mutex gate;
  std::condition_variable changed;
  int may_answer = 0, asked = 0;
  Server upstream([&](Connection& c, int) {
    while (!c.take_through("\r\n\r\n").empty()) {
      std::unique_lock lock(gate);
      int number = ++asked;
      changed.notify_all();
      changed.wait_for(lock, std::chrono::milliseconds(kCapMs), [&] { return may_answer >= number; });
      c.send(ok_response());
    }
  });
  WorkerFixture gw(Config{.upstream_port = upstream.port(),
                          .upstream = "circuitBreaker: {maxConnections: 1, maxPending: 2}, timeouts: {connect: 10s}"}.yaml());
  std::vector<Connection> clients;
  std::vector<std::thread> threads;
  for (int i = 0; i < 3; ++i) {
    clients.push_back(Connection::to(gw.port()));
    clients.back().send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    REQUIRE(wait_stats(gw, [&](const StatsSnapshot& s) { return s.gauges.active_requests == i + 1; }));
  }
  Message refused = ask(gw.port());
  CHECK(refused.status() == 503);
  CHECK(refused.body.find("CIRCUIT_OPEN") != std::string::npos);
  CHECK(counter(gw, Counter::kUpstreamCircuitOpen) == 1);
  {
    std::unique_lock lock(gate);
    changed.wait_for(lock, std::chrono::milliseconds(kCapMs), [&] { return asked > 0; });
    CHECK(asked == 1);
    may_answer = 100;
    changed.notify_all();
  }
  for (Connection& client : clients) CHECK(read_message(client).status() == 200);
  CHECK(upstream.connections() == 1);
  // One that leaves while it waits takes no one's turn.
  {
    std::lock_guard lock(gate);
    may_answer = asked;
  }
  Connection first = Connection::to(gw.port());
  first.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  {
    Connection leaves = Connection::to(gw.port());
    leaves.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    REQUIRE(wait_stats(gw, [](const StatsSnapshot& s) { return s.gauges.active_requests == 2; }));
    leaves.reset();
  }
  REQUIRE(wait_stats(gw, [](const StatsSnapshot& s) { return s.gauges.active_requests == 1; }));
  Connection last = Connection::to(gw.port());
  last.send("PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nbody");
  REQUIRE(wait_stats(gw, [](const StatsSnapshot& s) { return s.gauges.active_requests == 2; }));
  {
    std::lock_guard lock(gate);
    may_answer = 1000;
    changed.notify_all();
  }
  CHECK(read_message(first).status() == 200);
  CHECK(read_message(last).status() == 200);
}

TEST_CASE("A circuit opens after failures, refuses at once, and closes when a request succeeds again", "[upstreams]") {
  std::atomic<bool> broken{true};
  Upstream upstream([&](const Message&, const std::string&) { return broken ? status_response(500) : ok_response(); });
  WorkerFixture gw(Config{.upstream_port = upstream.port(), .upstream = "circuitBreaker: {openAfterFailures: 3, openFor: 200ms}"}.yaml());
  for (int i = 0; i < 3; ++i) CHECK(ask(gw.port()).status() == 500);
  Message refused = ask(gw.port());
  CHECK(refused.status() == 503);
  CHECK(refused.body.find("CIRCUIT_OPEN") != std::string::npos);
  CHECK(upstream.requests().size() == 3);
  CHECK(gw.stats().upstreams.begin()->second.gauges->circuit_open);
  broken = false;
  int status = 0;
  for (int i = 0; i < 20'000 && status != 200; ++i) status = ask(gw.port()).status();
  CHECK(status == 200);
  for (int i = 0; i < 5; ++i) CHECK(ask(gw.port()).status() == 200);
  CHECK(counter(gw, Counter::kUpstreamCircuitOpened) == 1);
}

TEST_CASE("Requests and retries have limits of their own", "[upstreams]") {
  Upstream bad([](const Message&, const std::string&) { return status_response(503); });
  WorkerFixture gw(Config{.upstream_port = bad.port(),
                          .upstream = "retries: {attempts: 3, when: [\"503\"], backoff: 0s}, circuitBreaker: {maxRetries: 0}"}.yaml());
  CHECK(ask(gw.port()).status() == 503);
  CHECK(bad.requests().size() == 1);
  CHECK(counter(gw, Counter::kRetryRefused) == 1);
  std::mutex gate;
  std::unique_lock hold(gate);
  Server slow([&](Connection& c, int) {
    while (!c.take_through("\r\n\r\n").empty()) {
      std::lock_guard lock(gate);
      c.send(ok_response());
    }
  });
  gw.install(Config{.upstream_port = slow.port(), .upstream = "circuitBreaker: {maxRequests: 1}"}.yaml());
  Connection first = Connection::to(gw.port());
  first.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  REQUIRE(wait_stats(gw, [](const StatsSnapshot& s) { return s.gauges.active_requests == 1; }));
  CHECK(ask(gw.port()).body.find("maxRequests") != std::string::npos);
  hold.unlock();
  CHECK(read_message(first).status() == 200);
  CHECK(ask(gw.port()).status() == 200);
}

TEST_CASE("Bytes of bodies are counted by the target's zone", "[upstreams]") {
  Upstream upstream;
  std::string yaml = Config{.upstream_port = upstream.port()}.yaml();
  std::string plain = target_at(upstream.port());
  yaml.replace(yaml.find(plain), plain.size(), plain.substr(0, plain.size() - 1) + ", zone: az-9}");
  WorkerFixture gw(yaml);
  CHECK(ask(gw.port(), "PUT", "", "five!").status() == 200);
  ZoneBytes bytes = gw.stats().zones["az-9"];
  CHECK(bytes.sent == 5);
  CHECK(bytes.received == 3);
}

TEST_CASE("A cookie keeps a caller at its target", "[upstreams]") {
  Upstream a([](const Message&, const std::string&) { return ok_response("a"); });
  Upstream b([](const Message&, const std::string&) { return ok_response("b"); });
  WorkerFixture gw(upstream_with(a.port(), b.port(), "balance: {by: cookie, cookie: which}"));
  for (int i = 0; i < 4; ++i) {
    Message first = ask(gw.port());
    std::string cookie = first.field("set-cookie");
    REQUIRE(cookie.substr(0, 6) == "which=");
    for (int k = 0; k < 5; ++k) {
      Message next = ask(gw.port(), "GET", "Cookie: other=1; " + cookie.substr(0, cookie.find(';')) + "\r\n");
      CHECK(next.body == first.body);
      CHECK(next.field("set-cookie").empty());
    }
  }
  CHECK(a.requests().size() == b.requests().size());
}

TEST_CASE("A hash of a header keeps its value at one target", "[upstreams]") {
  Upstream a([](const Message&, const std::string&) { return ok_response("a"); });
  Upstream b([](const Message&, const std::string&) { return ok_response("b"); });
  WorkerFixture gw(upstream_with(a.port(), b.port(), "balance: {by: hash, hashOn: {header: X-Tenant}}"));
  for (int i = 0; i < 20; ++i) {
    std::string field = "X-Tenant: tenant-" + std::to_string(i) + "\r\n";
    std::string first = ask(gw.port(), "GET", field).body;
    for (int k = 0; k < 3; ++k) CHECK(ask(gw.port(), "GET", field).body == first);
  }
  CHECK(a.requests().size() > 0);
  CHECK(b.requests().size() > 0);
}

TEST_CASE("A higher priority number waits for the lower ones to fail", "[upstreams]") {
  Upstream main, spare;
  std::string yaml = upstream_with(main.port(), spare.port(), "retries: {attempts: 1, backoff: 0s}, health: {passive: {consecutive5xx: 1, maxEjected: 100%}}");
  std::string second = target_at(spare.port());
  yaml.replace(yaml.find(second), second.size(), second.substr(0, second.size() - 1) + ", priority: 1}");
  WorkerFixture gw(yaml);
  for (int i = 0; i < 5; ++i) CHECK(ask(gw.port()).status() == 200);
  CHECK(spare.requests().empty());
  uint64_t uid = gw.stats().upstreams.begin()->first;
  gw.on_worker([&](Worker& w) {
    w.apply_health({uid, "127.0.0.1:" + std::to_string(main.port()), HealthChange::What::kEjected, INT64_MAX});
  });
  for (int i = 0; i < 5; ++i) CHECK(ask(gw.port()).status() == 200);
  CHECK(spare.requests().size() == 5);
}

TEST_CASE("Many targets are told in slices, none of which tells more than its bound", "[upstreams]") {
  constexpr size_t kTargets = 3 * SliceBudget::kCopies;
  Upstream first;
  std::string yaml = Config{.upstream_port = first.port()}.yaml(), more;
  for (size_t i = 1; i < kTargets; ++i) more += ", {weight: 0, url: \"http://127.0.0.2:" + std::to_string(10'000 + i) + "\"}";
  yaml.insert(yaml.find(target_at(first.port())) + target_at(first.port()).size(), more);
  WorkerFixture gw(yaml);
  CHECK(ask(gw.port()).status() == 200);
  StatsSnapshot sum;
  StatsSlice slice;
  StatsCursor at;
  size_t slices = 0, told = 0, largest = 0;
  for (bool whole = false; !whole && slices < 1'000; ++slices) {
    gw.on_worker([&](Worker& worker) { whole = worker.stats().copy_slice(at, slice); });
    size_t more = slice.targets.size() + slice.gauges.size();
    told += more;
    largest = std::max(largest, more);
    sum.add(slice);
  }
  CHECK(told == kTargets + 1);
  CHECK(largest > 1);
  CHECK(largest <= SliceBudget::kCopies);
  REQUIRE(sum.upstreams.size() == 1);
  const UpstreamStats& up = sum.upstreams.begin()->second;
  CHECK(up.gauges->targets == static_cast<int64_t>(kTargets));
  CHECK(up.targets.at("127.0.0.1:" + std::to_string(first.port())).requests == 1);
}

TEST_CASE("An upstream that changes gets its new target, one beside it keeps its connection", "[upstreams]") {
  Upstream a, b, kept;
  auto config = [&](uint16_t port) {
    return Config{.upstream_port = port}.yaml() + R"(---
apiVersion: gw/v1
kind: Upstream
metadata: {name: kept, owner: platform}
spec: {targets: [)" + target_at(kept.port()) + R"(]}
---
apiVersion: gw/v1
kind: Route
metadata: {name: kept, owner: platform}
spec: {api: all, match: {path: {prefix: /kept}}, to: {upstream: kept}}
)";
  };
  WorkerFixture gw(config(a.port()));
  auto get = [&](const std::string& path) {
    Connection client = Connection::to(gw.port());
    client.send("GET " + path + " HTTP/1.1\r\nHost: x\r\n\r\n");
    return read_message(client).status();
  };
  CHECK(get("/x") == 200);
  CHECK(get("/kept") == 200);
  gw.install(config(b.port()));
  CHECK(get("/x") == 200);
  CHECK(get("/kept") == 200);
  gw.install(config(b.port()));
  CHECK(get("/x") == 200);
  CHECK(get("/kept") == 200);
  CHECK(a.requests().size() == 1);
  CHECK(b.requests().size() == 2);
  CHECK(kept.requests().size() == 3);
  CHECK(kept.connections() == 1);
}

}  // namespace
}  // namespace gw::test
