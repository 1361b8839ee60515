#include "common/config/validate.h"

#include "common/config/kinds.h"
#include "tests/common/config/support.h"

namespace gw {
namespace {

std::string faults(const v1::Object& object) {
  DiagnosticList diagnostics;
  bool good = validate(object, diagnostics);
  CHECK(good == !diagnostics.has_errors());
  return texts(diagnostics);
}

v1::Object upstream() {
  return load_one(
      "apiVersion: gw/v1\nkind: Upstream\nmetadata: {name: u, owner: t}\nspec: {targets: [{url: "
      "\"http://a:1\"}]}\n");
}

TEST_CASE("an object that did not come through the loader is held to the same rules") {
  CHECK(faults(upstream()).empty());
  v1::Object object = upstream();
  object.mutable_upstream()->mutable_targets(0)->set_url("http://169.254.169.254/latest");
  CHECK(faults(object) ==
        "error GW1108: Upstream t/u: spec.targets[0].url: \"http://169.254.169.254/latest\" has a "
        "path after the host; write http://169.254.169.254 and put paths into a Route's rewrite\n");
  object = upstream();
  object.mutable_upstream()->mutable_targets(0)->set_weight(-1);
  CHECK(faults(object) ==
        "error GW1102: Upstream t/u: spec.targets[0].weight: -1 is too small; it must be at least "
        "0\n");
  object = upstream();
  object.mutable_metadata()->set_name("A\nB");
  CHECK(faults(object).find("metadata.name: \"A\\x0aB\" is not a name") != std::string::npos);
  object = upstream();
  object.clear_metadata();
  CHECK(faults(object) == "error GW1101: Upstream: metadata: required field is missing\n");
}

TEST_CASE("an object without kind is refused") {
  v1::Object object = upstream();
  object.clear_spec();
  CHECK(faults(object).find("GW1008") != std::string::npos);
}

TEST_CASE("a field that this build does not know is refused, however deep") {
  v1::Object object = upstream();
  object.mutable_upstream()
      ->mutable_targets(0)
      ->GetReflection()
      ->MutableUnknownFields(object.mutable_upstream()->mutable_targets(0))
      ->AddVarint(999, 1);
  CHECK(faults(object) ==
        "error GW1115: Upstream t/u: spec.targets[0]: has field number 999, which this build does "
        "not know; use a gwctl of the control plane's version\n");
  object = upstream();
  auto* label = object.mutable_metadata()->add_labels();
  label->set_name("a");
  label->GetReflection()->MutableUnknownFields(label)->AddVarint(999, 1);
  CHECK(faults(object).find("GW1115") != std::string::npos);
  v1::Object newer;
  newer.mutable_metadata()->set_name("x");
  newer.GetReflection()->MutableUnknownFields(&newer)->AddLengthDelimited(20, "");
  CHECK(faults(newer).find("GW1115") != std::string::npos);
}

TEST_CASE("an enum value that this build does not know is refused") {
  v1::Object object =
      load_one("apiVersion: gw/v1\nkind: Plan\nmetadata: {name: p}\nspec: {onFailure: closed}\n");
  object.mutable_plan()->set_on_failure(static_cast<v1::OnFailure>(77));
  CHECK(faults(object).find("GW1115: Plan p: spec.onFailure") != std::string::npos);
}

TEST_CASE("a policy without a type that this build knows is refused") {
  v1::Object object;
  object.mutable_metadata()->set_name("p");
  object.mutable_policy();
  CHECK(faults(object).find("spec.config: required field is missing") != std::string::npos);
  object.mutable_policy()->mutable_config();
  CHECK(faults(object).find("spec.type: required field is missing") != std::string::npos);
}

TEST_CASE("a mapping's name that comes twice or is empty is refused") {
  v1::Object object = upstream();
  for (const char* name : {"a", "a", ""}) object.mutable_metadata()->add_labels()->set_name(name);
  std::string text = faults(object);
  CHECK(text.find("GW1116: Upstream t/u: metadata.labels.a: is there twice") != std::string::npos);
  CHECK(text.find("metadata.labels: has an empty name") != std::string::npos);
}

TEST_CASE("kinds are known by name, in the words that people use") {
  CHECK(kinds().size() == 13);
  CHECK(find_kind("routes") == "Route");
  CHECK(find_kind("policies") == "Policy");
  CHECK(find_kind("API") == "Api");
  CHECK(find_kind("pods").empty());
  for (const std::string& kind : kinds()) {
    v1::Object object;
    REQUIRE(set_kind(object, kind));
    CHECK(kind_of(object) == kind);
    CHECK(spec_of(object) != nullptr);
  }
  v1::Object object;
  CHECK_FALSE(set_kind(object, "Pod"));
  CHECK(kind_of(object).empty());
  CHECK(spec_of(object) == nullptr);
  CHECK(is_record("App"));
  CHECK_FALSE(is_record("Route"));
}

}  // namespace
}  // namespace gw
