#include "dataplane/agent/config_agent.h"

#include <sys/stat.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <condition_variable>
#include <deque>
#include <fstream>
#include <mutex>
#include <thread>

#include "agent_support.h"
#include "common/crypto/issuing.h"
#include "dataplane/agent/last_good.h"
#include "dataplane/agent/node_token.h"

using namespace gw;
using namespace gw::agent_test;

namespace {

// The control plane's end of a channel: the test says what it sends, and waits for what it gets.
struct Control {
  std::mutex mu;
  std::condition_variable changed;
  SyncEvents* events = nullptr;
  std::deque<v1::FromNode> received;
  std::vector<std::string> tokens;  // of each open
  std::vector<std::string> joins;   // "node token" of each
  absl::StatusOr<std::string> join_answer = std::string("node-token");

  template <class Pred>
  bool wait(Pred pred) {
    std::unique_lock lock(mu);
    return changed.wait_for(lock, std::chrono::seconds(60), pred);
  }
  std::vector<std::string> renewals;  // token of each
  absl::Status renew_answer;
  CaPair ca;  // empty: there is none
  int64_t begins = 0, ends = 0;  // of the next certificate, Unix seconds

  // As a control plane with a CA does.
  void issue(const std::string& request, std::string& certificate, std::string& ca_out) {
    IssueTerms terms;
    terms.name = "n1";
    terms.client = true;
    terms.not_before = begins;
    terms.not_after = ends;
    auto made = issue_certificate(ca, request, terms);
    if (!made.ok()) return;
    certificate = made->certificate;
    ca_out = ca.certificate;
  }

  bool wait_opens(size_t n) {
    return wait([&] { return tokens.size() >= n && events != nullptr; });
  }
  // The next Hello; what came before is dropped.
  v1::Hello hello() {
    v1::Hello out;
    REQUIRE(wait([&] {
      while (!received.empty()) {
        v1::FromNode m = std::move(received.front());
        received.pop_front();
        if (!m.has_hello()) continue;
        out = m.hello();
        return true;
      }
      return false;
    }));
    return out;
  }
  v1::Ack ack(v1::NodeState state, uint64_t version, v1::Stream stream = v1::STREAM_CONFIG) {
    v1::Ack out;
    INFO(v1::NodeState_Name(state) << " " << version);
    REQUIRE(wait([&] {
      for (const v1::FromNode& m : received) {
        if (m.ack().state() != state || m.ack().version() != version || m.ack().stream() != stream) continue;
        out = m.ack();
        return true;
      }
      return false;
    }));
    return out;
  }
  // False: the agent has ended the stream.
  bool try_send(const v1::ToNode& message) {
    SyncEvents* to;
    {
      std::lock_guard lock(mu);
      to = events;
    }
    if (to == nullptr) return false;
    to->on_message(message);
    return true;
  }
  void send(const v1::ToNode& message) { REQUIRE(try_send(message)); }
  void welcome(int64_t lease_ms = 10'000) {
    v1::ToNode m;
    m.mutable_welcome()->set_lease_ms(lease_ms);
    send(m);
  }
  void offer(const v1::Offer& offer, size_t piece = 100) {
    std::string bytes = offer.SerializeAsString();
    for (size_t at = 0; at < bytes.size(); at += piece) {
      v1::ToNode m;
      m.mutable_chunk()->set_data(bytes.substr(at, piece));
      m.mutable_chunk()->set_last(at + piece >= bytes.size());
      send(m);
    }
  }
  void activate(uint64_t version) {
    v1::ToNode m;
    m.mutable_activate()->set_stream(v1::STREAM_CONFIG);
    m.mutable_activate()->set_version(version);
    send(m);
  }
  void end(absl::Status why) {
    SyncEvents* to;
    {
      std::lock_guard lock(mu);
      to = std::exchange(events, nullptr);
    }
    REQUIRE(to != nullptr);
    to->on_closed(std::move(why));
  }
};

class Channel final : public SyncChannel {
 public:
  explicit Channel(Control& to) : to_(to) {}
  absl::StatusOr<v1::JoinResponse> join(const std::string& join_token, const std::string& node, const std::string& request) override {
    std::lock_guard lock(to_.mu);
    to_.joins.push_back(node + " " + join_token);  // checked by the test: Catch2's macros are for one thread
    to_.changed.notify_all();
    if (!to_.join_answer.ok()) return to_.join_answer.status();
    v1::JoinResponse out;
    out.set_node_token(*to_.join_answer);
    if (!request.empty()) to_.issue(request, *out.mutable_certificate(), *out.mutable_ca());
    return out;
  }
  absl::StatusOr<v1::RenewResponse> renew(const std::string& token, const std::string& request) override {
    std::lock_guard lock(to_.mu);
    to_.renewals.push_back(token);
    to_.changed.notify_all();
    if (absl::Status answer = std::exchange(to_.renew_answer, absl::OkStatus()); !answer.ok()) return answer;
    v1::RenewResponse out;
    to_.issue(request, *out.mutable_certificate(), *out.mutable_ca());
    return out;
  }
  void open(const std::string& token, SyncEvents& events) override {
    std::lock_guard lock(to_.mu);
    to_.tokens.push_back(token);
    to_.events = &events;
    to_.changed.notify_all();
  }
  bool send(const v1::FromNode& message) override {
    std::lock_guard lock(to_.mu);
    to_.received.push_back(message);
    to_.changed.notify_all();
    return true;
  }
  void close() override {
    std::lock_guard lock(to_.mu);
    to_.events = nullptr;
  }
  void cancel() override {}

