// The fuzz target's corpus, as a unit test: what once broke something stays tested.
#include "common/config/writer.h"
#include "tests/common/config/support.h"
#include "tests/support/source_dir.h"

namespace gw {
namespace {

TEST_CASE(
    "every input of the fuzz corpus is read or refused, and what is read can be written and read "
    "again") {
  auto inputs = std::filesystem::path(gw::test::source_dir()) / "tests/fuzz/corpus/yaml_loader";
  size_t count = 0;
  for (const auto& entry : std::filesystem::directory_iterator(inputs)) {
    INFO(entry.path().string());
    DiagnosticList diagnostics;
    LoadedFile file = load_yaml(read_text(entry.path()), "corpus", {}, diagnostics);
    for (const LoadedObject& loaded : file.objects) {
      CHECK(load_one(to_yaml(loaded.object)).SerializeAsString() ==
            loaded.object.SerializeAsString());
    }
    ++count;
  }
  CHECK(count >= 10);
}

}  // namespace
}  // namespace gw
