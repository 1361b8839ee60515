// Input that is made to hurt: each must end in a finding, quickly and in little memory.
#include "tests/common/config/support.h"

namespace gw {
namespace {

const std::string kHead = "apiVersion: gw/v1\nkind: Team\nmetadata: {name: a}\n";

std::string repeat(const std::string& text, size_t n) {
  std::string out;
  out.reserve(text.size() * n);
  for (size_t i = 0; i < n; ++i) out += text;
  return out;
}

TEST_CASE("a file over the limit is refused before it is parsed") {
  LoadOptions options;
  CHECK(codes_of(std::string(options.max_bytes + 1, '['), options) == Codes{"GW1002"});
  options.max_bytes = 10;
  CHECK(codes_of(kHead, options) == Codes{"GW1002"});
}

TEST_CASE("flow nesting of a megabyte ends at the depth limit") {
  CHECK(codes_of(repeat("[", 1 << 20)) == Codes{"GW1003"});
  CHECK(codes_of(repeat("{a: ", 1 << 18)) == Codes{"GW1003"});
  CHECK(codes_of(repeat("[{a: ", 1 << 18)) == Codes{"GW1003"});
  CHECK(codes_of(kHead + "spec: {title: " + repeat("[", 1 << 20)) == Codes{"GW1003"});
}

TEST_CASE("block nesting ends at the depth limit") {
  CHECK(codes_of(repeat("- ", 1 << 19)) == Codes{"GW1003"});
  CHECK(codes_of(repeat("? ", 1 << 19)).size() == 1);
  std::string steps;
  for (size_t i = 0; i < 2'000; ++i) steps += std::string(i, ' ') + "a:\n";
  CHECK(codes_of(steps) == Codes{"GW1003"});
}

TEST_CASE("nesting below the limit is judged by its fields") {
  LoadOptions options;
  options.max_depth = 3;
  CHECK(codes_of("apiVersion: gw/v1\nkind: Team\nmetadata: {name: a, labels: {x: y}}\n", options)
            .empty());
  options.max_depth = 2;
  CHECK(codes_of("apiVersion: gw/v1\nkind: Team\nmetadata: {name: a, labels: {x: y}}\n", options) ==
        Codes{"GW1003"});
}

TEST_CASE("an alias bomb is refused for what it would unfold into") {
  std::string bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n";
  for (int i = 1; i < 40; ++i) {
    std::string before = "*a" + std::to_string(i - 1);
    bomb += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [" + repeat(before + ", ", 9) +
            before + "]\n";
  }
  CHECK(codes_of(bomb) == Codes{"GW1003"});
}

TEST_CASE("aliases that make a tree deep are refused for its depth") {
  std::string chain = "a0: &a0 [x]\n";
  for (int i = 1; i < 100; ++i) {
    chain += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [*a" + std::to_string(i - 1) +
             "]\n";
  }
  CHECK(codes_of(chain) == Codes{"GW1003"});
}

TEST_CASE("a cycle is refused, wherever it closes") {
  CHECK(codes_of("&a [*a]") == Codes{"GW1007"});
  CHECK(codes_of("&a {b: {c: [1, *a]}}") == Codes{"GW1007"});
  CHECK(codes_of("&a {*a : b}") == Codes{"GW1007"});
}

TEST_CASE("nodes are counted over the whole file") {
  LoadOptions options;
  std::string documents;
  for (char name : {'a', 'b', 'c'}) {
    documents += std::string("apiVersion: gw/v1\nkind: Team\nmetadata: {name: ") + name +
                 "}\n---\n";  // 9 nodes
  }
  options.max_nodes = 28;  // the empty document at the end is one
  CHECK(codes_of(documents, options).empty());
  options.max_nodes = 26;
  CHECK(codes_of(documents, options) == Codes{"GW1003"});
}

TEST_CASE("a megabyte of anything is read or refused without harm") {
  for (const char* piece :
       {"a: ", "\"",  "'",           "&a ",   "*a ",      "! ",      "!!x ",
        "| ",  ">\n", "%YAML 1.2\n", "--- ",  "...\n",    "?\n",     "- -\n",
        "{a",  "],",  "a\n",         "# x\n", "\xc3\xbc", "a: &a\n", "- a: b\n  c: d\n"}) {
    INFO(piece);
    DiagnosticList diagnostics;
    load_yaml(repeat(piece, (200 << 10) / std::string(piece).size()), "x.yaml", {}, diagnostics);
    CHECK(diagnostics.items().size() <= DiagnosticList::kMax);
  }
}

TEST_CASE("bytes that are not text are refused with their place") {
  struct Case {
    std::string text;
    int line, column;
  };
  const Case cases[] = {{kHead + "spec: {title: \xff}", 4, 15},
                        {kHead + std::string("spec: {title: a\0b}", 18), 4, 16},
                        {"a: \xed\xa0\x80", 1, 4},      // surrogate
                        {"a: \xc0\xaf", 1, 4},          // overlong
                        {"a: \xf4\x90\x80\x80", 1, 4},  // beyond Unicode
                        {"\xff\xfe"
                         "a\0:\0",
                         1, 1},  // UTF-16
                        {"a: b\n\x1b[31m", 2, 1}};
  for (const Case& c : cases) {
    DiagnosticList diagnostics;
    load_yaml(c.text, "x.yaml", {}, diagnostics);
    REQUIRE(diagnostics.items().size() == 1);
    CHECK(diagnostics.items()[0].code() == "GW1012");
    CHECK(diagnostics.items()[0].line() == c.line);
    CHECK(diagnostics.items()[0].column() == c.column);
  }
}

TEST_CASE("control bytes that come in by an escape are refused in the value") {
  CHECK(codes_of(kHead + "spec: {title: \"a\\0b\"}") == Codes{"GW1108"});
  CHECK(codes_of(kHead + "spec: {title: \"a\\x1bb\"}") == Codes{"GW1108"});
}

TEST_CASE("escapes of which the parser makes no UTF-8 are refused") {
  CHECK(codes_of(kHead + "spec: {title: \"a\\N\"}") == Codes{"GW1012"});
  CHECK(codes_of("apiVersion: gw/v1\nkind: Team\nmetadata: {name: a, labels: {\"\\_\": x}}\n") ==
        Codes{"GW1012"});
  CHECK(codes_of(kHead + "spec: {title: \"\\xe4\\u00fc\"}").empty());
}

TEST_CASE("windows line ends and a byte order mark are read") {
  CHECK(codes_of("\xef\xbb\xbf"
                 "apiVersion: gw/v1\r\nkind: Team\r\nmetadata: {name: a}\r\n")
            .empty());
}

TEST_CASE("lists and texts have a largest size") {
  CHECK(codes_of(kHead + "spec: {title: " + std::string(201, 'x') + "}") == Codes{"GW1109"});
  CHECK(codes_of("apiVersion: gw/v1\nkind: Team\nmetadata: {name: a, shareWith: [" +
                 repeat("b, ", 1'001) + "]}") == Codes{"GW1109"});
}

}  // namespace
}  // namespace gw
