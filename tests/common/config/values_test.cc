// {file: …} and {env: …} in place of a text.
#include <catch2/catch.hpp>

#include "common/base/status.h"
#include "common/config/loader.h"
#include "common/config/writer.h"

namespace gw {
namespace {

constexpr char kSecret[] = "{apiVersion: gw/v1, kind: Secret, metadata: {name: s, owner: t}, spec: {value: ";

LoadedFile load(const std::string& value, DiagnosticList& found, bool with_values = true) {
  LoadOptions options;
  if (with_values) {
    options.values = [](std::string_view source, const std::string& name, const std::string& yaml_file) -> absl::StatusOr<std::string> {
      if (name == "gone") return invalid_argument(name + " is not there");
      if (name == "binary") return std::string("\xff\xfe");
      return std::string(source) + " " + name + " of " + yaml_file;
    };
  }
  return load_yaml(kSecret + value + "}}\n", "dir/s.yaml", options, found);
}

std::string finding(const std::string& value, bool with_values = true) {
  DiagnosticList found;
  load(value, found, with_values);
  return found.empty() ? "" : to_text(found.items()[0]);
}

}  // namespace

TEST_CASE("a text may stand in a file or a variable") {
  DiagnosticList found;
  CHECK(load("{file: tls.pem}", found).objects.at(0).object.secret().value() == "file tls.pem of dir/s.yaml");
  CHECK(load("{env: TOKEN}", found).objects.at(0).object.secret().value() == "env TOKEN of dir/s.yaml");
  CHECK(load("plain", found).objects.at(0).object.secret().value() == "plain");
  CHECK(found.empty());
}

TEST_CASE("a value that cannot be read is said where it stands") {
  CHECK(finding("{file: gone}") == "dir/s.yaml:1:80: error GW1016: Secret t/s: spec.value: gone is not there");
  CHECK(finding("{file: binary}").find("GW1016: Secret t/s: spec.value: file binary is not text (UTF-8)") != std::string::npos);
  CHECK(finding("{env: [a]}").find("GW1011") != std::string::npos);
  CHECK(finding("{env: TOKEN}", false).find("GW1016: Secret t/s: spec.value: {env: …} is read by gwctl") != std::string::npos);
  CHECK(finding("{secret: other}").find("GW1010") != std::string::npos);
  CHECK(finding("{other: x}").find("GW1011") != std::string::npos);
}

TEST_CASE("a Secret's value is never written back, nor quoted in a finding") {
  DiagnosticList found;
  v1::Object object = load("hunter2", found).objects.at(0).object;
  CHECK(to_yaml(object).find("hunter2") == std::string::npos);
  CHECK(to_yaml(object).find("spec: {}") != std::string::npos);
  CHECK(finding("\"hunter2\\u0001\"").find("hunter2") == std::string::npos);
  CHECK(finding("\"hunter2\\u0001\"") != "");
  v1::Object other = object;
  other.mutable_secret()->set_value("hunter3");
  CHECK(field_changes(object, other).empty());
}

}  // namespace gw
