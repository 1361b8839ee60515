// Small writes wait for the end of the turn; nothing is lost, doubled or out of order.
#include "dataplane/loop/send_batch.h"

#include <sys/socket.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "dataplane/loop/loop.h"
#include "dataplane/loop/tcp_stream.h"

namespace {

using gw::Loop;
using gw::SendBatch;
using gw::TcpStream;

// A stream, and the other end of its connection.
struct Pair : TcpStream::Events {
  explicit Pair(Loop& loop) : stream(loop, *this) {
    int ends[2];
    REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) == 0);
    REQUIRE(stream.accept(ends[0]) == 0);
    peer = ends[1];
  }
  ~Pair() override { end_peer(); }
  void end_peer() {
    if (peer >= 0) ::close(peer);
    peer = -1;
  }
  std::string received() const {
    std::string all;
    char piece[8192];
    for (ssize_t got; (got = recv(peer, piece, sizeof piece, MSG_DONTWAIT)) > 0;) all.append(piece, static_cast<size_t>(got));
    return all;
  }
  std::span<char> read_buffer() override { return room; }
  void on_read(size_t size) override { on_bytes({room, size}); }
  void on_read_end(int) override {}
  void on_write_error(int error) override {
    write_error = error;
    if (on_error) on_error();
  }

  TcpStream stream;
  std::function<void(std::string_view)> on_bytes;
  std::function<void()> on_error;
  char room[64];
  int peer = -1;
  int write_error = 0;
};

void turn(Loop& loop) { uv_run(loop.uv(), UV_RUN_NOWAIT); }

TEST_CASE("a small write is sent at the end of the turn", "[loop]") {
  Loop loop;
  Pair pair(loop);
  REQUIRE(pair.stream.write("a", "b", "c"));
  CHECK(pair.received() == "");
  turn(loop);
  CHECK(pair.received() == "abc");
  turn(loop);
  CHECK(pair.received() == "");
}

TEST_CASE("more writes to one connection in a turn stay in order", "[loop]") {
  Loop loop;
  Pair pair(loop);
  std::string large(SendBatch::kMostBytes + 1, 'x');
  std::string expected;
  for (int i = 0; i < 5; ++i) {
    REQUIRE(pair.stream.write(std::to_string(i)));
    REQUIRE(pair.stream.write("-", large));
    expected += std::to_string(i) + "-" + large;
  }
  REQUIRE(pair.stream.write("end"));
  turn(loop);
  CHECK(pair.received() == expected + "end");
}

TEST_CASE("a batch has its bound, and more goes at once", "[loop]") {
  Loop loop;
  std::vector<std::unique_ptr<Pair>> pairs;
  for (size_t i = 0; i < SendBatch::kMostStreams + 3; ++i) {
    pairs.push_back(std::make_unique<Pair>(loop));
    REQUIRE(pairs.back()->stream.write(std::to_string(i)));
  }
  CHECK(loop.sends().full());
  CHECK(pairs.front()->received() == "");
  CHECK(pairs.back()->received() == std::to_string(pairs.size() - 1));
  turn(loop);
  CHECK_FALSE(loop.sends().full());
  for (size_t i = 0; i + 3 < pairs.size(); ++i) CHECK(pairs[i]->received() == std::to_string(i));
}

TEST_CASE("a full batch is sent before the next event", "[loop]") {
  constexpr size_t kPairs = 2 * SendBatch::kMostStreams + 5;
  Loop loop;
  std::vector<std::unique_ptr<Pair>> pairs;
  size_t events = 0;
  for (size_t i = 0; i < kPairs; ++i) {
    pairs.push_back(std::make_unique<Pair>(loop));
    Pair& pair = *pairs.back();
    pair.on_bytes = [&](std::string_view bytes) {
      CHECK_FALSE(loop.sends().full());
      ++events;
      CHECK(pair.stream.write(bytes));
    };
    REQUIRE(pair.stream.read_start() == 0);
    std::string text = std::to_string(i);
    REQUIRE(send(pair.peer, text.data(), text.size(), 0) == static_cast<ssize_t>(text.size()));
  }
  turn(loop);
  turn(loop);
  CHECK(events == kPairs);
  for (size_t i = 0; i < kPairs; ++i) CHECK(pairs[i]->received() == std::to_string(i));
}

TEST_CASE("what waits is sent before FIN, before a close, and moves with the connection", "[loop]") {
  Loop loop;
  Pair shut(loop), closed(loop), from(loop);
  REQUIRE(shut.stream.write("last words"));
  shut.stream.shutdown();
  CHECK(shut.received() == "last words");
  REQUIRE(closed.stream.write("good-bye"));
  closed.stream.close();
  CHECK(closed.received() == "good-bye");
  REQUIRE(from.stream.write("first"));
  TcpStream to(loop, from);
  to.take(from.stream);
  REQUIRE(to.write(", second"));
  turn(loop);
  CHECK(from.received() == "first, second");
}

TEST_CASE("what the kernel does not take waits for room", "[loop]") {
  Loop loop;
  Pair pair(loop);
  std::string large(4 << 20, 'y');
  REQUIRE(pair.stream.write("begin", large));
  REQUIRE(pair.stream.queued() > 0);
  REQUIRE(pair.stream.write("end"));
  std::string all;
  while (all.size() < 5 + large.size() + 3) {
    all += pair.received();
    turn(loop);
  }
  CHECK(all == "begin" + large + "end");
}

TEST_CASE("the owner hears that what waited could not be sent", "[loop]") {
  Loop loop;
  Pair broken(loop), good(loop);
  REQUIRE(broken.stream.write("to nobody"));
  REQUIRE(good.stream.write("to somebody"));
  broken.end_peer();
  turn(loop);
  CHECK(broken.write_error != 0);
  CHECK(good.received() == "to somebody");
  CHECK_FALSE(broken.stream.write("more"));
}

TEST_CASE("a second write tells that the first could not be sent", "[loop]") {
  Loop loop;
  Pair broken(loop);
  REQUIRE(broken.stream.write("to nobody"));
  broken.end_peer();
  CHECK_FALSE(broken.stream.write("more"));
  turn(loop);
  CHECK(broken.write_error == 0);  // its owner was told by the write
}

TEST_CASE("an owner that hears of a failure may close others that wait, and write", "[loop]") {
  Loop loop;
  Pair broken(loop), closed(loop), other(loop);
  REQUIRE(broken.stream.write("to nobody"));
  REQUIRE(closed.stream.write("good-bye"));
  broken.end_peer();
  broken.on_error = [&] {
    broken.stream.close();
    closed.stream.close();
    CHECK(other.stream.write("late"));
  };
  turn(loop);
  CHECK(broken.write_error != 0);
  CHECK(closed.received() == "good-bye");
  CHECK(other.received() == "late");
}

}  // namespace
