// Targets that are found: what a worker makes of them, and what discovery tells, with a name server in this process.
#include "dataplane/upstream/discovery.h"

#include <arpa/inet.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <catch2/catch.hpp>
#include <condition_variable>
#include <thread>

#include "tests/support/worker_fixture.h"

namespace gw::test {
namespace {

constexpr const char* kGetFound = "GET /x HTTP/1.1\r\nHost: a\r\n\r\n";

std::string searching(const std::string& discovery) {
  std::string yaml = Config{.upstream_port = 1, .upstream = ", discovery: {" + discovery + "}, timeouts: {connect: 60s}"}.yaml();
  size_t from = yaml.find("spec: {targets:"), to = yaml.find(", , discovery");
  yaml.replace(from + 7, to + 4 - (from + 7), "");
  return yaml;
}

uint64_t only_upstream(const WorkerFixture& gw) {
  for (const auto& u : gw.snapshot().upstreams()) {
    if (u != nullptr) return u->uid;
  }
  return 0;
}

std::shared_ptr<FoundTargets> found_at(std::vector<uint16_t> ports) {
  auto out = std::make_shared<FoundTargets>();
  out->searched = std::make_shared<NameAddresses>();
  for (uint16_t port : ports) {
    UpstreamTarget& t = out->found.emplace_back();
    t.host = "127.0.0.1";
    t.port = port;
    t.is_address = true;
    t.address = *IpAddress::parse("127.0.0.1");
    t.authority = authority_of(t.host, port);
    t.source = UpstreamTarget::Source::kDns;
    t.found_by = "u.test";
  }
  return out;
}

void tell_worker(WorkerFixture& gw, std::shared_ptr<const FoundTargets> found) {
  std::vector<TargetsChange> changes{{only_upstream(gw), std::move(found)}};
  gw.on_worker([&](Worker& worker) { worker.apply_targets(changes); });
}

int64_t waiting_at(WorkerFixture& gw) {
  int64_t out = 0;
  for (const auto& [uid, upstream] : gw.stats().upstreams) {
    for (const auto& [address, target] : upstream.targets) out += target.busy;
  }
  return out;
}

TEST_CASE("Requests for a name that is not known yet wait, and go where it leads", "[discovery]") {
  Upstream one([](const Message&, const std::string&) { return ok_response("one"); });
  Upstream two([](const Message&, const std::string&) { return ok_response("two"); });
  WorkerFixture gw(searching("dns: u.test, port: 80"));
  Connection first = Connection::to(gw.port()), second = Connection::to(gw.port());
  first.send(kGetFound);
  second.send(kGetFound);
  while (waiting_at(gw) < 2) std::this_thread::yield();
  tell_worker(gw, found_at({one.port(), two.port()}));
  std::set<std::string> bodies{read_message(first).body, read_message(second).body};
  CHECK(bodies == std::set<std::string>{"one", "two"});

  SECTION("a target that goes gets nothing more, one that stays keeps its connection") {
    tell_worker(gw, found_at({two.port()}));
    for (int i = 0; i < 4; ++i) {
      first.send(kGetFound);
      CHECK(read_message(first).body == "two");
    }
    CHECK(two.connections() == 1);
    CHECK(one.requests().size() == 1);
  }
  SECTION("when nothing is left, requests fail by the name") {
    tell_worker(gw, found_at({}));
    first.send(kGetFound);
    Message answer = read_message(first);
    CHECK(answer.status() >= 500);
    CHECK(answer.body.find("UPSTREAM_CONNECT") != std::string::npos);
  }
  SECTION("when the upstream is forgotten, requests wait again") {
    tell_worker(gw, nullptr);
    first.send(kGetFound);
    while (waiting_at(gw) < 1) std::this_thread::yield();
    tell_worker(gw, found_at({one.port()}));
    CHECK(read_message(first).body == "one");
  }
}

TEST_CASE("A request that waits for a name fails when there is none, and when its upstream is gone", "[discovery]") {
  WorkerFixture gw(searching("dns: u.test, port: 80"));
  Connection client = Connection::to(gw.port());
  client.send(kGetFound);
  while (waiting_at(gw) < 1) std::this_thread::yield();
  SECTION("there is none") { tell_worker(gw, found_at({})); }
  SECTION("other targets are in its place, which are gone as well") {
    std::string yaml = Config{.upstream_port = 1}.yaml();
    gw.install(yaml);
  }
  CHECK(read_message(client).status() >= 500);
}

// Answers every question for A with 127.0.0.1 and its TTL; says nothing while silent.
class NameServer {
 public:
  NameServer() {
    socket_ = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    sockaddr_in where{};
    where.sin_family = AF_INET;
    where.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof where;
    REQUIRE(bind(socket_, reinterpret_cast<sockaddr*>(&where), size) == 0);
    REQUIRE(getsockname(socket_, reinterpret_cast<sockaddr*>(&where), &size) == 0);
    port_ = ntohs(where.sin_port);
    thread_ = std::thread([this] { serve(); });
  }
  ~NameServer() {
    ending_ = true;
    thread_.join();
    close(socket_);
  }
  uint16_t port() const { return port_; }
  int asked() const { return asked_; }
  std::atomic<bool> silent{false}, fails{false};

