#include "cli/output.h"

#include <catch2/catch.hpp>

#include "cli/errors.h"
#include "cli/kinds.h"
#include "common/base/status.h"

namespace gw::cli {

TEST_CASE("a table lines its columns up and leaves no blanks at line ends") {
  Table table({{"NAME"}, {"COUNT", true}, {"NOTE"}});
  table.add({"a", "7", ""});
  table.add({"longer", "1,234", "x"});
  CHECK(table.render({}) == "NAME    COUNT  NOTE\na           7\nlonger  1,234  x\n");
  Paint bare;
  bare.headers = false;
  CHECK(table.render(bare) == "a           7\nlonger  1,234  x\n");
}

TEST_CASE("a narrow terminal cuts the flexible column only, and a pipe cuts nothing") {
  Table table({{"NAME"}, {"WHAT", false, true}});
  table.add({"name-that-stays-whole", std::string(100, 'x')});
  Paint narrow;
  narrow.columns = 40;
  std::string text = table.render(narrow);
  CHECK(text.find("name-that-stays-whole") != std::string::npos);
  for (size_t at = 0, end; (end = text.find('\n', at)) != std::string::npos; at = end + 1) {
    CHECK(display_width(std::string_view(text).substr(at, end - at)) <= 40);
  }
  CHECK(text.find("…") != std::string::npos);
  CHECK(table.render({}).find(std::string(100, 'x')) != std::string::npos);
}

TEST_CASE("width is counted in characters, so that names with accents line up") {
  Table table({{"NAME"}, {"N"}});
  table.add({"é", "1"});
  table.add({"ab", "2"});
  CHECK(table.render({}) == "NAME  N\né     1\nab    2\n");
}

TEST_CASE("colour is only written where it was asked for") {
  Table table({{"S"}});
  table.add({Cell("ok", Style::kGood)});
  Paint colour;
  colour.colour = true;
  CHECK(table.render({}).find('\x1b') == std::string::npos);
  CHECK(table.render(colour).find("\x1b[32mok\x1b[0m") != std::string::npos);
}

TEST_CASE("YAML quotes what another reader would take for something else") {
  Json value = {{"a", "no"}, {"b", "1.0"}, {"c", "plain words"}, {"d", "x: y"}, {"e", ""}, {"f", Json::array()}, {"g", {{"h", 1}, {"i", true}}}, {"j", {{{"k", "2026-11-24"}}, {{"k", "*"}}}}};
  CHECK(to_yaml_text(value) ==
        "a: \"no\"\nb: \"1.0\"\nc: plain words\nd: \"x: y\"\ne: \"\"\nf: []\ng:\n  h: 1\n  i: true\nj:\n- k: \"2026-11-24\"\n- k: \"*\"\n");
  CHECK(to_yaml_text(Json::array()) == "[]\n");
}

TEST_CASE("numbers and times read as people write them") {
  CHECK(with_commas(0) == "0");
  CHECK(with_commas(1234567) == "1,234,567");
  CHECK(age_text(3) == "now");
  CHECK(age_text(60) == "60 s");
  CHECK(age_text(3600) == "60 min");
  CHECK(age_text(7200) == "2 h");
  CHECK(age_text(3 * 86400) == "3 d");
  CHECK(time_text(1'800'000'000) == "2027-01-15T08:00:00Z");
  CHECK(time_text(0).empty());
  CHECK(seconds_text(0.42) == "0.4 s");
}

TEST_CASE("kinds are found however people write them, and foreign words are translated") {
  CHECK(*parse_kind("route") == "Route");
  CHECK(*parse_kind("Policies") == "Policy");
  CHECK(message_of(parse_kind("pods").status()) == "unknown kind \"pods\"; did you mean `gwctl node list`?");
  CHECK(message_of(parse_kind("rout").status()) == "unknown kind \"rout\"; did you mean route?");
  CHECK(message_of(parse_kind("plugins").status()) == "unknown kind \"plugins\"; did you mean policy?");
  CHECK(message_of(parse_kind("zzz").status()).find("there are team, gateway") != std::string::npos);
  CHECK(exit_code_of(parse_kind("zzz").status()) == ExitCode::kUsage);
}

TEST_CASE("an object's name is owner/name, or a bare name under the default owner") {
  CHECK(parse_object_id("Route", "a/b", "")->owner() == "a");
  CHECK(parse_object_id("Route", "b", "team")->owner() == "team");
  CHECK(parse_object_id("Team", "b", "team")->owner().empty());
  for (const char* bad : {"a/", "/b", "a/b/c", ""}) CHECK(exit_code_of(parse_object_id("Route", bad, "").status()) == ExitCode::kUsage);
}

TEST_CASE("each kind of failure has its exit code") {
  CHECK(exit_code_of(absl::OkStatus()) == ExitCode::kDone);
  CHECK(exit_code_of(permission_denied("x")) == ExitCode::kNotAllowed);
  CHECK(exit_code_of(unauthenticated("x")) == ExitCode::kNotAllowed);
  CHECK(exit_code_of(not_found("x")) == ExitCode::kNotFound);
  CHECK(exit_code_of(aborted("x")) == ExitCode::kConflict);
  CHECK(exit_code_of(unavailable("x")) == ExitCode::kUnreachable);
  CHECK(exit_code_of(internal_error("x")) == ExitCode::kUnreachable);
  CHECK(exit_code_of(deadline_exceeded("x")) == ExitCode::kTimeout);
  CHECK(exit_code_of(invalid_argument("x")) == ExitCode::kRefused);
  CHECK(exit_code_of(failed_precondition("x")) == ExitCode::kRefused);
  CHECK(exit_code_of(resource_exhausted("x")) == ExitCode::kRefused);
  CHECK(exit_code_of(usage_error("x")) == ExitCode::kUsage);
}

}  // namespace gw::cli