 private:
  Control& to_;
};

struct World {
  TempDir dir;
  Control control;
  FakeSink sink;
  Config config;
  Records records;
  std::unique_ptr<ConfigAgent> agent;
  // Of a control channel with TLS.
  std::shared_ptr<IdentityHolder> identity;
  std::string ca_file;
  ManualClock clock;

  World() {
    REQUIRE(write_durably(dir.path() + "/join", "join-token\n").ok());
    agent = std::make_unique<ConfigAgent>();
  }
  ~World() { agent->stop(); }
  AgentOptions options() {
    AgentOptions o;
    o.node = "n1";
    o.zone = "az-a";
    o.state_dir = dir.path();
    o.control = "control:1";
    o.join_token_file = dir.path() + "/join";
    o.make_channel = [this](const std::string&) { return std::make_unique<Channel>(control); };
    o.identity = identity;
    o.control_ca_file = ca_file;
    if (identity) o.clock = &clock;
    o.heartbeat_ms = 5;
    o.backoff_min_ms = 1;
    o.backoff_max_ms = 2;
    o.refused_token_retry_ms = 20;
    return o;
  }
  void start() {
    absl::Status status = agent->start(options(), sink);
    INFO(message_of(status));
    REQUIRE(status.ok());
  }
  void connect() {
    start();
    REQUIRE(control.wait_opens(1));
    control.welcome();
  }
  // A new process in the same state directory.
  void restart() {
    agent->stop();
    agent = std::make_unique<ConfigAgent>();
    sink.take();
    start();
  }
};

}  // namespace

TEST_CASE("a new node joins, keeps its token, and says who it is") {
  World w;
  w.start();
  v1::Hello hello = w.control.hello();
  CHECK(hello.node() == "n1");
  CHECK(hello.zone() == "az-a");
  CHECK(hello.boot() != 0);
  CHECK(hello.have_size() == 0);
  CHECK(hello.capabilities_size() > 20);
  CHECK(hello.listeners_size() == 1);
  CHECK(w.control.joins == std::vector<std::string>{"n1 join-token"});
  CHECK(w.control.tokens == std::vector<std::string>{"node-token"});
  CHECK(*read_token_file(node_token_path(w.dir.path())) == "node-token");
}

