#include "dataplane/snapshot/index_registry.h"

#include <catch2/catch.hpp>

using gw::IndexRegistry;
using gw::IndexSpace;

TEST_CASE("a uid keeps its index while anybody holds it, and gives it back after") {
  IndexRegistry registry;
  auto a = registry.hold(IndexSpace::kRoute, 100);
  auto b = registry.hold(IndexSpace::kRoute, 200);
  CHECK(a->index() == 0);
  CHECK(b->index() == 1);
  CHECK(registry.hold(IndexSpace::kRoute, 100) == a);
  CHECK(registry.hold(IndexSpace::kUpstream, 100)->index() == 0);
  auto again = registry.hold(IndexSpace::kRoute, 100);
  a.reset();
  CHECK(registry.hold(IndexSpace::kRoute, 300)->index() == 2);
  again.reset();
  CHECK(registry.hold(IndexSpace::kRoute, 400)->index() == 0);
  CHECK(registry.size(IndexSpace::kRoute) == 3);
}

TEST_CASE("a hold outlives its registry") {
  std::shared_ptr<const gw::IndexHold> hold;
  {
    IndexRegistry registry;
    hold = registry.hold(IndexSpace::kPlan, 1);
  }
  CHECK(hold->index() == 0);
}
