// Any bytes as changes of a configuration: a snapshot made by a delta is the one that the whole makes.
#include <cstdint>
#include <cstdio>
#include <cstdlib>

#include "tests/fuzz/choices.h"
#include "tests/fuzz/snapshot_changes.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  gw::fuzz::Choices choices({reinterpret_cast<const char*>(data), size});
  gw::fuzz::SnapshotChanges<gw::fuzz::Choices> changes(choices);
  while (choices.left()) {
    std::string wrong = changes.step();
    if (wrong.empty()) continue;
    std::fprintf(stderr, "%s\n", wrong.c_str());
    std::abort();
  }
  return 0;
}