TEST_CASE("a version goes from offer to persisted, and a restart begins with it, without a control plane") {
  World w;
  w.connect();
  w.control.offer(w.records.whole());
  w.control.offer(w.config.whole());
  w.control.ack(v1::BUILT, 1);
  w.control.activate(1);
  w.control.ack(v1::ACTIVE, 1);
  w.control.ack(v1::DRAINED, 1);
  w.control.ack(v1::PERSISTED, 1);
  w.control.offer(w.config.change("two"));
  w.control.activate(2);
  w.control.ack(v1::ACTIVE, 2);
  w.control.ack(v1::PERSISTED, 2);
  CHECK(w.agent->status().config_version == 2);
  CHECK(w.agent->status().config_success_wall_ns > 0);
  w.agent->stop();

  ConfigAgent next;
  FakeSink sink;
  AgentOptions options = w.options();
  options.control.clear();
  REQUIRE(next.start(options, sink).ok());
  // start() has returned: what was on disk is in force.
  CHECK(sink.calls() == std::vector<std::string>{"directory 1", "prepare 2", "activate 2"});
  CHECK(next.status().started_from_disk);
  CHECK(next.status().config_version == 2);
  CHECK(next.status().directory_version == 1);
}

TEST_CASE("a restart says what it has, and goes on from there") {
  World w;
  w.connect();
  w.control.offer(w.config.whole());
  w.control.activate(1);
  w.control.ack(v1::PERSISTED, 1);
  w.restart();
  REQUIRE(w.control.wait_opens(2));
  w.control.hello();  // of the first life
  v1::Hello hello = w.control.hello();
  REQUIRE(hello.have_size() == 1);
  CHECK(hello.have(0).version() == 1);
  CHECK(hello.have(0).digest().size() == 32);
  CHECK(w.control.joins.size() == 1);  // the token was kept
  w.control.welcome();
  w.control.offer(w.config.change("two"));
  w.control.ack(v1::BUILT, 2);
}

TEST_CASE("drained is an event of the node, told on") {
  World w;
  w.connect();
  w.control.offer(w.config.whole());
  w.control.activate(1);
  w.control.ack(v1::DRAINED, 1);
  w.control.offer(w.config.change("two"));
  w.control.activate(2);
  w.control.ack(v1::PERSISTED, 2);
  {
    std::lock_guard lock(w.control.mu);
    for (const v1::FromNode& m : w.control.received) CHECK_FALSE((m.ack().state() == v1::DRAINED && m.ack().version() == 2));
  }
  w.agent->drained(1);
  w.control.ack(v1::DRAINED, 2);
}

TEST_CASE("when the stream ends the node comes back, and gives up what was only prepared") {
  World w;
  w.connect();
  w.control.offer(w.config.whole());
  w.control.ack(v1::BUILT, 1);
  w.control.end(unavailable("gone"));
  REQUIRE(w.sink.wait_for("abandon 1"));
  REQUIRE(w.control.wait_opens(2));
  w.control.welcome();
  w.control.offer(w.config.whole());
  w.control.activate(2);
  w.control.ack(v1::ACTIVE, 2);
}

TEST_CASE("a node token that is refused is traded anew, once the join token allows") {
  World w;
  REQUIRE(write_node_token(w.dir.path(), "old-token").ok());
  w.start();
  REQUIRE(w.control.wait_opens(1));
  CHECK(w.control.tokens[0] == "old-token");
  w.control.end(unauthenticated("unknown token"));
  REQUIRE(w.control.wait_opens(2));
  CHECK(w.control.tokens[1] == "node-token");
  CHECK(w.control.joins == std::vector<std::string>{"n1 join-token"});
}

