#include "common/config/validate.h"
#include "common/config/writer.h"
#include "tests/common/config/generator.h"
#include "tests/common/config/support.h"

namespace gw {
namespace {

TEST_CASE("whatever is written loads to the same object") {
  ObjectGenerator generator(2026);
  for (int i = 0; i < 3'000; ++i) {
    v1::Object object = generator.object();
    DiagnosticList diagnostics;
    if (!validate(object, diagnostics))
      FAIL("the generator broke a rule: " << texts(diagnostics) << object.DebugString());

    std::string text = to_yaml(object);
    LoadedFile file = load_yaml(text, "written.yaml", {}, diagnostics);
    if (!diagnostics.empty() || file.objects.size() != 1) FAIL(text << texts(diagnostics));
    if (file.objects[0].object.SerializeAsString() != object.SerializeAsString()) {
      FAIL(text << object.DebugString() << file.objects[0].object.DebugString());
    }
    if (to_yaml(file.objects[0].object) != text) FAIL("writing is not stable: " << text);
  }
  SUCCEED();
}

TEST_CASE("objects that differ show what differs, and equal ones nothing") {
  ObjectGenerator generator(7);
  for (int i = 0; i < 500; ++i) {
    v1::Object a = generator.object(), b = generator.object();
    if (!field_changes(a, a).empty() || !same_meaning(a, a)) FAIL(to_yaml(a));
    if (kind_of(a) == kind_of(b) && field_changes(a, b).empty() != same_meaning(a, b))
      FAIL(to_yaml(a) << to_yaml(b));
  }
  SUCCEED();
}

TEST_CASE("several objects are written as documents of one file") {
  ObjectGenerator generator(9);
  std::vector<v1::Object> objects;
  for (int i = 0; i < 20; ++i) {
    objects.push_back(generator.object());
    objects.back().mutable_metadata()->set_name("n" + std::to_string(i));
  }
  DiagnosticList diagnostics;
  LoadedFile file = load_yaml(to_yaml(objects), "all.yaml", {}, diagnostics);
  INFO(texts(diagnostics));
  CHECK(diagnostics.empty());
  REQUIRE(file.objects.size() == objects.size());
  for (size_t i = 0; i < objects.size(); ++i)
    CHECK(file.objects[i].object.SerializeAsString() == objects[i].SerializeAsString());
}

}  // namespace
}  // namespace gw
