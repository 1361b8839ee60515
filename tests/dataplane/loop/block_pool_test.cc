#include "dataplane/loop/block_pool.h"

#include <catch2/catch.hpp>

namespace gw {
namespace {

TEST_CASE("Blocks are counted while they are owned, and used again", "[loop]") {
  BlockPool pool;
  char* data = nullptr;
  {
    Block a = pool.get();
    Block b = pool.get(100'000);
    CHECK(pool.bytes_in_use() == BlockPool::kBlock + 100'000);
    data = a.data();
    Block moved = std::move(a);
    CHECK_FALSE(a);
    CHECK(moved.data() == data);
  }
  CHECK(pool.bytes_in_use() == 0);
  Block again = pool.get();
  CHECK(again.data() == data);
}

}  // namespace
}  // namespace gw