TEST_CASE("a refused join token is said, and tried again") {
  World w;
  w.control.join_answer = unauthenticated("the join token has expired");
  w.start();
  REQUIRE(w.control.wait([&] { return w.control.joins.size() >= 2; }));
  CHECK(w.agent->status().last_error.find("expired") != std::string::npos);
  CHECK(w.control.tokens.empty());
  {
    std::lock_guard lock(w.control.mu);
    w.control.join_answer = std::string("node-token");
  }
  REQUIRE(w.control.wait_opens(1));
}

TEST_CASE("a control plane that falls silent is left, and its word on quotas turns stale") {
  World w;
  w.start();
  REQUIRE(w.control.wait_opens(1));
  w.control.welcome(40);  // a lease of 40 ms, never renewed
  REQUIRE(w.sink.wait_for("quota 0"));
  REQUIRE(w.sink.wait_for("quota 0 stale"));
  REQUIRE(w.control.wait([&] { return w.control.tokens.size() >= 2; }));
}

TEST_CASE("heartbeats go out while the stream stands, with listeners when they changed") {
  World w;
  w.connect();
  auto heartbeats = [&](bool with) {
    int n = 0;
    for (const v1::FromNode& m : w.control.received) n += m.has_heartbeat() && (m.heartbeat().listeners_size() > 0) == with;
    return n;
  };
  REQUIRE(w.control.wait([&] { return heartbeats(false) >= 2; }));
  w.agent->listeners_changed();
  REQUIRE(w.control.wait([&] { return heartbeats(true) == 1; }));
}

TEST_CASE("an offer beyond the limit, or one that cannot be read, ends the stream") {
  World w;
  AgentOptions options = w.options();
  options.max_offer_bytes = 50;
  REQUIRE(w.agent->start(options, w.sink).ok());
  REQUIRE(w.control.wait_opens(1));
  w.control.welcome();
  SECTION("too large") {  // the agent may end the stream before the last piece
    v1::ToNode m;
    m.mutable_chunk()->set_data(std::string(40, 'x'));
    for (int i = 0; i < 3 && w.control.try_send(m); ++i) {
    }
  }
  SECTION("unreadable") {
    v1::ToNode m;
    m.mutable_chunk()->set_data("\xff\xff\xff");
    m.mutable_chunk()->set_last(true);
    w.control.send(m);
  }
  REQUIRE(w.control.wait([&] { return w.control.tokens.size() >= 2; }));
  CHECK(w.sink.calls().size() <= 1);  // quota, no longer stale
}

TEST_CASE("a damaged slot is said, the other one serves") {
  World w;
  w.connect();
  for (int i = 0; i < 2; ++i) {
    w.control.offer(i == 0 ? w.config.whole() : w.config.change("two"));
    w.control.activate(static_cast<uint64_t>(i) + 1);
    w.control.ack(v1::PERSISTED, static_cast<uint64_t>(i) + 1);
  }
  w.agent->stop();
  int newest = std::filesystem::last_write_time(w.dir.path() + "/last_good.0") >
                       std::filesystem::last_write_time(w.dir.path() + "/last_good.1") ? 0 : 1;
  auto path = [&](int slot) { return w.dir.path() + "/last_good." + std::to_string(slot); };
  std::filesystem::resize_file(path(newest), 70);
  SECTION("one") {
    w.restart();
    CHECK(w.agent->status().start_problem.find("last_good." + std::to_string(newest)) != std::string::npos);
    CHECK(w.agent->status().config_version > 0);
  }
  SECTION("both: it starts empty and says so") {
    std::filesystem::resize_file(path(1 - newest), 0);
    w.restart();
    CHECK_FALSE(w.agent->status().started_from_disk);
    CHECK(w.agent->status().config_version == 0);
    CHECK(w.agent->status().start_problem.find("last_good.0") != std::string::npos);
    CHECK(w.agent->status().start_problem.find("last_good.1") != std::string::npos);
  }
}

