#include "common/config/yaml_text.h"

#include <catch2/catch.hpp>

namespace gw {
namespace {

TEST_CASE("text that some YAML reader takes for something else is quoted") {
  for (const char* text : {"",
                           "~",
                           "null",
                           "Null",
                           "NULL",
                           "true",
                           "True",
                           "FALSE",
                           "yes",
                           "No",
                           "on",
                           "OFF",
                           "y",
                           "N",
                           "<<",
                           "=",
                           "1",
                           "-1",
                           "+1",
                           "0",
                           "010",
                           "0x1F",
                           "0o17",
                           "0b1",
                           "1_000",
                           "1.0",
                           ".5",
                           "1e3",
                           "-1E-3",
                           "1,000",
                           ".inf",
                           "-.INF",
                           ".nan",
                           "12:30",
                           "1:2:3",
                           "2027-01-15",
                           "2001-12-14t21:59:43.10-05:00",
                           "127.0.0.1",
                           "- a",
                           "-",
                           "?",
                           "? a",
                           ": a",
                           ":",
                           "a: b",
                           "a:",
                           "a #b",
                           "#a",
                           "&a",
                           "*a",
                           "!a",
                           "|",
                           ">",
                           "'a'",
                           "\"a\"",
                           "%a",
                           "@a",
                           "`a",
                           "[a",
                           "a]",
                           "{a",
                           "a}",
                           "a,b",
                           " a",
                           "a ",
                           "a\nb",
                           "a\tb",
                           "ü",
                           "a\x7f"}) {
    INFO(text);
    CHECK(yaml_scalar(text)[0] == '"');
  }
}

TEST_CASE("common texts stay plain") {
  for (const char* text : {"a",
                           "api-key",
                           "http://127.0.0.1:9101",
                           "/attendees",
                           "10s",
                           "32KiB",
                           "1d",
                           "10.0.0.0/8",
                           "platform/api-key",
                           "text/plain; charset=utf-8",
                           "Team A",
                           "a#b",
                           "a:b",
                           "gw/v1",
                           "^/beta",
                           "image/*",
                           "x@y.example",
                           "nosniff",
                           "1s",
                           "v1.0"}) {
    INFO(text);
    CHECK(yaml_scalar(text) == text);
  }
}

TEST_CASE("quoted text has escapes for what must not stand in it") {
  CHECK(yaml_scalar("a\"b\\c\n\t\x01") == "\"a\\\"b\\\\c\\n\\t\\x01\"");
  CHECK(yaml_scalar("\xc2\x85\xe2\x80\xa8\xe2\x80\xa9\xef\xbb\xbf") ==
        "\"\\u0085\\u2028\\u2029\\uFEFF\"");
  CHECK(yaml_scalar("grüße") == "\"grüße\"");
}

TEST_CASE("values on one line are quoted for brackets too") {
  nlohmann::ordered_json value = {{"url", "http://a:1"},
                                  {"list", {1, true, "x", "a b"}},
                                  {"none", nlohmann::ordered_json::object()}};
  CHECK(yaml_flow(value) == "{url: \"http://a:1\", list: [1, true, x, a b], none: {}}");
}

TEST_CASE("blocks put long lists on lines of their own") {
  nlohmann::ordered_json value = {
      {"short", {"a", "b"}},
      {"long", {std::string(40, 'x'), std::string(40, 'y')}},
      {"maps", {{{"a", 1}, {"b", {{"c", 2}}}}, nlohmann::ordered_json::object()}},
      {"empty", nlohmann::ordered_json::array()}};
  CHECK(yaml_block(value) == "short: [a, b]\nlong:\n  - " + std::string(40, 'x') + "\n  - " +
                                 std::string(40, 'y') +
                                 "\nmaps:\n  - a: 1\n    b:\n      c: 2\n  - {}\nempty: []\n");
}

}  // namespace
}  // namespace gw
