#include "dataplane/agent/config_agent.h"

#include <catch2/catch.hpp>
#include <condition_variable>
#include <deque>
#include <fstream>
#include <mutex>
#include <thread>

#include "agent_support.h"
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
  absl::StatusOr<std::string> join(const std::string& join_token, const std::string& node) override {
    std::lock_guard lock(to_.mu);
    to_.joins.push_back(node + " " + join_token);  // checked by the test: Catch2's macros are for one thread
    to_.changed.notify_all();
    return to_.join_answer;
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