TEST_CASE("a seed serves a node that has nothing, and is kept from then on") {
  World w;
  std::string seed = w.dir.path() + "/seed";
  REQUIRE(write_durably(seed, w.config.whole().SerializeAsString()).ok());
  AgentOptions options = w.options();
  options.seed_file = seed;
  options.control.clear();
  REQUIRE(w.agent->start(options, w.sink).ok());
  CHECK(w.agent->status().started_from_seed);
  CHECK(w.agent->status().config_version == 1);
  w.agent->stop();
  CHECK(LastGoodStore(w.dir.path()).load().content.has_value());
  ConfigAgent bad;
  options.seed_file = seed + ".none";
  CHECK(message_of(bad.start(options, w.sink)).find("seed.none") != std::string::npos);
}

TEST_CASE("last known good whose port is taken is tried until it serves") {
  World w;
  w.connect();
  w.control.offer(w.config.whole());
  w.control.activate(1);
  w.control.ack(v1::PERSISTED, 1);
  w.agent->stop();
  w.sink.set_port_in_use("127.0.0.1:8080 is in use");
  w.restart();
  CHECK(w.agent->status().config_version == 0);
  CHECK(w.agent->status().start_problem.find("in use") != std::string::npos);
  w.sink.set_port_in_use("");
  REQUIRE(w.sink.wait_for("activate 1"));
}

TEST_CASE("a disk that cannot be written delays persisted and nothing else") {
  World w;
  std::filesystem::create_directory(w.dir.path() + "/last_good.0.tmp");
  w.connect();
  w.control.offer(w.config.whole());
  w.control.activate(1);
  w.control.ack(v1::ACTIVE, 1);
  w.control.offer(w.config.change("two"));
  w.control.activate(2);
  w.control.ack(v1::ACTIVE, 2);
  std::lock_guard lock(w.control.mu);
  for (const v1::FromNode& m : w.control.received) CHECK(m.ack().state() != v1::PERSISTED);
}

TEST_CASE("a node that is stopped says goodbye, and leaves what it had on disk") {
  World w;
  w.connect();
  w.control.offer(w.config.whole());
  w.control.activate(1);
  w.control.ack(v1::ACTIVE, 1);
  w.agent->stop();
  std::lock_guard lock(w.control.mu);
  CHECK(w.control.received.back().has_goodbye());
  CHECK(LastGoodStore(w.dir.path()).load().content.has_value());
}

