#include <catch2/catch.hpp>
#include <fcntl.h>
#include <unistd.h>

#include <vector>

#include "dataplane/loop/splice.h"

namespace gw {
namespace {

TEST_CASE("A pipe that comes back empty is given out again, one that holds bytes is closed") {
  PipePool pool;
  Pipe pipe = pool.get();
  REQUIRE(pipe.open());
  CHECK((fcntl(pipe.in, F_GETFL) & O_NONBLOCK) != 0);
  pool.give_back(pipe, true);
  Pipe again = pool.get();
  CHECK(again.in == pipe.in);
  REQUIRE(write(again.in, "x", 1) == 1);
  pool.give_back(again, false);
  CHECK(fcntl(again.in, F_GETFD) == -1);
  CHECK(fcntl(again.out, F_GETFD) == -1);
}

TEST_CASE("No more pipes are in use than the most, and few are kept") {
  PipePool pool;
  std::vector<Pipe> pipes;
  for (size_t i = 0; i < PipePool::kMaxInUse; ++i) {
    pipes.push_back(pool.get());
    REQUIRE(pipes.back().open());
  }
  CHECK_FALSE(pool.get().open());
  for (Pipe pipe : pipes) pool.give_back(pipe, true);
  size_t kept = 0;
  for (Pipe pipe : pipes) kept += fcntl(pipe.in, F_GETFD) != -1 ? 1 : 0;
  CHECK(kept == PipePool::kMaxKept);
  CHECK(pool.get().open());
}

}  // namespace
}  // namespace gw