 private:
  void serve() {
    while (!ending_) {
      pollfd wait{socket_, POLLIN, 0};
      if (poll(&wait, 1, 20) != 1) continue;
      char query[512];
      sockaddr_in from;
      socklen_t size = sizeof from;
      ssize_t n = recvfrom(socket_, query, sizeof query, 0, reinterpret_cast<sockaddr*>(&from), &size);
      ++asked_;
      if (n < 17 || silent) continue;
      std::string reply(query, static_cast<size_t>(n));
      size_t end = reply.find('\0', 12) + 5;
      bool is_a = reply[end - 3] == 1;
      reply.resize(end);
      reply[2] = '\x81';
      reply[3] = fails ? '\x82' : '\x80';
      for (size_t i = 6; i < 12; ++i) reply[i] = 0;
      if (is_a && !fails) {
        reply[7] = 1;
        reply += std::string("\xc0\x0c\0\1\0\1\0\0\0\1\0\4\x7f\0\0\1", 16);
      }
      sendto(socket_, reply.data(), reply.size(), 0, reinterpret_cast<sockaddr*>(&from), size);
    }
  }
  int socket_ = -1;
  uint16_t port_ = 0;
  std::atomic<int> asked_{0};
  std::atomic<bool> ending_{false};
  std::thread thread_;
};

// What discovery told last. Any thread.
class ToldTargets {
 public:
  DiscoveryOptions options() {
    DiscoveryOptions out;
    out.tell = [this](const std::vector<TargetsChange>& changes) {
      std::lock_guard lock(mutex_);
      for (const TargetsChange& c : changes) last_ = c.found;
      ++times_;
      changed_.notify_all();
    };
    return out;
  }
  bool wait(const std::function<bool(const FoundTargets*)>& condition) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::milliseconds(kCapMs), [&] { return times_ > 0 && condition(last_.get()); });
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::shared_ptr<const FoundTargets> last_;
  int times_ = 0;
};

DiscoveryStats stats_of(Discovery& discovery) {
  std::mutex mutex;
  std::condition_variable changed;
  std::optional<DiscoveryStats> out;
  REQUIRE(discovery.report([&](const DiscoveryStats& stats) {
    std::lock_guard lock(mutex);
    out = stats;
    changed.notify_all();
  }));
  std::unique_lock lock(mutex);
  changed.wait(lock, [&] { return out.has_value(); });
  return *out;
}

TEST_CASE("Discovery asks, tells what it found, keeps it while nobody answers, and forgets what is not needed", "[discovery]") {
  NameServer server;
  ToldTargets told;
  TableMaker maker;
  std::string servers = ", servers: ['127.0.0.1:" + std::to_string(server.port()) + "'], minRefresh: 100ms, maxRefresh: 200ms";
  auto searches = maker.make(searching("dns: u.test, port: 80" + servers));
  Discovery discovery(told.options());
  discovery.configure(searches.snapshot);
  REQUIRE(told.wait([](const FoundTargets* f) { return f != nullptr && f->found.size() == 1; }));
  int asked = server.asked();
  while (server.asked() < asked + 4) std::this_thread::yield();  // within its TTL of one second, bounded
  server.fails = true;
  while (stats_of(discovery).stale == 0) std::this_thread::yield();
  DiscoveryStats stats = stats_of(discovery);
  CHECK(stats.lookups[2] > 0);
  REQUIRE(stats.names.size() == 1);
  const NameStats& name = stats.names.begin()->second.front();
  CHECK(name.addresses == std::vector<std::string>{"127.0.0.1"});
  CHECK(name.stale_since_s > 0);
  CHECK_FALSE(name.problem.empty());
  server.fails = false;
  while (stats_of(discovery).stale != 0) std::this_thread::yield();
  discovery.configure(maker.make(Config{.upstream_port = 1}.yaml()).snapshot);
  REQUIRE(told.wait([](const FoundTargets* f) { return f == nullptr; }));
  CHECK(stats_of(discovery).names.empty());
}

TEST_CASE("Discovery may end while a question is open", "[discovery]") {
  NameServer server;
  server.silent = true;
  ToldTargets told;
  TableMaker maker;
  auto searches = maker.make(searching("srv: _http._tcp.u.test, servers: ['127.0.0.1:" + std::to_string(server.port()) + "']"));
  Discovery discovery(told.options());
  discovery.configure(searches.snapshot);
  while (server.asked() == 0) std::this_thread::yield();
}

TEST_CASE("localhost is known without a name server", "[discovery]") {
  ToldTargets told;
  TableMaker maker;
  std::string yaml = Config{.upstream_port = 80}.yaml();
  yaml.replace(yaml.find("http://127.0.0.1:80"), 19, "http://localhost:80");
  Discovery discovery(told.options());
  discovery.configure(maker.make(yaml).snapshot);
  CHECK(told.wait([](const FoundTargets* f) {
    if (f == nullptr) return false;
    auto known = f->names.find("localhost:80");
    return known != f->names.end() && std::count(known->second->list.begin(), known->second->list.end(), *IpAddress::parse("127.0.0.1")) == 1;
  }));
}

}  // namespace
}  // namespace gw::test