TEST_CASE("a suspended agent has left without a goodbye, with all on disk, and writes and dials no more until it goes on") {
  World w;
  w.connect();
  w.control.offer(w.config.whole());
  w.control.activate(1);
  w.control.ack(v1::ACTIVE, 1);
  w.control.offer(w.config.change("two"));
  w.control.ack(v1::BUILT, 2);
  REQUIRE(w.agent->suspend(60'000).ok());
  REQUIRE(w.sink.wait_for("abandon 2"));
  auto disk = LastGoodStore(w.dir.path()).load();
  REQUIRE(disk.content.has_value());
  CHECK(disk.content->at(v1::STREAM_CONFIG).version() == 1);
  {
    std::lock_guard lock(w.control.mu);
    CHECK(w.control.events == nullptr);
    for (const v1::FromNode& m : w.control.received) CHECK_FALSE(m.has_goodbye());
  }
  SECTION("and goes on") {
    w.agent->resume();
    REQUIRE(w.control.wait_opens(2));
    w.control.welcome();
    w.control.offer(w.config.whole());
    w.control.activate(3);
    w.control.ack(v1::ACTIVE, 3);
  }
  SECTION("or ends") {
    for (int slot = 0; slot < 2; ++slot) std::filesystem::remove(w.dir.path() + "/last_good." + std::to_string(slot));
    w.agent->stop();
    CHECK_FALSE(LastGoodStore(w.dir.path()).load().content.has_value());
    std::lock_guard lock(w.control.mu);
    CHECK(w.control.tokens.size() == 1);
  }
}

TEST_CASE("an agent that cannot write does not stand still: it says so and goes on") {
  World w;
  std::filesystem::create_directory(w.dir.path() + "/last_good.0.tmp");
  std::filesystem::create_directory(w.dir.path() + "/last_good.1.tmp");
  w.connect();
  w.control.offer(w.config.whole());
  w.control.activate(1);
  w.control.ack(v1::ACTIVE, 1);
  CHECK_FALSE(w.agent->suspend(60'000).ok());
  REQUIRE(w.control.wait_opens(2));
}

TEST_CASE("an agent that begins suspended serves what is on disk, and dials when it may") {
  World w;
  w.connect();
  w.control.offer(w.config.whole());
  w.control.activate(1);
  w.control.ack(v1::PERSISTED, 1);
  w.agent->stop();
  w.agent = std::make_unique<ConfigAgent>();
  w.sink.take();
  AgentOptions options = w.options();
  options.suspended = true;
  REQUIRE(w.agent->start(options, w.sink).ok());
  CHECK(w.agent->status().config_version == 1);
  {
    std::lock_guard lock(w.control.mu);
    CHECK(w.control.tokens.size() == 1);
  }
  w.agent->resume();
  REQUIRE(w.control.wait_opens(2));
}

TEST_CASE("a node needs a name and a state directory") {
  World w;
  AgentOptions options = w.options();
  options.state_dir += "/none";
  CHECK(message_of(w.agent->start(options, w.sink)).find("/none") != std::string::npos);
  options = w.options();
  options.node.clear();
  CHECK_FALSE(w.agent->start(options, w.sink).ok());
}

namespace {

constexpr int64_t kTlsNow = 1'800'000'000;

// A control plane with a CA, which the join token's file names.
struct TlsWorld : World {
  TlsWorld() {
    identity = std::make_shared<IdentityHolder>();
    clock.set_wall_ns(kTlsNow * 1'000'000'000);
    control.ca = *make_ca("first", kTlsNow - 1000, kTlsNow + 1'000'000);
    certify(kTlsNow, kTlsNow + 900);
    REQUIRE(write_durably(dir.path() + "/join", "join-token\n" + control.ca.certificate).ok());
  }
  void certify(int64_t begins, int64_t ends) {
    std::lock_guard lock(control.mu);
    control.begins = begins;
    control.ends = ends;
  }
  ControlIdentity shown() const { return *identity->current().identity; }
  bool said(const std::string& words) {
    for (int i = 0; i < 60'000; ++i) {
      if (agent->status().last_error.find(words) != std::string::npos) return true;
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    return false;
  }
};

}  // namespace

TEST_CASE("over TLS a node joins with a key of its own, and keeps key, certificate and CA in one file") {
  TlsWorld w;
  w.connect();
  ControlIdentity shown = w.shown();
  CHECK(shown.ca == w.control.ca.certificate);
  CHECK(is_issued_by(shown.certificate, shown.ca));
  CHECK(shown.not_after == kTlsNow + 900);
  struct stat info {};
  REQUIRE(::stat(identity_path(w.dir.path()).c_str(), &info) == 0);
  CHECK((info.st_mode & 0777) == 0600);
  auto kept = read_identity(w.dir.path());
  REQUIRE(kept.ok());
  CHECK(*kept == shown);
  w.restart();
  REQUIRE(w.control.wait_opens(2));
  CHECK(w.control.joins.size() == 1);
  CHECK(w.shown() == shown);
}

TEST_CASE("a certificate is renewed before it ends, and the stream begins anew with it; a renewal that fails is tried again") {
  TlsWorld w;
  w.certify(kTlsNow - 800, kTlsNow + 3);  // two thirds are over
  w.control.renew_answer = unavailable("not now");
  w.start();
  REQUIRE(w.control.wait_opens(1));
  std::string first = w.shown().serial;
  w.certify(kTlsNow, kTlsNow + 900);
  w.control.welcome();
  REQUIRE(w.control.wait_opens(2));
  CHECK(w.control.renewals == std::vector<std::string>{"node-token", "node-token"});
  CHECK(w.control.joins.size() == 1);
  CHECK(w.shown().serial != first);
  CHECK(read_identity(w.dir.path())->serial == w.shown().serial);
  w.control.welcome();
  w.control.hello();
  REQUIRE(w.control.wait([&] { return std::any_of(w.control.received.begin(), w.control.received.end(), [](const auto& m) { return m.has_heartbeat(); }); }));
  CHECK(w.agent->status().certificate_ends == kTlsNow + 900);
}

TEST_CASE("a node whose certificate has ended joins anew") {
  TlsWorld w;
  w.connect();
  w.agent->stop();
  w.clock.set_wall_ns((kTlsNow + 1000) * 1'000'000'000);
  w.certify(kTlsNow + 1000, kTlsNow + 2000);
  w.restart();
  REQUIRE(w.control.wait_opens(2));
  CHECK(w.control.joins.size() == 2);
  CHECK(w.shown().not_after == kTlsNow + 2000);
}

TEST_CASE("a certificate is not shown to a control plane with another CA") {
  TlsWorld w;
  w.connect();
  w.agent->stop();
  {
    std::lock_guard lock(w.control.mu);
    w.control.ca = *make_ca("second", kTlsNow - 1000, kTlsNow + 1'000'000);
  }
  w.ca_file = w.dir.path() + "/ca.pem";
  REQUIRE(write_durably(w.ca_file, w.control.ca.certificate).ok());
  w.restart();
  REQUIRE(w.control.wait_opens(2));
  CHECK(w.control.joins.size() == 2);
  CHECK(w.shown().ca == w.control.ca.certificate);
}

TEST_CASE("a damaged identity is as good as none") {
  TlsWorld w;
  w.connect();
  w.agent->stop();
  REQUIRE(write_durably(identity_path(w.dir.path()), "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n").ok());
  w.restart();
  REQUIRE(w.control.wait_opens(2));
  CHECK(w.control.joins.size() == 2);
}

TEST_CASE("an answer whose certificate does not fit is not kept") {
  TlsWorld w;
  w.certify(kTlsNow, kTlsNow);  // makes none
  w.start();
  CHECK(w.said("the control plane's answer"));
  CHECK(absl::IsNotFound(read_identity(w.dir.path()).status()));
  CHECK(w.control.tokens.empty());
}

TEST_CASE("beyond this machine a control plane is not dialled without its CA") {
  TlsWorld w;
  REQUIRE(write_durably(w.dir.path() + "/join", "join-token\n").ok());
  w.start();
  CHECK(w.said("--control-ca-file"));
  CHECK(w.control.joins.empty());
  CHECK(is_loopback_control("127.0.0.1:1"));
  CHECK(is_loopback_control("[::1]:1"));
  CHECK(is_loopback_control("localhost:1"));
  CHECK_FALSE(is_loopback_control("10.0.0.1:1"));
  CHECK_FALSE(is_loopback_control("localhost.example.com:1"));
}

TEST_CASE("the file of a join token holds a token, and may hold CA certificates") {
  test::TempDir dir;
  const std::string path = dir.path() + "/join", ca = make_ca("a", 0, 10)->certificate;
  REQUIRE(write_durably(path, "token\n" + ca).ok());
  auto read = read_join_file(path);
  REQUIRE(read.ok());
  CHECK(read->token == "token");
  CHECK(read->ca == ca);
  for (const std::string& text : {std::string(), ca, "two words\n" + ca, std::string("token\n-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")}) {
    REQUIRE(write_durably(path, text).ok());
    CHECK(absl::IsInvalidArgument(read_join_file(path).status()));
  }
  REQUIRE(write_durably(path, "token\n" + ca).ok());
  REQUIRE(::chmod(path.c_str(), 0644) == 0);
  CHECK(message_of(read_join_file(path).status()).find("readable by others") != std::string::npos);
  CHECK(read_ca_file(path).ok());
}
