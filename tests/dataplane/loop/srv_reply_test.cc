#include "dataplane/loop/srv_reply.h"

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "tests/fuzz/srv_reply_message.h"
#include "tests/support/source_dir.h"

namespace gw {
namespace {

std::filesystem::path corpus() { return std::filesystem::path(test::source_dir()) / "tests/fuzz/corpus/srv_reply"; }

std::string bytes_of(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::optional<SrvReply> parse(const char* name) {
  REQUIRE(std::filesystem::exists(corpus() / name));
  return parse_srv_reply(bytes_of(corpus() / name));
}

TEST_CASE("SRV records are read with the least TTL of what leads to them", "[dns]") {
  auto one = parse("one");
  REQUIRE(one);
  CHECK(one->records == std::vector<SrvRecord>{{1, 2, 80, "h.test"}});
  CHECK(one->ttl_s == 30);
  auto compressed = parse("pointer");
  REQUIRE(compressed);
  CHECK(compressed->records == std::vector<SrvRecord>{{1, 2, 80, "h.u.test"}, {2, 0, 81, "h2.test"}});
  CHECK(compressed->ttl_s == 20);
  auto alias = parse("alias");
  REQUIRE(alias);
  CHECK(alias->records.size() == 1);
  CHECK(alias->ttl_s == 9);
  CHECK(parse("alias_pointer")->records.front().host == "h.test");
  CHECK(parse("addresses_between")->records.size() == 1);
  CHECK(parse("double")->records.size() == 1);
  CHECK(parse("many")->records.size() == 200);
  CHECK(parse("ttl_negative")->ttl_s == 0);
}

TEST_CASE("Records of another name or class, and those that lead nowhere, are none", "[dns]") {
  for (const char* name : {"none", "other_owner", "not_offered", "chaos_class"}) {
    INFO(name);
    auto reply = parse(name);
    REQUIRE(reply);
    CHECK(reply->records.empty());
  }
  CHECK(parse("bad_host")->records == std::vector<SrvRecord>{{1, 2, 80, "good.test"}});
}

TEST_CASE("A reply that is broken is not read", "[dns]") {
  for (const char* name : {"self_pointer", "forward_pointer", "long_name", "data_beyond", "data_too_long", "query", "two_questions",
                           "count_beyond", "empty", "header"}) {
    INFO(name);
    CHECK_FALSE(parse(name));
  }
}

TEST_CASE("Every input of the SRV replies' corpus keeps the promises, cut anywhere", "[dns]") {
  size_t inputs = 0;
  for (const auto& entry : std::filesystem::directory_iterator(corpus())) {
    std::string bytes = bytes_of(entry.path());
    INFO(entry.path());
    for (size_t size = 0; size <= bytes.size(); ++size) {
      const char* wrong = fuzz::check_srv_reply(std::string_view(bytes).substr(0, size));
      CHECK(std::string_view(wrong != nullptr ? wrong : "").empty());
    }
    ++inputs;
  }
  CHECK(inputs > 20);
}

}  // namespace
}  // namespace gw
