// A snapshot made by a change is the one that the whole would make; random changes, and those of the fuzz target's corpus.
#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "common/base/random.h"
#include "tests/fuzz/choices.h"
#include "tests/fuzz/snapshot_changes.h"
#include "tests/support/source_dir.h"

namespace gw {
namespace {

TEST_CASE("what a change makes is what the whole makes") {
  FastRandom random(20261124);
  int built = 0, refused = 0;
  for (int world = 0; world < 30; ++world) {
    fuzz::SnapshotChanges<FastRandom> changes(random);
    for (int i = 0; i < 100; ++i) REQUIRE(changes.step() == "");
    built += changes.built();
    refused += changes.refused();
  }
  CHECK(built > 500);
  CHECK(refused > 100);
}

TEST_CASE("changes of the corpus make what the whole makes") {
  size_t inputs = 0;
  for (const auto& entry : std::filesystem::directory_iterator(std::filesystem::path(test::source_dir()) / "tests/fuzz/corpus/snapshot_changes")) {
    std::ifstream file(entry.path(), std::ios::binary);
    std::string bytes{std::istreambuf_iterator<char>(file), {}};
    INFO(entry.path());
    fuzz::Choices choices(bytes);
    fuzz::SnapshotChanges<fuzz::Choices> changes(choices);
    while (choices.left()) REQUIRE(changes.step() == "");
    ++inputs;
  }
  CHECK(inputs > 3);
}

}  // namespace
}  // namespace gw
