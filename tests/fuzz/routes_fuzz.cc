// Any bytes as routes and requests: the tree finds what a look at every route finds.
#include <cstdint>
#include <cstdio>
#include <cstdlib>

#include "tests/dataplane/routing/drawn_routes.h"
#include "tests/fuzz/choices.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using gw::fuzz::Choices;
  std::string wrong = gw::testing::compare_with_naive(gw::testing::Maker<Choices>(Choices({reinterpret_cast<const char*>(data), size})));
  if (!wrong.empty()) {
    std::fprintf(stderr, "%s\n", wrong.c_str());
    std::abort();
  }
  return 0;
}
